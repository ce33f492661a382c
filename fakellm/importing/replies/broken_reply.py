"""Finds what broke a recorded reply, as a fault: an error in its stream, a stream that was cut, a lost connection.

Reads events only to find an error; the importer decides what the stream before it means.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import UNSET, Struct

from fakellm.base.words.count import count, noun
from fakellm.faults import Close, Eof, Error, EventFault, Fault, Reset, Stall
from fakellm.wire.kinds import Kind
from fakellm.wire.plan import Plan

_SHAPES: tuple[Any, ...] = (None, "data", "chunk", "event", "message", "text", "line")
_BREAKS: dict[str, type[Close | Reset | Stall | Eof]] = {
    "close": Close,
    "hang_up": Close,
    "reset": Reset,
    "stall": Stall,
    "complete": Eof,
}
_BLANK = (b"\n\n", b"\r\n\r\n", b"\n\r\n")
"""What ends a frame of a stream."""
_LAST = 3
"""Among how many of the last pieces an error is searched: `[DONE]` and a comment may follow it."""

_MOST_PADDING = 2**20
"""How many bytes of a body that broke off are padded, so that its announced length is sent again."""


class Broken(Struct, frozen=True):
    """A reply that broke.

    pieces: what came before that. faults: those that may send the rest; the importer chooses the one that comes
    nearest to it. what: what happened, for the report.
    """

    pieces: Sequence[bytes]
    faults: tuple[Fault, ...]
    what: str


def error_in(pieces: Sequence[bytes], kind: Kind) -> Broken | None:
    """The error in mid-stream, which is among the last pieces; None if there is none."""
    for number in range(max(len(pieces) - _LAST, 0), len(pieces)):
        events = kind.events(pieces[number].rstrip(b"\r\n") + b"\n\n")
        error = next((found for event in events if (found := _error(event.data, event.event))), None)
        if error is not None:
            return Broken(
                pieces[:number], tuple(_errors(error, number)), f"an error after {count(number, 'frame')}: fault error"
            )
    return None


def is_error(broken: Broken) -> bool:
    """Whether the provider itself reported an error in the stream, which some APIs have a meaning for."""
    return isinstance(broken.faults[0], EventFault)


def cut(plan: Plan, pieces: Sequence[bytes], stream: bool) -> Broken:
    """The break at the end of the pieces of a stream or of a whole body: the lost connection or, if it ended as HTTP
    requires, the missing end."""
    fault, frames, size = _BREAKS[plan.end], len(pieces), sum(map(len, pieces))
    if not size:
        place, where = fault(at="headers"), "after the headers"
    elif stream and pieces[-1].endswith(_BLANK):
        place, where = fault(frame=frames), f"after {count(frames, 'frame')}"
    else:
        place, where = fault(byte=size), f"after {count(size, 'byte')}"
    return Broken(pieces, (place,), f"it broke off {where}: fault {place.kind}")


def announced(plan: Plan) -> int:
    """The length of a whole body that broke off: as its head announces it, within reason, or one more byte than what
    arrived."""
    arrived = len(plan.body)
    values = [value for name, value in plan.headers if name.lower() == "content-length"]
    length = int(values[0]) if values and values[0].isdecimal() and len(values[0]) < 20 else 0
    return length if arrived < length <= arrived + _MOST_PADDING else arrived + 1


def damage(pieces: Sequence[bytes], literal: Iterable[int], kind: Kind) -> str:
    """Which of the literal frames are damaged, for the report; empty if all of them can be read."""
    found = [str(number) for number in sorted(literal) if not is_readable(pieces[number], kind)]
    return f"not valid JSON: {noun(len(found), 'frame')} {', '.join(found)}" if found else ""


def is_readable(piece: bytes, kind: Kind) -> bool:
    """Whether the data of each event in a frame is JSON, or not meant to be."""
    texts = [event.data for event in kind.events(piece.rstrip(b"\r\n") + b"\n\n")]
    return all(_is_json(text) for text in texts if text.strip() not in ("", "[DONE]"))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _error(data: str, name: str) -> dict[str, Any] | None:
    """The fields of the error in an event; None if it has none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    error = value.get("error", value if name == "error" or value.get("type") == "error" else None)
    return {"message": error} if isinstance(error, str) else error if isinstance(error, dict) else None


def _errors(error: dict[str, Any], number: int) -> Iterator[Error]:
    """The faults that may send this error as frame `number`."""
    message, kind, code = (error.get(key) for key in ("message", "type", "code"))
    for status in dict.fromkeys((code, error.get("status_code"), 500)):
        if not isinstance(status, int) or isinstance(status, bool):
            continue
        for shape in _SHAPES:
            for done in (None, True, False):
                yield Error(
                    frame=number,
                    shape=shape,
                    message=message if isinstance(message, str) else None,
                    type=kind if "type" in error and isinstance(kind, str | None) else UNSET,
                    code=code if "code" in error and isinstance(code, str | int | None) else UNSET,
                    status=status,
                    done=done,
                )
