"""The frames of a stream as the HTTP/1.1 chunks that carry them (RFC 9112, section 7.1): kept, or made on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import overload

from fakellm.wire.on_demand import OnDemand
from fakellm.wire.plan import ChunkForm, Frame


def chunk(data: bytes, form: ChunkForm | None = None) -> bytes:
    """The bytes as one HTTP/1.1 chunk."""
    return _FORMS[form] % (len(data), data)


def last_chunk(form: ChunkForm | None = None, trailers: Sequence[tuple[str, str]] = ()) -> bytes:
    """The empty chunk, which ends a body, with the fields that follow it."""
    size, _ = chunk(b"", form).split(b"\r\n", 1)
    return b"\r\n".join([size, *(": ".join(each).encode("latin-1") for each in trailers), b"", b""])


_FORMS: dict[ChunkForm | None, bytes] = {
    None: b"%x\r\n%b\r\n",
    "extensions": b'%x;a;b=1;c="; \\""\r\n%b\r\n',
    "zeros": b"%08X\r\n%b\r\n",
}
"""A chunk in each form, to be filled with its size and its data."""


def unchunked(data: bytes, count: int) -> list[bytes]:
    """The contents of the first chunks, as many as `count`. The end of the body, and what follows it, is not read."""
    pieces: list[bytes] = []
    start = 0
    for _ in range(count):
        line = data.index(b"\r\n", start)
        end = line + 2 + int(data[start:line].partition(b";")[0], 16)
        pieces.append(data[line + 2 : end])
        start = end + 2
    return pieces


class Chunks(Sequence[Frame]):
    """So many frames without delays, as the parts of their chunks. Frames are made of them only if somebody looks at
    one."""

    def __init__(self, parts: Sequence[bytes], count: int) -> None:
        self.parts = parts
        self._count = count

    @classmethod
    def of(cls, pieces: Sequence[bytes]) -> Chunks:
        """One frame for each of these pieces, none of which is empty."""
        return cls([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces], len(pieces))

    @cached_property
    def _frames(self) -> tuple[Frame, ...]:
        return tuple(map(Frame, unchunked(b"".join(self.parts), self._count)))

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Frame: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Frame, ...]: ...
    def __getitem__(self, place: int | slice) -> Frame | tuple[Frame, ...]:
        return self._frames[place]

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (tuple, Chunks)) and self._frames == tuple(other)

    def __hash__(self) -> int:
        return hash(self._frames)


class PacedChunks(OnDemand[Frame]):
    """So many frames, each made as a chunk when it leaves: `chunks` starts anew, and `delays` has the delay of each.

    size: see OnDemand.
    """

    def __init__(
        self, chunks: Callable[[], Iterable[bytes]], delays: Callable[[], Iterable[float]], count: int, size: int
    ) -> None:
        super().__init__(lambda: map(_frame, chunks(), delays()), size, count)
        self.chunks = chunks
        self.delays = delays


def _frame(data: bytes, delay: float) -> Frame:
    """The frame in a chunk."""
    return Frame(data[data.index(b"\r\n") + 2 : -2], delay)
