"""How events are framed as server-sent events, with their meaning kept. Owns Framing, Insert and `frame`.

Every framing is one that a reader must see through: what `fakellm.wire.sse.Decoder` gives are the same events, and
beside them only those that the framing inserts. Knows no provider, and of JSON only where it may be broken into lines.
https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from fakellm.base.validation import FieldError
from fakellm.wire import sse
from fakellm.wire.sse import Event

EventNumber = Annotated[int, Meta(ge=0)]

_LINE_ENDS = {"lf": ("\n",), "cr": ("\r",), "crlf": ("\r\n",), "mixed": ("\n", "\r", "\r\n")}
# In the turns of `mixed` no CR is followed by LF: with nothing between them the two would be one line end.

_UNKNOWN_FIELD = re.compile(r"(?!(?:data|event|id|retry)$)[A-Za-z][A-Za-z0-9_-]*")
_STRING_OR_COMMA = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")|,')


class Insert(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A block of lines that says nothing of the reply, sent before given events. Nothing but `before`: a blank line.

    before: the numbers of the events, counted from 0 with `[DONE]` and those after it among them, or `every`. A number
        that stands twice sends the block twice; one past the last event sends it after that.
    comment: a line that starts with a colon, as a keep-alive: `: OPENROUTER PROCESSING`. An empty one is a lone colon.
    event, data: an event of a type that no reader of chat completions knows. Empty data without a type is a heartbeat.
    id, retry: without data they make no event, only set what a reader sends when it connects again.
    """

    before: tuple[EventNumber, ...] | Literal["every"]
    comment: str | None = None
    event: Annotated[str, Meta(min_length=1)] | None = None
    id: str | None = None
    retry: Annotated[int, Meta(ge=0)] | None = None
    data: str | None = None

    def __post_init__(self) -> None:
        for name in ("comment", "event", "id"):
            if re.search("[\r\n]", getattr(self, name) or ""):
                raise FieldError((name,), f"a line end inside {name!r}: it is one line of the stream")
        if self.event in ("message", "error"):
            message = f"{self.event!r} is a type that clients act upon; name one that they do not know, as 'x.progress'"
            raise FieldError(("event",), message)
        if self.data and self.event is None:
            message = "data without a type is read as part of the reply; give its 'event', or leave the data empty"
            raise FieldError(("data",), message)

    def lines(self) -> list[tuple[str, str]]:
        """The names and values of its lines; a comment has no name."""
        retry = None if self.retry is None else str(self.retry)
        single = {"": self.comment, "event": self.event, "id": self.id, "retry": retry}
        data = [] if self.data is None else sse.fields(Event(self.data))
        return [(name, value) for name, value in single.items() if value is not None] + data


class Framing(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `sse:` block of a rule's `stream:`. What is not given is as nearly all providers send it.

    line_end: how lines end: `lf`, `cr`, `crlf`, or `mixed`, the three in turn.
    space: whether a space follows the colon: `data: {` or `data:{`.
    bom: whether a byte order mark opens the stream.
    ids: whether each event has its number as an `id:` line.
    event: the type that events say: none, or `message`, the same in other words.
    fields: further lines of each event, whose names no reader knows: `foo: bar`.
    multiline: whether JSON is spread over several `data:` lines, broken after its commas.
    insert: comments, heartbeats, unknown events and blank lines, before given events.
    after: the data of events after `[DONE]`, which no reader may take for a part of the reply.
    ends_with: what the last line of the stream ends with: a `blank_line`, one `line_end`, or `nothing`. Without the
        blank line the standard discards the last event, and many clients do not: contested, so no strategy draws it.
    """

    line_end: Literal["lf", "cr", "crlf", "mixed"] = "lf"
    space: bool = True
    bom: bool = False
    ids: bool = False
    event: Literal["message"] | None = None
    fields: dict[str, str] = {}
    multiline: bool = False
    insert: tuple[Insert, ...] = ()
    after: tuple[str, ...] = ()
    ends_with: Literal["blank_line", "line_end", "nothing"] = "blank_line"

    def __post_init__(self) -> None:
        for name, value in self.fields.items():
            if not _UNKNOWN_FIELD.fullmatch(name):
                message = f"{name!r} is no unknown field: letters, digits, _ and -, but not data, event, id or retry"
                raise FieldError(("fields", name), message)
            if re.search("[\r\n]", value):
                raise FieldError(("fields", name), f"a line end inside {name!r}: it is one line of the stream")


def frame(events: Sequence[Event], framing: Framing) -> list[bytes]:
    """The bytes of the events, a piece for each and one for each block that is inserted."""
    ends = cycle(_LINE_ENDS[framing.line_end])
    blocks = [[line + next(ends) for line in (*lines, "")] for lines in _blocks(events, framing)]
    pieces = ["".join(lines) for lines in blocks]
    if framing.ends_with != "blank_line" and blocks:
        text = "".join(blocks[-1][:-1])
        pieces[-1] = text.rstrip("\r\n") if framing.ends_with == "nothing" else text
    if framing.bom:
        pieces[:1] = ["\ufeff" + piece for piece in pieces[:1]]
    return [piece.encode("utf-8", "surrogatepass") for piece in pieces if piece]


def _blocks(events: Sequence[Event], framing: Framing) -> Iterator[list[str]]:
    """The lines of each block of the stream, without their ends and without the blank line."""
    inserted: dict[int, list[Insert]] = {}
    for block in framing.insert:
        for number in range(len(events)) if block.before == "every" else block.before:
            inserted.setdefault(min(number, len(events)), []).append(block)
    for number in range(len(events) + 1):
        for block in inserted.get(number, ()):
            yield [_line(name, value, framing.space) for name, value in block.lines()]
        if number < len(events):
            pairs = _event_lines(events[number], number, framing)
            yield [_line(name, value, framing.space) for name, value in pairs]


def _event_lines(event: Event, number: int, framing: Framing) -> list[tuple[str, str]]:
    if framing.ids:
        event = msgspec.structs.replace(event, id=str(number))
    if framing.multiline:
        data = _STRING_OR_COMMA.sub(lambda found: found[1] or ",\n", event.data)
        event = msgspec.structs.replace(event, data=data)
    said = [("event", framing.event)] if framing.event and event.event == "message" else []
    return [*said, *sse.fields(event), *framing.fields.items()]


def _line(name: str, value: str, space: bool) -> str:
    # A reader takes one space away: a value that starts with one needs another before it.
    apart = value.startswith(" ") or (space and (name or value))
    return f"{name}: {value}" if apart else f"{name}:{value}"
