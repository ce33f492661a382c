"""`POST /v1/embeddings`: unit vectors from the seed. Knows no rules: a vector depends only on its input and the model.

https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

import math
import struct
from base64 import b64encode
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from fakellm.apis.openai.inputs import Input, count, inputs
from fakellm.apis.openai.request_body import typed
from fakellm.base.budget import BUDGET, exceeded
from fakellm.base.errors import RequestError
from fakellm.base.json_text import JSON
from fakellm.base.seed import Source

_USUAL, _LARGE = 1536, 3072
"""Numbers in a vector: for most models, and for text-embedding-3-large."""

_DIGITS = 30
"""Bytes of a number in the reply, with the space around it."""


class Embeddings(Struct, frozen=True):
    """The body of `POST /v1/embeddings`, typed."""

    model: str
    input: Input
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=8192)] | None = None
    user: str | None = None


class _Size(Struct):
    """What the time for a body depends on."""

    input: msgspec.Raw = msgspec.Raw(b"")
    encoding_format: Any = None
    dimensions: Any = None


def milliseconds(data: bytes) -> float:
    """At most how long the reply to a body takes, roughly; 0 for a body that is refused at once."""
    try:
        size = msgspec.json.decode(data, type=_Size)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0.0
    numbers = size.dimensions if isinstance(size.dimensions, int) else _LARGE
    vectors = bytes(size.input).count(b",") + 1
    return vectors * numbers * (0.0003 if size.encoding_format == "base64" else 0.0012)


def embeddings(data: bytes, seed: int) -> tuple[JSON, JSON]:
    """The reply to a body, and the parsed body. Raises RequestError, which names the parameter."""
    request, body = typed(data, Embeddings)
    each_input = inputs(request.input, "input")
    if "" in each_input:
        message = "Invalid 'input': input cannot be an empty string."
        raise RequestError(400, message, "invalid_value", "input")
    default = _LARGE if request.model.rpartition("/")[2] == "text-embedding-3-large" else _USUAL
    digits = 6 if request.encoding_format == "base64" else _DIGITS
    if len(each_input) * (request.dimensions or default) * digits > BUDGET.reply_bytes:
        raise exceeded("reply_bytes", "input")
    vectors = [vector(each, request.model, request.dimensions or default, seed) for each in each_input]
    entries = [
        {"object": "embedding", "index": index, "embedding": _encoded(each, request.encoding_format)}
        for index, each in enumerate(vectors)
    ]
    tokens = sum(map(count, each_input))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": entries, "model": request.model, "usage": usage}, body


def vector(one: str | tuple[int, ...], model: str, dimensions: int, seed: int) -> bytes:
    """The vector of a text or of its token ids: little-endian 32-bit floats, as many as `dimensions`, of length 1.

    A shorter vector is the start of a longer one, scaled to length 1, as OpenAI's are.
    https://platform.openai.com/docs/guides/embeddings
    """
    numbers = Source(seed, "embedding", model, repr(one)).numbers(dimensions)
    length = math.sqrt(sum([number * number for number in numbers])) or 1.0  # integers: exact on every machine
    return struct.pack(f"<{dimensions}f", *[number / length for number in numbers])


def _encoded(numbers: bytes, encoding: str | None) -> Any:
    return (
        b64encode(numbers).decode() if encoding == "base64" else list(struct.unpack(f"<{len(numbers) // 4}f", numbers))
    )
