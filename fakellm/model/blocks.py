"""The completion: the meaning of a reply, as ordered blocks. Owns these values.

They contain no JSON keys, nulls or ids of any one API. Values that only one API can express are in `own`, under that
API's name; the other APIs ignore them. Ids of replies, times and model names are drawn for each answer and are not part
of the completion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

Own = dict[str, dict[str, Any]]
"""Values that only one API can express, by the name of the API."""


class Token(Struct, frozen=True, array_like=True):
    """A token with the natural logarithm of its probability; in YAML a list: ``[" is", -0.25, [[" was", -1.5]]]``.

    `top`: the likeliest tokens at its position. `bytes`: its UTF-8 if that differs from the token's text, as for half a
    character; null if the token has no text.
    """

    token: str
    logprob: float
    top: tuple[Token, ...] = ()
    bytes: tuple[int, ...] | None = ()


class _Block(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="type"):
    """What all blocks share: the key `type` in YAML."""


class Text(_Block, frozen=True, tag="text"):
    """Text of the answer. `logprobs`: its tokens, if they were requested. `item`: consecutive texts with the same item
    belong to one output item, in APIs that have them.
    """

    text: str = ""
    logprobs: tuple[Token, ...] = ()
    item: str = ""
    own: Own = {}


class Refusal(_Block, frozen=True, tag="refusal"):
    """Text with which the model declines to answer; fields as in Text."""

    text: str = ""
    logprobs: tuple[Token, ...] = ()
    item: str = ""
    own: Own = {}


class Thinking(_Block, frozen=True, tag="thinking"):
    """Reasoning. `parts`: the reasoning itself; `summary`: what an API shows in its place; `signature`: the provider's
    proof that the reasoning is its own.
    """

    parts: tuple[str, ...] = ()
    summary: tuple[str, ...] = ()
    signature: str = ""
    own: Own = {}


class ToolCall(_Block, frozen=True, tag="tool_call"):
    """A tool call. `arguments` is text, usually JSON, and is kept unchanged.

    `kind` is `function` for a call that the client runs, else the API's word for its server tool. `id`: None if the API
    that sends the call is to draw it.
    """

    id: str | None
    name: str
    arguments: str = "{}"
    kind: str = "function"
    own: Own = {}


class Opaque(_Block, frozen=True, tag="opaque"):
    """A block that only one API knows, kept unchanged."""

    api: str
    value: dict[str, Any]


Block = Text | Refusal | Thinking | ToolCall | Opaque


class Stop(Struct, frozen=True, omit_defaults=True):
    """Why a choice finished: `stop`, `length`, `tool_calls`, `content_filter`, or any other word that a provider uses.

    An API's word in `own` takes precedence over `reason` in that API.
    """

    reason: str
    own: Own = {}


class Usage(Struct, frozen=True, omit_defaults=True):
    """Token counts: input (`cached` and `cache_write` among them), output, and reasoning.

    Whether `output` includes `reasoning` differs between providers; the numbers are those that the provider sends.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0
    own: Own = {}


class Choice(Struct, frozen=True, omit_defaults=True):
    """One answer: its blocks in order. `finish` is None if no reason was ever sent.

    `notes`: what concerns the choice but belongs to no block.
    """

    blocks: tuple[Block, ...] = ()
    finish: Stop | None = None
    notes: dict[str, Any] = {}

    @property
    def content(self) -> str:
        """The text of the answer, of all its text blocks together."""
        return "".join(block.text for block in self.blocks if isinstance(block, Text))

    @property
    def reasoning(self) -> str:
        """The reasoning, of all its thinking blocks together."""
        return "".join(part for block in self.blocks if isinstance(block, Thinking) for part in block.parts)

    @property
    def refusal(self) -> str:
        """The text of the refusal; empty if the model did not decline."""
        return "".join(block.text for block in self.blocks if isinstance(block, Refusal))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls in order."""
        return tuple(block for block in self.blocks if isinstance(block, ToolCall))

    @property
    def finish_reason(self) -> str | None:
        """Why it finished, as one word."""
        return self.finish.reason if self.finish else None


class Completion(Struct, frozen=True, omit_defaults=True):
    """The meaning of one reply: parallel choices in the order of their index, and the token counts."""

    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    notes: dict[str, Any] = {}


def own_value(own: Mapping[str, Mapping[str, Any]], api: str, key: str, default: Any = None) -> Any:
    """The value in `own` for an API under this key."""
    return own.get(api, {}).get(key, default)


def with_own(own: Own, api: str, values: Mapping[str, Any]) -> Own:
    """`own` with these values for an API; an API without values is left out."""
    rest = {name: value for name, value in own.items() if name != api}
    return {**rest, api: dict(values)} if values else rest
