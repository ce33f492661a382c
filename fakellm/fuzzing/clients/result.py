"""What a client returned for a request: a result, or how it failed. Owns these values and how they are validated.

A Result, a mapping and a driver's line use the same names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace


class ReturnedCall(Struct, frozen=True, forbid_unknown_fields=True):
    """A tool call as the client returns it; `arguments` as text, or parsed. Its `id` is not compared."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None
    id: str | None = None


class ReturnedUsage(Struct, frozen=True):
    """Token counts as the client returns them, under OpenAI's names."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class ReturnedBlock(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A block of an answer, in APIs that have them in order: a `text`, `refusal` or `thinking` with its `text`, or a
    `tool_call` with its `name` and `arguments`."""

    type: Literal["text", "refusal", "thinking", "tool_call"]
    text: str | None = None
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class ReturnedChoice(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One choice. A field that the client does not report is left out, which is not the same as null: a client that
    reports usage and found none returns null."""

    content: str | UnsetType | None = UNSET
    reasoning: str | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    tool_calls: tuple[ReturnedCall, ...] | UnsetType | None = UNSET
    finish_reason: str | UnsetType | None = UNSET
    blocks: tuple[ReturnedBlock, ...] | UnsetType | None = UNSET


class Result(ReturnedChoice, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Everything that a client returned: its first choice, the usage and, if it reports several, all `choices`.

    reads: the sizes in bytes of its reads of the body, which show whether it saw a cut.
    """

    usage: ReturnedUsage | UnsetType | None = UNSET
    choices: tuple[ReturnedChoice, ...] | UnsetType | None = UNSET
    reads: tuple[int, ...] | UnsetType = UNSET


C = TypeVar("C", bound=ReturnedChoice)


class NoResult(Struct, frozen=True):
    """How a client failed to return a result.

    how: it `raised` an error, its process `died`, what it returned is `invalid`, or it `hung` until the deadline.
    internal: the error is one of the language, such as a KeyError or a JSONDecodeError, and does not tell a caller what
        went wrong with the response.
    """

    how: Literal["raised", "died", "invalid", "hung"]
    type: str = ""
    message: str = ""
    internal: bool = False


class _Error(Struct):
    type: str = ""
    message: str = ""


_INTERNAL = frozenset(
    "ArithmeticError AssertionError AttributeError EOFError IndexError JSONDecodeError KeyError LookupError NameError "
    "RecursionError StopAsyncIteration StopIteration SyntaxError TypeError UnboundLocalError UnicodeDecodeError "
    "UnicodeEncodeError ValueError ZeroDivisionError ReferenceError RangeError".split()
)
"""Errors of a language and its standard library, by name."""


_PROTOCOL_KEYS = frozenset(("id", "error"))
"""The keys of a driver's line that are not part of a result."""


def read_result(returned: object) -> Result | NoResult:
    """What a client function returned or a driver printed, validated: a Result, or a mapping with its names or with an
    `error`."""
    if not isinstance(returned, Result | Mapping):
        return NoResult("invalid", message=f"expected a Result or a mapping with its names, got {returned!r:.200}")
    try:
        fields = msgspec.to_builtins(returned) if isinstance(returned, Result) else returned
        if fields.get("error") is not None:
            error = msgspec.convert(fields["error"], _Error)
            return raised(error.type, error.message)
        fields = {name: fields[name] for name in fields if name not in _PROTOCOL_KEYS}
        result = msgspec.convert(fields, Result, strict=True)
        result = _filled(result)
        if result.choices:
            result = replace(result, choices=tuple(map(_filled, result.choices)))
        for choice in (result, *(result.choices or ())):
            _check_arguments(choice)
    except (TypeError, ValueError, RecursionError) as error:  # a ValidationError is a ValueError
        names = ", ".join(Result.__struct_fields__)
        return NoResult("invalid", message=f"{error}; the names are {names}: {returned!r:.200}")
    return result


def _filled(choice: C) -> C:
    """The choice with the texts and calls of its blocks, if it has neither content nor calls beside them."""
    if choice.blocks is UNSET or choice.content is not UNSET or choice.tool_calls is not UNSET:
        return choice
    blocks = choice.blocks or ()
    texts = {
        kind: "".join(block.text or "" for block in blocks if block.type == kind)
        for kind in ("text", "thinking", "refusal")
    }
    calls = tuple(ReturnedCall(block.name, block.arguments) for block in blocks if block.type == "tool_call")
    return replace(
        choice, content=texts["text"], reasoning=texts["thinking"], refusal=texts["refusal"], tool_calls=calls
    )


def _check_arguments(choice: ReturnedChoice) -> None:
    """Raises ValueError if parsed arguments contain anything that JSON cannot express."""
    for number, call in enumerate(choice.tool_calls or ()):
        if not isinstance(call.arguments, str):
            try:
                json.dumps(call.arguments, sort_keys=True)
            except (TypeError, ValueError) as error:
                raise ValueError(f"tool_calls[{number}].arguments is not JSON: {error}") from None


def raised(kind: str, message: str) -> NoResult:
    """The failure of a client that raised an error of this type."""
    return NoResult("raised", kind, message, kind.rpartition(".")[2] in _INTERNAL)
