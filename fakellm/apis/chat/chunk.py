"""The chunks of a chat completion stream, as values. Knows no JSON and no provider."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Literal

from msgspec import Struct

from fakellm.model.blocks import Token, Usage


class Null(Enum):
    """The value of a field that is sent as null, or of a usage that is sent as an empty object or with counts of 0;
    None means that it is not sent. None of them is content: all are false."""

    NULL = "null"
    EMPTY = "empty"
    ZEROS = "zeros"

    def __bool__(self) -> bool:
        return False


NULL = Null.NULL
EMPTY = Null.EMPTY
ZEROS = Null.ZEROS
Text = str | Null | None


def text_or_empty(text: Text) -> str:
    """The text, or the empty text if it is null or not sent."""
    return text if isinstance(text, str) else ""


class ToolCallDelta(Struct, frozen=True):
    """A piece of the tool call at `index`; without an index, of the call at the same position in the delta.

    kind: `function`, or `custom` for a call whose `arguments` are the input of a custom tool.
    own: more keys of the call.
    """

    index: int | Null | None
    id: Text = None
    type: Text = None
    name: Text = None
    arguments: Text = None
    kind: str = "function"
    own: dict[str, Any] = {}


class Delta(Struct, frozen=True):
    """What one chunk adds to one choice. `extra`: keys without meaning, as they are sent. `fragments`: keys of content
    that no other field expresses."""

    role: Text = None
    content: Text = None
    reasoning: Text = None
    refusal: Text = None
    tool_calls: tuple[ToolCallDelta, ...] | Null | None = None
    extra: dict[str, Any] = {}
    annotations: tuple[dict[str, Any], ...] = ()
    fragments: dict[str, Any] = {}


class ChunkChoice(Struct, frozen=True):
    """One choice's part of a chunk; `extra` as in Delta. Tokens that are not sent are None, not empty."""

    index: int
    delta: Delta = Delta()
    finish_reason: Text = None
    extra: dict[str, Any] = {}
    logprobs: tuple[Token, ...] | None = None
    refusal_logprobs: tuple[Token, ...] | None = None


NoChoices = Literal["empty", "null", "absent"]
"""What `choices` is in a chunk without any: an empty list, null, or no key."""


class Chunk(Struct, frozen=True):
    """One `chat.completion.chunk`; `extra` as in Delta, but its keys replace those of the chunk."""

    id: str
    created: int
    model: str
    choices: tuple[ChunkChoice, ...] = ()
    usage: Usage | Null | None = None
    system_fingerprint: str | None = None
    extra: dict[str, Any] = {}
    bare: bool = False
    """Whether it is sent unchanged, without what the provider adds to every chunk."""
    no_choices: NoChoices = "empty"


ENVELOPE: Mapping[str, Any] = {"id": "", "created": 0, "model": "", "system_fingerprint": None}
"""The values that are drawn for each reply, and what each is if it is not drawn."""


def envelope_of(drawn: Mapping[str, Any]) -> dict[str, Any]:
    """The drawn values by the names of their keys in chunks and bodies."""
    return {key: drawn.get(key, usual) for key, usual in ENVELOPE.items()}


def envelope(chunks: Iterable[Chunk]) -> dict[str, Any]:
    """The values that were drawn for a reply, read from its chunks: for each name the first value that is not empty."""
    chunks = list(chunks)
    return {
        key: next((value for chunk in chunks if (value := getattr(chunk, key))), usual)
        for key, usual in ENVELOPE.items()
    }
