"""Frames events as server-sent events, in any way that keeps their meaning. It owns Framing, Insert and `frame`.

Streams that are not server-sent events have a framing that is a kind of this one: see `fakellm.wire.ndjson` and
`fakellm.wire.json_array`.

No framing may change what a reader gets: `fakellm.wire.sse.Decoder` yields the same events and, in addition, only those
that the framing inserts. It knows no provider, and of JSON only where a line may be broken.
https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta, Struct

from fakellm.base.validation import FieldError
from fakellm.base.words.explained import Explaining
from fakellm.wire import sse
from fakellm.wire.sse import Event

EventNumber = Annotated[int, Meta(ge=0)]

_LINE_ENDS = {"lf": ("\n",), "cr": ("\r",), "crlf": ("\r\n",), "mixed": ("\n", "\r", "\r\n")}
# In the order of `mixed` no LF follows a CR directly: together they would be one line end.

_UNKNOWN_FIELD = re.compile(r"(?!(?:data|event|id|retry)$) ?[A-Za-z][A-Za-z0-9_-]*")
_ALONE = r"^(?!data$)[A-Za-z][A-Za-z0-9_-]*$|^:[^\r\n]*$"
_STRING_OR_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+")|,')


class Insert(Struct, metaclass=Explaining, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Lines without a part of the reply, sent before certain events. With only `before` it is a blank line."""

    before: Annotated[
        tuple[EventNumber, ...] | Literal["every"],
        Meta(
            description=(
                "The numbers of the events, counted from 0 and including `[DONE]` and those after it, or `every`. A "
                "number that appears twice sends the lines twice; a number past the last event sends them after it."
            )
        ),
    ]
    comment: Annotated[
        str | None,
        Meta(
            description=(
                "A line that starts with a colon, such as the keep-alive `: OPENROUTER PROCESSING`. Empty text gives"
                " a lone colon, and a space one with that space."
            )
        ),
    ] = None
    event: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="The type of an event that no reader of chat completions knows."),
    ] = None
    id: Annotated[
        str | None,
        Meta(
            description=(
                "The `id:` line. Without data it is not an event; it only sets what a reader sends when it reconnects."
            )
        ),
    ] = None
    retry: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            description=(
                "The `retry:` line, in milliseconds. Without data it is not an event; it only sets how long a reader "
                "waits before it reconnects."
            )
        ),
    ] = None
    data: Annotated[
        str | None, Meta(description="The data of that event. Empty data without a type is a heartbeat.")
    ] = None

    def __post_init__(self) -> None:
        for name in ("comment", "event", "id"):
            if re.search("[\r\n]", getattr(self, name) or ""):
                raise FieldError((name,), f"a line end inside {name!r}: it must be one line of the stream")
        if self.event in ("message", "error"):
            message = f"{self.event!r} is a type that clients act on; use one that they do not know: 'x.progress'"
            raise FieldError(("event",), message)
        if self.data and self.event is None:
            message = "data without a type is read as part of the reply; set 'event' too, or leave the data empty"
            raise FieldError(("data",), message)

    def lines(self) -> list[tuple[str, str]]:
        """The names and values of the lines; the name of a comment is empty."""
        retry = None if self.retry is None else str(self.retry)
        single = {"": self.comment, "event": self.event, "id": self.id, "retry": retry}
        data = [] if self.data is None else sse.fields(Event(self.data))
        return [(name, value) for name, value in single.items() if value is not None] + data


class Framing(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `sse:` block of a rule's `stream:`. The defaults are what nearly all providers send."""

    line_end: Annotated[
        Literal["lf", "cr", "crlf", "mixed"],
        Meta(description="How lines end: `lf`, `cr`, `crlf`, or `mixed`, the three in turn."),
    ] = "lf"
    space: Annotated[
        bool | Literal["two"],
        Meta(
            description=(
                "Whether a space follows the colon: `data: {` or `data:{`. `two`: another precedes JSON, which allows "
                "white space there."
            )
        ),
    ] = True
    bom: Annotated[bool, Meta(description="Whether the stream starts with a byte order mark.")] = False
    ids: Annotated[bool, Meta(description="Whether each event has its number in an `id:` line.")] = False
    event: Annotated[
        Literal["message"] | None,
        Meta(description=("The type that events state: none, or `message`, which means the same.")),
    ] = None
    fields: Annotated[
        dict[str, str], Meta(description=("More lines for each event, with names that no reader knows: `foo: bar`."))
    ] = {}
    alone: Annotated[
        tuple[Annotated[str, Meta(pattern=_ALONE)], ...],
        Meta(
            description=(
                "Names that begin each event as lines of their own, without a colon: their value is empty. `id`, "
                "`event` and `retry` mean nothing then, and neither do names that no reader knows, nor a comment "
                "(`: ping`)."
            )
        ),
    ] = ()
    multiline: Annotated[
        bool, Meta(description="Whether JSON is broken after its commas into several `data:` lines.")
    ] = False
    data_first: Annotated[
        bool, Meta(description="Whether the line with an event's type follows its data, as Bedrock's gateway sends it.")
    ] = False
    insert: Annotated[
        tuple[Insert, ...],
        Meta(description=("Comments, heartbeats, unknown events and blank lines before certain events.")),
    ] = ()
    after: Annotated[
        tuple[str, ...],
        Meta(description=("The data of events after `[DONE]`, which a reader must not treat as part of the reply.")),
    ] = ()
    ends_with: Annotated[
        Literal["blank_line", "line_end", "nothing"],
        Meta(
            description=(
                "What the stream ends with: a `blank_line`, one `line_end`, or `nothing`. Without the blank line, "
                "the standard discards the last event, but many clients do not: contested, so no strategy draws it."
            )
        ),
    ] = "blank_line"

    closing: ClassVar[tuple[str, ...]] = ("",)
    """The lines that end an event or an insert: a blank one."""

    def event_lines(self, event: Event, number: int) -> tuple[str, ...]:
        """The lines of the event with this number."""
        lines = (_line(name, value, self.space) for name, value in _event_lines(event, number, self))
        return (*self.alone, *lines)

    def insert_lines(self, insert: Insert) -> tuple[str, ...]:
        """The lines of an insert."""
        return tuple(_line(name, value, self.space) for name, value in insert.lines())

    def comment_lines(self, text: str) -> tuple[str, ...]:
        """The lines of a comment."""
        return (_line("", text, self.space),)

    uniform: ClassVar[bool] = True
    """Whether the bytes of an event can depend on it alone."""
    last: ClassVar[tuple[str, ...]] = ()
    """The lines after the last event of a stream, if it has any."""

    def joined(self, blocks: Sequence[tuple[str, ...]]) -> list[str]:
        """The text of each block, from its lines; if the framing ends with `nothing`, the last may be empty."""
        ends = cycle(_LINE_ENDS[self.line_end])
        ended = [[line + next(ends) for line in (*lines, *self.closing)] for lines in blocks]
        pieces = ["".join(lines) for lines in ended]
        if self.ends_with != "blank_line" and ended:
            text = "".join(ended[-1][:-1] if self.closing else ended[-1])
            pieces[-1] = text.rstrip("\r\n") if self.ends_with == "nothing" else text
        return pieces

    def __post_init__(self) -> None:
        for name, value in self.fields.items():
            if not _UNKNOWN_FIELD.fullmatch(name):
                message = (
                    f"{name!r} is not an unknown field: letters, digits, _ and -, but not data, event, id or retry "
                    "(which are unknown after a space, as in ' data')"
                )
                raise FieldError(("fields", name), message)
            if re.search("[\r\n]", value):
                raise FieldError(("fields", name), f"a line end inside {name!r}: it must be one line of the stream")


class Block(Struct, frozen=True):
    """The lines of an event, or of an insert between events, without the blank line that ends them.

    `event`: the number of the event; None for an insert.
    """

    lines: tuple[str, ...]
    event: int | None = None


def blocks(events: Sequence[Event], framing: Framing) -> list[Block]:
    """The blocks of the events and of the inserts between them."""
    return [*_blocks(events, framing), *([Block(framing.last)] if framing.last else [])]


def comment(text: str, framing: Framing) -> Block:
    """A comment line."""
    return Block(framing.comment_lines(text))


def event_block(event: Event, number: int, framing: Framing) -> Block:
    """The block of an event with this number."""
    return Block(framing.event_lines(event, number))


def frame(events: Sequence[Event], framing: Framing) -> list[bytes]:
    """The bytes of the events, one piece for each event and one for each insert."""
    if is_uniform(framing):
        return in_stream([alone(event, framing) for event in events], framing)
    return [piece for piece in encode(blocks(events, framing), framing) if piece]


def is_uniform(framing: Framing) -> bool:
    """Whether the framing of an event depends neither on its number nor on its data."""
    depends = framing.ids or framing.multiline or framing.line_end == "mixed" or framing.space == "two"
    return framing.uniform and not depends


def is_plain(framing: Framing) -> bool:
    """Whether a uniform framing adds nothing to the events of a stream: `in_stream` changes nothing."""
    return not (framing.insert or framing.bom) and framing.ends_with == "blank_line"


def alone(event: Event, framing: Framing) -> bytes:
    """The bytes of an event under a uniform framing, before `in_stream`."""
    end = _LINE_ENDS[framing.line_end][0]
    lines = event_block(event, 0, framing).lines
    return "".join(line + end for line in (*lines, *framing.closing)).encode("utf-8", "surrogatepass")


def in_stream(events: list[bytes], framing: Framing) -> list[bytes]:
    """A stream under a uniform framing, from the bytes of its events: with the inserts, and with the start and the end
    of a stream."""
    pieces, end = events, _LINE_ENDS[framing.line_end][0].encode()
    if framing.insert:
        inserted = _inserted(len(events), framing)
        pieces = []
        for number in range(len(events) + 1):
            for insert in inserted.get(number, ()):
                lines = (*framing.insert_lines(insert), *framing.closing)
                pieces.append(b"".join(line.encode("utf-8", "surrogatepass") + end for line in lines))
            pieces += events[number : number + 1]
    if framing.ends_with != "blank_line" and pieces:
        last = pieces[-1].removesuffix(end)
        pieces = [*pieces[:-1], last.rstrip(b"\r\n") if framing.ends_with == "nothing" else last]
    if framing.bom and pieces:
        pieces = ["\ufeff".encode() + pieces[0], *pieces[1:]]
    return pieces if pieces[-1:] != [b""] else pieces[:-1]


def encode(blocks: Sequence[Block], framing: Framing) -> list[bytes]:
    """The bytes of each block, in order; if the framing ends with `nothing`, the last may be empty."""
    pieces = framing.joined([block.lines for block in blocks])
    if framing.bom:
        pieces[:1] = ["\ufeff" + piece for piece in pieces[:1]]
    return [piece.encode("utf-8", "surrogatepass") for piece in pieces]


def _blocks(events: Sequence[Event], framing: Framing) -> Iterator[Block]:
    inserted = _inserted(len(events), framing)
    for number in range(len(events) + 1):
        for block in inserted.get(number, ()):
            yield Block(framing.insert_lines(block))
        if number < len(events):
            yield msgspec.structs.replace(event_block(events[number], number, framing), event=number)


def _inserted(events: int, framing: Framing) -> dict[int, list[Insert]]:
    """The inserts before each event, by its number, and after the last."""
    inserted: dict[int, list[Insert]] = {}
    for insert in framing.insert:
        for number in range(events) if insert.before == "every" else insert.before:
            inserted.setdefault(min(number, events), []).append(insert)
    return inserted


def _event_lines(event: Event, number: int, framing: Framing) -> list[tuple[str, str]]:
    if framing.ids:
        event = msgspec.structs.replace(event, id=str(number))
    if framing.multiline:
        data = _STRING_OR_COMMA.sub(lambda found: found[1] or ",\n", event.data)
        event = msgspec.structs.replace(event, data=data)
    kind = [("event", framing.event)] if framing.event and event.event == "message" else []
    lines = [*kind, *sse.fields(event)]
    if framing.data_first:
        lines.sort(key=lambda line: line[0] == "event")
    return [*lines, *framing.fields.items()]


def _line(name: str, value: str, space: bool | Literal["two"]) -> str:
    if not name and not value.strip(" "):  # a comment without text, which may have a space
        return f":{value}"
    if space == "two" and name == "data" and value.startswith("{"):
        value = f" {value}"
    # A reader removes one space: a value that starts with a space needs another in front.
    spaced = value.startswith(" ") or space
    return f"{name}: {value}" if spaced else f"{name}:{value}"
