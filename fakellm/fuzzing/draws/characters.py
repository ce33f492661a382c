"""Odd characters in replies: their names for reports, and replies without them. Owns what is odd; knows no wire."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from fakellm.scenarios.reply import Reply

LINE_ENDS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""Characters that some readers take for line ends, although no standard of streams has them: row A11."""

_CONTROLS = {
    "\0": "NULL",
    "\b": "BACKSPACE",
    "\t": "CHARACTER TABULATION",
    "\v": "LINE TABULATION",
    "\f": "FORM FEED",
    "\r": "CARRIAGE RETURN",
    "\x1b": "ESCAPE",
    "\x1c": "FILE SEPARATOR",
    "\x1d": "GROUP SEPARATOR",
    "\x1e": "RECORD SEPARATOR",
    "\x1f": "UNIT SEPARATOR",
    "\x7f": "DELETE",
    "\x85": "NEXT LINE",
}
"""The names of control characters, which Unicode's own table leaves out."""


def odd(reply: Reply) -> list[str]:
    """The characters in the texts of a reply that are neither printable ASCII nor line feeds, in their order."""
    found = (each for text in _strings(msgspec.to_builtins(reply)) for each in text)
    return list(dict.fromkeys(each for each in found if each != "\n" and not " " <= each <= "~"))


def named(character: str) -> str:
    """A character by its code point and name: `U+0085 NEXT LINE`."""
    name = _CONTROLS.get(character) or unicodedata.name(character, "")
    return f"U+{ord(character):04X} {name}".rstrip()


def characters_of(exclude: Iterable[str]) -> str:
    """The characters among excluded names: `U+0085`. Others are steps."""
    codes = (int(each[2:], 16) for each in exclude if re.fullmatch(r"U\+[0-9A-Fa-f]{4,6}", each))
    return "".join(chr(code) for code in codes if code <= 0x10FFFF)


def has(reply: Reply, characters: str) -> bool:
    """Whether a text of the reply has one of the characters."""
    return bool(set(characters) & set(odd(reply))) if characters else False


def without(reply: Reply, characters: str) -> Reply:
    """The reply without these characters in its texts."""
    if not has(reply, characters):
        return reply
    return msgspec.convert(_without(msgspec.to_builtins(reply), str.maketrans("", "", characters)), Reply)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def _without(value: Any, table: dict[int, Any]) -> Any:
    if isinstance(value, str):
        return value.translate(table)
    if isinstance(value, dict):
        return {key: _without(each, table) for key, each in value.items()}
    return [_without(each, table) for each in value] if isinstance(value, list | tuple) else value
