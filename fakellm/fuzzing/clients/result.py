"""What a client made of a stream: a result, or how it failed. Owns these values, and how foreign ones are read.

A driver's line, a mapping and a Result say the same by the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType


class Call(Struct, frozen=True, forbid_unknown_fields=True):
    """A tool call as the client gives it; `arguments` as text, or parsed. Its `id` is not compared."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None
    id: str | None = None


class Usage(Struct, frozen=True):
    """Tokens as the client counts them, by OpenAI's names."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class Answer(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One choice. What a client has no notion of is left out, which is not the same as null: a client that reports
    usage, and has found none, says null."""

    content: str | UnsetType | None = UNSET
    reasoning: str | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    tool_calls: tuple[Call, ...] | UnsetType | None = UNSET
    finish_reason: str | UnsetType | None = UNSET


class Result(Answer, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """All that a client returned: its first choice, the usage and, where it knows several, all `choices`."""

    usage: Usage | UnsetType | None = UNSET
    choices: tuple[Answer, ...] | UnsetType | None = UNSET


class Failed(Struct, frozen=True):
    """That a client returned nothing.

    how: it `raised` an error, its process `died`, what it answered is `rubbish`, or it `hung` until the deadline.
    leaked: the error is Python's own, and says nothing of what the client was doing: a KeyError, a JSONDecodeError.
    """

    how: Literal["raised", "died", "rubbish", "hung"]
    type: str = ""
    message: str = ""
    leaked: bool = False


class _Error(Struct):
    type: str = ""
    message: str = ""


_OWN = frozenset(
    "ArithmeticError AssertionError AttributeError EOFError IndexError JSONDecodeError KeyError LookupError NameError "
    "RecursionError StopAsyncIteration StopIteration SyntaxError TypeError UnboundLocalError UnicodeDecodeError "
    "UnicodeEncodeError ValueError ZeroDivisionError ReferenceError RangeError".split()
)
"""Errors of a language and its library, by their names."""


_LINE = frozenset(("id", "error"))
"""What a driver's line has besides a result."""


def read(said: object) -> Result | Failed:
    """What a client returned, or a driver printed: a Result, or a mapping with its names or with an `error`."""
    if isinstance(said, Result):
        said = msgspec.to_builtins(said)
    if not isinstance(said, Mapping):
        return Failed("rubbish", message=f"expected a Result or a mapping with its names, got {said!r:.200}")
    try:
        if said.get("error") is not None:
            error = msgspec.convert(said["error"], _Error)
            return failed(error.type, error.message)
        return msgspec.convert({name: said[name] for name in said if name not in _LINE}, Result, strict=True)
    except msgspec.ValidationError as error:
        return Failed("rubbish", message=f"{error}; the names are {', '.join(Result.__struct_fields__)}: {said!r:.200}")


def failed(kind: str, message: str) -> Failed:
    """That a client raised an error of this type."""
    return Failed("raised", kind, message, kind.rpartition(".")[2] in _OWN)
