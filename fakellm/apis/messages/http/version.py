"""The headers `anthropic-version`, without which Anthropic refuses a request, and `anthropic-beta`. Clouds have the
version in the body, and other betas.

https://platform.claude.com/docs/en/api/versioning, https://platform.claude.com/docs/en/api/beta-headers
A wrong beta, as many clients report it: https://github.com/anthropics/claude-code/issues/53855
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fakellm.apis.messages.http.urls import messages_url
from fakellm.base.errors import RequestError
from fakellm.base.validation import SHOWN

HEADER, BETA = "anthropic-version", "anthropic-beta"
_BETA = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*-(?:\d{4}-\d\d-\d\d|\d{8})")
VERSIONS = ("2023-01-01", "2023-06-01")
_NEWEST = "2026-10-21"
"""Later dates are accepted too: clients may be newer than this list."""


def check(headers: Mapping[str, str], path: str) -> None:
    """Raises RequestError if a request to one of the API's paths lacks the version, or has one that does not exist, or
    a beta that cannot exist. Any name with a date may: clients may be newer than any list."""
    url = messages_url(path)
    if url is not None and url.dialect is not None:
        return
    version = next((value for name, value in headers.items() if name.lower() == HEADER), None)
    if version is None:
        raise RequestError(400, f"{HEADER}: header is required", None, HEADER)
    later = re.fullmatch(r"\d{4}-\d\d-\d\d", version) and version >= _NEWEST
    if version not in VERSIONS and not later:
        raise RequestError(400, f'{HEADER}: "{version[:SHOWN]}" is not a valid version', None, HEADER)
    betas = [beta for name, value in headers.items() if name.lower() == BETA for beta in value.split(",")]
    if wrong := [beta.strip() for beta in betas if not _BETA.fullmatch(beta.strip())]:
        shown = ", ".join(f"`{beta}`" for beta in wrong)[:SHOWN]
        message = f"Unexpected value(s) {shown} for the `{BETA}` header. Please consult our documentation at "
        raise RequestError(400, f"{message}docs.claude.com or try again without the header.", None, BETA)
