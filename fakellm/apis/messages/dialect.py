"""A dialect: how one provider spells the Messages API, as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from fakellm.apis.messages.names import NAME
from fakellm.apis.variation import Variation
from fakellm.base.seed import Source
from fakellm.model.blocks import Own, Usage

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class MessagesDialect(Struct, frozen=True):
    """A provider.

    usual: its `stream:` block, for what a rule does not set.
    ids: what the ids begin with, by `message` and the type of a call; drawn characters of `alphabet` follow, `length`
        of them. An id that begins with nothing is a UUID.
    signature: how the signature of a thinking block is drawn: base64 that grows with the thinking, a UUID, or none.
    start: the counts in `message_start`: those of the input, zeros, or an input that includes what is cached.
    errors: an error before a stream is an object with a type around it, like OpenAI's (`flat`), or only a message.
    """

    name: str
    usual: Variation
    ids: Mapping[str, str]
    alphabet: str = BASE58
    length: int = 22
    signature: Literal["base64", "uuid", "none"] = "base64"
    start: Literal["input", "zeros", "all"] = "input"
    errors: Literal["typed", "flat", "message"] = "typed"

    finishes: bool = True
    named_call_finish: str = "tool_calls"
    hides_reasoning: bool = False
    output_excludes_reasoning: bool = False

    def model(self, requested: str) -> str:
        """The name that a reply states: without what clouds add to it, such as `us.anthropic.` and `-v1:0`."""
        if self.name not in ("bedrock", "vertex"):
            return requested
        found = re.fullmatch(r"(?:[a-z-]+\.)*?(?:anthropic\.)?(claude[^:]*?)(?:-v\d+)?(?::\d+)?", requested)
        return (found[1] if found else requested).replace("@", "-")

    def call_id(self, source: Source) -> str:
        """Draws the id of a call of the client's tool."""
        return self.id_of("tool_use", source)

    def id_of(self, kind: str, source: Source) -> str:
        """Draws the id of a message, or of a call of this type."""
        start = self.ids.get(kind, self.ids["tool_use"])
        if not start:
            return source.uuid()
        return start + source.text(self.alphabet, self.length)

    def stopped(self, sequence: str) -> Own:
        """The sequence, with which the `stop_reason` is `stop_sequence`."""
        return {NAME: {"stop_sequence": sequence}}

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
