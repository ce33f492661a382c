"""The body of a stream whose texts are the same in every reply, as HTTP/1.1 chunks with holes.

The size of a chunk is known as soon as the lengths of the values in it are, and ids, times and fingerprints of one
dialect have one length each. Then only these values have to be put between texts that are encoded, framed and delimited
already. It is what `fill` of `fakellm.apis.skeleton` and the chunks of its frames give; tests/test_skeleton.py holds
this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from operator import methodcaller

from msgspec import Struct

from fakellm.apis.events import Written
from fakellm.apis.skeleton import Fill
from fakellm.base.template import Hole, Template
from fakellm.model.blocks import Usage
from fakellm.streaming.shape import COUNTED, PIECE
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


class _Own(Struct, frozen=True):
    """The values that an event has of its own, and the size of its chunk, which they decide.

    number: the event's. counts: the token counts in its batch; COUNTED stands for the completion's.
    size: the bytes of the event without these values.
    """

    number: int
    piece: str
    counts: Usage | None
    data: Template
    holes: tuple[Hole, ...]
    size: int

    def filled(self, fill: Fill) -> list[bytes]:
        """The first line of the chunk, and the values."""
        fill.number, fill.encoded = self.number, self.piece
        fill.counts = fill.usage if self.counts is COUNTED else self.counts
        values = [b"" if hole.scope == "length" else self._value(hole, fill) for hole in self.holes]
        size = self.size + sum(map(len, values))
        for place, hole in enumerate(self.holes):
            if hole.scope == "length":
                fill.length = size + len('""') - self.data.around
                values[place] = self._value(hole, fill)
                size += len(values[place])
        return [b"%x\r\n" % size, *values]

    def _value(self, hole: Hole, fill: Fill) -> bytes:
        return _bytes(self.data.encode(hole.make(fill)))


class Sheet(Struct, frozen=True, dict=True):
    """The chunks of a stream.

    parts: their texts, each followed by a place for what is filled in.
    fillings: what is filled into each place: its number in `between` or, counted on, among all values of `own`.
    between: what most chunks of a stream have the same of.
    own: the values that some chunks have of their own, by the number of the chunk.
    starts: the first place of each chunk, and the number of places.
    """

    parts: tuple[bytes, ...]
    fillings: tuple[int, ...]
    between: tuple[_Between, ...]
    own: dict[int, _Own]
    starts: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many chunks there are."""
        return len(self.starts) - 1

    @property
    def size(self) -> int:
        """Roughly how many bytes of memory it takes."""
        return 2 * sum(len(part) + 50 for part in self.parts) + 2_000 * (len(self.between) + len(self.own))

    def filled(self, known: Mapping[str, str], fill: Fill) -> Chunks:
        """The chunks of a reply with these values, whose lengths are those that the sheet was made for."""
        found = self._between(known)
        for each in self.own.values():
            found += each.filled(fill)
        parts, fillings = self._joined
        parts = list(parts)
        parts[1::2] = [found[number] for number in fillings]
        return Chunks(parts, self.count)

    @cached_property
    def _joined(self) -> tuple[list[bytes], list[int]]:
        """The parts and what is filled in, without the places at the ends of chunks, where nothing is."""
        parts, fillings = [b"", b""], [self.fillings[-1]]
        for text, number in zip(self.parts[::2], self.fillings, strict=True):
            if fillings[-1] == self.fillings[-1]:
                parts[-2] += text
                fillings[-1] = number
            else:
                parts += (text, b"")
                fillings.append(number)
        return parts, fillings

    def each(self, known: Mapping[str, str], fill: Fill) -> Iterator[bytes]:
        """The same chunks one by one, each made when it is needed."""
        shared = self._between(known)
        for number, (start, end) in enumerate(pairwise(self.starts)):
            parts, fillings, found = list(self.parts[2 * start : 2 * end]), self.fillings[start:end], shared
            if number in self.own:
                own = self.own[number].filled(fill)
                first = fillings[0]
                parts[1::2] = [own[place - first] if place >= first else found[place] for place in fillings]
            else:
                parts[1::2] = [found[place] for place in fillings]
            yield b"".join(parts)

    def _between(self, known: Mapping[str, str]) -> list[bytes]:
        values = {name: text.encode() for name, text in known.items()}
        return [each.filled(values) for each in self.between]


def sheet(stream: Written, after: Sequence[bytes], values: Mapping[str, str], content: Fill | None = None) -> Sheet:
    """The sheet of a stream for values of the same lengths as these. `after`: the frames that follow it.

    content: fills in the texts and token counts, if these are always the same; if not, no batch has token counts but
    the completion's.
    """
    made = _Maker({name: len(text.encode()) for name, text in values.items()}, content)
    for stretch in stream.stretches:
        counts = COUNTED if content is None and stretch.usage else stretch.usage
        for piece in stretch.pieces:
            for each in stream.skeleton[stretch.batch]:
                made.add(each.data, piece, counts)
    for frame in after:
        made.chunk([(chunk(frame), _NOTHING)])
    return made.sheet()


class _Maker:
    def __init__(self, lengths: Mapping[str, int], content: Fill | None) -> None:
        self._lengths = lengths
        self._content = content
        self._parts: list[bytes] = []
        self._fillings: list[int] = []
        """Those of `own` are -1, -2 and so on."""
        self._between: dict[_Between, int] = {}
        self._own: dict[int, _Own] = {}
        self._owned = 0
        self._starts: list[int] = []

    def sheet(self) -> Sheet:
        """What has been added."""
        shared = len(self._between)
        fillings = (number if number >= 0 else shared - 1 - number for number in self._fillings)
        starts = (*self._starts, len(self._fillings))
        return Sheet(tuple(self._parts), tuple(fillings), tuple(self._between), self._own, starts)

    def add(self, data: Template, piece: str, counts: Usage | None) -> None:
        """Adds the chunk of an event."""
        content, number = self._content, len(self._starts)
        if content is not None:
            content.number, content.counts, content.encoded = number, counts, piece
        own: list[Hole] = []
        runs: list[tuple[str, list[str], list[str]]] = []
        text, alike = data.texts[0], False  # since the last value, and whether it is the same in other events
        for hole, following in zip(data.holes, data.texts[1:], strict=True):
            if hole is PIECE.hole or (hole.scope == "content" and content is not None):
                text += (piece if hole is PIECE.hole else data.encode(hole.make(content))) + following
                alike = False
                continue
            if hole.scope != "stream":
                own.append(hole)
                runs.append((text, [], []))
            elif alike:
                runs[-1][1].append(hole.name)
                runs[-1][2].append(text)
            else:
                runs.append((text, [hole.name], []))
            text, alike = following, hole.scope == "stream"
        runs.append((text, [], []))
        found = [(_bytes(text), _Between(tuple(names), tuple(map(_bytes, inner)))) for text, names, inner in runs]
        size = sum(len(text) + self._size(between) for text, between in found)
        found[-1] = (found[-1][0] + b"\r\n", _NOTHING)
        if own:
            self._own[number] = _Own(number, piece, counts, data, tuple(own), size)
            found.insert(0, (b"", _NOTHING))
        else:
            found[0] = (b"%x\r\n%b" % (size, found[0][0]), found[0][1])
        self.chunk(found, bool(own))

    def chunk(self, texts: Sequence[tuple[bytes, _Between]], own: bool = False) -> None:
        """Adds a chunk: texts, and what follows each. `own`: whether values of its own do, except after the last."""
        self._starts.append(len(self._fillings))
        for number, (text, between) in enumerate(texts, 1):
            self._parts += (text, b"")
            if own and not between.names and number < len(texts):
                self._owned += 1
                self._fillings.append(-self._owned)
            else:
                self._fillings.append(self._between.setdefault(between, len(self._between)))

    def _size(self, between: _Between) -> int:
        return sum(map(len, between.texts)) + sum(self._lengths[name] for name in between.names)


_NOTHING = _Between((), ())
_bytes: Callable[[str], bytes] = methodcaller("encode", "utf-8", "surrogatepass")


def values_of(stream: Written, fill: Fill) -> dict[str, str]:
    """The JSON of the values that are the same in the whole stream, by name."""
    return {hole.name: data.encode(hole.make(fill)) for data, hole in stream.holes}
