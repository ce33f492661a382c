"""The chunks of a chat completion stream, as values. Knows no JSON and no provider."""

from __future__ import annotations

from enum import Enum
from typing import Any

from msgspec import Struct

from fakellm.base import tokenizer
from fakellm.model.completion import Token, Usage


class Null(Enum):
    """A field that is sent as null; None is one that is not sent. Both are false, and say nothing."""

    NULL = "null"

    def __bool__(self) -> bool:
        return False


NULL = Null.NULL
Text = str | Null | None


def words(text: Text) -> str:
    """What a text says: nothing where it is null or not sent."""
    return text if isinstance(text, str) else ""


class ToolCallDelta(Struct, frozen=True):
    """A piece of the tool call at `index`; with no index given, of the one at its place in the delta."""

    index: int | Null | None
    id: Text = None
    type: Text = None
    name: Text = None
    arguments: Text = None


class Delta(Struct, frozen=True):
    """What one chunk adds to one choice. `extra`: keys that say nothing here, as they stand on the wire."""

    role: Text = None
    content: Text = None
    reasoning: Text = None
    refusal: Text = None
    tool_calls: tuple[ToolCallDelta, ...] | Null | None = None
    extra: dict[str, Any] = {}
    annotations: tuple[dict[str, Any], ...] = ()


class ChunkChoice(Struct, frozen=True):
    """One choice's part of a chunk; `delta` and `extra` as there. Tokens that are not sent are None, not empty."""

    index: int
    delta: Delta = Delta()
    finish_reason: Text = None
    extra: dict[str, Any] = {}
    logprobs: tuple[Token, ...] | None = None
    refusal_logprobs: tuple[Token, ...] | None = None


class Chunk(Struct, frozen=True):
    """One `chat.completion.chunk`; `extra` as in Delta, and keys in it stand in place of the chunk's own."""

    id: str
    created: int
    model: str
    choices: tuple[ChunkChoice, ...] = ()
    usage: Usage | Null | None = None
    system_fingerprint: str | None = None
    extra: dict[str, Any] = {}


def tokens_in(chunk: Chunk) -> int:
    """The tokens of all text in a chunk: content, reasoning, refusal, and the names and arguments of tool calls.

    Each piece counts by itself (`fakellm.base.tokenizer`), so one that was cut within a token counts as a whole one.
    """
    deltas = [choice.delta for choice in chunk.choices]
    texts = [text for delta in deltas for text in (delta.content, delta.reasoning, delta.refusal)]
    calls = [delta.tool_calls for delta in deltas if isinstance(delta.tool_calls, tuple)]
    texts += [text for pieces in calls for call in pieces for text in (call.name, call.arguments)]
    return sum(tokenizer.count(words(text)) for text in texts)
