"""Inserts silences at marked places of a stream: its start, the reasoning of a choice, its calls, a missing finish.

Only dialects use these; see `Silences` for the places. Knows no API by name.
"""

from __future__ import annotations

from fakellm.model.blocks import Completion, ToolCall
from fakellm.streaming.division import Division, Silences, part_of
from fakellm.streaming.score import Finishes, Holds, Opens, Row, Silent, Starts


def count_of(silences: Silences) -> int:
    """How many silences there are; a count of `reasoning` must be resolved."""
    return silences.count if isinstance(silences.count, int) else 0


def with_marks(rows: list[Row], completion: Completion, division: Division) -> list[Row]:
    """The rows with the silences at marked places: see Silences."""
    for silences in division.silences:
        silent: Row = (Silent(None, None, silences.look),)
        if silences.before == "stream":
            rows = [*[silent] * count_of(silences), *rows]
        for index in range(len(completion.choices)):
            place = _mark(silences.before, rows, index, completion, division)
            if place is not None:
                silent = (Silent(index, None, silences.look),)
                rows = [*rows[:place], *[silent] * count_of(silences), *rows[place:]]
    return rows


def _mark(before: object, rows: list[Row], index: int, completion: Completion, division: Division) -> int | None:
    """The number of the batch before which such silences are sent, for a choice; None if it has no such place."""
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
    """The number of the finish that follows calls whose arguments were cut."""
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
