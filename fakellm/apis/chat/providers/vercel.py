"""The spelling of Vercel's AI gateway, as recorded before gpt-5, claude-sonnet-4 and gemini in 2026.

The finish carries the metadata of the gateway and of the provider behind it, and the usage with its cost.

https://vercel.com/docs/ai-gateway
"""

from __future__ import annotations

import string

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.providers.common import ALL_IN_TOKENS, adding, base32, finishes, no_content_beside_calls, price
from fakellm.apis.skeleton import Fill, per_event
from fakellm.apis.variation import Variation
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, HEX, Source
from fakellm.base.template import resolved
from fakellm.model.blocks import Usage


def _usage_details(usage: Usage) -> JSON:
    cost = sum(price(usage, 125, 1000))
    return {
        "cost": cost,
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0, "video_tokens": 0},
        "cost_details": {
            "upstream_inference_cost": None,
            "upstream_inference_prompt_cost": 0,
            "upstream_inference_completions_cost": 0,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "image_tokens": 0},
        "cache_creation_input_tokens": 0,
        "market_cost": cost,
    }


def _metadata(name: str, model: str, usage: Usage | None, source: Source) -> JSON:
    """What the gateway reports about a request that the first provider it tried has answered; times in milliseconds.

    It is about the request, so all choices of a reply have the same.
    """
    slug = model if "/" in model else f"openai/{model}"
    internal = slug.replace("/", ":", 1)
    api_model = internal.partition(":")[2]
    response = "resp_" + source.draw("providerResponseId", lambda each: each.text(HEX, 50))
    start = source.draw("startTime", lambda each: each.between(10**5, 10**6))
    attempt = {
        "provider": "openai",
        "internalModelId": internal,
        "providerApiModelId": api_model,
        "credentialType": "system",
        "success": True,
        "startTime": start,
        "endTime": start + source.draw("duration", lambda each: each.between(500, 5000)),
        "providerRequestId": "req_" + source.draw("providerRequestId", lambda each: each.text(HEX, 32)),
        "statusCode": 200,
        "providerResponseId": response,
    }
    routing = {
        "originalModelId": slug,
        "resolvedProvider": "openai",
        "resolvedProviderApiModelId": api_model,
        "internalResolvedModelId": internal,
        "fallbacksAvailable": ["azure"],
        "internalReasoning": f"Selected openai as preferred provider for {api_model}. 1 fallback(s) available: azure",
        "planningReasoning": "System credentials planned for: openai, azure. "
        "Total execution order: openai(system) → azure(system)",
        "canonicalSlug": slug,
        "finalProvider": "openai",
        "attempts": [attempt],
        "modelAttemptCount": 1,
        "modelAttempts": [
            {
                "modelId": internal,
                "canonicalSlug": slug,
                "success": True,
                "providerAttemptCount": 1,
                "providerAttempts": [attempt],
            }
        ],
        "totalProviderAttemptCount": 1,
    }
    cost = f"{sum(price(usage or Usage(), 125, 1000)):.8f}".rstrip("0").rstrip(".")
    gateway = {
        "routing": routing,
        "cost": cost,
        "marketCost": cost,
        "generationId": name,
        "billableWebSearchCalls": 0,
    }
    return {"openai": {"responseId": response, "serviceTier": "default"}, "gateway": gateway}


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    def ended(chunk: Chunk) -> Chunk:
        def metadata(fill: Fill) -> JSON:
            return _metadata(resolved(chunk.id, fill), chunk.model, fill.usage, fill.source)

        def closed(part: ChunkChoice) -> ChunkChoice:
            reported = {"provider_metadata": per_event("provider_metadata", metadata)}
            return adding(part, reported) if part.finish_reason else part

        choices = tuple(map(closed, chunk.choices))
        tier = {"service_tier": "default"} if chunk.model.startswith("openai/") else {}
        return replace(chunk, choices=choices, extra=tier | {"generationId": chunk.id} | chunk.extra)

    return tuple(ended(chunk) if finishes(chunk) else chunk for chunk in chunks)


def _decorate_body(body: JSON, source: Source) -> JSON:
    counted = body.get("usage") or {}
    usage = Usage(counted.get("prompt_tokens", 0), counted.get("completion_tokens", 0))
    for choice in body["choices"]:
        choice["message"]["provider_metadata"] = _metadata(body["id"], body["model"], usage, source)
    return body | {"generationId": body["id"]}


VERCEL = Dialect(
    name="vercel",
    usual=Variation(split=ALL_IN_TOKENS, role="alone", reasoning="both", unfinished="null", usage="finish"),
    stream_type="text/event-stream",
    chunk_keys=(
        *("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
        *("service_tier", "generationId"),
    ),
    body_keys=("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
    choice_keys=("index", "delta", "message", "logprobs", "finish_reason"),
    delta_keys=("role", "content", "reasoning", "reasoning_details", "tool_calls", "refusal"),
    message_keys=("role", "content", "reasoning", "reasoning_details", "tool_calls", "refusal"),
    call_keys=("index", "id", "type", "function"),
    nulls=frozenset({"logprobs", "content"}),
    constants={},
    empty_content=no_content_beside_calls,
    usage_details=_usage_details,
    output_excludes_reasoning=False,
    completion_id=lambda source: "gen_01" + base32(source, 24),
    call_id=lambda source: "call_" + source.text(ALNUM, 24),
    fingerprint=lambda source: "fp_" + source.text(string.ascii_lowercase + string.digits, 10),
    decorate=_decorate,
    decorate_body=_decorate_body,
)
