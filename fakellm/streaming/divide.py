"""Divides a completion into batches, as a Division sets and a Grammar allows. Owns the order of batches.

`fold` undoes it. Knows no API by name and no JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, zip_longest

from msgspec.structs import replace

from fakellm.base.seed import Source
from fakellm.model.blocks import Block, Choice, Completion, Opaque, Thinking, ToolCall, Usage
from fakellm.model.deltas import Batch
from fakellm.streaming.arrange import arranged, in_turns
from fakellm.streaming.division import Division, Silences
from fakellm.streaming.grammar import Grammar
from fakellm.streaming.marks import count_of, with_marks
from fakellm.streaming.play import performed
from fakellm.streaming.score import Counts, Ends, Finishes, Holds, Opens, Row, Score, Silent, Starts, scored


def divide(completion: Completion, division: Division, grammar: Grammar, source: Source) -> tuple[Batch, ...]:
    """The batches of `completion`, in the order in which they are sent; `source` draws the cuts that are random.

    ``fold(divide(completion, …)) == (completion, End())`` for every completion that the API can express, except that
    `usage: none` drops the token counts.
    """
    return performed(completion, rows(completion, division, grammar, source))


def compose(completion: Completion, division: Division, grammar: Grammar, source: Source) -> Score:
    """The Score: what each batch holds. `play` turns it into batches."""
    return scored(rows(completion, division, grammar, source))


def rows(completion: Completion, division: Division, grammar: Grammar, source: Source) -> list[Row]:
    """The parts of each batch."""
    choices = completion.choices[: grammar.choices or None]
    division = _counted(division, completion)
    streams = [_choice(index, choice, division, grammar, source) for index, choice in enumerate(choices)]
    merged = list(_merged(streams, division, grammar))
    if not merged and (completion.usage is None or division.usage == "none") and not _numbered(division.silences):
        merged = [()]
    merged = with_marks(merged, completion, division)
    most = len(merged) - _closes(merged, grammar)
    for silences, place in _numbered(division.silences):
        at = min(place if grammar.silent_first else max(place, 1), most)
        merged[at:at] = [(Silent(0, None, silences.look),)] * count_of(silences)
    counted = _with_usage(merged, completion, division, grammar) or [()]
    if grammar.joins.end != "must":
        late = (each for each in division.silences if each.before == "end")
        counted += [(Silent(0, None, each.look),) for each in late for _ in range(count_of(each))]
    return _with_end(counted, grammar)


def _closes(rows: list[Row], grammar: Grammar) -> bool:
    """Whether the last batch has the finish and, as the grammar requires, will have the end: nothing may follow it."""
    return grammar.joins.end == "must" and bool(rows) and any(isinstance(part, Finishes) for part in rows[-1])


def _counted(division: Division, completion: Completion) -> Division:
    """The division with the number of each of its silences computed."""
    if all(isinstance(each.count, int) for each in division.silences):
        return division
    reasoning = max(completion.usage.reasoning - 1, 0) if completion.usage else 0
    counted = (replace(each, count=reasoning) if each.count == "reasoning" else each for each in division.silences)
    return replace(division, silences=tuple(counted))


def _numbered(silences: Iterable[Silences]) -> list[tuple[Silences, int]]:
    """The silences at numbered places, the last place first, so that no place shifts; those at the same place keep
    their order."""
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
            for _ in range(count_of(each))
        ]

    start = {"never": "alone", "must": "joined", "may": division.start}[grammar.joins.start]
    found: list[Row] = []
    if _starts_alone(start, choice, content, bool(silent("content"))):
        found.append((Starts(index),))
    found += silent("content")
    between = silent("delta")
    found += [*content[:1], *chain.from_iterable((*between, row) for row in content[1:])] if between else content
    calls = bool(content) and holds_call(content[-1], choice)
    joins = bool(content) and _finish_joins(division, grammar, calls)
    if choice.finish is not None:
        end: Row = (Finishes(index),)
        if division.finish == "calls" and grammar.joins.finish == "may":
            for number in _ends_of_calls(found, choice):
                found[number] = (*found[number], *end)
        place = len(found) - joins
        found[place:place] = silent("finish")
        if joins:
            found[-1] = (*found[-1], *end)
        else:
            free = grammar.joins.finish == "may"
            place = len(found) - (free and division.finish == "early" and len(content) > 1)
            found[place:place] = [end] * (2 if free and division.finish == "twice" else 1)
    if not content and choice.finish is None and start == "joined":
        found.insert(0, ())  # a batch must show that the choice exists
    if not found or not any(isinstance(part, Starts) for part in found[0]):
        found[:1] = [(Starts(index), *(found[0] if found else ()))]
    return found


def _starts_alone(start: str, choice: Choice, content: Sequence[Row], silent: bool) -> bool:
    """Whether the choice starts in a separate batch."""
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
    return bool(_calls_in(row, choice))


def _calls_in(row: Row, choice: Choice) -> set[int]:
    """The tool calls that a batch holds or has a piece of."""
    blocks = {part.block for part in row if isinstance(part, (Opens, Holds))}
    return {block for block in blocks if isinstance(choice.blocks[block], ToolCall)}


def _ends_of_calls(rows: Sequence[Row], choice: Choice) -> set[int]:
    """The numbers of the batches that hold the last of a tool call."""
    ends = {block: number for number, row in enumerate(rows) for block in _calls_in(row, choice)}
    return set(ends.values())


def _merged(streams: list[list[Row]], division: Division, grammar: Grammar) -> Iterator[Row]:
    """The batches of parallel choices: sharing batches, taking turns, or one choice after the other."""
    if any(name.startswith("choices") for name, _ in division.turns):
        return in_turns({f"choices[{number}]": stream for number, stream in enumerate(streams)}, division.turns)
    if "choices" in division.together and grammar.share != "no":
        return (tuple(chain.from_iterable(turn)) for turn in zip_longest(*streams, fillvalue=()))
    if division.interleave in ("choices", "both"):
        return (row for turn in zip_longest(*streams) for row in turn if row is not None)
    return chain.from_iterable(streams)


def _with_usage(rows: list[Row], completion: Completion, division: Division, grammar: Grammar) -> list[Row]:
    usage, where = completion.usage, division.usage
    if usage is None or where == "none":
        return rows
    join = grammar.joins.usage
    if join != "may":
        where = "own" if join == "never" else "finish"
    if where == "running" and rows:
        counts = [*_running(rows[:-1], completion, usage, grammar), Counts()]
        return [(*row, count) for row, count in zip(rows, counts, strict=True)]
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


def _running(rows: Iterable[Row], completion: Completion, usage: Usage, grammar: Grammar) -> Iterator[Counts]:
    """The token counts so far, after each batch."""
    for count in accumulate(int(carries(row, completion, grammar)) for row in rows):
        reasoning = usage.reasoning if grammar.thoughts_apart and count else 0
        yield Counts(Usage(usage.input, min(count, usage.output), reasoning=reasoning))


def carries(row: Row, completion: Completion, grammar: Grammar) -> bool:
    """Whether a batch carries output that a running count counts: any text or a tool call; if thoughts are apart, no
    thought, but what only the API has."""
    return any(_carries(part, completion, grammar) for part in row if isinstance(part, (Opens, Holds)))


def _carries(part: Opens | Holds, completion: Completion, grammar: Grammar) -> bool:
    block: Block = completion.choices[part.choice].blocks[part.block]
    match block:
        case ToolCall():
            return True
        case Opaque() if grammar.thoughts_apart:
            return True
        case Thinking() if grammar.thoughts_apart:
            return False
    return isinstance(part, Holds) and part.length != 0 and not part.at.startswith("own")


def _with_end(rows: list[Row], grammar: Grammar) -> list[Row]:
    last = rows[-1]
    if grammar.joins.end == "must" and any(isinstance(part, (Finishes, Counts)) for part in last):
        return [*rows[:-1], (*last, Ends())]
    return [*rows, (Ends(),)] if rows != [()] or grammar.joins.end != "must" else [(Ends(),)]
