"""The frames of a streamed answer: batches, events, faults in them, framing and pace. Knows no API by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import partial
from hashlib import blake2b
from itertools import chain
from operator import methodcaller
from typing import Any

from msgspec.structs import replace

from fakellm.apis.events import (
    Written,
    fill_of,
    filled,
    from_outline,
    memo_key,
    shape_of,
    skeleton_of,
    sketched,
    written,
)
from fakellm.apis.protocol import Answer, Settings
from fakellm.apis.route import Route
from fakellm.apis.sheet import sheet, values_of
from fakellm.apis.skeleton import Skeleton, framed, size_of
from fakellm.base.seed import Source
from fakellm.engine.memo import FORGETFUL, Memo
from fakellm.faults import BatchFault, EventFault, Fault, Sent
from fakellm.model.deltas import Batch, End
from fakellm.model.tokens import tokens_in
from fakellm.streaming.divide import divide
from fakellm.streaming.outline import outline
from fakellm.streaming.play import play
from fakellm.wire.chunks import PacedChunks, chunk
from fakellm.wire.framing import Block, Framing, alone, blocks, encode, in_stream, is_plain, is_uniform
from fakellm.wire.plan import Frame
from fakellm.wire.sse import Event
from fakellm.wire.timing import AT_ONCE, Timing, delays, pace

_ENCODED = methodcaller("encode", "utf-8", "surrogatepass")

_SIZE = 3_000
"""Bytes of memory for what makes the chunks of a stream, besides its texts."""


def stream(
    answer: Answer[Any],
    settings: Settings[Any],
    route: Route,
    timing: Timing,
    fault: Fault | None = None,
    memo: Memo = FORGETFUL,
    headers: Mapping[str, str] = {},
) -> Sequence[Frame]:
    """The frames of a stream, one for each event and one for each block between events. `headers`: those of the
    response, which an error in the stream may repeat."""
    framing, source, counting = settings.framing, answer.source, timing.tokens_per_second > 0
    plain = is_plain(framing) and not timing.step  # steps show all frames before the first is sent
    if isinstance(fault, (BatchFault, EventFault)) or not is_uniform(framing) or (counting and not plain):
        return _by_events(answer, settings, route, timing, fault, headers)

    def made(memo: Memo) -> Written:
        if not counting and (found := _outlined(answer, settings, route, memo.of("outline", key), framing)):
            return found
        batches = divided(answer, settings, route)
        found = _written(batches, answer, route, memo, framing)
        return replace(found, tokens=found.tokens_of(batches)) if counting else found

    fixed, key = memo.fixed and settings.score is None and settings.division.fixed, memo_key(answer)
    usage = answer.completion.usage
    counts = usage.input if usage and settings.division.usage == "running" else None
    if counts is not None:  # what is kept serves all prompts of so many tokens
        key = key, counts
    keep, skeletons = memo if fixed else FORGETFUL, FORGETFUL if fixed and counts is None else memo
    found = keep.get(("stream", key, counting), lambda: made(skeletons), lambda found: found.size)
    if not found.in_order:
        return _by_events(answer, settings, route, timing, fault, headers)
    after = [alone(Event(data), framing) for data in framing.after]
    if not plain or (timing == AT_ONCE and not fixed):
        return pace(in_stream([*map(_ENCODED, filled(found, answer)), *after], framing), timing, source)
    count = found.count + len(after)
    waits = partial(delays, count, timing, source, found.tokens)
    if not fixed:
        size = _SIZE + found.size
        return PacedChunks(lambda: map(chunk, chain(map(_ENCODED, filled(found, answer)), after)), waits, count, size)
    fill = fill_of(found, answer)
    values = values_of(found, fill)
    lengths = tuple(map(len, values.values()))
    lines = memo.get(
        ("sheet", key, lengths),
        lambda: sheet(found, after, values, fill_of(found, answer), counts is not None),
        lambda made: made.size,
    )
    if timing == AT_ONCE:
        return lines.filled(values, fill)
    size = _SIZE + sum(lengths)
    return PacedChunks(lambda: lines.each(values, fill_of(found, answer)), waits, count, size)


def _by_events(
    answer: Answer[Any],
    settings: Settings[Any],
    route: Route,
    timing: Timing,
    fault: Fault | None,
    headers: Mapping[str, str],
) -> Sequence[Frame]:
    """The frames of a stream whose events are not framed one by one, or not in their order; or are counted, with other
    lines between them."""
    framing, source, counting = settings.framing, answer.source, timing.tokens_per_second > 0
    batches = divided(answer, settings, route)
    if isinstance(fault, BatchFault):
        batches = fault.changed(batches)
    found = _written(batches, answer, route, FORGETFUL)
    each = found.events(filled(found, answer))
    ends = [any(isinstance(delta, End) for delta in batch) for batch in batches]
    sent = [number for number, end in enumerate(ends) if not end]
    if isinstance(fault, BatchFault):
        sent = [sent[place] for place in fault.order([batches[number] for number in sent], source)]
    events = [event for number in sent for event in each[number]]
    ending = [event for number, end in enumerate(ends) if end for event in each[number]]
    ending += map(Event, framing.after)
    counts = [
        tokens_in(batches[number]) if counting and not place else 0
        for number in sent
        for place in range(len(each[number]))
    ]
    lines, framing = _lines(events, ending, framing, fault, route, settings, source, headers)
    frames = [(piece, block) for piece, block in zip(encode(lines, framing), lines, strict=True) if piece]
    weights = [0 if block.event is None or block.event >= len(counts) else counts[block.event] for _, block in frames]
    return pace([piece for piece, _ in frames], timing, source, weights)


def _written(
    batches: tuple[Batch, ...], answer: Answer[Any], route: Route, memo: Memo, framing: Framing | None = None
) -> Written:
    """The stream of these batches, before the values of the answer are filled in; framed if `framing` is uniform."""
    shape = shape_of(route, batches, answer)

    def made() -> Skeleton:
        events = skeleton_of(route, shape, answer)
        return framed(events, framing) if framing else events

    known = blake2b(repr(shape.batches).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return written(shape, memo.get((known, memo_key(answer)), made, size_of), answer)


def _outlined(
    answer: Answer[Any], settings: Settings[Any], route: Route, memo: Memo, framing: Framing
) -> Written | None:
    """The framed stream of an answer, from its outline; None if that does not show how it is divided."""
    if settings.score is not None:
        return None
    grammar, alike = route.grammar(settings.habits), route.alike(settings.habits)
    source = answer.source if settings.division.fixed else copy(answer.source)
    outlined = outline(answer.completion, settings.division, grammar, alike, source)
    if outlined is None:
        return None

    def made() -> tuple[Written, bool]:
        its_answer = replace(answer, completion=outlined.completion)
        shape = shape_of(route, divided(its_answer, settings, route), its_answer)
        sketch = sketched(shape, framed(skeleton_of(route, shape, its_answer), framing), its_answer)
        return sketch, outlined.is_shown(shape)

    sketch, shown = memo.get(repr(outlined.completion), made, lambda made: made[0].size)
    return from_outline(outlined, sketch) if shown else None


def divided(answer: Answer[Any], settings: Settings[Any], route: Route) -> tuple[Batch, ...]:
    """The batches of the answer: as the score sets them or, without a score, the division."""
    if settings.score is not None:
        return play(answer.completion, settings.score)
    return divide(answer.completion, settings.division, route.grammar(settings.habits), answer.source)


def _lines(
    events: Sequence[Event],
    ending: Sequence[Event],
    framing: Framing,
    fault: Fault | None,
    route: Route,
    settings: Settings[Any],
    source: Source,
    headers: Mapping[str, str],
) -> tuple[Sequence[Block], Framing]:
    """The blocks of a stream, and how they are framed."""
    if not isinstance(fault, EventFault):
        return blocks((*events, *ending), framing), framing
    end = blocks(ending, replace(framing, insert=()))
    end = [replace(block, event=None) for block in end]

    def broken(failure: Any, shape: str | None, place: int) -> tuple[Sequence[Event | str], bool]:
        return route.broken(replace(failure, headers=headers), settings.habits, shape, events, place)

    sent = Sent(tuple(blocks(events, framing)), tuple(end), framing, broken)
    sent = fault.apply(sent, source)
    return (*sent.blocks, *sent.ending), sent.framing


def duration(answer: Answer[Any], settings: Settings[Any], route: Route, timing: Timing) -> float:
    """How many seconds a stream of the answer would take, computed without writing it."""
    batches = divided(answer, settings, route)
    ending = tuple(map(Event, settings.framing.after))
    events = [Event("-") for _ in batches]
    found = blocks((*events, *ending), settings.framing)
    counts = [tokens_in(batch) for batch in batches]
    weights = [0 if block.event is None or block.event >= len(counts) else counts[block.event] for block in found]
    return sum(frame.delay for frame in pace([b"-"] * len(found), timing, answer.source, weights))
