"""A dialect: how one provider spells the Messages API, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from fakellm.apis.variation import Variation
from fakellm.base.seed import Source
from fakellm.model.blocks import Usage

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class Dialect(Struct, frozen=True):
    """A provider.

    usual: its `stream:` block, for what a rule does not set.
    ids: what the ids begin with, by `message` and the type of a call; drawn characters of `alphabet` follow, `length`
        of them.
    signature: how the signature of a thinking block is drawn: base64 that grows with the thinking, a UUID, or none.
    start: the counts in `message_start`: those of the input, zeros, or an input that includes what is cached.
    version: whether a request must have the header `anthropic-version`.
    """

    name: str
    usual: Variation
    ids: Mapping[str, str]
    alphabet: str = BASE58
    length: int = 22
    signature: Literal["base64", "uuid", "none"] = "base64"
    start: Literal["input", "zeros", "all"] = "input"
    version: bool = True

    finishes: bool = True
    named_call_finish: str = "tool_calls"
    hides_reasoning: bool = False
    output_excludes_reasoning: bool = False

    def call_id(self, source: Source) -> str:
        """Draws the id of a call of the client's tool."""
        return self.id_of("tool_use", source)

    def id_of(self, kind: str, source: Source) -> str:
        """Draws the id of a message, or of a call of this type."""
        return self.ids.get(kind, self.ids["tool_use"]) + source.text(self.alphabet, self.length)

    def total(self, usage: Usage) -> int:
        """The sum of the tokens: this API does not send one."""
        return usage.input + usage.output

    def signed(self, thinking: str, seed: int) -> str:
        """The signature of a thinking block: it depends on nothing but the seed and the thinking."""
        source = Source(seed, "signature", thinking)
        if self.signature == "none":
            return ""
        if self.signature == "uuid":
            return source.uuid()
        return "E" + source.text(BASE64, 4 * (68 + len(thinking) // 4) - 2) + "="
