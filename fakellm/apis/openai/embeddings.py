"""`POST /v1/embeddings`: unit vectors from the seed. Knows no rules: what a vector is depends on what it is of alone.

https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

import math
import struct
from base64 import b64encode
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from fakellm.apis.openai.inputs import Input, count, inputs
from fakellm.base.errors import RequestError
from fakellm.base.json_text import JSON
from fakellm.base.seed import Source
from fakellm.model.request import typed

_USUAL, _LARGE = 1536, 3072
"""Numbers in a vector: of any model, and of text-embedding-3-large."""


class Embeddings(Struct, frozen=True):
    """The body of `POST /v1/embeddings`, typed."""

    model: str
    input: Input
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=8192)] | None = None
    user: str | None = None


def embeddings(data: bytes, seed: int) -> tuple[JSON, JSON]:
    """The reply to a body, and the body read. Raises RequestError, naming the parameter."""
    asked, body = typed(data, Embeddings)
    given = inputs(asked.input, "input")
    if "" in given:
        message = "Invalid 'input': input cannot be an empty string."
        raise RequestError(400, message, "invalid_value", "input")
    usual = _LARGE if asked.model.rpartition("/")[2] == "text-embedding-3-large" else _USUAL
    vectors = [vector(each, asked.model, asked.dimensions or usual, seed) for each in given]
    said = [
        {"object": "embedding", "index": index, "embedding": _written(each, asked.encoding_format)}
        for index, each in enumerate(vectors)
    ]
    used = sum(map(count, given))
    usage = {"prompt_tokens": used, "total_tokens": used}
    return {"object": "list", "data": said, "model": asked.model, "usage": usage}, body


def vector(one: str | tuple[int, ...], model: str, dimensions: int, seed: int) -> bytes:
    """The vector of a text or of its tokens: so many little-endian 32-bit floats, of length 1.

    A shorter one is the start of a longer one, brought to length 1, as OpenAI's are.
    https://platform.openai.com/docs/guides/embeddings
    """
    numbers = Source(seed, "embedding", model, repr(one)).numbers(dimensions)
    length = math.sqrt(sum([number * number for number in numbers])) or 1.0  # of whole numbers: exact on every machine
    return struct.pack(f"<{dimensions}f", *[number / length for number in numbers])


def _written(numbers: bytes, encoding: str | None) -> Any:
    return (
        b64encode(numbers).decode() if encoding == "base64" else list(struct.unpack(f"<{len(numbers) // 4}f", numbers))
    )
