"""The header `anthropic-version`, without which Anthropic refuses a request. Clouds have the version in the body.

https://platform.claude.com/docs/en/api/versioning
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fakellm.apis.messages.http.urls import messages_url
from fakellm.base.errors import RequestError
from fakellm.base.validation import SHOWN

HEADER = "anthropic-version"
VERSIONS = ("2023-01-01", "2023-06-01")
_NEWEST = "2026-10-21"
"""Later dates are accepted too: clients may be newer than this list."""


def check(headers: Mapping[str, str], path: str) -> None:
    """Raises RequestError if a request to one of the API's paths lacks the version, or has one that does not exist."""
    url = messages_url(path)
    if url is not None and url.dialect is not None:
        return
    version = next((value for name, value in headers.items() if name.lower() == HEADER), None)
    if version is None:
        raise RequestError(400, f"{HEADER}: header is required", None, HEADER)
    later = re.fullmatch(r"\d{4}-\d\d-\d\d", version) and version >= _NEWEST
    if version not in VERSIONS and not later:
        raise RequestError(400, f'{HEADER}: "{version[:SHOWN]}" is not a valid version', None, HEADER)
