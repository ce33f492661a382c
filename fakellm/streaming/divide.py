"""A completion to the batches that carry it, as a Division sets and a Grammar allows. Owns the order of things.

`fold` undoes it. Knows no API by name and no JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, groupby, islice, zip_longest
from typing import TypeVar

from msgspec.structs import replace

from fakellm.base.seed import Source
from fakellm.model.blocks import Block, Choice, Completion, ToolCall, Usage
from fakellm.model.deltas import Batch
from fakellm.streaming.division import PARTS, Division, Silences, part_of
from fakellm.streaming.grammar import Grammar
from fakellm.streaming.pieces import rows_of
from fakellm.streaming.play import performed
from fakellm.streaming.score import Counts, Ends, Finishes, Holds, Opens, Row, Score, Silent, Starts, scored

Item = TypeVar("Item")


def divide(completion: Completion, division: Division, grammar: Grammar, source: Source) -> tuple[Batch, ...]:
    """The batches of `completion`, in the order in which they are sent; `source` draws the cuts that are random.

    ``fold(divide(completion, …)) == (completion, End())`` for every completion that the API can express, except that
    `usage: none` drops the token counts.
    """
    return performed(completion, rows(completion, division, grammar, source))


def compose(completion: Completion, division: Division, grammar: Grammar, source: Source) -> Score:
    """What each batch holds. `play` makes the batches of it."""
    return scored(rows(completion, division, grammar, source))


def rows(completion: Completion, division: Division, grammar: Grammar, source: Source) -> list[Row]:
    """The parts of each batch."""
    choices = completion.choices[: grammar.choices or None]
    division = _counted(division, completion)
    streams = [_choice(index, choice, division, grammar, source) for index, choice in enumerate(choices)]
    merged = list(_merged(streams, division, grammar))
    if not merged and (completion.usage is None or division.usage == "none") and not _numbered(division.silences):
        merged = [()]
    merged = _with_marks(merged, completion, division)
    for silences, place in _numbered(division.silences):
        at = place if grammar.silent_first else max(place, 1)
        merged[at:at] = [(Silent(0, None, silences.look),)] * _count(silences)
    return _with_end(_with_usage(merged, completion, division, grammar) or [()], grammar)


def _counted(division: Division, completion: Completion) -> Division:
    """The division with the number of all its silences."""
    if all(isinstance(each.count, int) for each in division.silences):
        return division
    reasoning = max(completion.usage.reasoning - 1, 0) if completion.usage else 0
    counted = (replace(each, count=reasoning) if each.count == "reasoning" else each for each in division.silences)
    return replace(division, silences=tuple(counted))


def _numbered(silences: Iterable[Silences]) -> list[tuple[Silences, int]]:
    """The silences at numbered places, from the last place, so that none moves; those at the same place keep their
    order."""
    places = [(each, place) for each in silences if isinstance(each.before, tuple) for place in each.before]
    return sorted(places, key=lambda pair: pair[1])[::-1]


def _choice(index: int, choice: Choice, division: Division, grammar: Grammar, source: Source) -> list[Row]:
    """The batches of one choice: its start, its blocks, its finish, and the silences between them."""
    content = arranged(index, choice, division, grammar, source)

    def silent(before: str) -> list[Row]:
        return [
            (Silent(index, None, each.look),)
            for each in division.silences
            if each.before == before
            for _ in range(_count(each))
        ]

    start = {"never": "alone", "must": "joined", "may": division.start}[grammar.joins.start]
    found: list[Row] = []
    if _starts_alone(start, choice, content, bool(silent("content"))):
        found.append((Starts(index),))
    found += silent("content")
    for number, row in enumerate(content):
        found += [*(silent("delta") if number else []), row]
    calls = bool(content) and holds_call(content[-1], choice)
    joins = bool(content) and _finish_joins(division, grammar, calls)
    if choice.finish is not None:
        end: Row = (Finishes(index),)
        place = len(found) - joins
        found[place:place] = silent("finish")
        if joins:
            found[-1] = (*found[-1], *end)
        else:
            free = grammar.joins.finish == "may"
            place = len(found) - (free and division.finish == "early" and len(content) > 1)
            found[place:place] = [end] * (2 if free and division.finish == "twice" else 1)
    if not content and choice.finish is None and start == "joined":
        found.insert(0, ())  # there must be a batch that shows the choice
    if not found or not any(isinstance(part, Starts) for part in found[0]):
        found[:1] = [(Starts(index), *(found[0] if found else ()))]
    return found


def _starts_alone(start: str, choice: Choice, content: Sequence[Row], silent: bool) -> bool:
    """Whether the choice starts in a batch of its own."""
    if start == "joined":
        return False
    if silent or not content or start == "alone":
        return True
    return start == "call" and not (holds_call(content[0], choice) and len(choice.tool_calls) == 1)


def _finish_joins(division: Division, grammar: Grammar, calls: bool) -> bool:
    if grammar.joins.finish != "may":
        return grammar.joins.finish == "must"
    return division.finish == "last" or (division.finish == "call" and calls)


def holds_call(row: Row, choice: Choice) -> bool:
    """Whether a batch holds a tool call or a piece of one."""
    return any(isinstance(part, (Opens, Holds)) and isinstance(choice.blocks[part.block], ToolCall) for part in row)


def arranged(index: int, choice: Choice, division: Division, grammar: Grammar, source: Source) -> list[Row]:
    """The batches of the blocks of a choice, in the order in which they are sent."""
    streams = rows_of(index, choice, division, grammar, source)
    in_order = list(chain.from_iterable(streams))
    if grammar.overlap == "no":
        return in_order
    parts = [part_of(block) for block in choice.blocks]
    shared = grammar.share != "no"
    if not _reordered(division, shared):
        found = _runs(streams, parts, division, shared)
    else:
        found = _in_parts(streams, parts, division, shared)
    if shared and grammar.share == "ascending":
        found = [tuple(sorted(row, key=lambda part: _rank(part, choice, grammar))) for row in found]
    return found if grammar.overlap == "any" or _opens_in_order(found) else in_order


def _reordered(division: Division, shared: bool) -> bool:
    """Whether the parts of an answer leave their order."""
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
    """Which part sends when. Where the parts have no turns, calls `before` a piece of the text are turns too."""
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
    """What each named stream has, as often as its turns set; then what is left of each, in their order."""
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


def _merged(streams: list[list[Row]], division: Division, grammar: Grammar) -> Iterator[Row]:
    """The batches of parallel choices: sharing batches, taking turns, or one choice after the other."""
    if any(name.startswith("choices") for name, _ in division.turns):
        return in_turns({f"choices[{number}]": stream for number, stream in enumerate(streams)}, division.turns)
    if "choices" in division.together and grammar.share != "no":
        return (tuple(chain.from_iterable(turn)) for turn in zip_longest(*streams, fillvalue=()))
    if division.interleave in ("choices", "both"):
        return (row for turn in zip_longest(*streams) for row in turn if row is not None)
    return chain.from_iterable(streams)


def _with_marks(rows: list[Row], completion: Completion, division: Division) -> list[Row]:
    """The rows with the silences that mark a place in the answer: see Silences."""
    for silences in division.silences:
        silent: Row = (Silent(None, None, silences.look),)
        if silences.before == "stream":
            rows = [*[silent] * _count(silences), *rows]
        for index in range(len(completion.choices)):
            place = _mark(silences.before, rows, index, completion, division)
            if place is not None:
                silent = (Silent(index, None, silences.look),)
                rows = [*rows[:place], *[silent] * _count(silences), *rows[place:]]
    return rows


def _count(silences: Silences) -> int:
    return silences.count if isinstance(silences.count, int) else 0


def _mark(before: object, rows: list[Row], index: int, completion: Completion, division: Division) -> int | None:
    """The number of the batch before which such silences stand, for a choice; None where they have no place."""
    match before:
        case "reasoning":  # unless that opens the stream
            return next(iter(_thoughts(rows, index, completion)), 0) or None
        case "answer":  # unless the choice finishes with its reasoning
            places = [number for number in _thoughts(rows, index, completion) if not _finishes(rows[number], index)]
            return places[-1] + 1 if places else None
        case "calls_end":
            return _after_calls(rows, index, completion, division.opening == "pair")
        case "unfinished":
            last = max((number for number, row in enumerate(rows) if row), default=None)
            ended = any(isinstance(part, Finishes) for row in rows for part in row)
            here = last is not None and any(_of_choice(part, index) for part in rows[last])
            return None if ended or last is None or not here else last + 1
    return None


def _of_choice(part: object, index: int) -> bool:
    return isinstance(part, (Starts, Opens, Holds, Silent)) and part.choice == index


def _thoughts(rows: list[Row], index: int, completion: Completion) -> list[int]:
    """The numbers of the batches with reasoning of a choice."""
    blocks = completion.choices[index].blocks
    return [
        number
        for number, row in enumerate(rows)
        if any(
            isinstance(part, (Opens, Holds)) and part.choice == index and part_of(blocks[part.block]) == "reasoning"
            for part in row
        )
    ]


def _after_calls(rows: list[Row], index: int, completion: Completion, pair: bool) -> int | None:
    """Before the finish that follows calls whose arguments were cut."""
    blocks = completion.choices[index].blocks
    cut = False
    for number, row in enumerate(rows):
        parts = [
            part
            for part in row
            if isinstance(part, (Opens, Holds)) and part.choice == index and isinstance(blocks[part.block], ToolCall)
        ]
        if parts:
            last = parts[-1]
            joined = not pair and any(isinstance(part, Opens) and part.block == last.block for part in row)
            named = any(isinstance(part, Holds) and part.at == "name" and part.block == last.block for part in row)
            cut = isinstance(last, Holds) and last.length != 0 and not joined and not named
        elif _finishes(row, index):
            return number if cut else None
    return None


def _finishes(row: Row, index: int) -> bool:
    return any(isinstance(part, Finishes) and part.choice == index for part in row)


def _with_usage(rows: list[Row], completion: Completion, division: Division, grammar: Grammar) -> list[Row]:
    usage, where = completion.usage, division.usage
    if usage is None or where == "none":
        return rows
    join = grammar.joins.usage
    if join != "may":
        where = "own" if join == "never" else "finish"
    if where == "running" and rows:
        counted = accumulate(int(carries(row, completion)) for row in rows[:-1])
        counts = [Counts(Usage(usage.input, min(count, usage.output))) for count in counted]
        return [(*row, count) for row, count in zip(rows, [*counts, Counts()], strict=True)]
    if where == "every":
        return [(*row, Counts()) for row in rows]
    if where in ("finish", "both") and rows:
        ends = [number for number, row in enumerate(rows) if any(isinstance(part, Finishes) for part in row)]
        if ends or join == "may":
            last = ends[-1] if ends else len(rows) - 1
            rows[last] = (*rows[last], Counts())
            if where == "finish":
                return rows
    silence = (Silent(0),) if where == "after" else ()
    return [*rows, (*silence, Counts())]


def carries(row: Row, completion: Completion) -> bool:
    """Whether a batch carries any text or a tool call."""
    return any(_carries(part, completion) for part in row if isinstance(part, (Opens, Holds)))


def _carries(part: Opens | Holds, completion: Completion) -> bool:
    block: Block = completion.choices[part.choice].blocks[part.block]
    if isinstance(block, ToolCall):
        return True
    return isinstance(part, Holds) and part.length != 0 and not part.at.startswith("own")


def _with_end(rows: list[Row], grammar: Grammar) -> list[Row]:
    last = rows[-1]
    if grammar.joins.end == "must" and any(isinstance(part, (Finishes, Counts)) for part in last):
        return [*rows[:-1], (*last, Ends())]
    return [*rows, (Ends(),)] if rows != [()] or grammar.joins.end != "must" else [(Ends(),)]
