"""Ollama's OpenAI-compatible spelling, as recorded from gpt-oss:120b on its cloud in August 2026.

`ollama-2025` is the spelling until June 2026, on local machines and elsewhere: a role in every delta, and a finish
with empty content. Calls are sent whole. https://docs.ollama.com/api/openai-compatibility
"""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure
from fakellm.apis.chat.providers.common import LOWER_ALNUM, counted_details
from fakellm.apis.chat.requests.accepts import Accepts
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Padding

_ERRORS = Errors(
    usual=(
        Failure(401, "Unauthorized", "api_error", None),
        Failure(403, "Forbidden", "api_error", None),
        Failure(404, "model not found", "not_found_error", None),
        Failure(429, "too many requests", "api_error", None),
        Failure(500, "model runner has unexpectedly stopped", "api_error", None),
        Failure(502, "bad gateway", "api_error", None),
        Failure(503, "server busy, please try again", "api_error", None),
    ),
    ending="\n",
)

_ACCEPTS = Accepts(roles=None, requires_types=False, requires_definitions=False)
"""`ChatCompletionRequest` in https://github.com/ollama/ollama/blob/main/openai/openai.go"""


OLLAMA = Dialect(
    name="ollama",
    usual=Variation(
        padding=(Padding(before="finish", delta={"content": ""}),),
        split={"content": "tokens", "reasoning": "tokens", "refusal": "tokens", "arguments": "whole"},
        role="first",
        reasoning="reasoning",
        fill={"delta": {"content": "empty"}, "finish": {}},
        unfinished="null",
    ),
    stream_type="text/event-stream",
    chunk_keys=("id", "object", "created", "model", "system_fingerprint", "choices", "usage"),
    body_keys=("id", "object", "created", "model", "system_fingerprint", "choices", "usage"),
    choice_keys=("index", "delta", "message", "finish_reason"),
    delta_keys=("role", "content", "reasoning", "refusal", "tool_calls"),
    message_keys=("role", "content", "reasoning", "refusal", "tool_calls"),
    call_keys=("id", "index", "type", "function"),
    nulls=frozenset(),
    constants={},
    empty_content=lambda choice: "",
    usage_details=counted_details,
    output_excludes_reasoning=False,
    completion_id=lambda source: f"chatcmpl-{source.below(1000)}",
    call_id=lambda source: "call_" + source.text(LOWER_ALNUM, 8),
    margins=("", "\n"),
    calls_indexed=True,
    fingerprint=lambda source: "fp_ollama",
    errors=_ERRORS,
    accepts=_ACCEPTS,
)

OLLAMA_2025 = replace(
    OLLAMA,
    name="ollama-2025",
    usual=Variation(padding=0, role="every", fill={"finish": {"content": "empty"}}).over(OLLAMA.usual),
)
