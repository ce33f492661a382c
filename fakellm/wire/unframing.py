"""Infers the framing of a recorded stream: the inverse of `framing.frame`.

It knows the lines of server-sent events, but no JSON and no provider.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from fakellm.wire.framing import Framing, Insert
from fakellm.wire.sse import Decoder

_MARK = b"\xef\xbb\xbf"
"""The byte order mark."""
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$")


def blocks(body: bytes) -> list[bytes]:
    """The stream in pieces, each up to its blank line; a blank line with nothing before it is a piece of its own."""
    found: list[list[bytes]] = [[]]
    for line in _LINE.findall(body):
        found[-1].append(line)
        if not line.strip(b"\r\n"):
            found.append([])
    return [b"".join(lines) for lines in found if lines]


def data_of(block: bytes) -> str | None:
    """The data of the event in a piece; None if it has no event. The last piece may lack its blank line, and `[DONE]`
    may have spaces around it."""
    events = Decoder().feed(block.rstrip(b"\r\n") + b"\n\n") if block.strip(b"\r\n") else []
    if not events or events[0].event != "message":
        return None
    return "[DONE]" if events[0].data.strip() == "[DONE]" else events[0].data


def framing(pieces: Sequence[bytes]) -> Framing:
    """The framing of the pieces, as far as one framing describes it: line ends, the space, keep-alives, blank lines."""
    marked = bool(pieces) and pieces[0].startswith(_MARK)
    pieces = [pieces[0].removeprefix(_MARK), *pieces[1:]] if marked else pieces
    data = [data_of(piece) for piece in pieces]
    if _are_typed(pieces, data):  # `[DONE]` may follow
        data = [_any_data(piece) if each is None else each for piece, each in zip(pieces, data, strict=True)]
    events = [piece for piece, each in zip(pieces, data, strict=True) if each is not None]
    done = next((number for number, each in enumerate(data) if each == "[DONE]"), len(data))
    last = pieces[-1] if pieces else b"\n\n"
    return Framing(
        line_end="crlf" if any(b"\r\n" in piece for piece in events) else "lf",
        space=not any(re.search(rb"^data:\{", piece, re.MULTILINE) for piece in events),
        data_first=any(re.match(rb"(?:data:[^\r\n]*[\r\n]+)+event:", piece) for piece in pieces),
        bom=marked,
        insert=tuple(_inserts(pieces, data)),
        after=tuple(each for each in data[done + 1 :] if each is not None),
        ends_with=_ending(last),
    )


def _are_typed(pieces: Sequence[bytes], data: Sequence[str | None]) -> bool:
    """Whether the events of a stream have types: most of them have one."""
    typed = sum(piece.startswith(b"event:") for piece in pieces)
    return typed > sum(each is not None for each in data)


def _any_data(piece: bytes) -> str | None:
    """The data of the event in a piece, whatever its type."""
    events = Decoder().feed(piece.rstrip(b"\r\n") + b"\n\n") if piece.strip(b"\r\n") else []
    return events[0].data if events else None


def _ending(last: bytes) -> Literal["blank_line", "line_end", "nothing"]:
    if re.search(rb"(\r\n|\n|\r)\1$", last) or not last.strip():
        return "blank_line"
    return "line_end" if last.endswith((b"\r", b"\n")) else "nothing"


def _inserts(pieces: Sequence[bytes], data: Sequence[str | None]) -> list[Insert]:
    """The comments and blank lines, each text once, with the numbers of the events that it precedes."""
    places: dict[str | None, list[int]] = {}
    number = 0
    for piece, each in zip(pieces, data, strict=True):
        if each is not None:
            number += 1
        elif _is_insert(piece):
            places.setdefault(_comment(piece), []).append(number)
    return [Insert(before=tuple(before), comment=text) for text, before in places.items()]


def _is_insert(piece: bytes) -> bool:
    """Whether a piece is a blank line or one comment."""
    lines = piece.splitlines()
    return lines[:1] == [b""] or (len(lines) <= 2 and lines[0].startswith(b":"))


def _comment(piece: bytes) -> str | None:
    """The text of a comment; None for a blank line."""
    line = piece.decode("utf-8", "replace").splitlines()[0]
    text = line.removeprefix(":")
    return (text.removeprefix(" ") if text.strip(" ") else text) if line else None
