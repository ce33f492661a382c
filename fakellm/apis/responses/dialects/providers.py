"""The providers of the Responses API: what was recorded of each.

openai: gpt-4 to gpt-5.6, 2025-03 to 2026-07; the object is that of 2026. azure: 2025-12 to 2026-06. chatgpt: the
backend of Codex, whose last event has no output, 2026. xai: grok-4, 2025-10 to 2026-08. openrouter, deepseek and
bedrock-mantle: 2026-07 and 2026-08. lmstudio: 2025-11, three streams. copilot: 2026, normalized by its recorder, except
for the ids, which change with each event.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fakellm.apis.chat.error_style import Errors
from fakellm.apis.responses.dialects import ids
from fakellm.apis.responses.dialects.azure_filters import filtered
from fakellm.apis.responses.dialects.dialect import ResponsesDialect
from fakellm.apis.responses.dialects.layout import REST, Layouts
from fakellm.apis.responses.spelling import ResponsesSpelling
from fakellm.apis.responses.writing.response_object import KEYS
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.json_text import JSON
from fakellm.model.blocks import Usage
from fakellm.wire.framing import Framing, Insert

Orders = Mapping[str, tuple[str, ...]]

_CALL_DONE = ("type", "arguments", "item_id", "output_index", "sequence_number")

_OPENAI: Orders = {
    "response": KEYS,
    "message": ("id", "type", "status", "content", "phase", "role", REST),
    "reasoning": ("id", "type", "content", "encrypted_content", "summary", REST),
    "function_call": ("id", "type", "status", "arguments", "call_id", "name", REST),
    "custom_tool_call": ("id", "type", "status", "call_id", "input", "name", REST),
    "output_text": ("type", "annotations", "logprobs", "text"),
    "input_tokens_details": ("cache_write_tokens", "cached_tokens"),
    "response.function_call_arguments.done": _CALL_DONE,
}
_SHOWN = {"reasoning": ("id", "type", "status", "content", "encrypted_content", "summary", REST)}
"""The keys of a reasoning that is shown as `reasoning_text`."""


def _effort(model: str) -> str | None:
    """The effort that was recorded for models of 2024 to 2026 where the request sets none."""
    name = model.removeprefix("openai.")
    if re.match(r"gpt-5\.[1-5](?!.*-(?:chat|pro))", name):
        return "none"
    return "medium" if re.match(r"o\d|gpt-5|computer-use", name) else None


OPENAI = ResponsesDialect(
    name="openai",
    effort=_effort,
    fewest_tokens=16,
    pairs_results=True,
    layouts=Layouts(_OPENAI),
    defaults={"text": {"verbosity": "medium"}},
    obfuscates=True,
)

AZURE = ResponsesDialect(
    name="azure",
    at_end=filtered,
    effort=_effort,
    fewest_tokens=16,
    pairs_results=True,
    layouts=Layouts(_OPENAI),
    defaults={"content_filters": None, "text": {"verbosity": "medium"}},
    obfuscates=True,
    counts_writes=False,
)

CHATGPT = ResponsesDialect(
    name="chatgpt",
    effort=_effort,
    fewest_tokens=16,
    layouts=Layouts(_OPENAI),
    output=False,
    errors=Errors(body=lambda error, status: {"detail": error["message"]}),
    defaults={"store": False, "text": {"verbosity": "medium"}},
    obfuscates=True,
)

_GROK = (
    *("created_at", "completed_at", "id", "max_output_tokens", "model", "object", "output", "parallel_tool_calls"),
    *("previous_response_id", "reasoning", "temperature", "text", "tool_choice", "tools", "top_p", "usage", "user"),
    *("incomplete_details", "status", "store", "metadata", "background", "service_tier", "truncation", "top_logprobs"),
    *("presence_penalty", "frequency_penalty", "prompt_cache_key", "max_tool_calls", "safety_identifier", "error"),
    "instructions",
)


_GROK_CALL_DONE = ("sequence_number", "type", "arguments", "item_id", "output_index")


def _grok_usage(usage: Usage) -> JSON:
    context = {"input_tokens": usage.input, "output_tokens": usage.output}
    counts = {"num_sources_used": 0, "num_server_side_tools_used": 0}
    return {**counts, "cost_in_usd_ticks": 2_000 * usage.input + 5_000 * usage.output, "context_details": context}


XAI = ResponsesDialect(
    name="xai",
    usual=Variation(done=False, split={"arguments": "whole"}),
    layouts=Layouts(
        {
            "response": _GROK,
            "message": ("content", "id", "role", "type", "status", REST),
            "reasoning": ("id", "summary", "content", "type", "status", "encrypted_content", REST),
            "function_call": ("arguments", "call_id", "name", "type", "id", "status", REST),
            "custom_tool_call": ("call_id", "input", "name", "type", "id", "status", REST),
            "output_text": ("type", "text", "logprobs", "annotations"),
            "summary_text": ("text", "type"),
            "response.function_call_arguments.done": _GROK_CALL_DONE,
            "usage": (
                *("input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details", "total_tokens"),
                *("num_sources_used", "num_server_side_tools_used", "cost_in_usd_ticks", "context_details"),
            ),
        },
        events=(
            *("sequence_number", "type", "arguments", "content_index", "delta", "item", "item_id", "output_index"),
            *("part", "response", "summary_index", "text", "logprobs", REST),
        ),
    ),
    ids=ids.XAI,
    fresh=False,
    late=("encrypted_content",),
    defaults={"temperature": 0.7, "top_p": 0.95, "text": {}, "service_tier": "default"},
    counts_writes=False,
    usage_extras=_grok_usage,
    indent=None,
    ascii=False,
    stream_type="text/event-stream",
    errors=Errors(body=lambda error, status: {"code": error["code"] or "invalid-argument", "error": error["message"]}),
)

_ROUTER = (
    *("id", "object", "created_at", "model", "status", "completed_at", "output", "error", "incomplete_details"),
    *("tools", "tool_choice", "parallel_tool_calls", "max_output_tokens", "temperature", "top_p", "presence_penalty"),
    *("frequency_penalty", "top_logprobs", "max_tool_calls", "metadata", "background", "previous_response_id"),
    *("service_tier", "truncation", "store", "instructions", "text", "reasoning", "safety_identifier"),
    *("prompt_cache_key", "prompt_cache_options", "usage"),
)


def _router_usage(usage: Usage) -> JSON:
    read, written = round(usage.input * 4e-7, 10), round(usage.output * 1.6e-6, 10)
    costs = {"upstream_inference_input_cost": read, "upstream_inference_output_cost": written}
    total = round(read + written, 10)
    return {"cost": total, "is_byok": False, "cost_details": {"upstream_inference_cost": total, **costs}}


OPENROUTER = ResponsesDialect(
    name="openrouter",
    tools="as_sent",
    usual=Variation(
        done=True,
        spelling=Spelling(floats="decimal"),
        split={"arguments": "whole"},
        sse=Framing(insert=(Insert(before=(0,), comment="OPENROUTER PROCESSING"),)),
    ),
    layouts=Layouts(
        {
            "response": _ROUTER,
            "message": ("id", "type", "status", "role", "content", REST),
            "message@output": ("id", "type", "role", "status", "content", REST),
            "reasoning": ("id", "type", "status", "summary", "content", "encrypted_content", REST),
            "function_call": ("id", "type", "status", "call_id", "name", "arguments", REST),
            "output_text": ("type", "text", "annotations", "logprobs"),
        },
        events=(
            *("type", "output_index", "item_id", "name", "content_index", "summary_index", "annotation_index", "item"),
            *("response", "part", "delta", "text", "arguments", REST, "logprobs", "sequence_number"),
        ),
    ),
    named=False,
    reasoning="text",
    ids=ids.OPENROUTER,
    fresh=False,
    late=("encrypted_content",),
    defaults={
        "temperature": 1,
        "top_p": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "store": False,
        "text": {},
        "reasoning": None,
        "prompt_cache_options": None,
    },
    counts_writes=False,
    usage_extras=_router_usage,
    indent=None,
    ascii=False,
    stream_type="text/event-stream",
)

DEEPSEEK = ResponsesDialect(
    name="deepseek",
    layouts=Layouts(
        {
            **_OPENAI,
            "message": ("type", "id", "status", "content", "phase", "role", REST),
            "reasoning": ("type", "id", "status", "content", "encrypted_content", "summary", REST),
            "function_call": ("type", "id", "status", "arguments", "call_id", "name", REST),
        },
        constants={"reasoning": {"content": []}},
    ),
    reasoning="text",
    phase="final_answer",
    ids=ids.UUIDS,
    fresh=False,
    defaults={"content_filters": None, "store": False, "service_tier": "default", "text": {"verbosity": None}},
    counts_writes=False,
    indent=None,
    ascii=False,
    errors=Errors(types={400: "application/octet-stream"}),
)

MANTLE = ResponsesDialect(
    name="bedrock-mantle",
    effort=_effort,
    defaults={
        "prompt_cache_retention": "in_memory",
        "reasoning": {"context": "all_turns", "effort": None, "summary": None},
        "text": {"verbosity": "medium"},
        "top_p": 0.98,
    },
    usual=Variation(done=False, split={"arguments": "whole"}, sse=Framing(data_first=True)),
    layouts=Layouts(
        {
            **{
                name: (*sorted(each for each in keys if each != REST), *([REST] if REST in keys else ()))
                for name, keys in _OPENAI.items()
                if "." not in name
            },
            "reasoning": ("content", "encrypted_content", "id", "status", "summary", "type", REST),
            "response": (*sorted(set(KEYS) - {"moderation", "billing", "content_filters", "tool_usage"}), "moderation"),
            "reasoning_text": ("text", "type"),
            "summary_text": ("text", "type"),
            "response.function_call_arguments.done": tuple(sorted(_CALL_DONE)),
        },
        events=(REST,),
    ),
    reasoning="part",
    ids=ids.MANTLE,
    fresh=False,
    indent=None,
    ascii=False,
    stream_type="text/event-stream",
)

LMSTUDIO = ResponsesDialect(
    name="lmstudio",
    usual=Variation(done=False, responses=ResponsesSpelling(whole=("arguments",))),
    layouts=Layouts(
        {**_OPENAI, **_SHOWN, "function_call": ("id", "call_id", "type", "name", "arguments", "status", REST)}
    ),
    reasoning="text",
    ids=ids.LMSTUDIO,
    fresh=False,
    counts_writes=False,
    ascii=False,
)

COPILOT = ResponsesDialect(
    name="copilot",
    usual=Variation(done=False, id="changing"),
    layouts=Layouts(_OPENAI),
    ids=ids.COPILOT,
    obfuscates=True,
    indent=None,
    ascii=False,
)

DIALECTS: Mapping[str, ResponsesDialect] = {
    each.name: each for each in (OPENAI, AZURE, CHATGPT, XAI, OPENROUTER, DEEPSEEK, LMSTUDIO, COPILOT, MANTLE)
}
"""The dialects by name."""
