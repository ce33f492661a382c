"""The texts of a request: one or several, as strings or as token ids. Knows no route and no vocabulary."""

from __future__ import annotations

from typing import TypeGuard

from fakellm.apis.openai.request_body import empty_array, invalid_type
from fakellm.base import tokenizer
from fakellm.base.errors import RequestError

Input = str | tuple[str | int | tuple[int, ...], ...]
"""A text, an array of texts, an array of token ids, or an array of arrays of token ids."""

MAX_INPUTS = 2048
"""The most inputs in one request: https://platform.openai.com/docs/api-reference/embeddings/create"""


def inputs(value: Input, param: str) -> list[str | tuple[int, ...]]:
    """Each input: a text or its token ids. Raises RequestError for no inputs, too many, or mixed kinds."""
    if isinstance(value, str):
        return [value]
    if not value or () in value:
        raise empty_array(param if not value else f"{param}[{value.index(())}]")
    if _is_token_ids(value):
        return [value]
    if len({type(each) for each in value}) > 1 or isinstance(value[0], int):
        raise invalid_type(param, "expected only strings, only token ids or only arrays of token ids")
    if len(value) > MAX_INPUTS:
        message = f"Invalid '{param}': array too long. Expected at most {MAX_INPUTS} inputs, but got {len(value)}."
        raise RequestError(400, message, "array_above_max_length", param)
    return [each for each in value if not isinstance(each, int)]


def text_of(one: str | tuple[int, ...]) -> str:
    """An input as text. Token ids become numbers separated by spaces, because no vocabulary is known."""
    return one if isinstance(one, str) else " ".join(map(str, one))


def tokens_of(one: tuple[int, ...]) -> list[str]:
    """Token ids as tokens, which join to the text of `text_of`: each but the first includes the space before it."""
    return [str(token_id) if number == 0 else f" {token_id}" for number, token_id in enumerate(one)]


def count(one: str | tuple[int, ...]) -> int:
    """The number of tokens of an input."""
    return tokenizer.count(one) if isinstance(one, str) else len(one)


def _is_token_ids(value: tuple[str | int | tuple[int, ...], ...]) -> TypeGuard[tuple[int, ...]]:
    return all(isinstance(each, int) for each in value)
