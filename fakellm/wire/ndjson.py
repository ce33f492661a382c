"""NDJSON: a stream with one JSON value on each line. Owns Lines, the decoder, and the inverse of the framing.

Lines end with LF or CRLF, and nothing else ends a line: not CR alone, and not what `str.splitlines` knows besides. A
blank line means nothing. https://github.com/ndjson/ndjson-spec
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from fakellm.wire.framing import Framing, Insert
from fakellm.wire.sse import Event


class Lines(Framing, frozen=True):
    """How the lines of a stream are framed: each event is the line with its data. An insert is a blank line."""

    closing: ClassVar[tuple[str, ...]] = ()

    def event_lines(self, event: Event, number: int) -> tuple[str, ...]:
        return (event.data,)

    def insert_lines(self, insert: Insert) -> tuple[str, ...]:
        return ("",)

    def comment_lines(self, text: str) -> tuple[str, ...]:
        return ("",)


def lines(framing: Framing) -> Lines:
    """The part of a framing that lines can have: CRLF, blank lines, and a last line without its end."""
    return Lines(
        line_end="crlf" if framing.line_end in ("crlf", "mixed") else "lf",
        insert=tuple(Insert(before=each.before) for each in framing.insert if each.lines() == []),
        ends_with="nothing" if framing.ends_with == "nothing" else "blank_line",
    )


class LineDecoder:
    """Decodes bytes, cut anywhere, into events: one for each line that is not blank."""

    def __init__(self) -> None:
        self._line: list[bytes] = []  # the pieces of the unfinished line

    def feed(self, data: bytes) -> list[Event]:
        """The events whose lines `data` ends."""
        first, *others = data.split(b"\n")
        self._line.append(first)
        if not others:
            return []
        ended = [b"".join(self._line), *others[:-1]]
        self._line = [others[-1]]
        return [Event(_text(line)) for line in ended if line.strip()]

    def finish(self) -> list[Event]:
        """The event of the last line, if the stream ends without ending it."""
        line, self._line = b"".join(self._line), []
        return [Event(_text(line))] if line.strip() else []


def blocks(body: bytes) -> list[bytes]:
    """The stream in pieces, each a line with its end."""
    found = [line + b"\n" for line in body.split(b"\n")]
    return [*found[:-1], *([found[-1][:-1]] if found[-1] != b"\n" else [])]


def unframed(pieces: Sequence[bytes]) -> Framing:
    """The framing of which `lines` makes that of these lines, as far as one framing describes them."""
    blank: list[int] = []
    number = 0
    for piece in pieces:
        if piece.strip():
            number += 1
        else:
            blank.append(number)
    return Framing(
        line_end="crlf" if any(piece.endswith(b"\r\n") and piece.strip() for piece in pieces) else "lf",
        insert=(Insert(before=tuple(blank)),) if blank else (),
        ends_with="nothing" if pieces and not pieces[-1].endswith(b"\n") else "blank_line",
    )


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")
