"""Errors in Google's shape: `{"error": {"code", "message", "status", "details"}}`. Knows no requests.

Vertex AI sends `details` even if it is empty. An error in a stream is the same object, without `data:` before it.
https://cloud.google.com/apis/design/errors, https://ai.google.dev/gemini-api/docs/troubleshooting
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import UNSET

from fakellm.apis.gemini.api_keys import INVALID, NOT_VALID
from fakellm.apis.protocol import Failure
from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps

_STATUS = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: (
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
    ),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "Requested entity was not found."),
    409: ("ABORTED", "The operation was aborted."),
    429: ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: (
        "INTERNAL",
        "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
    ),
    501: ("UNIMPLEMENTED", "Operation is not implemented, or supported, or enabled."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "The request timed out. Please try again."),
}
_WORDS = {word for word, _ in _STATUS.values()}
_KEY = [
    {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": INVALID,
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    },
    {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": NOT_VALID},
]
"""The details of the refusal of a wrong API key."""
_RETRY = "type.googleapis.com/google.rpc.RetryInfo"


def error_value(failure: Failure, dialect: str) -> dict[str, Any]:
    """The error as Google sends it. `type` replaces the `status`, `code` the `code`. It states the seconds of a
    `Retry-After`, and after a 429 without them the usual ones."""
    usual, message = _STATUS.get(failure.status) or _STATUS[500 if failure.status >= 500 else 400]
    status = usual if failure.type is UNSET else failure.type
    code = failure.status if failure.code is UNSET else failure.code
    value: dict[str, Any] = {"code": code, "message": failure.message or message, "status": status}
    wait = failure.headers.get("retry-after", "")
    seconds = wait if re.fullmatch(r"\d+(?:\.\d+)?", wait) else None
    if failure.status == 429 or seconds:
        value["details"] = [{"@type": _RETRY, "retryDelay": f"{seconds or 30}s"}]
    elif dialect == "vertex":
        value["details"] = []
    return {"error": value}


def refused(error: RequestError, vertex: bool) -> dict[str, Any]:
    """The error for a request that is not valid: with the field of each problem that is a line of its message.
    `vertex`: whether it was sent to Vertex AI."""
    status = error.code if error.code in _WORDS else _STATUS.get(error.status, _STATUS[400])[0]
    value: dict[str, Any] = {"code": error.status, "message": error.message, "status": status}
    if error.code == INVALID:
        value["details"] = _KEY
    elif error.message.startswith("Invalid ") and error.status == 400:
        violations = [_violation(line) for line in error.message.splitlines()]
        value["details"] = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}]
    elif vertex:
        value["details"] = []
    return {"error": value}


def _violation(line: str) -> dict[str, str]:
    place = re.search(r" at '([^']*)'", line)
    return ({"field": place[1]} if place else {}) | {"description": line}


def body_of(value: Any) -> bytes:
    """The body of an error or an operation, as indented as Google's whole replies are."""
    return dumps(value, 2).encode() + b"\n"
