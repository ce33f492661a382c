"""How many tokens of text a batch carries. Knows no API."""

from __future__ import annotations

from collections.abc import Iterator

from fakellm.base import tokenizer
from fakellm.model.blocks import Block, Refusal, Text, Thinking, ToolCall
from fakellm.model.deltas import Batch, Delta, Open, Piece


def tokens_in(batch: Batch) -> int:
    """The tokens of all text in a batch: text, reasoning, refusal, and the names and arguments of tool calls.

    Each piece counts by itself (`fakellm.base.tokenizer`), so one that was cut within a token counts as a whole one.
    """
    return sum(tokenizer.count(text) for delta in batch for text in _texts(delta))


def _texts(delta: Delta) -> Iterator[str]:
    if isinstance(delta, Open):
        yield from _opening(delta.value)
    elif isinstance(delta, Piece) and isinstance(delta.value, str) and delta.at != "id":
        yield delta.value


def _opening(block: Block) -> Iterator[str]:
    match block:
        case Text(text) | Refusal(text):
            yield text
        case Thinking(parts, summary):
            yield from (*parts, *summary)
        case ToolCall(_, name, arguments):
            yield from (name, arguments)
