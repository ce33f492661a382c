"""The API key of a request: where the clients of each API send it, and how a wrong one is refused.

https://platform.openai.com/docs/api-reference/authentication, for `api-key`
https://learn.microsoft.com/azure/ai-foundry/openai/reference#authentication, for `x-api-key`
https://docs.claude.com/en/api/overview#authentication, for `x-goog-api-key` and `?key=` https://ai.google.dev/api
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import parse_qs

from fakellm.base.errors import RequestError


def checked_key(key: str) -> str:
    """The key, if a header can hold it. Raises ValueError."""
    if not re.fullmatch(r"[!-~]+", key):
        raise ValueError(f"an API key must be visible ASCII without spaces; got {key!r}")
    return key


def check(headers: Mapping[str, str], keys: Collection[str], query: str = "") -> None:
    """Raises RequestError, status 401, if keys are required and the request has none of them in its headers or its
    query."""
    if not keys:
        return
    key = _key({name.lower(): value for name, value in headers.items()}) or parse_qs(query).get("key", [None])[0]
    if key is None:
        message = f"You didn't provide an API key: send one as 'Authorization: Bearer KEY', or as {_OTHERS}."
        raise RequestError(401, message, None)
    if key not in keys:
        message = f"Incorrect API key provided: {shortened(key)}. This server accepts the keys it was started with."
        raise RequestError(401, message, "invalid_api_key")


def shortened(key: str) -> str:
    """The key as in OpenAI's message: stars between its first eight characters and its last four. Of a key that is too
    short for that, only the first two are shown."""
    first, last = (8, 4) if len(key) > 12 else (2, 0)
    return key[:first] + "*" * (len(key) - first - last) + key[len(key) - last :]


_HEADERS = ("api-key", "x-api-key", "x-goog-api-key")
_OTHERS = ", ".join(f"'{name}: KEY'" for name in _HEADERS) + " or '?key=KEY'"


def _key(headers: Mapping[str, str]) -> str | None:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    return next((headers[name] for name in _HEADERS if headers.get(name)), None)
