"""A tool call to the pieces it is sent in. Owns what an opening says, and what follows; knows no chunk and no JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fakellm.apis.chat.chunk import NULL, Null, Text, ToolCallDelta
from fakellm.apis.chat.variation import Calls
from fakellm.model.completion import ToolCall

_WORDS: dict[str, Text] = {"once": None, "late": None, "empty": "", "null": NULL, "absent": None}


def pieces_of_call(
    number: int, call: ToolCall, pieces: Sequence[str], how: Calls
) -> Iterator[tuple[ToolCallDelta, ...]]:
    """The pieces of a call whose arguments are cut so, by delta: an opening, then the arguments."""
    index = _index(number, how)
    late = how.name == "late"
    rest = [_continuation(index, call, piece, how) for piece in pieces]
    if late:
        rest = rest or [_continuation(index, call, "", how)]
        rest[0] = ToolCallDelta(index, rest[0].id, rest[0].type, call.name, rest[0].arguments)
    first = _WORDS[how.arguments or "empty"]
    if how.opening == "piece" and pieces and not late:
        first = pieces[0]
        del rest[0]
    opening = ToolCallDelta(index, call.id, "function", None if late else call.name, first)
    if how.opening == "pair" and rest:
        yield opening, rest.pop(0)
    else:
        yield (opening,)
    yield from ((piece,) for piece in rest)


def whole_call(number: int, call: ToolCall, how: Calls) -> Iterator[tuple[ToolCallDelta, ...]]:
    """A call in one piece."""
    yield (ToolCallDelta(_index(number, how), call.id, "function", call.name, call.arguments),)


def _continuation(index: int | Null | None, call: ToolCall, piece: str, how: Calls) -> ToolCallDelta:
    def said(habit: str | None, value: str) -> Text:
        return value if habit == "repeated" else _WORDS[habit or "once"]

    return ToolCallDelta(index, said(how.id, call.id), said(how.type, "function"), said(how.name, call.name), piece)


def _index(number: int, how: Calls) -> int | Null | None:
    match how.index:
        case "absent":
            return None
        case "null":
            return NULL
        case "from_one":
            return number + 1
        case "zero":
            return 0
    return number
