"""Converts the values in a file to the types of its format, and words the problems in recordings.

It knows no format: a value of the wrong type is a CassetteError with the place of each problem. A key that a type does
not have is ignored with a note, because recorders add some in every version; one in its `IGNORED`, without.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import Meta, Struct

from fakellm.base.errors import CassetteError
from fakellm.base.validation import dotted, problems
from fakellm.recordings.cassette import Headers
from fakellm.recordings.formats.notes import note_unknown

T = TypeVar("T")

Status = Annotated[int, Meta(ge=100, le=999)]
Method = Annotated[str, Meta(pattern="^[A-Za-z]+$")]
Target = Annotated[str, Meta(pattern=r"^[^\x00-\x20\ud800-\udfff]+$")]
"""A URL or its path: no spaces, no control characters, no bytes that are not text."""

Scalar = str | int | float | bool
Values = Scalar | list[Scalar] | None
"""The value or values of a header; numbers if a YAML file has them without quotes."""


def typed(data: Any, hint: type[T], place: str) -> T:
    """The data as a `hint`. Raises CassetteError with every reason why it is not one, each with `place`."""
    try:
        value = msgspec.convert(data, hint)
        note_unknown(data, hint, place)
        return value
    except UnicodeEncodeError:
        raise CassetteError([f"{place}: expected text, got binary data that is not UTF-8"]) from None
    except msgspec.ValidationError as error:
        found = [(dotted(problem.path), problem.message) for problem in problems(data, hint)]
        lines = [f"{at(place, where)}: {message}" for where, message in found]
        raise CassetteError(lines or [f"{place}: {error}"]) from None


def at(place: str, where: str) -> str:
    """A place below another: of a value in an entry, or in a file."""
    return f"{place}{'.' if place.endswith(']') and not where.startswith('[') else ': '}{where}" if where else place


def json_value(data: bytes, name: str, line: int = 1, *, halves: bool = False) -> Any:
    """The JSON text as builtin values. Raises CassetteError with the line and column at which it is not valid JSON.

    line: the line of the file in which the text starts.
    halves: whether an escape may stand for half a surrogate pair, as in a body whose text is kept unchanged anyway.
    """
    try:
        text = data.decode()
        value = json.loads(text, parse_constant=_no_constant)
        if not halves and re.search(r"\\u[dD][89a-fA-F]", text):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except json.JSONDecodeError as error:
        cause = "the file was cut off" if error.pos >= len(text.rstrip()) else error.msg[:1].lower() + error.msg[1:]
        raise CassetteError([f"{name}:{line + error.lineno - 1}:{error.colno}: not valid JSON: {cause}"]) from None
    except UnicodeDecodeError as error:
        where = line + data.count(b"\n", 0, error.start)
        raise CassetteError([f"{name}:{where}: not UTF-8: byte 0x{data[error.start]:02x} at {error.start}"]) from None
    except ValueError as error:  # half a surrogate pair, NaN, a number of thousands of digits
        raise CassetteError([f"{name}:{line}: {error}"]) from None
    except RecursionError:
        raise CassetteError([f"{name}:{line}: nested too deeply"]) from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")


def headers(mapping: dict[str, Values] | None) -> Headers:
    """The pairs in a mapping of names to values: a name with several values is several headers."""
    several = [(name, values if isinstance(values, list) else [values]) for name, values in (mapping or {}).items()]
    return tuple((_text(name), _text(value)) for name, values in several for value in values if value is not None)


class Pair(Struct):
    """A header in a format with a list of headers."""

    IGNORED: ClassVar = ("comment", "_fromType")

    name: str
    value: Scalar = ""


def pairs(listed: list[Pair] | None) -> Headers:
    """The pairs in a list of headers."""
    return tuple((_text(pair.name), _text(pair.value)) for pair in listed or ())


def _text(value: Scalar) -> str:
    """The text of a header, one character of Latin-1 for each byte; other characters become their UTF-8 bytes."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if max(text, default="") <= "\xff" else text.encode(errors="surrogateescape").decode("latin-1")


def body(value: Any) -> bytes:
    """The bytes of a body that a file has as text, as null, or as the value of its JSON."""
    match value:
        case None:
            return b""
        case str():
            return value.encode(errors="surrogateescape")  # bytes that are not UTF-8: see yaml_values
        case _:  # its spaces and escapes are lost: written as Python's `json` does
            return json.dumps(value, ensure_ascii=False).encode()


def from_base64(text: str, place: str) -> bytes:
    """The bytes of base64, which may have line ends. Raises CassetteError."""
    try:
        return b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CassetteError([f"{place}: not valid base64: {error}"]) from None
