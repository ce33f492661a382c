"""A stream as one JSON array, whose items are its events: the framing and its inverse. Knows no API.

An item leaves as soon as it is written, with the bracket or the comma before it: a reader that waits for the end of the
array waits for the whole stream. White space between items means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from fakellm.base.json_text import indented
from fakellm.wire.framing import Framing, Insert
from fakellm.wire.sse import Event

_SPACE = b" \t\r\n"


class Items(Framing, frozen=True):
    """How the items of an array are framed: each event is an item, with a line for each value in it. An insert is a
    blank line. `line_end` ends the line of a comma."""

    closing: ClassVar[tuple[str, ...]] = ()
    uniform: ClassVar[bool] = False
    last: ClassVar[tuple[str, ...]] = ("]",)

    def event_lines(self, event: Event, number: int) -> tuple[str, ...]:
        return (indented(event.data),)

    def insert_lines(self, insert: Insert) -> tuple[str, ...]:
        return ("",)

    def comment_lines(self, text: str) -> tuple[str, ...]:
        return ("",)

    def joined(self, blocks: Sequence[tuple[str, ...]]) -> list[str]:
        """The text of each block: the first item opens the array; only the last block can close it."""
        pieces: list[str] = []
        before, comma = "[", ",\r\n" if self.line_end == "crlf" else ",\n"
        for number, lines in enumerate(blocks):
            text = "\n".join(lines)
            if lines == self.last:
                closes = number == len(blocks) - 1 and self.ends_with != "nothing"
                pieces.append(before.removesuffix(comma) + "]" if closes else "")
            elif text.strip():
                pieces.append(f"{before}{text}\n")
                before = comma
            else:
                pieces.append("\n")
        return pieces


def items(framing: Framing) -> Items:
    """The part of a framing that an array can have."""
    return Items(
        line_end="crlf" if framing.line_end in ("crlf", "mixed") else "lf",
        insert=tuple(Insert(before=each.before) for each in framing.insert),
        ends_with="nothing" if framing.ends_with == "nothing" else "blank_line",
    )


def blocks(body: bytes) -> list[bytes]:
    """The array in pieces, each up to the line end after its item; the end of the array is a piece of its own."""
    decoder, found, start = ItemDecoder(), [], 0
    for place in range(len(body)):
        if decoder.feed(body[place : place + 1]):
            end = place + 2 if body[place + 1 : place + 2] == b"\n" else place + 1
            found.append(body[start:end])
            start = end
    return [*found, body[start:]] if body[start:] else found


def unframed(pieces: Sequence[bytes]) -> Framing:
    """The framing of which `items` makes that of these pieces, as far as one framing describes them."""
    line_ends = [piece.startswith(b",\r\n") for piece in pieces[1:] if piece.startswith(b",")]
    closed = bool(pieces) and pieces[-1].rstrip().endswith(b"]")
    return Framing(
        line_end="crlf" if all(line_ends) else "lf",
        ends_with="blank_line" if closed else "nothing",
    )


class ItemDecoder:
    """Decodes bytes, cut anywhere, into the items of an array. What is not an array is one item, once it is whole.

    `feed` returns each item as soon as its last byte has arrived; `closed` is true once the array has ended.
    """

    def __init__(self) -> None:
        self._item = bytearray()
        self._depth = 0
        self._text = self._escaped = False
        self._open = self.closed = False

    def feed(self, data: bytes) -> list[Event]:
        """The items that `data` completes."""
        found = []
        for byte in data:
            if (event := self._read(byte)) is not None:
                found.append(event)
        return found

    def finish(self) -> list[Event]:
        """The item that the end of the stream cuts, if there is one."""
        event = self._completed()
        return [event] if event else []

    def _read(self, byte: int) -> Event | None:
        if self._text:
            self._item.append(byte)
            self._text = self._escaped or byte != 0x22
            self._escaped = byte == 0x5C and not self._escaped
            return None
        if not self._depth and not self._item:
            if byte in _SPACE:
                return None
            if byte == 0x5B and not self._open:
                self._open = True
                return None
        if not self._depth and byte in b",]":
            event = self._completed()
            if byte == 0x5D:
                self._open, self.closed = False, True
            return event
        self._item.append(byte)
        self._text = byte == 0x22
        if byte in b"[{":
            self._depth += 1
        elif byte in b"]}":
            self._depth -= 1
            return self._completed() if self._depth <= 0 else None
        return None

    def _completed(self) -> Event | None:
        data = self._item.decode("utf-8", "replace").strip()
        self._item.clear()
        self._depth = 0
        return Event(data) if data else None
