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
from fakellm.apis.responses.habits import Habits
from fakellm.base.json_text import JSON, dumps
from fakellm.wire.sse import Event


def body(failure: Failure, dialect: ResponsesDialect) -> bytes:
    """The body of a response that failed, in the provider's shape."""
    errors = dialect.errors
    indent = errors.indents.get(failure.status, dialect.indent or 2)
    return (dumps(errors.body(errors.fields(failure), failure.status), indent) + errors.ending).encode()


def in_stream(
    failure: Failure, habits: Habits, shape: str | None, events: Sequence[Event], place: int
) -> tuple[Event, ...]:
    """The error after the first events of a stream: an event `error` with a nested error and then `response.failed`, a
    flat `error` (`message`, `text`), or `response.failed` alone (`data`)."""
    found = habits.dialect.errors.fields(failure)
    failed: JSON = {"type": "response.failed", "response": failed_object(_response(events), found)}
    values: tuple[JSON, ...] = ({"type": "error", "error": found}, failed)
    if shape == "data":
        values = (failed,)
    elif shape in ("message", "text"):
        values = ({"type": "error", **{key: found[key] for key in ("code", "message", "param")}},)
    first = sum(event.data != "[DONE]" for event in events[:place])
    return tuple(_event(value, number, habits) for number, value in enumerate(values, first))


def _event(value: JSON, number: int, habits: Habits) -> Event:
    numbers = {} if habits.numbers == "absent" else {"sequence_number": habits.numbered(number)}
    return Event(dumps(habits.layouts.event({**value, **numbers})), value["type"] if habits.named else "message")


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
