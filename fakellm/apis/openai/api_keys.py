"""The API key of a request: where the clients of each API send it, and how a wrong one is refused.

https://platform.openai.com/docs/api-reference/authentication, for `api-key`
https://learn.microsoft.com/azure/ai-foundry/openai/reference#authentication, for `x-api-key`
https://docs.claude.com/en/api/overview#authentication, for `x-goog-api-key` and `?key=` https://ai.google.dev/api
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from urllib.parse import parse_qs

from fakellm.base.errors import RequestError


def checked_key(key: str) -> str:
    """The key, if a header can hold it. Raises ValueError."""
    if not re.fullmatch(r"[!-~]+", key):
        raise ValueError(f"an API key must be visible ASCII without spaces; got {key!r}")
    return key


Refused = Callable[[str | None, bool], RequestError]
"""Returns the refusal of a request with this key; None: without any. The flag: it was sent as a bearer token."""


def check(headers: Mapping[str, str], keys: Collection[str], query: str = "", refused: Refused | None = None) -> None:
    """Raises RequestError if a request has none of these keys in its headers or its query: status 401, or as `refused`
    makes it."""
    key, bearer = sent_key(headers, query)
    if key not in keys:
        raise (refused or _refused)(key, bearer)


def sent_key(headers: Mapping[str, str], query: str = "") -> tuple[str | None, bool]:
    """The key of a request, in its headers or its query, and whether it was sent as a bearer token."""
    sent = {name.lower(): value for name, value in headers.items()}
    bearer = _bearer(sent)
    return bearer or _header(sent) or parse_qs(query).get("key", [None])[0], bearer is not None


ACCEPTED = "This server accepts the keys it was started with."


def _refused(key: str | None, bearer: bool) -> RequestError:
    if key is None:
        message = f"You didn't provide an API key: send one as 'Authorization: Bearer KEY', or as {_OTHERS}."
        return RequestError(401, message, None)
    return RequestError(401, f"Incorrect API key provided: {shortened(key)}. {ACCEPTED}", "invalid_api_key")


def shortened(key: str) -> str:
    """The key as in OpenAI's message: stars between its first eight characters and its last four. Of a key that is too
    short for that, only the first two are shown."""
    first, last = (8, 4) if len(key) > 12 else (2, 0)
    return key[:first] + "*" * (len(key) - first - last) + key[len(key) - last :]


_HEADERS = ("api-key", "x-api-key", "x-goog-api-key")
_OTHERS = ", ".join(f"'{name}: KEY'" for name in _HEADERS) + " or '?key=KEY'"


def _bearer(headers: Mapping[str, str]) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def _header(headers: Mapping[str, str]) -> str | None:
    return next((headers[name] for name in _HEADERS if headers.get(name)), None)
