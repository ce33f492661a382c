"""Reads a response as a correct client would: the inverse of a plan. Owns WireReading; knows no client and no API.

A plan with a fault may contain less than was meant, or nothing. What it does contain is the most that a client may
claim.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.route import CHAT, Route
from fakellm.base.errors import StreamError
from fakellm.model.blocks import Completion
from fakellm.model.deltas import Batch, End
from fakellm.model.fold import fold
from fakellm.wire.kinds import SSE, kind_of
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Event

_NOTHING = Completion()


class WireReading(Struct, frozen=True):
    """What a response contains up to the first event that cannot be read.

    complete: whether every requested choice finished; in an API that marks the end of a stream, whether that came, or
        at least the final usage, after which nothing is left to be sent. error: what came instead of the rest, or
        after it.
    empty: whether not even one batch was sent. cut_between_choices: every choice that began has finished, but fewer
    began than were requested, so that no finish reason shows the cut.
    """

    completion: Completion = _NOTHING
    complete: bool = False
    error: str | None = None
    empty: bool = False
    cut_between_choices: bool = False


def readings(plan: Plan, route: Route, habits: Any, choices: int = 1) -> tuple[WireReading, ...]:
    """The correct ways to read a response: a last event without its blank line may be dropped or accepted.

    choices: how many the request was for.
    """
    if plan.status != 200:
        return (WireReading(error=f"HTTP status {plan.status}" if plan.status else None, empty=True),)
    body, kind = plan.body, kind_of(route.content_type(habits, True)) or SSE
    found = [_of_stream(kind.decoder().feed(body), route, habits, choices)]
    if not body.endswith((b"\n", b"\r")):
        terminated = _of_stream(kind.events(body + b"\n\n"), route, habits, choices)
        found += [] if terminated.error else [terminated]
    streamed = body.startswith((b"data:", b"event:"))
    return tuple(found) if streamed else (*found, *_of_whole_body(body, route, habits, choices))


def _of_whole_body(body: bytes, route: Route, habits: Any, choices: int) -> Iterator[WireReading]:
    """The reading of clients that accept a whole body although they requested a stream."""
    try:
        completion, _ = fold(route.read_whole(body, habits))
    except (StreamError, ValueError, KeyError, TypeError):
        return
    if completion.choices:
        yield _reading(completion, choices)


def up_to_the_end(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches up to the first that ends the stream: a client need not read what follows."""
    for batch in batches:
        yield batch
        if any(isinstance(delta, End) for delta in batch):
            return


def _of_stream(events: Sequence[Event], route: Route, habits: Any, choices: int) -> WireReading:
    batches = list(up_to_the_end(route.read(events, habits, choices)))
    completion, end = fold(batches)
    if end is None and route is not CHAT and completion.usage is None:  # a finish alone is not the end of a stream
        completion = replace(completion, choices=tuple(replace(each, finish=None) for each in completion.choices))
    error = None
    if end is not None and end.error is not None:
        error = f"an error: {end.error if isinstance(end.error, str) else json.dumps(end.error, ensure_ascii=False)}"
    if all(batch and isinstance(batch[0], End) for batch in batches):
        return WireReading(error=error, empty=True)
    return _reading(completion, choices, error)


def _reading(completion: Completion, choices: int, error: str | None = None) -> WireReading:
    began = len(completion.choices)
    finished = began > 0 and all(choice.finish_reason for choice in completion.choices)
    return WireReading(
        completion, finished and began >= choices, error, cut_between_choices=finished and began < choices
    )
