"""Cuts a response within HTTP's own lines, where a network may cut it too. It knows no sockets.

What encloses the data of a chunk may arrive apart from it (RFC 9112, section 7.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from fakellm.wire.http.http1 import Burst, end_of_head

_WITHIN_THE_STATUS_LINE = 12


def within_framing(bursts: Iterable[Burst], chunked: bool) -> Iterator[Burst]:
    """The bursts of a response, the first of them cut in the status line, in the blank line after the head and, if the
    body is `chunked`, in the line before the first chunk and in the line end after it. A read ends at each cut."""
    others = iter(bursts)
    first = next(others)
    inside = [place for place in _places(first.data, chunked) if place < len(first.data)]
    for start, end in pairwise((0, *inside, len(first.data))):
        frames = first.frames if end == len(first.data) else 0
        if start:
            yield Burst(first.data[start:end], 0.0, frames, separate=True)
        else:
            yield Burst(first.data[:end], first.delay, frames, first.step)
    yield from others


def _places(data: bytes, chunked: bool) -> tuple[int, ...]:
    body = end_of_head(data)
    if not chunked or body == len(data):
        return _WITHIN_THE_STATUS_LINE, body - 1
    size_end = data.index(b"\r\n", body)
    data_end = size_end + 2 + int(data[body:size_end].partition(b";")[0], 16)
    return _WITHIN_THE_STATUS_LINE, body - 1, size_end + 1, data_end, data_end + 1
