"""Dialect: how one provider spells a completion, as data. Knows no provider by name.

`writer` and `reader` beside this file write and read every dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import Struct

from fakellm.apis.chat.chunk import Chunk
from fakellm.apis.chat.error_style import Errors
from fakellm.apis.chat.requests.accepts import Accepts
from fakellm.apis.variation import Variation
from fakellm.base.json_text import JSON
from fakellm.base.seed import HEX, Source
from fakellm.model.blocks import Choice, Own, Usage
from fakellm.streaming.division import Silences
from fakellm.streaming.shape import Likeness

# `created` lies between 2023-11-14 and 2026-12-31: a plausible past, and no clock is read.
CREATED = (1_700_000_000, 1_798_675_200)


class Dialect(Struct, frozen=True):
    """A provider's habits.

    Objects are built with every known key and then brought into the order of the `…_keys` field: a key that it does not
    list is not sent, and a key without a value is sent as null if it is among `nulls`, else left out.
    """

    name: str
    usual: Variation
    """How the provider divides a completion."""
    stream_type: str
    """The Content-Type of a stream."""
    chunk_keys: tuple[str, ...]
    body_keys: tuple[str, ...]
    choice_keys: tuple[str, ...]
    delta_keys: tuple[str, ...]
    message_keys: tuple[str, ...]
    call_keys: tuple[str, ...]
    """The keys of a tool call, whole or a piece."""
    nulls: frozenset[str]
    constants: Mapping[str, Any]
    """Keys that every chunk and body carries."""
    empty_content: Callable[[Choice], str | None]
    """The `content` of a whole message without text."""
    usage_details: Callable[[Usage], JSON]
    """What a usage object contains besides its three sums."""
    output_excludes_reasoning: bool
    """Whether `completion_tokens` does not include the reasoning tokens, so that `total_tokens` adds them."""
    completion_id: Callable[[Source], str]
    call_id: Callable[[Source], str]
    fingerprint: Callable[[Source], str | None] = lambda source: "fp_" + source.text(HEX, 10)
    """The `system_fingerprint` of a model; None if the provider sends none."""
    created: Callable[[Source], int] = lambda source: source.between(*CREATED)
    finishes: bool = True
    """Whether a `finish_reason` is sent if the reply does not set one."""
    named_call_finish: str = "tool_calls"
    """The `finish_reason` of a call that `tool_choice` named."""
    hides_reasoning: bool = False
    """Whether the model's reasoning is counted but not sent."""
    echoes: bool = False
    """Whether a choice of a chunk repeats its delta as `message`."""
    legacy: bool = False
    """Whether it sends `text_completion` objects, whose choices have a text and neither message nor delta."""
    obfuscates: bool = False
    """Whether it obeys `stream_options.include_obfuscation`."""
    usage_keys: tuple[str, ...] = ("prompt_tokens", "completion_tokens", "total_tokens")
    """The first keys of a usage object."""
    calls_indexed: bool = False
    """Whether the tool calls of a whole body have an index, as those of a stream do."""
    indent: int | None = None
    """The indentation of a whole body; None for a compact one."""
    margins: tuple[str, str] = ("", "")
    """The text before and after the JSON of a whole body."""
    body_type: str = "application/json"
    """The Content-Type of a whole body."""
    usage_unrequested: Literal["never", "finish", "usual"] = "never"
    """Whether a stream has usage that was not requested: with the finish alone, or as if it had been requested."""
    decorate: Callable[[tuple[Chunk, ...]], tuple[Chunk, ...]] = lambda chunks: chunks
    """What the provider adds to each chunk of a stream, as `extra` keys; it changes no meaning. What it draws, and what
    depends on an id, a time or token counts, is a hole."""
    alike: Likeness = "all"
    """Which further pieces of a text get the same from `decorate`: see `fakellm.apis.protocol`."""
    silences: tuple[Silences, ...] = ()
    """The padding that the provider sends with every reply."""
    decorate_body: Callable[[JSON, Source], JSON] = lambda body, source: body
    """What it adds to a whole body."""
    errors: Errors = Errors()
    """How it reports errors."""
    accepts: Accepts = Accepts()
    """Which requests it refuses."""

    def stopped(self, sequence: str) -> Own:
        """Nothing: OpenAI does not tell a stop sequence from an end."""
        return {}

    def total(self, usage: Usage) -> int:
        """The provider's usual `total_tokens`."""
        return usage.input + usage.output + (usage.reasoning if self.output_excludes_reasoning else 0)
