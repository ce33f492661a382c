"""Whole bodies: the response object with its output, and the batches that mean the same."""

from __future__ import annotations

import json
from collections.abc import Iterator

from msgspec.structs import replace

from fakellm.apis.protocol import Answer
from fakellm.apis.responses.habits import Habits, body_style
from fakellm.apis.responses.items.read_items import blocks_of
from fakellm.apis.responses.reading.read import stop_word, usage_of
from fakellm.apis.responses.writing.answering import whole_object
from fakellm.base.errors import StreamError
from fakellm.base.json_text import JSON, dumps, spelled
from fakellm.base.seed import Source
from fakellm.model.blocks import Block, Choice, Completion, Refusal, Stop, Text, ToolCall
from fakellm.model.deltas import Batch, End
from fakellm.streaming.divide import divide
from fakellm.streaming.division import Division
from fakellm.streaming.grammar import Grammar


def write_whole(answer: Answer[Habits]) -> bytes:
    """The body of a reply that is not streamed."""
    value = whole_object(answer)
    before, after = answer.habits.margins or ("", "")
    return f"{before}{body_text(value, answer.habits)}{after}".encode("utf-8", "surrogatepass")


def body_text(value: JSON, habits: Habits) -> str:
    """A whole object as the provider writes it."""
    indented, escaped = body_style(habits)
    if not indented:
        return spelled(value, habits.spelling) if not escaped else json.dumps(value, separators=(",", ":"))
    return json.dumps(value, indent=2) if escaped else dumps(value, 2)


def read_completion(body: bytes) -> tuple[Completion, str | None]:
    """The completion of a whole body, and what went wrong if the response failed. Raises StreamError."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as problem:
        raise StreamError(f"a body that is not valid JSON: {problem}") from None
    if not isinstance(value, dict) or not isinstance(value.get("output"), list):
        raise StreamError("the body is not a response: `output` must be an array")
    blocks: list[Block] = []
    for number, item in enumerate(value["output"]):
        if not isinstance(item, dict):
            raise StreamError(f"output[{number}] is not an object")
        parts = blocks_of(item)
        label = str(number) if len(parts) > 1 else ""
        blocks += (replace(part, item=label) if isinstance(part, (Text, Refusal)) else part for part in parts)
    word = stop_word(value, "", any(isinstance(block, ToolCall) for block in blocks))
    error = value.get("error") if value.get("status") in ("failed", "cancelled") else None
    return Completion((Choice(tuple(blocks), Stop(word)),), usage_of(value.get("usage"))), error


def read_whole(body: bytes, grammar: Grammar) -> Iterator[Batch]:
    """The batches that have the same meaning as a whole body."""
    completion, error = read_completion(body)
    batches = divide(completion, Division(), grammar, Source(0))
    yield from batches if error is None else (*batches[:-1], (End(error),))
