"""The body of a stream whose texts are the same in every reply, as HTTP/1.1 chunks with holes.

The size of a chunk is known as soon as the lengths of the values in it are, and ids, times and fingerprints of one
dialect have one length each. Then only these values have to be put between texts that are encoded, framed and delimited
already. It is what `fill` of `fakellm.apis.skeleton` and the chunks of its frames give; tests/test_skeleton.py holds
this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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
        if not self.names:
            return b""
        parts = [values[self.names[0]]]
        for name, text in zip(self.names[1:], self.texts, strict=True):
            parts += (text, values[name])
        return b"".join(parts)


class _Alone(Struct, frozen=True):
    """An event with values of its own. `counts`: whether its batch has the token counts of the completion."""

    number: int
    data: Template
    piece: str
    counts: bool

    def filled(self, known: Mapping[str, str], fill: Fill) -> bytes:
        fill.number, fill.counts = self.number, fill.usage if self.counts else None
        text = event_text(self.data, self.piece, fill, known)
        return chunk(text.encode("utf-8", "surrogatepass"))


class Sheet(Struct, frozen=True):
    """The chunks of a stream. `parts`: three for each, of which the second is filled in.

    between: what is filled in; most chunks of a stream have the same.
    alone: the events with values of their own, which are filled in as a whole.
    middles: what is filled into each chunk: its number in `between` or, counted on, in `alone`.
    """

    parts: tuple[bytes, ...]
    between: tuple[_Between, ...]
    alone: tuple[_Alone, ...]
    middles: tuple[int, ...]

    @property
    def size(self) -> int:
        """Roughly how many bytes of memory it takes."""
        return sum(len(part) + 50 for part in self.parts) + 2_000 * (len(self.between) + len(self.alone))

    def filled(self, known: Mapping[str, str], fill: Fill) -> Chunks:
        """The chunks of a reply with these values, whose lengths are those that the sheet was made for."""
        found = self._between(known)
        found += [each.filled(known, fill) for each in self.alone]
        parts = list(self.parts)
        parts[1::3] = [found[number] for number in self.middles]
        return Chunks(parts, len(self.middles))

    def each(self, known: Mapping[str, str], fill: Fill) -> Iterator[bytes]:
        """The same chunks one by one, each made when it is needed."""
        parts, found = iter(self.parts), self._between(known)
        shared = len(found)
        for number, before, _, after in zip(self.middles, parts, parts, parts, strict=True):
            middle = found[number] if number < shared else self.alone[number - shared].filled(known, fill)
            yield b"".join((before, middle, after))

    def _between(self, known: Mapping[str, str]) -> list[bytes]:
        values = {name: text.encode() for name, text in known.items()}
        return [each.filled(values) for each in self.between]


def sheet(stream: Written, after: Sequence[bytes], values: Mapping[str, str]) -> Sheet:
    """The sheet of a stream for values of the same lengths as these. Its batches have no token counts but the
    completion's. `after`: the frames that follow it."""
    made = _Maker({name: len(text.encode()) for name, text in values.items()})
    for stretch in stream.stretches:
        for piece in stretch.pieces:
            for each in stream.skeleton[stretch.batch]:
                made.add(each.data, piece, stretch.usage is not None)
    for frame in after:
        made.between((), (chunk(frame), b""))
    shared = len(made.shared)
    middles = (number if number >= 0 else shared - 1 - number for number in made.middles)
    return Sheet(tuple(made.parts), tuple(made.shared), tuple(made.alone), tuple(middles))


class _Maker:
    def __init__(self, lengths: Mapping[str, int]) -> None:
        self._lengths = lengths
        self.parts: list[bytes] = []
        self.shared: dict[_Between, int] = {}
        self.alone: list[_Alone] = []
        self.middles: list[int] = []
        """Those in `alone` are -1, -2 and so on."""

    def add(self, data: Template, piece: str, counts: bool) -> None:
        if any(hole.scope != "stream" and hole is not PIECE.hole for hole in data.holes):
            self.alone.append(_Alone(len(self.middles), data, piece, counts))
            self.middles.append(-len(self.alone))
            self.parts += (b"", b"", b"")
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
        encoded[0] = b"%x\r\n%b" % (size, encoded[0])
        encoded[-1] += b"\r\n"
        self.between(tuple(names), tuple(encoded))

    def between(self, names: tuple[str, ...], texts: tuple[bytes, ...]) -> None:
        """Adds a chunk with values between texts."""
        middle = _Between(names, texts[1:-1])
        self.middles.append(self.shared.setdefault(middle, len(self.shared)))
        self.parts += (texts[0], b"", texts[-1] if len(texts) > 1 else b"")


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
