"""What a response said, as a correct reader hears it: the inverse of a plan. Owns Heard; knows no client.

A plan that a fault has struck may say less than was meant, or nothing: this is what a client may at most claim.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from msgspec import Struct

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.fold import fold
from fakellm.apis.chat.reader import read_body, read_chunk
from fakellm.base.errors import StreamError
from fakellm.model.completion import Completion
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Decoder

_NOTHING = Completion("", 0, "", ())


class Heard(Struct, frozen=True):
    """What is said up to the first frame that is no chunk.

    whole: whether every choice came to its finish. told: the error that came in its place, or after it.
    silent: that not even one chunk was sent.
    """

    completion: Completion = _NOTHING
    whole: bool = False
    told: str | None = None
    silent: bool = False


def heard(plan: Plan, dialect: Dialect) -> tuple[Heard, ...]:
    """The ways to hear a response: a last event without its blank line may be dropped, or taken."""
    if plan.status != 200:
        return (Heard(told=f"HTTP status {plan.status}" if plan.status else None, silent=True),)
    body = plan.body
    ways = [_stream(body, dialect)]
    if not body.endswith((b"\n", b"\r")):
        flushed = _stream(body + b"\n\n", dialect)
        ways += [] if flushed.told else [flushed]
    return tuple(ways) if body.startswith(b"data:") else (*ways, *_whole(body, dialect))


def _whole(body: bytes, dialect: Dialect) -> Iterator[Heard]:
    """What a body says to those who read one where they have asked for a stream."""
    try:
        completion = read_body(dialect, body)
    except StreamError:
        return
    if completion.choices:
        yield Heard(completion, all(choice.finish_reason for choice in completion.choices))


def _stream(body: bytes, dialect: Dialect) -> Heard:
    chunks, told = [], None
    for event in Decoder().feed(body):
        if event.data == "[DONE]":
            break
        if event.event not in ("message", "error") or not event.data:
            continue
        try:
            chunk = read_chunk(dialect, event.data)
        except StreamError as error:
            told = f"a frame that is no chunk: {error}"
            break
        if event.event == "error" or _is_error(event.data):
            told = f"an error: {event.data}"
            if not chunk.choices:
                break
        chunks.append(chunk)
    if not chunks:
        return Heard(told=told, silent=True)
    completion = fold(chunks)
    finished = [choice.finish_reason for choice in completion.choices]
    return Heard(completion, bool(finished) and all(finished), told)


def _is_error(data: str) -> bool:
    """Whether it is no chunk, or one that tells an error too."""
    frame = json.loads(data)
    return "error" in frame or "choices" not in frame
