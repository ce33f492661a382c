"""How a failure is reported: as a body before the stream, and in the stream.

A recorded stream that broke had an event `error` with a nested error, and then `response.failed`. OpenAI's reference
and SDKs describe a flat `error` event instead. https://platform.openai.com/docs/api-reference/responses-streaming/error
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fakellm.apis.chat.error_style import Errors
from fakellm.apis.protocol import Failure
from fakellm.apis.responses.dialects.dialect import ResponsesDialect
from fakellm.base.json_text import JSON, dumps
from fakellm.wire.sse import Event


def body(failure: Failure, dialect: ResponsesDialect) -> bytes:
    """The body of a response that failed, in the provider's shape."""
    errors = dialect.errors
    indent = errors.indents.get(failure.status, dialect.indent or 2)
    return (dumps(errors.body(errors.fields(failure), failure.status), indent) + errors.ending).encode()


def in_stream(
    failure: Failure, shape: str | None, before: Sequence[Event], dialect: ResponsesDialect, named: bool
) -> Event:
    """The error after these events of a stream: an event `error` with a nested error, a flat one (`message`, `text`),
    or `response.failed` (`data`)."""
    found = dialect.errors.fields(failure)
    number = sum(event.data != "[DONE]" for event in before)
    if shape == "data":
        failed = {**failed_object(_response(before), found)}
        value: JSON = {"type": "response.failed", "response": failed, "sequence_number": number}
    elif shape in ("message", "text"):
        flat = {key: found[key] for key in ("code", "message", "param")}
        value = {"type": "error", **flat, "sequence_number": number}
    else:
        value = {"type": "error", "error": found, "sequence_number": number}
    return Event(dumps(value), value["type"] if named else "message")


def _response(events: Sequence[Event]) -> JSON:
    """The response object of the stream so far."""
    for event in events:
        try:
            value = json.loads(event.data)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and isinstance(value.get("response"), dict):
            found: JSON = value["response"]
            return found
    return {}


def failed_object(response: JSON, error: Mapping[str, Any]) -> JSON:
    """The response object of a response that failed with this error."""
    problem = {"code": error.get("code") or "server_error", "message": error.get("message")}
    ended: JSON = {"completed_at": None, "incomplete_details": None, "output": [], "usage": None}
    kept = {key: ended.get(key, value) for key, value in response.items()}
    return {**(kept or ended), "status": "failed", "error": problem}


def events_of_error(error: Any) -> Iterator[tuple[str, JSON]]:
    """The events that report an error in a stream: each with its type and its values. `response.failed` has the error
    that the response gets."""
    if isinstance(error, dict) and set(error) <= {"event", "failed"} and error:
        if isinstance(error.get("event"), dict):
            yield "error", error["event"]
        if isinstance(error.get("failed"), dict):
            yield "response.failed", error["failed"]
        return
    found = Errors().fields(error if isinstance(error, Failure) else Failure(500, str(error)))
    yield "error", {"error": found}
    yield "response.failed", found
