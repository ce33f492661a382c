"""Reads a response as a correct client would: the inverse of a plan. Owns Reading; knows no client.

A plan with a fault may contain less than was meant, or nothing. What it does contain is the most that a client may
claim.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from msgspec import Struct

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.read_batches import read_batches
from fakellm.apis.chat.reader import read_body, read_chunk
from fakellm.base.errors import StreamError
from fakellm.model.blocks import Completion
from fakellm.model.fold import fold
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Decoder

_NOTHING = Completion()


class Reading(Struct, frozen=True):
    """What a response contains up to the first frame that is not a chunk.

    complete: whether every requested choice finished. error: what came instead of the rest, or after it.
    empty: whether not even one chunk was sent. cut_between_choices: every choice that began has finished, but fewer
    began than were requested, so that no finish reason shows the cut.
    """

    completion: Completion = _NOTHING
    complete: bool = False
    error: str | None = None
    empty: bool = False
    cut_between_choices: bool = False


def readings(plan: Plan, dialect: Dialect, choices: int = 1) -> tuple[Reading, ...]:
    """The correct ways to read a response: a last event without its blank line may be dropped or accepted.

    choices: how many the request was for.
    """
    if plan.status != 200:
        return (Reading(error=f"HTTP status {plan.status}" if plan.status else None, empty=True),)
    body = plan.body
    found = [_of_stream(body, dialect, choices)]
    if not body.endswith((b"\n", b"\r")):
        terminated = _of_stream(body + b"\n\n", dialect, choices)
        found += [] if terminated.error else [terminated]
    return tuple(found) if body.startswith(b"data:") else (*found, *_of_whole_body(body, dialect, choices))


def _of_whole_body(body: bytes, dialect: Dialect, choices: int) -> Iterator[Reading]:
    """The reading of clients that accept a whole body although they requested a stream."""
    try:
        completion, _ = read_body(dialect, body)
    except StreamError:
        return
    if completion.choices:
        yield _reading(completion, choices)


def _of_stream(body: bytes, dialect: Dialect, choices: int) -> Reading:
    chunks, found = [], None
    for event in Decoder().feed(body):
        if event.data == "[DONE]":
            break
        if event.event not in ("message", "error") or not event.data:
            continue
        try:
            chunk = read_chunk(dialect, event.data)
        except StreamError as error:
            found = f"a frame that is not a chunk: {error}"
            break
        if event.event == "error" or _is_error(event.data):
            found = f"an error: {event.data}"
            if not chunk.choices:
                break
        chunks.append(chunk)
    if not chunks:
        return Reading(error=found, empty=True)
    completion, _ = fold(read_batches(chunks))
    return _reading(completion, choices, found)


def _reading(completion: Completion, choices: int, error: str | None = None) -> Reading:
    began = len(completion.choices)
    finished = began > 0 and all(choice.finish_reason for choice in completion.choices)
    return Reading(completion, finished and began >= choices, error, cut_between_choices=finished and began < choices)


def _is_error(data: str) -> bool:
    """Whether the frame is not a chunk, or is one that contains an error too."""
    frame = json.loads(data)
    return frame.get("error") is not None or "choices" not in frame
