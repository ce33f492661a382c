"""What a response meant, as a correct reader reads it: the inverse of a plan. Owns Reading; knows no client and no API.

A plan with a fault in it may mean less than the reply, or nothing: this is the most that a client may report.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from fakellm.apis.route import Route
from fakellm.base.errors import StreamError
from fakellm.model.blocks import Completion
from fakellm.model.deltas import End
from fakellm.model.fold import fold
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Decoder

_NOTHING = Completion()


class Reading(Struct, frozen=True):
    """What was sent up to the first event that cannot be read.

    whole: whether every choice has finished. error: the error that came in place of the rest, or after it.
    silent: that not even one batch was sent.
    """

    completion: Completion = _NOTHING
    whole: bool = False
    error: str | None = None
    silent: bool = False


def readings(plan: Plan, route: Route, habits: Any) -> tuple[Reading, ...]:
    """The ways to read a response: a last event without its blank line may be dropped, or taken."""
    if plan.status != 200:
        return (Reading(error=f"HTTP status {plan.status}" if plan.status else None, silent=True),)
    body = plan.body
    ways = [_stream(body, route, habits)]
    if not body.endswith((b"\n", b"\r")):
        flushed = _stream(body + b"\n\n", route, habits)
        ways += [] if flushed.error else [flushed]
    return tuple(ways) if body.startswith((b"data:", b"event:")) else (*ways, *_whole(body, route, habits))


def _whole(body: bytes, route: Route, habits: Any) -> Iterator[Reading]:
    """What a body means to those who read one where they have requested a stream."""
    try:
        completion, _ = fold(route.read_whole(body, habits))
    except (StreamError, ValueError, KeyError, TypeError):
        return
    if completion.choices:
        yield Reading(completion, _finished(completion))


def _stream(body: bytes, route: Route, habits: Any) -> Reading:
    batches = list(route.read(Decoder().feed(body), habits))
    completion, end = fold(batches)
    error = None
    if end is not None and end.error is not None:
        shown = end.error if isinstance(end.error, str) else json.dumps(end.error, ensure_ascii=False)
        error = f"an error: {shown}"
    if all(batch and isinstance(batch[0], End) for batch in batches):
        return Reading(error=error, silent=True)
    return Reading(completion, _finished(completion), error)


def _finished(completion: Completion) -> bool:
    return bool(completion.choices) and all(choice.finish for choice in completion.choices)
