"""Reads the JSON body of a request to one of OpenAI's routes, and writes the error for an invalid one.

Owns the JSON rules and OpenAI's error texts for parameters. Knows no route's parameters.
https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from fakellm.base.errors import RequestError
from fakellm.base.validation import Problem, dotted, problems, shortened
from fakellm.base.words.near_miss import near_miss

T = TypeVar("T")


def typed(data: bytes, kind: type[T]) -> tuple[T, dict[str, Any]]:
    """The body as a value of `kind`, and as the JSON object that was sent.

    Raises RequestError, which names the parameter, for a body that is not valid, or whose `model` is empty.
    """
    body = _json_object(data)
    try:
        value = msgspec.convert(body, kind)
    except (msgspec.ValidationError, UnicodeEncodeError):  # the latter for half of a surrogate pair
        raise _refusal(next(problems(body, kind))) from None
    if body.get("model") == "":
        message = "Invalid 'model': expected the name of a model, got ''."
        raise RequestError(400, message, "invalid_value", "model")
    return value, body


def nested_too_deeply() -> RequestError:
    """The refusal of a body with more levels than Python's JSON module can read."""
    return RequestError(400, "The JSON body of your request is nested too deeply.", "invalid_json")


def missing(param: str) -> RequestError:
    """The refusal of a body without a required parameter."""
    return RequestError(400, f"Missing required parameter: '{param}'.", "missing_required_parameter", param)


def empty_array(param: str) -> RequestError:
    """The refusal of an array that must not be empty."""
    message = f"Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array."
    return RequestError(400, message, "empty_array", param)


def invalid_type(param: str, problem: str) -> RequestError:
    """The refusal of a value of the wrong JSON type."""
    return RequestError(400, f"Invalid type for '{param}': {problem}.", "invalid_type", param)


def invalid_value(param: str, problem: str) -> RequestError:
    """The refusal of a value that is not allowed."""
    return RequestError(400, f"Invalid value for '{param}': {problem}.", "invalid_value", param)


def unsupported_value(param: str, value: object, allowed: Sequence[str]) -> RequestError:
    """The refusal of a value that is not one of the allowed ones, which the message lists."""
    hint = near_miss(value, allowed) if isinstance(value, str) else ""
    message = f"Invalid value: {shortened(value)}. Supported values are: {_listed(allowed)}{hint or '.'}"
    return RequestError(400, message, "invalid_value", param)


def _listed(words: Sequence[str]) -> str:
    """The words as OpenAI lists them: ``'a'``, ``'a' and 'b'``, ``'a', 'b', and 'c'``."""
    quoted = [f"'{word}'" for word in words]
    if len(quoted) < 3:
        return " and ".join(quoted)
    return f"{', '.join(quoted[:-1])}, and {quoted[-1]}"


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # it also refuses lone surrogates and 1e400
        body = _json(data)
    if not isinstance(body, dict):
        message = f"Invalid body: expected a JSON object, got {_json_type(body)}."
        raise RequestError(400, message, "invalid_type")
    return body


def _json(data: bytes) -> Any:
    """The value of any JSON that Python reads, but at less than half of the speed."""
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        message = (
            f"The body of your request is not valid UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}."
        )
        raise RequestError(400, message, "invalid_utf8") from None
    except RecursionError:
        raise nested_too_deeply() from None
    except ValueError as error:  # JSONDecodeError, a constant, a number with more digits than Python parses
        message = f"We could not parse the JSON body of your request: {error}."
        raise RequestError(400, message, "invalid_json") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")


def _json_type(value: object) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")


def _refusal(problem: Problem) -> RequestError:
    param = dotted(problem.path)
    if problem.kind == "missing":
        return missing(param)
    return (invalid_type if problem.kind == "type" else invalid_value)(param, problem.message)
