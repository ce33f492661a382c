"""Shows the frames of a reply: when each is due, its bytes, and what it adds to the answer. Knows no API by name.

The APIs' own readers decide what a frame adds, as they do for the journal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Any

import msgspec
from msgspec import Struct

from fakellm.apis.route import Route
from fakellm.base.json_text import dumps
from fakellm.engine.what_was_sent import up_to_the_end
from fakellm.model.deltas import Batch
from fakellm.model.request import Request
from fakellm.server.control.sent_reply import error_in, habits_of
from fakellm.server.one_request.additions import Addition, Additions
from fakellm.server.one_request.hiding import hide, inflated, is_compressed
from fakellm.wire.kinds import ARRAY, SSE, Kind, kind_of
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Event

Added = Sequence[Addition]


class ReplyReader(Struct, frozen=True):
    """How the reply to a request is read: by its API, in a dialect. `request`: None if it cannot be read."""

    route: Route
    dialect: str | None
    request: Request | None


class ShownFrame(Struct, frozen=True):
    """A frame of a reply.

    due: seconds from the start of the reply at which it leaves, at the speed 1. step, separate: as in a plan. data: its
    bytes, each as a character of Latin-1. adds: what it adds to the answer.
    """

    due: float
    step: bool
    separate: bool
    data: str
    adds: Added


def frames(plan: Plan, reading: ReplyReader | None, secrets: Collection[str] = ()) -> Iterator[ShownFrame]:
    """The frames of a plan, in whose bytes no secret is left but one in several events. `reading`: None for what is not
    the reply of a model. `secrets`: known ones."""
    added = _additions(plan, reading)
    data = hide([frame.data for frame in plan.frames], added, secrets)
    dues = accumulate((frame.delay for frame in plan.frames), initial=plan.delay)
    next(dues)
    for frame, sent, due, adds in zip(plan.frames, data, dues, added, strict=True):
        yield ShownFrame(round(due, 6), frame.step, frame.separate, sent.decode("latin-1"), adds)


def encoded(value: object) -> bytes:
    """The JSON of a value. Half of a surrogate pair, which a piece of a text may be, is an escape."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return dumps(msgspec.to_builtins(value)).encode()


def _additions(plan: Plan, reading: ReplyReader | None) -> list[list[Addition]]:
    """What each frame adds; of what a fault has broken, only what comes before."""
    added: list[list[Addition]] = [[] for _ in plan.frames]
    if added and (reading is None or plan.status != 200):
        error = error_in(plan.body)
        added[-1] += [Addition("error", error=error)] if error is not None else []
    elif added and reading:
        with suppress(Exception):  # what a fault has made of it cannot be read any further
            _read(plan, reading, added)
    return added


def _read(plan: Plan, reading: ReplyReader, added: list[list[Addition]]) -> None:
    """Adds to each list what the frame with its number adds."""
    route = reading.route
    habits, request = habits_of(route, reading.dialect, reading.request)
    pieces, additions = _plain(plan), Additions()
    kind = _kind(plan, pieces, request)
    if kind is None:
        for batch in route.read_whole(b"".join(pieces), habits):
            added[-1] += additions.of(batch)
        return
    decoder = kind.decoder()
    events = [(number, event) for number, piece in enumerate(pieces) for event in decoder.feed(piece)]
    events += [(len(pieces) - 1, event) for event in decoder.finish()]
    for number, batch in _placed(route, events, habits, request.choices):
        added[number] += additions.of(batch)


def _placed(route: Route, events: list[tuple[int, Event]], habits: Any, choices: int) -> Iterator[tuple[int, Batch]]:
    """The batches of these events, each with the number of the frame in which its event ends."""
    passed = first = 0

    def each() -> Iterator[Event]:
        nonlocal passed
        for _, event in events:
            passed += 1
            yield event

    placed = []
    for batch in up_to_the_end(route.read(each(), habits, choices)):
        first = first or passed
        placed.append((events[passed - 1][0] if passed else 0, batch))
    if first < len(events) or len(placed) < 2:
        return iter(placed)
    # The reader looks at all events before it reads the first; each that means something is a batch.
    meant = events if len(placed) >= len(events) - 1 else [each for each in events if each[1].event == "message"]
    return ((meant[min(place, len(meant) - 1)][0], batch) for place, (_, batch) in enumerate(placed))


def _kind(plan: Plan, pieces: Sequence[bytes], request: Request) -> Kind | None:
    """The kind of the stream; None for a whole body. A fault may have changed its Content-Type."""
    types = [value for name, value in plan.headers if name.lower() == "content-type"]
    found = kind_of(types[0]) if types else None
    start = next(filter(None, pieces), b"")
    if found is None and start.startswith((b"data:", b"event:", b":", b"id:")):
        return SSE
    return ARRAY if found is None and request.stream and start.lstrip().startswith(b"[") else found


def _plain(plan: Plan) -> list[bytes]:
    """What a reader has of each frame as soon as it arrives."""
    pieces = [frame.data for frame in plan.frames]
    return inflated(pieces) if is_compressed(plan.headers) else pieces
