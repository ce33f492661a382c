"""How a provider reports a failure, as a body and in a stream. Knows no provider by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Failure
from fakellm.base.json_text import JSON, dumps
from fakellm.wire.sse import Event


def error_json(dialect: Dialect, failure: Failure) -> JSON:
    """The JSON with which the provider reports a failure. A `request_id` in it is that of the response's headers."""
    body = dialect.errors.body(dialect.errors.fields(failure), failure.status)
    known = failure.headers.get("x-request-id")
    return body | {"request_id": known} if known and "request_id" in body else body


def error_body(dialect: Dialect, failure: Failure) -> bytes:
    """The body of a response that failed, in the provider's shape, with its indentation and its end."""
    indent = dialect.errors.indents.get(failure.status, dialect.indent)
    return (dumps(error_json(dialect, failure), indent) + dialect.errors.ending).encode()


def error_type(dialect: Dialect, status: int) -> str:
    """The Content-Type of that body."""
    return dialect.errors.types.get(status, "application/json")


def error_in_stream(dialect: Dialect, failure: Failure, shape: str | None, events: Sequence[Event]) -> Event | str:
    """The error in a stream of these events, in the shape that `fakellm.faults.Error` describes, or the provider's:
    an event, or a line that readers do not take for data."""
    error = dialect.errors.fields(failure)
    body = error_json(dialect, failure)
    match shape or dialect.errors.frame:
        case "chunk":
            short = {"code": failure.status if error["code"] is None else error["code"], "message": error["message"]}
            choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
            return Event(dumps({**_envelope(events), "error": short, "choices": [choice]}))
        case "event":
            inner = body["error"] if isinstance(body.get("error"), dict) else error
            return Event(dumps({"error": inner | {"status_code": failure.status}}), "error")
        case "message":
            return Event(dumps({"message": error["message"]}), "error")
        case "line":
            return f"error: {dumps(error)}"
        case "text":
            return Event(dumps({"error": error["message"]}))
    return Event(dumps(body))


def _envelope(events: Sequence[Event]) -> dict[str, Any]:
    """The keys of the chunks of this stream besides choices and usage."""
    chunk: dict[str, Any] = json.loads(next((event.data for event in events if event.data.startswith("{")), "{}"))
    return {key: value for key, value in chunk.items() if key not in ("choices", "usage")}
