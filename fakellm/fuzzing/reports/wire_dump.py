"""Shows a response as text: one line per write, with what differs from the plain wire marked and what repeats left out.

Knows no API: a member of a JSON object that is as in an event above is left out wherever it is, unless it has content.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import NamedTuple

from fakellm.wire.kinds import NDJSON, kind_of
from fakellm.wire.plan import Plan

MAX_FRAMES = 40
"""How many frames of a response are shown."""
MAX_WIDTH = 2000
"""How many characters a line may have before it is cut."""
_AROUND = 200
"""How many characters of a line that is cut are shown, on each side of what matters."""

CUT, SAME, CHANGED, MISSING = "┊", "…", ">>>", "not sent:"
LEGEND = {
    CUT: "a write that ends inside an event",
    SAME: "as in an event above",
    CHANGED: "changed by the steps above, at ^ if that is a part of the line",
    MISSING: "left out by them",
}
"""What the marks mean."""


def legend(shown: str) -> str:
    """The meaning of the marks that this text has."""
    return "".join(f"; {mark} {meaning}" for mark, meaning in LEGEND.items() if mark in shown)


def dumped(plan: Plan, plain: Plan | None = None) -> str:
    """A response: its head in one line, then its frames. plain: the same without its steps and its fault."""
    head = "no head" if plan.status is None else f"HTTP {plan.status}"
    content_type = dict(plan.headers).get("Content-Type", "")
    ends = ("\n",) if kind_of(content_type) is NDJSON else ("\n\n", "\r\r", "\r\n\r\n", "\n\r\n")
    above: dict[str, str] = {}
    lines = [f"    {head} {content_type}".rstrip()]
    for write in _compared(_texts(plan), _texts(plain or plan)):
        lines += _lines(write, above, write.text.endswith(ends))
    more = len(plan.frames) - MAX_FRAMES
    lines += [f"    {SAME} and {more} more"] if more > 0 else []
    if plan.end != "complete":
        changed = plain is not None and plain.end == "complete"
        lines.append(f"{CHANGED if changed else '   '} <{plan.end}>")
    return "\n".join(lines)


def visible(text: str) -> str:
    """The text with escapes in place of characters that cannot be printed."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class _Write(NamedTuple):
    """A write, or one that only the plain wire has; and which part of it differs, if any does."""

    text: str
    start: int = 0
    end: int = 0
    mark: str = ""


def _texts(plan: Plan) -> list[str]:
    return [frame.data.decode("utf-8", "backslashreplace") for frame in plan.frames[:MAX_FRAMES]]


def _compared(texts: Sequence[str], plain: Sequence[str]) -> Iterator[_Write]:
    """The writes, with what differs from the plain ones."""
    recut = "".join(texts) == "".join(plain)
    for kind, first, last, begin, end in SequenceMatcher(None, plain, texts, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from map(_Write, texts[begin:end])
            continue
        for text, other in zip_longest(texts[begin:end], plain[first:last]):
            if text is None:
                yield from () if recut else (_Write(other, mark=MISSING),)
            else:
                yield _Write(text, len(text), len(text), CHANGED) if recut else _differing(text, other)


def _differing(text: str, other: str | None) -> _Write:
    """A write that is not as on the plain wire, which has the `other` in its place, if any."""
    if other is None:
        return _Write(text, 0, len(text), CHANGED)
    most = min(len(text), len(other))
    start = next((at for at in range(most) if text[at] != other[at]), most)
    tail = next((at for at in range(most - start) if text[-1 - at] != other[-1 - at]), most - start)
    return _Write(text, start, len(text) - tail, CHANGED)


def _lines(write: _Write, above: dict[str, str], whole: bool) -> Iterator[str]:
    """The line of a write and, if a part of it differs, one that points there. Adds its members to those above."""
    text, start, end, mark = write
    part = mark == CHANGED and start + len(text) - end > 0
    members = list(_members(text))
    same = [each for each in members if each.same_as(above) and not (part and each.begin < end and start < each.end)]
    above.update((each.path, each.raw) for each in members)
    pieces = list(_pieces(text, same))
    shown = "".join(piece for _, piece in pieces) + ("" if whole or mark == MISSING else CUT)
    shown, columns = _narrow(shown, [_column(pieces, start), _column(pieces, end)])
    if mark == MISSING:
        yield f"{CHANGED} {MISSING} {shown}"
        return
    yield f"{mark or '   '} {shown}"
    if part and (start < len(text) or not whole):
        yield f"    {' ' * columns[0]}{'^' * max(1, columns[1] - columns[0])}"


def _pieces(text: str, same: Sequence[_Member]) -> Iterator[tuple[int, str]]:
    """The text as it is shown, in pieces: each character with its place, and a mark for each run of members."""
    at = 0
    for begin, end in (*_runs(same, text), (len(text), len(text))):
        yield from ((place, visible(text[place])) for place in range(at, begin))
        if begin < end:
            yield begin, SAME
        at = end


def _column(pieces: Iterable[tuple[int, str]], place: int) -> int:
    """Where a place of the text is shown."""
    return sum(len(piece) for at, piece in pieces if at < place)


def _narrow(shown: str, columns: list[int]) -> tuple[str, list[int]]:
    """A line without what is far from its start or, if a part of it differs, from that part."""
    if len(shown) <= MAX_WIDTH:
        return shown, columns
    begin = max(0, columns[0] - _AROUND)
    stop = min(len(shown), begin + 2 * _AROUND)
    before, after = f"({begin:,} characters) " if begin else "", len(shown) - stop
    cut = f"{before}{shown[begin:stop]}" + (f" (and {after:,} more characters)" if after else "")
    return cut, [min(column - begin, 2 * _AROUND) + len(before) for column in columns]


class _Member(NamedTuple):
    """A key and a value of a JSON object in a text: where they are, and the keys that lead to them."""

    path: str
    raw: str
    begin: int
    end: int

    def same_as(self, above: dict[str, str]) -> bool:
        return self.path.rpartition("/")[2] not in _CONTENT and above.get(self.path) == self.raw


_CONTENT = ("type", "choices", "candidates", "delta", "text", "content", "arguments", "partial_json", "thinking")
"""Keys that are shown although they are as above: they say what an event is, or have content."""
_KEY = re.compile(r'\s*"((?:[^"\\]|\\.)*+)"\s*:\s*')
_COMMA = re.compile(r"\s*,")


def _members(text: str) -> Iterator[_Member]:
    """The members of the first JSON object in a text, and of the objects in it, up to what cannot be read."""
    start = text.find("{")
    try:
        yield from _within(text, start + 1, "") if start >= 0 else ()
    except (ValueError, RecursionError):
        return


def _within(text: str, at: int, path: str) -> Iterator[_Member]:
    while key := _KEY.match(text, at):
        where = f"{path}/{key[1]}"
        _, end = json.JSONDecoder().raw_decode(text, key.end())
        if text[key.end()] == "{" and end - key.end() > 2:
            yield from _within(text, key.end() + 1, where)
        else:
            yield _Member(where, text[key.end() : end], at, end)
        comma = _COMMA.match(text, end)
        if comma is None:
            return
        at = comma.end()


def _runs(members: Sequence[_Member], text: str) -> Iterator[tuple[int, int]]:
    """Where members follow each other, with nothing but commas between them; not where that is too short to matter."""
    runs: list[tuple[int, int]] = []
    for each in members:
        if runs and text[runs[-1][1] : each.begin].strip() == ",":
            runs[-1] = (runs[-1][0], each.end)
        else:
            runs.append((each.begin, each.end))
    return ((begin, end) for begin, end in runs if end - begin > _SHORT)


_SHORT = 12
