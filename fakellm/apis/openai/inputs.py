"""The texts that a route is given: one or several, as strings or as tokens. Knows no route and no vocabulary."""

from __future__ import annotations

from typing import TypeGuard

from fakellm.base import tokenizer
from fakellm.base.errors import RequestError
from fakellm.model.request import empty

Input = str | tuple[str | int | tuple[int, ...], ...]
"""A text, an array of texts, an array of tokens, or an array of arrays of tokens."""

MOST = 2048
"""Inputs of one request: https://platform.openai.com/docs/api-reference/embeddings/create"""


def inputs(given: Input, param: str) -> list[str | tuple[int, ...]]:
    """Each a text or its tokens. Raises RequestError where there are none, too many, or several kinds of them."""
    if isinstance(given, str):
        return [given]
    if not given or () in given:
        raise empty(param if not given else f"{param}[{given.index(())}]")
    if _is_tokens(given):
        return [given]
    if len({type(each) for each in given}) > 1 or isinstance(given[0], int):
        message = f"Invalid type for '{param}': expected strings alone, tokens alone or arrays of tokens alone."
        raise RequestError(400, message, "invalid_type", param)
    if len(given) > MOST:
        message = f"Invalid '{param}': array too long. Expected at most {MOST} inputs, but got {len(given)}."
        raise RequestError(400, message, "array_above_max_length", param)
    return [each for each in given if not isinstance(each, int)]


def text_of(one: str | tuple[int, ...]) -> str:
    """An input as text; tokens are their numbers, since no vocabulary is known."""
    return one if isinstance(one, str) else " ".join(map(str, one))


def count(one: str | tuple[int, ...]) -> int:
    """The tokens of an input."""
    return tokenizer.count(one) if isinstance(one, str) else len(one)


def _is_tokens(given: tuple[str | int | tuple[int, ...], ...]) -> TypeGuard[tuple[int, ...]]:
    return all(isinstance(each, int) for each in given)
