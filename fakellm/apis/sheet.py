"""The body of a stream whose texts are the same in every reply, as HTTP/1.1 chunks with holes.

The size of a chunk is known as soon as the lengths of the values in it are, and ids, times and fingerprints of one
dialect have one length each. Then only these values have to be put between texts that are encoded, framed and delimited
already. It is what `fill` of `fakellm.apis.skeleton` and the chunks of its frames give; tests/test_skeleton.py holds
this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from operator import methodcaller

from msgspec import Struct

from fakellm.apis.events import Written
from fakellm.apis.skeleton import Fill, event_text
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


class _Alone(Struct, frozen=True):
    """An event with values of its own. `counts`: the token counts in its batch; COUNTED stands for the completion's."""

    number: int
    data: Template
    piece: str
    counts: Usage | None

    def filled(self, known: Mapping[str, str], fill: Fill) -> bytes:
        fill.number, fill.counts = self.number, fill.usage if self.counts is COUNTED else self.counts
        text = event_text(self.data, self.piece, fill, known)
        return chunk(text.encode("utf-8", "surrogatepass"))


class Sheet(Struct, frozen=True):
    """The chunks of a stream.

    parts: their texts, each followed by a place for what is filled in.
    fillings: what is filled into each place: its number in `between` or, counted on, in `alone`.
    between: what most chunks of a stream have the same of.
    alone: the events with values of their own, which are filled in as a whole.
    starts: the first place of each chunk, and the number of places.
    """

    parts: tuple[bytes, ...]
    fillings: tuple[int, ...]
    between: tuple[_Between, ...]
    alone: tuple[_Alone, ...]
    starts: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many chunks there are."""
        return len(self.starts) - 1

    @property
    def size(self) -> int:
        """Roughly how many bytes of memory it takes."""
        return sum(len(part) + 50 for part in self.parts) + 2_000 * (len(self.between) + len(self.alone))

    def filled(self, known: Mapping[str, str], fill: Fill) -> Chunks:
        """The chunks of a reply with these values, whose lengths are those that the sheet was made for."""
        found = self._between(known)
        found += [each.filled(known, fill) for each in self.alone]
        parts = list(self.parts)
        parts[1::2] = [found[number] for number in self.fillings]
        return Chunks(parts, self.count)

    def each(self, known: Mapping[str, str], fill: Fill) -> Iterator[bytes]:
        """The same chunks one by one, each made when it is needed."""
        found = self._between(known)
        shared = len(found)
        for start, end in pairwise(self.starts):
            number = self.fillings[start]
            if number >= shared:
                yield self.alone[number - shared].filled(known, fill)
            else:
                parts = list(self.parts[2 * start : 2 * end])
                parts[1::2] = [found[number] for number in self.fillings[start:end]]
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
    shared = len(made.between)
    fillings = (number if number >= 0 else shared - 1 - number for number in made.fillings)
    return Sheet(
        tuple(made.parts), tuple(fillings), tuple(made.between), tuple(made.alone), (*made.starts, len(made.fillings))
    )


class _Maker:
    def __init__(self, lengths: Mapping[str, int], content: Fill | None) -> None:
        self._lengths = lengths
        self._content = content
        self.parts: list[bytes] = []
        self.fillings: list[int] = []
        """Those in `alone` are -1, -2 and so on."""
        self.between: dict[_Between, int] = {}
        self.alone: list[_Alone] = []
        self.starts: list[int] = []

    def add(self, data: Template, piece: str, counts: Usage | None) -> None:
        """Adds the chunk of an event."""
        content, number = self._content, len(self.starts)
        if content is not None:
            content.number, content.counts, content.encoded = number, counts, piece
        if all(self._is_known(hole) for hole in data.holes):
            self._fill(data, piece)
            return
        if content is not None:
            data = data.with_content(content)
        self.alone.append(_Alone(number, data, piece, counts))
        self.starts.append(len(self.fillings))
        self.fillings.append(-len(self.alone))
        self.parts += (b"", b"")

    def _is_known(self, hole: Hole) -> bool:
        content = hole.scope == "content" and self._content is not None
        return content or hole.scope == "stream" or hole is PIECE.hole

    def _fill(self, data: Template, piece: str) -> None:
        """Adds the chunk of an event whose pieces and content are known: only the values of the stream are left."""
        runs: list[tuple[str, list[str], list[str]]] = []
        text, alike = data.texts[0], False  # since the last value, and whether it is the same in other events
        for hole, following in zip(data.holes, data.texts[1:], strict=True):
            if hole.scope != "stream":
                text += (piece if hole is PIECE.hole else data.encode(hole.make(self._content))) + following
                alike = False
                continue
            if alike:
                runs[-1][1].append(hole.name)
                runs[-1][2].append(text)
            else:
                runs.append((text, [hole.name], []))
            text, alike = following, True
        runs.append((text, [], []))
        found = [(_bytes(text), _Between(tuple(names), tuple(map(_bytes, inner)))) for text, names, inner in runs]
        size = sum(len(text) + self._size(between) for text, between in found)
        found[0] = (b"%x\r\n%b" % (size, found[0][0]), found[0][1])
        found[-1] = (found[-1][0] + b"\r\n", _NOTHING)
        self.chunk(found)

    def _size(self, between: _Between) -> int:
        return sum(map(len, between.texts)) + sum(self._lengths[name] for name in between.names)

    def chunk(self, texts: Sequence[tuple[bytes, _Between]]) -> None:
        """Adds a chunk: texts, and what follows each."""
        self.starts.append(len(self.fillings))
        for text, between in texts:
            self.parts += (text, b"")
            self.fillings.append(self.between.setdefault(between, len(self.between)))


_NOTHING = _Between((), ())
_bytes = methodcaller("encode", "utf-8", "surrogatepass")


def values_of(stream: Written, fill: Fill) -> dict[str, str]:
    """The JSON of the values that are the same in the whole stream, by name."""
    return {hole.name: data.encode(hole.make(fill)) for data, hole in stream.holes}
