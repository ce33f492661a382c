"""The paths of the page: its own, and below it those of its files. Knows no file."""

from __future__ import annotations

PAGE = "/_fakellm/"
TYPED = "/_fakellm"
"""What a person types: it leads to the page."""
FILES = "/_fakellm/page/"


def is_page(operation: str) -> bool:
    """Whether a path is the page's or that of one of its files."""
    return operation in (PAGE, TYPED) or operation.startswith(FILES)
