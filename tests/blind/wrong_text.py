"""Wrong clients: UTF-8, byte order marks and characters (RFC 3629, HTML 9.2.5)."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterable, Iterator

from tests.blind.bug import wrong
from tests.blind.chat import Chat


@wrong(Chat, "text", "RFC 3629 3: a character has up to four octets, which may arrive apart")
def decodes_each_read(self: Chat, pieces: Iterable[bytes]) -> Iterator[str]:
    """Decodes each read by itself, and fails at half a character."""
    for number, piece in enumerate(pieces):
        yield piece.decode("utf-8" if number else "utf-8-sig")


@wrong(Chat, "text", "RFC 3629 3: a character has up to four octets, which may arrive apart")
def drops_half_characters(self: Chat, pieces: Iterable[bytes]) -> Iterator[str]:
    """Decodes each read by itself, without what is not whole."""
    for number, piece in enumerate(pieces):
        yield piece.decode("utf-8" if number else "utf-8-sig", "ignore")


@wrong(Chat, "text", "HTML 9.2.5: streams are decoded as UTF-8, where an invalid byte is U+FFFD")
def drops_invalid_bytes(self: Chat, pieces: Iterable[bytes]) -> Iterator[str]:
    """Leaves out bytes that are not UTF-8, as if nothing had been there."""
    decoder = codecs.getincrementaldecoder("utf-8")("ignore")
    for number, piece in enumerate(pieces):
        text = decoder.decode(piece)
        yield text if number else text.removeprefix("\ufeff")


@wrong(Chat, "text", "HTML 9.2.5: event streams are always UTF-8; no charset can change it")
def decodes_latin_1(self: Chat, pieces: Iterable[bytes]) -> Iterator[str]:
    """Decodes text without a charset as ISO-8859-1, as HTTP once had it."""
    for piece in pieces:
        yield piece.decode("latin-1").removeprefix("ï»¿")


@wrong(Chat, "text", "HTML 9.2.5: one leading byte order mark is ignored")
def keeps_the_byte_order_mark(self: Chat, pieces: Iterable[bytes]) -> Iterator[str]:
    """Takes a byte order mark for the first character of the first field's name."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for piece in pieces:
        yield decoder.decode(piece)


@wrong(Chat, "text", "HTML 9.2.5: only one byte order mark, at the start, is ignored")
def removes_every_byte_order_mark(self: Chat, pieces: Iterable[bytes]) -> Iterator[str]:
    """Removes U+FEFF wherever it is, even within a word."""
    for text in Chat.text(self, pieces):
        yield text.replace("\ufeff", "")


@wrong(Chat, "joined", "RFC 3629 3: code points go up to U+10FFFF")
def has_three_bytes_for_a_character(self: Chat, pieces: Iterable[str]) -> str:
    """Keeps the characters that a column of type utf8 can, up to U+FFFF."""
    return "".join(char for char in "".join(pieces) if char <= "\uffff")


@wrong(Chat, "joined", "RFC 8259 7: any character may be in a string, if need be as an escape")
def ends_at_nul(self: Chat, pieces: Iterable[str]) -> str:
    """Ends a text at U+0000, as a string of C does."""
    return "".join(pieces).partition("\0")[0]


@wrong(Chat, "joined", "RFC 8259 7: any character may be in a string, if need be as an escape")
def removes_control_characters(self: Chat, pieces: Iterable[str]) -> str:
    """Removes control characters other than line ends and tabs."""
    return "".join(char for char in "".join(pieces) if char >= " " or char in "\t\r\n")


@wrong(Chat, "joined", "RFC 8259 8.3: strings are equal if they have the same code units")
def composes_characters(self: Chat, pieces: Iterable[str]) -> str:
    """Normalizes text: a letter and its combining accent become one character."""
    return unicodedata.normalize("NFC", "".join(pieces))


@wrong(Chat, "joined", "RFC 8259 7: CR and LF in a string are what they are")
def converts_line_ends(self: Chat, pieces: Iterable[str]) -> str:
    """Converts the line ends of the text itself."""
    return "".join(pieces).replace("\r\n", "\n").replace("\r", "\n")


@wrong(Chat, "joined", "OpenAI's chat reference: the deltas of content make up the message")
def strips_the_answer(self: Chat, pieces: Iterable[str]) -> str:
    """Strips whitespace from the ends of a text."""
    return "".join(pieces).strip()
