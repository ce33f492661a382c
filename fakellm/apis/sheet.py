"""The body of a stream whose texts are the same in every reply, as HTTP/1.1 chunks with holes.

The size of a chunk is known as soon as the lengths of the values in it are, and ids, times and fingerprints of one
dialect have one length each. Then only these values have to be put between texts that are encoded, framed and delimited
already. It is what `fill` of `fakellm.apis.skeleton` and the chunks of its frames give; tests/test_skeleton.py holds
this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

from msgspec import Struct

from fakellm.apis.events import Written
from fakellm.apis.skeleton import Fill, event_text
from fakellm.base.template import Hole, Template
from fakellm.streaming.shape import PIECE
from fakellm.wire.chunks import Chunks, chunk

Values = Mapping[str, bytes]
"""The JSON of the values that are the same in the whole stream, by name."""


class _Between(Struct, frozen=True):
    """What is between the first and the last text of an event: values, and the texts between them."""

    names: tuple[str, ...]
    texts: tuple[bytes, ...]

    def filled(self, values: Values) -> bytes:
        parts = [values[self.names[0]]]
        for name, text in zip(self.names[1:], self.texts, strict=True):
            parts += (text, values[name])
        return b"".join(parts)


class _Alone(Struct, frozen=True):
    """An event with values of its own. `counts`: whether its batch has the token counts of the completion."""

    place: int
    number: int
    data: Template
    piece: str
    counts: bool


class Sheet(Struct, frozen=True):
    """The chunks of a stream. `parts`: its bytes, with empty ones where something is filled in.

    between: what is filled in at the places of `repeated`, by its number; most events of a stream have the same.
    """

    parts: tuple[bytes, ...]
    between: tuple[_Between, ...]
    repeated: tuple[tuple[int, int], ...]
    alone: tuple[_Alone, ...]
    count: int

    @property
    def size(self) -> int:
        """Roughly how many bytes of memory it takes."""
        return sum(len(part) + 150 for part in self.parts) + 2_000 * (len(self.between) + len(self.alone))

    def filled(self, known: Mapping[str, str], fill: Fill) -> Chunks:
        """The chunks of a reply with these values, whose lengths are those that the sheet was made for."""
        parts, values = list(self.parts), {name: text.encode() for name, text in known.items()}
        between = [each.filled(values) for each in self.between]
        for place, number in self.repeated:
            parts[place] = between[number]
        for each in self.alone:
            fill.number, fill.counts = each.number, fill.usage if each.counts else None
            text = event_text(each.data.filled(known), each.piece, fill)
            parts[each.place] = chunk(text.encode("utf-8", "surrogatepass"))
        return Chunks(b"".join(parts), self.count)


def sheet(stream: Written, after: Sequence[bytes], values: Mapping[str, str]) -> Sheet:
    """The sheet of a stream for values of the same lengths as these. Its batches have no token counts but the
    completion's. `after`: the frames that follow it."""
    made = _Maker({name: len(text.encode()) for name, text in values.items()})
    number = count()
    for stretch in stream.stretches:
        for piece in stretch.pieces:
            for each in stream.skeleton[stretch.batch]:
                made.add(each.data, piece, stretch.usage is not None, next(number))
    for frame in after:
        made.parts[-1] += chunk(frame)
    alone, repeated = tuple(made.alone), tuple(made.repeated)
    return Sheet(tuple(made.parts), tuple(made.between), repeated, alone, next(number) + len(after))


class _Maker:
    def __init__(self, lengths: Mapping[str, int]) -> None:
        self._lengths = lengths
        self.parts = [b""]
        self.between: dict[_Between, int] = {}
        self.repeated: list[tuple[int, int]] = []
        self.alone: list[_Alone] = []

    def add(self, data: Template, piece: str, counts: bool, number: int) -> None:
        if any(hole.scope != "stream" and hole is not PIECE.hole for hole in data.holes):
            self.alone.append(_Alone(len(self.parts), number, data, piece, counts))
            self.parts += (b"", b"")
            return
        texts, names = [data.texts[0]], []
        for hole, text in zip(data.holes, data.texts[1:], strict=True):
            if hole is PIECE.hole:
                texts[-1] += piece + text
            else:
                names.append(hole.name)
                texts.append(text)
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        size = sum(map(len, encoded)) + sum(self._lengths[name] for name in names)
        self.parts[-1] += b"%x\r\n" % size + encoded[0]
        if names:
            between = _Between(tuple(names), tuple(encoded[1:-1]))
            self.repeated.append((len(self.parts), self.between.setdefault(between, len(self.between))))
            self.parts += (b"", encoded[-1])
        self.parts[-1] += b"\r\n"


def values_of(stream: Written, fill: Fill) -> dict[str, str]:
    """The JSON of the values that are the same in the whole stream, by name."""
    found: dict[str, str] = {}
    for data, hole in holes_of(stream):
        found[hole.name] = data.encode(hole.make(fill))
    return found


def holes_of(stream: Written) -> list[tuple[Template, Hole]]:
    """The holes of these values, each with a template that it is in."""
    found = {
        hole.name: (each.data, hole)
        for events in stream.skeleton
        for each in events
        for hole in each.data.holes
        if hole.scope == "stream"
    }
    return list(found.values())
