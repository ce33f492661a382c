"""Charm Hyper's spelling, as recorded from deepseek-v4 and glm-5.1 in 2026: a gateway that adds the price.

Some models do not count cached tokens in the prompt, but in the total; for them, set `total` in the usage.
"""

from __future__ import annotations

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.providers.common import no_content_beside_calls
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.json_text import JSON
from fakellm.base.seed import HEX
from fakellm.model.blocks import Usage


def _usage_details(usage: Usage) -> JSON:
    """Details that are not zero, and the price: 1.44 and 4.32 dollars per million tokens, at 20 credits per dollar."""
    details: JSON = {}
    if usage.cached:
        details["prompt_tokens_details"] = {"cached_tokens": usage.cached}
    if usage.reasoning:
        details["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    dollars = (1440 * usage.input + 4320 * usage.output) / 1_000_000_000
    return details | {"cost": {"usd": dollars, "hypercredits": dollars * 20}}


CHARM_HYPER = Dialect(
    name="charm-hyper",
    usual=Variation(split="tokens", interleave="choices", unfinished="null", spelling=Spelling(ascii=True)),
    stream_type="text/event-stream",
    chunk_keys=("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
    body_keys=("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
    choice_keys=("index", "delta", "message", "finish_reason"),
    delta_keys=("role", "content", "reasoning_content", "tool_calls", "refusal"),
    message_keys=("role", "content", "reasoning_content", "tool_calls", "refusal"),
    call_keys=("id", "type", "index", "function"),
    nulls=frozenset({"content"}),
    constants={},
    empty_content=no_content_beside_calls,
    usage_details=_usage_details,
    output_excludes_reasoning=False,
    completion_id=lambda source: "chatcmpl-" + source.text(HEX, 24),
    call_id=lambda source: "call_" + source.text(HEX, 16),
    fingerprint=lambda source: None,
)
