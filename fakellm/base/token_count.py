"""Counts the tokens of a long text without cutting it: as many as `tokenizer.split` finds, in a small part of its time.

Whether a token begins at a character depends on the class of that character and on those of its neighbours. So each
character becomes a byte with a bit for its class, all bytes become one large integer, and a few operations on it find
all beginnings at once. Knows no models; `tokenizer` defines what a token is, and this must be changed with it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

_LETTER, _DIGIT, _MARK, _SPACE, _BLANK, _LINE_END, _UNDERSCORE, _WHITE = range(8)
"""The number of the bit of each class. A space is also a blank, an underscore a mark; all white space has the last."""

_MOST_DIGITS = 100
"""A piece with more digits in a row is cut after all."""

_PIECE = 1 << 15
"""Characters that are counted at a time, so that their integers stay in the cache of the processor."""


def _class(character: str) -> int:
    if character in "\r\n":
        return 1 << _LINE_END | 1 << _WHITE
    if character.isspace():
        return 1 << _BLANK | 1 << _WHITE | (character == " ") << _SPACE
    if character.isdecimal():
        return 1 << _DIGIT
    return 1 << _LETTER if character.isalnum() else 1 << _MARK | (character == "_") << _UNDERSCORE


_CLASSES = bytes(_class(chr(byte)) for byte in range(256))
"""The classes of the characters of Latin-1."""

_LIKE = {1 << _LETTER: "é", 1 << _DIGIT: "0", 1 << _BLANK | 1 << _WHITE: "\t", 1 << _MARK: "!"}
"""A character of Latin-1 for each class; the letter is in no contraction."""


def _latin(error: UnicodeError) -> tuple[str, int]:
    """Replaces characters outside Latin-1 by others of their class. The long s is another case of `s` for
    contractions."""
    assert isinstance(error, UnicodeEncodeError)
    found = error.object[error.start : error.end]
    return (_short_like if len(found) < 10 else _like)(found), error.end


def _like(characters: str) -> str:
    return "".join("s" if each == "\u017f" else _LIKE[_class(each)] for each in characters)


_short_like = lru_cache(maxsize=1024)(_like)
codecs.register_error("fakellm.latin", _latin)


_LETTERS = re.escape(bytes(byte for byte in range(256) if _CLASSES[byte] == 1 << _LETTER))
_ENDING = rb"(?i:[sdmt]|ll|ve|re)(?![%b])" % _LETTERS
_SHORTENED = re.compile(rb"'(?<=[%b]')%b(?:'%b)?" % (_LETTERS, _ENDING, _ENDING))
"""A contraction, which is part of the word before it. If another follows at once, that one begins a token."""

_SLASHES = re.compile(rb"\n(/+)([\r\n/]*)")
"""Slashes at the start of a line: marks include the line ends and slashes that follow them."""


def count(text: str, cut: Callable[[str], list[str]]) -> int:
    """The number of tokens in `text`; `cut` is the tokenizer, for pieces that are too unusual."""
    data, total, start = text.encode("latin-1", "fakellm.latin"), 0, 0
    while start < len(data):
        end = _end(data, start)
        piece = data[start:end]
        found = _counted(_SLASHES.sub(_without_slashes, piece))
        total += len(cut(piece.decode("latin-1"))) if found is None else found
        start = end
    return total


def _end(data: bytes, start: int) -> int:
    """Where the piece from `start` on ends: between a letter and a space, where a token ends whatever is around."""
    end = start + _PIECE
    while start < end < len(data):
        end = data.rfind(b" ", start + 1, end)
        if end > 0 and _CLASSES[data[end - 1]] == 1 << _LETTER:
            return end
    return len(data)


def _without_slashes(found: re.Match[bytes]) -> bytes:
    """One line end in place of all line ends and slashes that the marks before them include."""
    place = found.start() - 1
    while place >= 0 and found.string[place] in b"\r\n":
        place -= 1
    if place >= 0 and _CLASSES[found.string[place]] >> _MARK & 1:
        return b"\n"
    return b"\n%b%b" % (found[1], b"\n" if found[2] else b"")


class _Masks(NamedTuple):
    """For so many characters, the bit of one class in each byte; `runs`: of letters, digits and marks."""

    runs: int
    digit: int
    mark: int
    blank: int
    line_end: int

    @classmethod
    def of(cls, size: int) -> _Masks:
        lowest = int.from_bytes(b"\1" * size, "little")
        letter, digit, mark = (lowest << each for each in (_LETTER, _DIGIT, _MARK))
        return cls(letter | digit | mark, digit, mark, lowest << _BLANK, lowest << _LINE_END)


_masks = _Masks.of(_PIECE)


def _counted(piece: bytes) -> int | None:
    """The number of tokens in Latin-1; None if it has to be cut to count them.

    `x >> 8` holds the characters after each, `x << 8` those before; a shift by less or more than 8 also moves the bit
    of one class to that of another. `x ^ x & y` is `x & ~y`, without a negative number, which would take longer.
    """
    if b"\r" in piece and b"\r/" in piece:
        return None
    masks = _masks if len(piece) <= _PIECE else _Masks.of(len(piece))
    here = int.from_bytes(piece.translate(_CLASSES), "little")
    before = here << 8
    starts = here & masks.runs
    starts ^= starts & before
    # A word includes one mark before it, unless a space is before that: the space and the mark are then a token.
    follower = here >> 8 - _MARK + _LETTER  # a letter, in place of a mark; also a mark, in place of a blank
    included = starts & masks.mark & follower
    starts ^= included ^ included & (here >> _UNDERSCORE - _MARK | here << 8 + _MARK - _SPACE)
    # The last blank of a run is part of a word after it and, if it is a space, of marks after it. The others are one
    # token.
    blank = here & masks.blank
    last = blank ^ blank & here >> 8 + _WHITE - _BLANK
    others = last >> 8 & blank
    marked = last & follower
    alone = last & here >> 8 + _DIGIT - _BLANK | marked ^ marked & here << _BLANK - _SPACE
    # White space up to its last line end is a token, but marks include the line ends that follow them.
    line_end = here & masks.line_end
    line_end ^= line_end & before
    total = int(_ends_in_blank(piece))
    if line_end & here << 8 + _LINE_END - _BLANK:
        total, line_end = total + _lines(here, masks), 0
    else:
        line_end ^= line_end & here << 8 + _LINE_END - _MARK
    total += (starts | others | alone | line_end).bit_count()
    if b"'" in piece:
        total -= len(_SHORTENED.findall(piece))
    further = _further_digits(here & masks.digit)
    return None if further is None else total + further


def _ends_in_blank(piece: bytes) -> bool:
    """Whether the text ends in one blank, a token that nothing follows."""
    blanks = [_CLASSES[byte] >> _BLANK & 1 for byte in piece[-2:]]
    return blanks[-1:] == [1] and blanks[:-1] != [1]


def _lines(here: int, masks: _Masks) -> int:
    """The runs of white space with a line end that no marks include, where blanks are before line ends.

    A one that is added to the first of a row of full bytes turns them into zeros, and appears after the last of them.
    """
    line_end = (here & masks.line_end) >> _LINE_END
    white = line_end | (here & masks.blank) >> _BLANK
    full = line_end * 255
    kept = full + (line_end & (here & masks.mark) << 8 >> _MARK) & line_end
    full = white * 255
    ends = full + kept
    return (ends ^ ends & full).bit_count()


def _further_digits(digit: int) -> int | None:
    """The tokens of digits after the first three of each run, three digits each; None if a run is very long."""
    two = digit & digit << 8
    four = two & two << 16
    if not four:
        return 0
    starts, total = digit ^ two, 0
    for _ in range(_MOST_DIGITS // 3):
        starts = starts << 24 & four
        if not starts:
            return total
        total += starts.bit_count()
    return None
