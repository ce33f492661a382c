"""OpenAI's own spelling, as recorded from gpt-4o-mini and gpt-5 in 2025 and 2026.

With parallel tool calls, the role comes first, in its own delta; a single call opens with the role.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors
from fakellm.apis.chat.requests.accepts import Accepts
from fakellm.apis.variation import Variation
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM
from fakellm.model.blocks import Choice, Usage


def _empty_content(choice: Choice) -> str | None:
    return None if choice.tool_calls or choice.refusal else ""


def _usage_details(usage: Usage) -> JSON:
    return {
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


_ACCEPTS = Accepts(
    parts={
        **{kind: kind for kind in ("text", "image_url", "input_audio", "refusal")},
        "audio": "",
        "file": "file",
    },
    tool_types=("function", "custom"),
    links_results=True,
    pairs_results=True,
    requires_content=True,
    bounds={"temperature": (0, 2), "top_p": (0, 1), "presence_penalty": (-2, 2), "frequency_penalty": (-2, 2)},
)
"""Parts: https://github.com/openai/openai-dotnet/issues/396, with `file`, which came later. Tools and calls:
https://github.com/bolna-ai/bolna/issues/144, https://github.com/langchain-ai/langchain-azure/issues/35. Results:
https://github.com/MadcowD/ell/issues/325, https://github.com/langchain-ai/langchainjs/issues/6570, and `tool_results`.
Contents: https://github.com/run-llama/llama_index/pull/17921 and, of Azure,
https://github.com/langchain-ai/langchainjs/issues/4153. The refusal of a temperature was recorded from gpt-4o in 2026.
"""


OPENAI = Dialect(
    name="openai",
    usual=Variation(
        split={"content": "tokens", "reasoning": "tokens", "refusal": "tokens", "arguments": "tokens"},
        role="call",
        interleave="choices",
        fill={"opening": {"content": "text", "refusal": "null"}},
        unfinished="null",
        usage_before="null",
    ),
    stream_type="text/event-stream; charset=utf-8",
    chunk_keys=("id", "object", "created", "model", "service_tier", "system_fingerprint", "choices", "usage"),
    body_keys=("id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint"),
    choice_keys=("index", "delta", "message", "logprobs", "finish_reason"),
    delta_keys=("role", "content", "reasoning_content", "tool_calls", "refusal"),
    message_keys=("role", "content", "reasoning_content", "tool_calls", "refusal", "annotations"),
    call_keys=("index", "id", "type", "function"),
    nulls=frozenset({"system_fingerprint", "usage", "logprobs", "content", "refusal"}),
    constants={"service_tier": "default"},
    empty_content=_empty_content,
    usage_details=_usage_details,
    output_excludes_reasoning=False,
    completion_id=lambda source: "chatcmpl-" + source.text(ALNUM, 29),
    call_id=lambda source: "call_" + source.text(ALNUM, 24),
    indent=2,
    margins=("", "\n"),
    obfuscates=True,
    named_call_finish="stop",
    hides_reasoning=True,
    errors=Errors(indents={401: 4, 403: 4, 404: 4, 429: 4}, ending="\n"),
    accepts=_ACCEPTS,
)

REASONING = replace(OPENAI, name="openai-reasoning", nulls=OPENAI.nulls - {"logprobs"}, fingerprint=lambda source: None)
"""What o4-mini and gpt-5 send: no `logprobs`, and the fingerprint null."""
