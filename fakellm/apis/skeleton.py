"""The events of a stream as skeletons: an API writes each shape of stream once, and every reply fills in its values.

A reply of a known shape costs no more than its bytes, however different its texts, ids and counts are. Filling a
skeleton gives the same events as writing the reply itself; tests/test_skeleton.py holds this.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from sys import getsizeof
from typing import Any, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from fakellm.base.json_text import TextStyle, spelled_texts
from fakellm.base.seed import Source
from fakellm.base.template import Hole, HoleNumber, HoleText, Template, resolved, template
from fakellm.model.blocks import Usage
from fakellm.streaming.shape import PIECE, Address, Stretch
from fakellm.wire.framing import Framing, alone
from fakellm.wire.sse import Event

T = TypeVar("T")


class Draft(Struct, frozen=True):
    """An event as an API writes it: JSON, which may contain holes, in a style; or a literal text. `event`: its type.

    pad: the white space before the last brace of the JSON.
    """

    data: Any
    style: TextStyle | None = None
    event: str = "message"
    pad: Hole | None = None


class EventSkeleton(Struct, frozen=True):
    """An event with holes."""

    data: Template
    event: str


Skeleton = tuple[tuple[EventSkeleton, ...], ...]
"""The events of each batch of a shape."""


class Fill:
    """What fills the holes of a stream, and those of its current event.

    drawn: the values that are drawn for the reply. source: draws everything else. call_ids: by choice and block.
    usage: the first token counts of the stream; `counts`: those of the event's batch; `completed`: the completion's.
    texts: see Written.
    number: the event's, from 0. encoded: the piece of text in its batch, as JSON. length: see Hole.
    """

    def __init__(
        self,
        drawn: Mapping[str, Any],
        source: Source,
        call_ids: Mapping[Address, str],
        usage: Usage | None,
        texts: Sequence[str] = (),
        completed: Usage | None = None,
    ) -> None:
        self.drawn, self.source, self.call_ids, self.usage, self.texts = drawn, source, call_ids, usage, texts
        self.completed = completed
        self.counts: Usage | None = None
        self.number = 0
        self.length = 0
        self.encoded = '""'
        self._drawn: dict[str, Any] = {}
        self._made: dict[str, Any] = {}
        self._texts: dict[str, str] = {}

    @property
    def piece(self) -> str:
        """The piece of text in the event's batch."""
        return str(json.loads(self.encoded))

    def so_far(self, name: str, text: str) -> str:
        """The texts with this name up to this event, which adds `text`; it may be a hole."""
        self._texts[name] = self._texts.get(name, "") + resolved(text, self)
        return self._texts[name]

    def at_start(self, value: Any) -> Any:
        """The value, which may be a hole, as it is in the first event of the stream."""
        number, self.number = self.number, 0
        found = resolved(value, self)
        self.number = number
        return found

    @property
    def counted(self) -> Usage:
        """The token counts of the event's batch, which has some."""
        assert self.counts is not None
        return self.counts

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` returns for the first hole that needs the value of this name."""
        if name not in self._made:
            self._made[name] = make()
        return cast(T, self._made[name])

    def numbers(self, name: str, last: int) -> Sequence[int]:
        """An integer for each event up to the one with the number `last`, from -2**31 on; one hash draws all."""
        drawn: Sequence[int] = self._drawn.get(name, ())
        if len(drawn) <= last:
            drawn = self._drawn[name] = self.source.draw(name, lambda source: source.numbers(2 * last + 64))
        return drawn

    def letters(self, name: str, alphabet: str, last: int) -> str:
        """16 characters of `alphabet` for each event up to the one with the number `last`; one hash draws all."""
        drawn: str = self._drawn.get(name, "")
        if len(drawn) < 16 * last + 16:
            drawn = self._drawn[name] = self.source.draw(name, lambda source: source.text(alphabet, 32 * last + 1024))
        return drawn

    def text(self, name: str, alphabet: str, length: int) -> str:
        """Characters of `alphabet` for this event, at most 16."""
        return self.letters(name, alphabet, self.number)[16 * self.number : 16 * self.number + length]


def per_stream(name: str, make: Callable[[Fill], Any]) -> Hole:
    """A value that is the same wherever it appears in a stream."""
    return Hole(name, make)


def per_event(name: str, make: Callable[[Fill], Any]) -> Hole:
    """A value that differs from event to event."""
    return Hole(name, make, "event")


def per_number(name: str, value: Callable[[int], int]) -> Hole:
    """A number that depends only on that of the event."""

    def many(fill: Fill, numbers: Sequence[int], pieces: Sequence[str]) -> list[str]:
        return [str(value(number)) for number in numbers]

    return Hole(name, lambda fill: value(fill.number), "number", many)


def in_bulk(name: str, many: Callable[[Fill, Sequence[int], Sequence[str]], Sequence[str]]) -> Hole:
    """A value that differs from event to event, and is made for many events at once: see Hole."""
    return Hole(name, lambda fill: json.loads(many(fill, (fill.number,), (fill.encoded,))[0]), "event", many)


def per_content(name: str, make: Callable[[Fill], Any]) -> Hole:
    """A value that depends only on the texts and the token counts of the stream up to the event."""
    return Hole(name, make, "content")


def with_holes(drawn: Mapping[str, Any]) -> dict[str, Any]:
    """The drawn values as holes, except those that are not sent, and the model's name, on which events may depend."""
    return {name: value if name == "model" or not value else _hole(name, value) for name, value in drawn.items()}


def _hole(name: str, value: Any) -> Any:
    hole = Hole(name, lambda values: values.drawn[name])
    return HoleNumber(hole) if isinstance(value, int) else HoleText(hole)


def skeleton(written: Iterable[Sequence[Draft]]) -> Skeleton:
    """The skeleton of what an API writes for a shape."""
    return tuple(tuple(map(_event_skeleton, drafts)) for drafts in written)


def _event_skeleton(draft: Draft) -> EventSkeleton:
    if draft.style is None:
        return EventSkeleton(Template((str(draft.data),), ()), draft.event)
    made = template(draft.data, draft.style)
    return EventSkeleton(made.padded(draft.pad) if draft.pad else made, draft.event)


def framed(skeleton: Skeleton, framing: Framing) -> Skeleton:
    """The skeleton of the frames of a stream, which `in_stream` completes; the framing is uniform."""
    return tuple(tuple(_framed(each, framing) for each in events) for events in skeleton)


def _framed(each: EventSkeleton, framing: Framing) -> EventSkeleton:
    mark = "\0"  # nothing in front of the data contains NUL; a field after it may
    if each.data.style is None:
        text = alone(Event(each.data.texts[0], each.event), framing).decode("utf-8", "surrogatepass")
        return EventSkeleton(Template((text,), ()), each.event)
    head, _, tail = alone(Event(mark, each.event), framing).decode("utf-8", "surrogatepass").partition(mark)
    texts = list(each.data.texts)
    texts[0] = head + texts[0]
    texts[-1] += tail
    return EventSkeleton(replace(each.data, texts=tuple(texts), around=len(head) + len(tail)), each.event)


def size_of(skeleton: Skeleton) -> int:
    """Roughly how many bytes of memory a skeleton takes; each text is also in a format."""
    texts = (text for events in skeleton for event in events for text in event.data.texts)
    return 1_000 * len(skeleton) + sum(50 + 2 * getsizeof(text) for text in texts)


def encoded(skeleton: Skeleton, stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """The stretches with their pieces as JSON, in the style of their events."""
    return tuple(map(partial(_encoded, skeleton), stretches))


def _encoded(skeleton: Skeleton, stretch: Stretch) -> Stretch:
    style = next((each.data.style for each in skeleton[stretch.batch] if each.data.holes), None)
    return (
        stretch if style is None else Stretch(stretch.batch, tuple(spelled_texts(stretch.pieces, style)), stretch.usage)
    )


def fill(skeleton: Skeleton, stretches: Sequence[Stretch], values: Fill) -> Iterator[str]:
    """The data of each event of a stream, from stretches with encoded pieces."""
    return chain.from_iterable(_filled(skeleton, stretches, values))


def _filled(skeleton: Skeleton, stretches: Sequence[Stretch], values: Fill) -> Iterator[Iterable[str]]:
    """The data of the events of each stretch."""
    known: dict[str, str] = {}
    doubled: dict[str, str] = {}
    for stretch in stretches:
        values.counts = stretch.usage
        templates = [each.data for each in skeleton[stretch.batch]]
        for data in templates:
            for hole in data.of_stream:
                if hole.name not in known:
                    known[hole.name] = data.encode(hole.make(values))
                    doubled[hole.name] = known[hole.name].replace("%", "%%")
        if len(templates) == 1 and all(hole.many for hole in templates[0].of_event):
            yield _at_once(templates[0], doubled, stretch.pieces, values)
        else:
            ready = [data.filled(known) for data in templates]
            yield (event_text(data, piece, values) for piece in stretch.pieces for data in ready)


def _at_once(data: Template, known: Mapping[str, str], pieces: Sequence[str], values: Fill) -> Iterable[str]:
    """The data of the events with these pieces, whose values are made for all of them at once. `known`: see
    `Template.formatted`."""
    numbers = range(values.number, values.number + len(pieces))
    values.number = numbers.stop
    columns = [hole.many(values, numbers, pieces) for hole in data.of_event if hole.many]
    form = data.formatted(known)
    return map(form.__mod__, zip(*columns, strict=True)) if columns else [form % ()] * len(pieces)


def event_text(data: Template, piece: str, values: Fill) -> str:
    """The data of an event, in which everything that is the same in the whole stream is filled in already."""
    if not data.holes:
        values.number += 1
        return data.texts[0]
    texts, late, values.encoded = [data.texts[0]], None, piece
    for hole, text in zip(data.holes, data.texts[1:], strict=True):
        if hole.scope == "length":
            late = (hole, len(texts))
            texts.append('""')
        else:
            texts.append(piece if hole is PIECE.hole else data.encode(hole.make(values)))
        texts.append(text)
    if late:
        values.length = len("".join(texts).encode("utf-8", "surrogatepass")) - data.around
        texts[late[1]] = data.encode(late[0].make(values))
    values.number += 1
    return "".join(texts)
