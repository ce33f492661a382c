"""Finds the edits between two long lists of frames in time that grows with their length.

`wire.frame_edits` finds few edits, but compares all equal frames with each other: two lists of 2,000 padding chunks
take it a minute. Here, long lists are divided where a frame occurs once in both, or else into blocks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec.structs import replace

from fakellm.wire.frame_edits import Edit, edits

MOST_WORK = 20_000_000
"""Lists are compared as a whole if their equal pairs of frames, times their length, are at most this: a fifth of a
second."""
_BLOCK = 100

Frames = Sequence[bytes]


def long_edits(rendered: Frames, recorded: Frames) -> tuple[Edit, ...]:
    """Edits that turn the rendered frames into the recorded ones: those of `edits`, unless the lists are long."""
    if _work(rendered, recorded) <= MOST_WORK:
        return edits(rendered, recorded)
    found: list[Edit] = []
    for start, one, other in _parts(rendered, recorded):
        found += [replace(edit, at=edit.at + start) for edit in edits(one, other)]
    return tuple(found)


def literal_places(patch: Sequence[Edit]) -> set[int]:
    """The numbers of the recorded frames that are literal in a patch."""
    places: set[int] = set()
    moved = 0
    for edit in sorted(patch, key=lambda edit: edit.at):
        start = edit.at + moved
        places.update(range(start, start + len(edit.frames)))
        moved += len(edit.frames) - edit.drop
    return places


def _work(rendered: Frames, recorded: Frames) -> int:
    counts = Counter(recorded)
    return sum(counts[frame] for frame in rendered) * max(len(rendered), len(recorded))


def _parts(rendered: Frames, recorded: Frames) -> Iterator[tuple[int, Frames, Frames]]:
    """Parts of both lists that belong together, and where each starts in the first."""
    for (start, first), (end, last) in pairwise(
        [(0, 0), *_anchors(rendered, recorded), (len(rendered), len(recorded))]
    ):
        one, other = rendered[start:end], recorded[first:last]
        if _work(one, other) <= MOST_WORK // 10:
            yield start, one, other
            continue
        common = min(len(one), len(other))
        for at in range(0, common, _BLOCK):
            stop = min(at + _BLOCK, common)
            yield start + at, one[at:stop], other[at:stop]
        yield start + common, one[common:], other[common:]


def _anchors(rendered: Frames, recorded: Frames) -> list[tuple[int, int]]:
    """The places of frames that occur once in both lists: the longest row of them that is in order in both."""
    once = {frame for frame, count in Counter(rendered).items() if count == 1}
    once &= {frame for frame, count in Counter(recorded).items() if count == 1}
    places = {frame: place for place, frame in enumerate(recorded) if frame in once}
    ends: list[int] = []  # for each length of a row, the smallest place at which one of that length ends
    rows: list[tuple[int, int, int]] = []  # place in both, and the row that it continues
    last: list[int] = []
    for start, frame in enumerate(rendered):
        if frame in once:
            length = bisect_left(ends, places[frame])
            ends[length : length + 1] = [places[frame]]
            last[length : length + 1] = [len(rows)]
            rows.append((start, places[frame], last[length - 1] if length else -1))
    found, row = [], last[-1] if last else -1
    while row >= 0:
        start, place, row = rows[row]
        found.append((start, place))
    return found[::-1]
