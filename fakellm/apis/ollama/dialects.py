"""How releases of Ollama spell a reply, as recorded from 2024-05 to 2026-08. Owns the dialects, as data.

- `ollama`: since autumn 2025. `done` before `done_reason`; calls have an id and an index.
- `ollama-2025`: until August 2025. `/api/chat` has `done_reason` before `done`.
- `ollama-2024`: calls have neither an id nor an index, and `created_at` has nine digits, as on Linux; no model thinks
  apart from its text.

`/api/generate` has `done` before `done_reason` in all of them. The order of the keys that no recording shows (logprobs,
calls of `/api/generate`) is that of the structs in https://github.com/ollama/ollama/blob/main/api/types.go
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

from fakellm.apis.chat.providers.common import LOWER_ALNUM
from fakellm.apis.ollama.meaning import METRICS
from fakellm.apis.ollama.stream_keys import OllamaKeys
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Calls, Spelling
from fakellm.base.seed import Source
from fakellm.model.blocks import Own, Usage

Route = Literal["chat", "generate"]

_CHAT = ("model", "created_at", "message", "done", "done_reason", "logprobs", *METRICS)
_CHAT_2025 = ("model", "created_at", "message", "done_reason", "done", "logprobs", *METRICS)
_GENERATE = (
    *("model", "created_at", "response", "thinking", "done", "done_reason", "context"),
    *(*METRICS, "tool_calls", "logprobs"),
)
MESSAGE = ("role", "content", "thinking", "images", "tool_calls")
"""The keys of a message in their order."""


class OllamaDialect(Struct, frozen=True):
    """What a release does. keys: those of a line, in their order, by route. `usual`: its `stream:` block."""

    name: str
    keys: Mapping[Route, tuple[str, ...]]
    usual: Variation
    call_id: Callable[[Source], str] = lambda source: "call_" + source.text(LOWER_ALNUM, 8)
    finishes: bool = True
    named_call_finish: str = "stop"
    hides_reasoning: bool = False
    output_excludes_reasoning: bool = False

    def stopped(self, sequence: str) -> Own:
        """Nothing: this API does not tell a stop sequence from an end."""
        return {}

    def total(self, usage: Usage) -> int:
        """The sum of the tokens, which no reply states."""
        return usage.input + usage.output


_USUAL = Variation(
    split={"content": "tokens", "reasoning": "tokens", "refusal": "tokens", "arguments": "whole"},
    role="first",
    calls=Calls(id="once", index="given"),
    finish="alone",
    usage="finish",
    spelling=Spelling(html=True, floats="decimal", call_keys=("id", "function")),
    ollama=OllamaKeys(fraction=6),
)

_OLDER = Variation(
    calls=Calls(index="absent"), spelling=Spelling(call_keys=("function",)), ollama=OllamaKeys(fraction=9)
).over(_USUAL)

DIALECTS: Mapping[str, OllamaDialect] = {
    dialect.name: dialect
    for dialect in (
        OllamaDialect("ollama", {"chat": _CHAT, "generate": _GENERATE}, _USUAL),
        OllamaDialect("ollama-2025", {"chat": _CHAT_2025, "generate": _GENERATE}, _USUAL),
        OllamaDialect("ollama-2024", {"chat": _CHAT_2025, "generate": _GENERATE}, _OLDER),
    )
}
"""The dialects by name; the first is the default."""
