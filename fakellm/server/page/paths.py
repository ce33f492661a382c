"""The paths of the page: its own, and below it those of its files. Knows no file."""

from __future__ import annotations

from collections.abc import Mapping

PAGE = "/_fakellm/"
TYPED = "/_fakellm"
"""What a person types: it leads to the page."""
FILES = "/_fakellm/page/"


def opens_root(method: str, path: str, headers: Mapping[str, str]) -> bool:
    """Whether a person has opened the root of a server or session in a browser: no SDK requests HTML."""
    return method == "GET" and path == "/" and "text/html" in headers.get("Accept", "")


def is_page(operation: str) -> bool:
    """Whether a path is the page's or that of one of its files."""
    return operation in (PAGE, TYPED) or operation.startswith(FILES)
