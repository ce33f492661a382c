"""Writes JSON values as text: compact, indented, or in the style of a provider. It knows no API."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

JSON = dict[str, Any]


def dumps(value: Any, indent: int | None = None) -> str:
    """Compact or indented JSON. Only lone surrogates, which UTF-8 cannot encode, are escaped."""
    text = _COMPACT(value)
    if _is_utf8(text):
        return text if indent is None else msgspec.json.format(text, indent=indent)  # the json module would be slow
    if indent is not None:  # msgspec accepts no lone surrogates, escaped or not
        text = json.dumps(value, ensure_ascii=False, indent=indent)
    return text.encode("utf-8", "backslashreplace").decode()


def indented(text: str, indent: int = 2) -> str:
    """JSON with a line for each value; its numbers and escapes stay as they are."""
    try:
        return msgspec.json.format(text, indent=indent)
    except (msgspec.DecodeError, RecursionError):  # a lone surrogate
        return dumps(json.loads(text), indent)


_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Made once: json.dumps would make a new encoder for each frame."""


class TextStyle(Protocol):
    """How a provider writes JSON: escapes, spaces, floats and the order of keys. None means the compact form."""

    @property
    def ascii(self) -> bool | None: ...
    @property
    def html(self) -> bool | Literal["angles"] | None: ...
    @property
    def escapes(self) -> Literal["usual", "slashes", "long"] | None: ...
    @property
    def spaces(self) -> bool | Literal["colons"] | None: ...
    @property
    def floats(self) -> Literal["exponent", "decimal", "shortest", "double"] | None: ...
    @property
    def order(self) -> Literal["usual", "sorted", "reversed"] | None: ...


def spelled(value: Any, spelling: TextStyle) -> str:
    """The JSON of a chunk in the style of `spelling`."""
    special = (spelling.html and type(value) is str and _OF_HTML.search(value)) or spelling.escapes in _ESCAPES
    if type(value) is str and value.isascii() and not special:
        return encode_basestring(value)  # all other styles write it so
    if spelling.order in ("sorted", "reversed"):
        value = rearranged(value, spelling.order == "sorted")
    text = dumps(value)
    if spelling.spaces:
        text = _SPACED[spelling.spaces](value).encode("utf-8", "backslashreplace").decode()
    if spelling.floats in ("decimal", "shortest") and "e-" in text:
        text = _NUMBER.sub(_decimal if spelling.floats == "decimal" else _shortest, text)
    elif spelling.floats == "double" and _LONG.search(text):
        text = _LONG.sub(_double, text)
    if spelling.html:
        text = text.translate(_ANGLES if spelling.html == "angles" else _HTML)
    text = _ascii(text) if spelling.ascii else text
    return _ESCAPES[spelling.escapes](text) if spelling.escapes in _ESCAPES else text


def spelled_texts(texts: Sequence[str], style: TextStyle) -> list[str]:
    """The JSON of many texts in the style of `style`: as `spelled` writes each, and faster."""
    joined = "".join(texts)
    special = (style.html and _OF_HTML.search(joined)) or style.escapes in _ESCAPES
    if special or (style.ascii and not joined.isascii()) or not _is_utf8(joined):
        return [spelled(text, style) for text in texts]
    return list(map(encode_basestring, texts))


def writable(text: str) -> str:
    """The text with its lone surrogates, which UTF-8 cannot encode, as escapes."""
    return text if _is_utf8(text) else text.encode("utf-8", "backslashreplace").decode()


def _is_utf8(text: str) -> bool:
    """Whether UTF-8 can encode a text: it has no lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*+"|[-\d.]+e-\d+')
"""A string, which is skipped, or a number with an exponent."""


_LONG = re.compile(r'"(?:[^"\\]|\\.)*+"|-?\d+\.\d+(?:e[+-]\d+)?')
"""A string, which is skipped, or a number with a fraction."""


def _double(found: re.Match[str]) -> str:
    """A number as C++ writes a double: with 15 digits, or with 17 if those are not enough."""
    if found[0].startswith('"'):
        return found[0]
    value = float(found[0])
    return found[0] if value.is_integer() or float(f"{value:.15g}") == value else f"{value:.17g}"


def _decimal(found: re.Match[str]) -> str:
    """A number as JavaScript writes it: without an exponent down to a millionth, below that with one that has no zero
    in front."""
    number, _, exponent = found[0].partition("e-")
    if number.startswith('"'):
        return found[0]
    return format(Decimal(found[0]), "f") if int(exponent) < 7 else f"{number}e-{int(exponent)}"


def _shortest(found: re.Match[str]) -> str:
    """A number as Rust writes it: without an exponent down to a hundred-thousandth."""
    number, _, exponent = found[0].partition("e-")
    return _decimal(found) if number.startswith('"') or int(exponent) < 6 else f"{number}e-{int(exponent)}"


_HTML = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
"""What Go escapes, so that JSON can stand in HTML and JavaScript: https://pkg.go.dev/encoding/json#HTMLEscape"""
_SPACED = {
    True: json.JSONEncoder(ensure_ascii=False).encode,
    "colons": json.JSONEncoder(ensure_ascii=False, separators=(",", ": ")).encode,
}
_OF_HTML = re.compile("[<>&\u2028\u2029]")
_ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|(.))")
_SHORT = {"b": 8, "t": 9, "n": 10, "f": 12, "r": 13, '"': 34, "/": 47, "\\": 92}
"""The characters that JSON escapes with one letter (RFC 8259, section 7)."""


def _long(found: re.Match[str]) -> str:
    code = int(found[1], 16) if found[1] else _SHORT[found[2]]
    return f"\\u{code:04X}"


_ESCAPES: dict[str | None, Callable[[str], str]] = {
    "slashes": lambda text: text.replace("/", "\\/"),
    "long": lambda text: _ESCAPE.sub(_long, text),
}
"""Other ways to escape what is in JSON: as PHP writes slashes, and with the longest form, in capitals."""
_ANGLES = {ord(character): f"\\u{ord(character):04x}" for character in "<>"}


class WordForWord(Struct, frozen=True):
    """JSON whose keys keep their order, wherever it appears."""

    value: Any


def rearranged(value: Any, in_order: bool = True) -> Any:
    """JSON with the keys of every object in alphabetical order or, if not `in_order`, in reverse order."""
    if isinstance(value, WordForWord):
        return value.value
    if isinstance(value, list):
        return [rearranged(item, in_order) for item in value]
    if not isinstance(value, dict):
        return value
    keys = sorted(value) if in_order else reversed(value)
    return {key: rearranged(value[key], in_order) for key in keys}


def _ascii(text: str) -> str:
    """The JSON with every character outside ASCII escaped: such characters only occur in JSON strings."""
    return text if text.isascii() else "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    return character if character.isascii() else json.dumps(character)[1:-1]
