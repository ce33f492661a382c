"""The events of a stream, whatever the API: the skeleton of its shape, filled with the values of the reply."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cached_property
from sys import getsizeof
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.protocol import Answer, Api
from fakellm.apis.skeleton import Fill, Skeleton, encoded, fill, size_of, skeleton, with_holes
from fakellm.base.template import Hole, Template
from fakellm.model.blocks import Usage
from fakellm.model.deltas import Batch, End
from fakellm.model.tokens import tokens_in
from fakellm.streaming.outline import Outline
from fakellm.streaming.shape import Shape, Stretch, call_ids, shaped
from fakellm.wire.sse import Event


class Written(Struct, frozen=True, dict=True):
    """A stream before the values of a reply are filled in. `usage`: the completion's token counts, which some stretches
    have."""

    skeleton: Skeleton
    stretches: tuple[Stretch, ...]
    ends: frozenset[int]
    """The numbers of the shape's batches that end a stream."""
    usage: Usage | None
    tokens: tuple[int, ...] = ()
    """How many tokens of text each event has, if they were counted."""
    texts: tuple[str, ...] = ()
    """Those that holes stand for, if it was made from an outline."""

    @property
    def size(self) -> int:
        """Roughly how many bytes of memory it takes."""
        pieces = (piece for stretch in self.stretches for piece in stretch.pieces)
        return size_of(self.skeleton) + sum(50 + getsizeof(piece) for piece in pieces) + 8 * len(self.tokens)

    @cached_property
    def count(self) -> int:
        """How many events there are."""
        return sum(len(stretch.pieces) * len(self.skeleton[stretch.batch]) for stretch in self.stretches)

    def tokens_of(self, batches: Sequence[Batch]) -> tuple[int, ...]:
        """How many tokens of text each event has, from the batches of the stream; those that end it have none."""
        found: list[int] = []
        numbers = (stretch.batch for stretch in self.stretches for _ in stretch.pieces)
        for number, batch in zip(numbers, batches, strict=True):
            more = len(self.skeleton[number])
            found += [0 if number in self.ends else tokens_in(batch), *[0] * (more - 1)] if more else ()
        return tuple(found)

    @cached_property
    def holes(self) -> tuple[tuple[Template, Hole], ...]:
        """The holes of the values that are the same in the whole stream, each with a template that it is in."""
        found = {
            hole.name: (each.data, hole)
            for events in self.skeleton
            for each in events
            for hole in each.data.holes
            if hole.scope == "stream"
        }
        return tuple(found.values())

    @cached_property
    def in_order(self) -> bool:
        """Whether nothing follows the batches that end the stream."""
        ended = [stretch.batch in self.ends for stretch in self.stretches]
        return ended == sorted(ended)

    def events(self, texts: Iterable[str]) -> list[tuple[Event, ...]]:
        """The events of each batch, from the data of each event."""
        left = iter(texts)
        return [
            tuple(Event(next(left), each.event) for each in self.skeleton[stretch.batch])
            for stretch in self.stretches
            for _ in stretch.pieces
        ]


def written(shape: Shape, skeleton: Skeleton, answer: Answer[Any]) -> Written:
    """The stream of an answer with this shape and skeleton."""
    found = sketched(shape, skeleton, answer)
    return replace(found, stretches=encoded(skeleton, found.stretches))


def sketched(shape: Shape, skeleton: Skeleton, answer: Answer[Any]) -> Written:
    """The stream of an answer whose pieces are not encoded."""
    batches = enumerate(shape.batches)
    ends = frozenset(number for number, batch in batches if any(isinstance(delta, End) for delta in batch))
    joined: list[Stretch] = []
    for each in shape.stretches:  # the first, the further and the last pieces of a text mostly have the same events
        last = joined[-1] if joined else each
        plain = not (last.usage or each.usage or ends & {last.batch, each.batch})
        if joined and plain and skeleton[last.batch] == skeleton[each.batch]:
            joined[-1] = replace(last, pieces=last.pieces + each.pieces)
        else:
            joined.append(each)
    return Written(skeleton, tuple(joined), ends, answer.completion.usage)


def from_outline(outline: Outline, sketch: Written) -> Written:
    """The stream of an answer with this outline, from that of the outline, whose pieces are not encoded."""
    stretches = (replace(each, pieces=outline.filled(each)) for each in sketch.stretches)
    return replace(sketch, stretches=encoded(sketch.skeleton, stretches), texts=outline.texts)


def events_of(api: Api[Any], batches: Sequence[Batch], answer: Answer[Any]) -> list[tuple[Event, ...]]:
    """The events of each batch of an answer."""
    shape = shape_of(api, batches, answer)
    stream = written(shape, skeleton_of(api, shape, answer), answer)
    return stream.events(filled(stream, answer))


def shape_of(api: Api[Any], batches: Sequence[Batch], answer: Answer[Any]) -> Shape:
    """The shape of the batches of an answer."""
    return shaped(batches, call_ids(answer.completion), api.alike(answer.habits))


def skeleton_of(api: Api[Any], shape: Shape, answer: Answer[Any]) -> Skeleton:
    """The skeleton of all answers with this shape, these habits and this `likeness`."""
    return skeleton(api.write(shape.batches, replace(answer, drawn=with_holes(answer.drawn))))


def memo_key(answer: Answer[Any]) -> Hashable:
    """What answers have in common that differ only in what `filled` fills in: which values are drawn for them, and
    whether their tokens are counted."""
    fixed = tuple([(name, value if name == "model" or not value else True) for name, value in answer.drawn.items()])
    return answer.completion.usage is not None, fixed


def filled(stream: Written, answer: Answer[Any]) -> Iterator[str]:
    """The data of each event of an answer or, from the skeleton of frames, each frame, made as they are read."""
    usage, stretches = answer.completion.usage, stream.stretches
    if stream.usage is not usage:
        stretches = tuple(replace(each, usage=usage) if each.usage is stream.usage else each for each in stretches)
    return fill(stream.skeleton, stretches, fill_of(stream, answer))


def fill_of(stream: Written, answer: Answer[Any]) -> Fill:
    """What fills in the stream of an answer."""
    first = next((each.usage for each in stream.stretches if each.usage), None)
    usage = answer.completion.usage if first is stream.usage else first
    return Fill(answer.drawn, answer.source, call_ids(answer.completion), usage, stream.texts, answer.completion.usage)
