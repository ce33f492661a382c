"""Arranges the blocks of a choice in the order in which they are sent: consecutively, in turns, or sharing batches.

If the grammar forbids an order, they stay consecutive; calls of one batch each can share it all the same. Knows no API
by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, islice, zip_longest
from typing import TypeVar

from fakellm.base.seed import Source
from fakellm.model.blocks import Choice
from fakellm.streaming.division import PARTS, Division, part_of
from fakellm.streaming.grammar import Grammar
from fakellm.streaming.pieces import rows_of
from fakellm.streaming.score import Holds, Opens, Row

Item = TypeVar("Item")


def arranged(index: int, choice: Choice, division: Division, grammar: Grammar, source: Source) -> list[Row]:
    """The batches of the blocks of a choice, in the order in which they are sent."""
    streams = rows_of(index, choice, division, grammar, source)
    in_order = list(chain.from_iterable(streams))
    parts = [part_of(block) for block in choice.blocks]
    shared = grammar.share != "no"
    if grammar.overlap == "no":
        whole = all(len(stream) == 1 for part, stream in zip(parts, streams, strict=True) if part == "tool_calls")
        together = shared and whole and "calls" in division.together
        return _runs(streams, parts, Division(together=("calls",)), True) if together else in_order
    if not _reordered(division, shared):
        found = _runs(streams, parts, division, shared)
    else:
        found = _in_parts(streams, parts, division, shared)
    if shared and grammar.share == "ascending":
        found = [tuple(sorted(row, key=lambda part: _rank(part, choice, grammar))) for row in found]
    return found if grammar.overlap == "any" or _opens_in_order(found) else in_order


def _reordered(division: Division, shared: bool) -> bool:
    """Whether the parts of an answer are sent in another order than one after the other."""
    return bool(division.turns) or division.before is not None or (shared and "parts" in division.together)


def _runs(streams: list[list[Row]], parts: list[str], division: Division, shared: bool) -> list[Row]:
    """The blocks one after the other; calls that follow each other may take turns."""
    found: list[Row] = []
    for part, group in groupby(zip(parts, streams, strict=True), key=lambda pair: pair[0]):
        run = [stream for _, stream in group]
        found += _calls(run, division, shared) if part == "tool_calls" else chain.from_iterable(run)
    return found


def _in_parts(streams: list[list[Row]], parts: list[str], division: Division, shared: bool) -> list[Row]:
    """The parts of an answer in turns, or sharing batches turn by turn."""
    names = [*PARTS, "opaque"]
    of = {name: [stream for part, stream in zip(parts, streams, strict=True) if part == name] for name in names}
    rows = {
        name: list(_calls(of[name], division, shared) if name == "tool_calls" else chain.from_iterable(of[name]))
        for name in names
    }
    if division.turns or not shared or "parts" not in division.together:
        return list(in_turns(rows, _turns(rows, division)))
    return [tuple(chain.from_iterable(turn)) for turn in zip_longest(*rows.values(), fillvalue=())]


def _turns(rows: Mapping[str, Sequence[Row]], division: Division) -> Sequence[tuple[str, int]]:
    """Which part sends when. If the parts have no turns, calls `before` a piece of the text become turns."""
    turns, before = division.turns, division.before
    if before is None or any(name in PARTS for name, _ in turns):
        return turns
    refusal = max(before - len(rows["content"]), 0)
    return (
        ("reasoning", len(rows["reasoning"])),
        ("content", before),
        ("refusal", refusal),
        ("tool_calls", len(rows["tool_calls"])),
    )


def in_turns(streams: Mapping[str, Iterable[Item]], turns: Iterable[tuple[str, int]]) -> Iterator[Item]:
    """The items of the named streams, as many per turn as it sets; then what is left of each stream, in their order."""
    left = {name: iter(stream) for name, stream in streams.items()}
    for name, count in turns:
        yield from islice(left.get(name, iter(())), count)
    yield from chain.from_iterable(left.values())


def _calls(streams: list[list[Row]], division: Division, shared: bool) -> Iterator[Row]:
    """The batches of parallel calls."""
    if division.order == "reversed":
        streams = streams[::-1]
    if shared and "calls" in division.together:
        return (tuple(chain.from_iterable(turn)) for turn in zip_longest(*streams, fillvalue=()))
    if division.interleave in ("calls", "both"):
        return (row for turn in zip_longest(*streams) for row in turn if row is not None)
    return chain.from_iterable(streams)


def _rank(part: object, choice: Choice, grammar: Grammar) -> int:
    return grammar.rank(choice.blocks[part.block]) if isinstance(part, (Opens, Holds)) else -1


def _opens_in_order(rows: Iterable[Row]) -> bool:
    opened = [part.block for row in rows for part in row if isinstance(part, Opens)]
    return opened == sorted(opened)
