"""Which query parameters and bodies the control routes have: any other is refused, by its name.

If one were ignored, a test that misspells it would pass. Knows no handler.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from fakellm.base.errors import RequestError
from fakellm.base.validation import shortened
from fakellm.base.words.near_miss import near_miss

_PARAMETERS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("POST", "/_fakellm/step"): ("frames", "request", "timeout"),
    ("POST", "/_fakellm/advance"): ("seconds",),
    ("PUT", "/_fakellm/scenario"): ("strict",),
    ("POST", "/_fakellm/rules"): ("first", "replace", "strict"),
    ("GET", "/_fakellm/requests/{number}/recording"): ("format",),
    ("POST", "/_fakellm/preview"): ("request",),
    ("PUT", "/_fakellm/file"): ("name", "version"),
}
"""The parameters of each control route; the others have none."""

_WITH_BODY = (
    ("PUT", "/_fakellm/scenario"),
    ("POST", "/_fakellm/rules"),
    ("POST", "/_fakellm/journal"),
    ("POST", "/_fakellm/check"),
    ("POST", "/_fakellm/preview"),
    ("PUT", "/_fakellm/fault"),
    ("PUT", "/_fakellm/speed"),
    ("PUT", "/_fakellm/file"),
)
_NO_CONTENT = (b"", b"{}", b"null")
"""What clients send that always send JSON."""

_MOST = 100
"""The most parameters that are read."""


def check_parameters(method: str, operation: str, query: str, body: bytes) -> None:
    """Raises RequestError, status 400, if a request to a control route has a parameter that the route does not have, or
    the same one twice, or a body if the route has none."""
    allowed = _PARAMETERS.get((method, operation), ())
    try:
        names = [name for name, _ in parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST)]
    except ValueError:
        raise _refused(method, operation, f"no more than {_MOST} query parameters", allowed, "") from None
    for number, name in enumerate(names):
        if name not in allowed:
            raise _refused(method, operation, f"no query parameter {shortened(name)}", allowed, name)
        if name in names[:number]:
            raise RequestError(400, f"The query parameter {name!r} is there twice.", "invalid_value", name)
    if (method, operation) not in _WITH_BODY and body.strip() not in _NO_CONTENT:
        raise _refused(method, operation, "no body", allowed, "")


def whole_number(name: str, text: str, expected: str) -> int:
    """The value of a parameter that is a number from 1. Raises RequestError, status 400."""
    if not (text.isdecimal() and len(text) < 10 and int(text)):
        message = f"Invalid value for '{name}': expected {expected}, got {shortened(text)}."
        raise RequestError(400, message, "invalid_value", name)
    return int(text)


def _refused(method: str, operation: str, what: str, allowed: tuple[str, ...], name: str) -> RequestError:
    known = f"; its query parameters are {', '.join(allowed)}" if allowed else ""
    message = f"{method} {operation} has {what}{known}{near_miss(name, allowed) or '.'}"
    return RequestError(400, message, "unknown_parameter", shortened(name)[1:-1] if name else None)
