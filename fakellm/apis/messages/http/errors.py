"""How the API reports an error: as a body by HTTP status, and in a stream.

The types are those of https://platform.claude.com/docs/en/api/errors; no recording shows the bodies of 413, 429, 5xx,
nor an error within a stream, so their messages are those that clients report.
"""

from __future__ import annotations

from typing import Any

from fakellm.apis.messages.dialect import BASE58
from fakellm.apis.messages.requests.rules import NO_THREADS
from fakellm.apis.protocol import Failure
from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps
from fakellm.base.seed import Source
from fakellm.wire.plan import Frame, Plan
from fakellm.wire.sse import Event

TYPES = {
    400: ("invalid_request_error", "messages: Field required"),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the Anthropic API."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "Not found"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "Request timed out"),
    529: ("overloaded_error", "Overloaded"),
}
"""The type of an error and its usual message, by status."""


def _usual(status: int) -> tuple[str, str]:
    other = ("invalid_request_error", "Invalid request") if status < 500 else TYPES[500]
    return TYPES.get(status, other)


def error_object(failure: Failure) -> dict[str, Any]:
    """The error as a JSON object: its type and its message."""
    kind, message = _usual(failure.status)
    message = failure.message or message
    stated = failure.type if isinstance(failure.type, str) else kind
    error = {"type": stated, "message": message}
    known = failure.headers.get("request-id") or request_id(failure.status, message)
    return {"type": "error", "error": error, "request_id": known}


def request_id(status: int, message: str) -> str:
    """The id of a request that failed: the same for the same failure."""
    return "req_011C" + Source(0, "request-id", status, message).text(BASE58, 20)


def error_body(failure: Failure, shape: str = "typed") -> tuple[str, bytes]:
    """The Content-Type and the body of a response that failed, in a dialect's shape."""
    found = error_object(failure)
    kind, message = found["error"]["type"], found["error"]["message"]
    if shape == "flat":
        found = {"error": {"message": message, "type": kind, "param": None, "code": kind}}
    elif shape == "message":
        found = {"message": message}
    return "application/json", dumps(found).encode()


def refuse(error: RequestError) -> Plan:
    """The response to a refused request. `x-should-retry: false` keeps SDKs from sending it again."""
    found = error_object(Failure(error.status, error.message))
    if error.code == NO_THREADS:
        found["error"]["details"] = {"error_code": error.code}
    kind, body = "application/json", dumps(found).encode()
    known = ("request-id", str(found["request_id"]))
    headers = (("Content-Type", kind), ("x-should-retry", "false"), known, *error.headers.items())
    return Plan(error.status, headers, (Frame(body),))


def in_stream(error: Any) -> Event:
    """The event with which a stream fails; nothing follows it."""
    if isinstance(error, dict):
        return Event(dumps(error), "error")
    failure = error if isinstance(error, Failure) else Failure(500, str(error))
    found = error_object(failure)
    return Event(dumps({**found, "error": {"details": None, **found["error"]}}), "error")
