"""The body of a stream whose texts are the same in every reply, as HTTP/1.1 chunks with holes.

The size of a chunk is known as soon as the lengths of the values in it are, and ids, times and fingerprints of one
dialect have one length each. Then only these values have to be put between texts that are encoded, framed and delimited
already. It is what `fill` of `fakellm.apis.skeleton` and the chunks of its frames give; tests/test_skeleton.py holds
this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
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
        fill.counts = fill.completed if self.counts is COUNTED else self.counts
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


class _Column(Struct, frozen=True):
    """The values of events that have the same holes, which are made at once. The lists have an item for each event."""

    holes: tuple[Hole, ...]
    numbers: list[int]
    pieces: list[str]
    sizes: list[int]

    def filled(self, fill: Fill) -> list[bytes]:
        """The first lines of the chunks, then the values of the first hole, and so on."""
        values = [list(map(_bytes, hole.many(fill, self.numbers, self.pieces))) for hole in self.holes if hole.many]
        sizes = map(sum, zip(self.sizes, *(map(len, each) for each in values), strict=True))
        return [*map(b"%x\r\n".__mod__, sizes), *chain.from_iterable(values)]


class _Chunk(Struct, frozen=True):
    """Texts, and what is filled in between them: its number in the sheet's `between` or, counted on, in `own`."""

    texts: tuple[bytes, ...]
    fillings: tuple[int, ...] = ()
    own: _Own | None = None

    def filled(self, found: Sequence[bytes]) -> bytes:
        if len(self.fillings) == 1:  # nearly always
            return b"".join((self.texts[0], found[self.fillings[0]], self.texts[1]))
        parts = [self.texts[0]]
        for number, text in zip(self.fillings, self.texts[1:], strict=True):
            parts += (found[number], text)
        return b"".join(parts)


class Sheet(Struct, frozen=True, dict=True):
    """The chunks of a stream. `between`: what most of them have the same of."""

    chunks: tuple[_Chunk, ...]
    between: tuple[_Between, ...]

    @property
    def size(self) -> int:
        """Roughly how many bytes of memory it takes."""
        texts = sum(len(text) + 50 for chunk in self.chunks for text in chunk.texts)
        return 2 * texts + 300 * len(self.chunks) + 2_000 * len(self.between)

    def filled(self, known: Mapping[str, str], fill: Fill) -> Chunks:
        """The chunks of a reply with these values, whose lengths are those that the sheet was made for."""
        found = self._between(known)
        columns, others = self._own
        for column in columns:
            found += column.filled(fill)
        for own in others:
            found += own.filled(fill)
        parts, fillings = self._joined
        parts = list(parts)
        parts[1::2] = [found[number] for number in fillings]
        return Chunks(parts, len(self.chunks))

    def each(self, known: Mapping[str, str], fill: Fill) -> Iterator[bytes]:
        """The same chunks one by one, each made when it is needed."""
        shared = self._between(known)
        for each in self.chunks:
            yield each.filled(shared if each.own is None else shared + each.own.filled(fill))

    @cached_property
    def _own(self) -> tuple[list[_Column], list[_Own]]:
        """The values that events have of their own: those that are made at once, and the others."""
        columns: dict[tuple[Hole, ...], _Column] = {}
        others = []
        for own in (each.own for each in self.chunks if each.own is not None):
            if not all(hole.many for hole in own.holes):
                others.append(own)
                continue
            column = columns.setdefault(own.holes, _Column(own.holes, [], [], []))
            column.numbers.append(own.number)
            column.pieces.append(own.piece)
            column.sizes.append(own.size)
        return list(columns.values()), others

    @cached_property
    def _places(self) -> dict[int, range]:
        """Where the first line of a chunk and its own values are among all values, by the number of its event."""
        columns, others = self._own
        places, start = {}, len(self.between)
        for column in columns:
            count, end = len(column.numbers), start + len(column.numbers) * (1 + len(column.holes))
            places.update({number: range(start + row, end, count) for row, number in enumerate(column.numbers)})
            start = end
        for own in others:
            places[own.number] = range(start, start + 1 + len(own.holes))
            start += 1 + len(own.holes)
        return places

    @cached_property
    def _joined(self) -> tuple[list[bytes], list[int]]:
        """The texts of all chunks, each with an empty place after it, and what is filled in there; after the last one,
        the first of all."""
        parts, fillings, shared = [b"", b""], list[int](), len(self.between)
        for each in self.chunks:
            parts[-2] += each.texts[0]
            for number, text in zip(each.fillings, each.texts[1:], strict=True):
                own = each.own if number >= shared else None
                fillings.append(self._places[own.number][number - shared] if own else number)
                parts += (text, b"")
        return parts[:-1], fillings

    def _between(self, known: Mapping[str, str]) -> list[bytes]:
        values = {name: text.encode() for name, text in known.items()}
        return [each.filled(values) for each in self.between]


def sheet(stream: Written, after: Sequence[bytes], values: Mapping[str, str], fill: Fill, counted: bool) -> Sheet:
    """The sheet of a stream for values of the same lengths as these. `after`: the frames that follow it.

    fill: fills in what the number of an event decides and, if `counted`, what its texts and token counts do, which are
    then always the same; if not, no batch has token counts but the completion's.
    """
    made = _Maker({name: len(text.encode()) for name, text in values.items()}, fill, counted)
    for stretch in stream.stretches:
        counts = COUNTED if stretch.usage and (not counted or stretch.usage is stream.usage) else stretch.usage
        for piece in stretch.pieces:
            for each in stream.skeleton[stretch.batch]:
                made.add(each.data, piece, counts)
    return made.sheet(after)


class _Maker:
    def __init__(self, lengths: Mapping[str, int], fill: Fill, counted: bool) -> None:
        self._lengths = lengths
        self._fill = fill
        self._known = ("number", "content") if counted else ("number",)
        self._chunks: list[_Chunk] = []
        """In these, the values of `own` have the numbers -1, -2 and so on."""
        self._between: dict[_Between, int] = {}

    def sheet(self, after: Sequence[bytes]) -> Sheet:
        """What has been added, and these frames."""
        shared = len(self._between)
        chunks = (
            _Chunk(each.texts, tuple(n if n >= 0 else shared - 1 - n for n in each.fillings), each.own)
            for each in self._chunks
        )
        return Sheet((*chunks, *(_Chunk((chunk(frame),)) for frame in after)), tuple(self._between))

    def add(self, data: Template, piece: str, counts: Usage | None) -> None:
        """Adds the chunk of an event."""
        fill, number = self._fill, len(self._chunks)
        fill.number, fill.counts, fill.encoded = number, fill.completed if counts is COUNTED else counts, piece
        texts = [data.texts[0]]
        runs: list[tuple[list[str], list[str]] | None] = []  # names of values and what is between them; None: its own
        own: list[Hole] = []
        alike = False  # whether the last text is the same in other events
        for hole, text in zip(data.holes, data.texts[1:], strict=True):
            if hole is PIECE.hole or hole.scope in self._known:
                texts[-1] += (piece if hole is PIECE.hole else data.encode(hole.make(fill))) + text
                alike = False
            elif hole.scope != "stream":
                own.append(hole)
                runs.append(None)
                texts.append(text)
                alike = False
            elif alike and (run := runs[-1]):
                run[0].append(hole.name)
                run[1].append(texts[-1])
                texts[-1] = text
            else:
                runs.append(([hole.name], []))
                texts.append(text)
                alike = True
        encoded, fillings = list(map(_bytes, texts)), list[int]()
        size, owned = sum(map(len, encoded)), 1
        for each in runs:
            if each is None:
                owned += 1
                fillings.append(-owned)
            else:
                between = _Between(tuple(each[0]), tuple(map(_bytes, each[1])))
                size += sum(map(len, between.texts)) + sum(self._lengths[name] for name in between.names)
                fillings.append(self._between.setdefault(between, len(self._between)))
        encoded[-1] += b"\r\n"
        if own:
            values = _Own(number, piece, counts, data, tuple(own), size)
            self._chunks.append(_Chunk((b"", *encoded), (-1, *fillings), values))
        else:
            encoded[0] = b"%x\r\n%b" % (size, encoded[0])
            self._chunks.append(_Chunk(tuple(encoded), tuple(fillings)))


_bytes: Callable[[str], bytes] = methodcaller("encode", "utf-8", "surrogatepass")


def values_of(stream: Written, fill: Fill) -> dict[str, str]:
    """The JSON of the values that are the same in the whole stream, by name."""
    return {hole.name: data.encode(hole.make(fill)) for data, hole in stream.holes}
