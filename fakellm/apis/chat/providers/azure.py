"""Azure OpenAI's spelling, as recorded from gpt-4.1-mini, gpt-5-mini and o4-mini in 2026.

OpenAI's, with the keys in alphabetical order, and with filters: a chunk that has the verdict on the prompt and no id
comes first, and each choice has its own verdicts.

https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice
from fakellm.apis.chat.error_style import Errors, Failure, fields_of
from fakellm.apis.chat.providers.openai import OPENAI
from fakellm.apis.skeleton import Fill, in_bulk, per_stream
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.json_text import JSON, rearranged
from fakellm.base.seed import ALNUM, Source
from fakellm.model.blocks import Usage
from fakellm.streaming.division import Silences

_SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
_UNSEEN = {"detected": False, "filtered": False}
_PROMPT = [{"prompt_index": 0, "content_filter_results": rearranged({**_SAFE, "jailbreak": _UNSEEN})}]
_TEXT = _SAFE | {"protected_material_code": _UNSEEN, "protected_material_text": _UNSEEN}

_VERDICT = {"id": "", "created": 0, "model": "", "object": "", "prompt_filter_results": _PROMPT}


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    return tuple(map(_decorated, chunks))


def _decorated(chunk: Chunk) -> Chunk:
    extra: JSON = {
        "service_tier": "default",
        "system_fingerprint": chunk.system_fingerprint,
        "obfuscation": in_bulk("obfuscation", _obfuscation),
    }
    if isinstance(chunk.usage, Usage):
        extra["latency_checkpoint"] = per_stream("latencies", lambda fill: _latencies(fill.source))
    return replace(chunk, choices=tuple(map(_filtered, chunk.choices)), extra=chunk.extra | extra)


def _obfuscation(fill: Fill, numbers: Sequence[int], pieces: Sequence[str]) -> list[str]:
    letters, lengths = fill.letters("obfuscation", ALNUM, numbers[-1]), fill.numbers("obfuscation length", numbers[-1])
    return [f'"{letters[16 * each : 16 * each + lengths[each] % 16]}"' for each in numbers]


def _filtered(part: ChunkChoice) -> ChunkChoice:
    return replace(part, extra=part.extra | {"content_filter_results": _TEXT if part.delta.content else {}})


def _latencies(source: Source) -> JSON:
    """Milliseconds: between tokens, to the first and to the last token, in the engine and in total."""
    token = source.draw("engine_tbt_ms", lambda each: each.between(5, 20))
    first = source.draw("engine_ttft_ms", lambda each: each.between(30, 90))
    last = source.draw("engine_ttlt_ms", lambda each: each.between(300, 2000))
    before = 200
    return {
        "engine_tbt_ms": token,
        "engine_ttft_ms": first,
        "engine_ttlt_ms": last,
        "pre_inference_ms": before,
        "service_tbt_ms": token + 1,
        "service_ttft_ms": first + 2 * before,
        "service_ttlt_ms": last + 2 * before,
        "total_duration_ms": last + 2 * before - first,
        "user_visible_ttft_ms": first + before,
    }


def _decorate_body(body: JSON, source: Source) -> JSON:
    for choice in body["choices"]:
        choice["content_filter_results"] = _TEXT if choice["message"]["content"] else {}
    if "usage" in body:
        body["usage"].setdefault("latency_checkpoint", _latencies(source))
    body = rearranged({"system_fingerprint": None, **body, "service_tier": "default", "prompt_filter_results": []})
    return body | {"prompt_filter_results": _PROMPT}


def _gateway_or_model(error: JSON, status: int) -> JSON:
    """The gateway sends a code and a message; errors of the model are like OpenAI's."""
    if status not in (401, 403, 404, 429):
        return fields_of("message", "type", "param", "code")(error, status)
    details = {"details": error["message"]} if status == 429 else {}
    return {"error": {"code": error["code"], "message": error["message"], **details}}


_KEY = "Access denied due to invalid subscription key or wrong API endpoint."
_ERRORS = Errors(
    usual=(
        Failure(401, _KEY, code="401"),
        Failure(403, "Access denied due to Virtual Network/Firewall rules.", code="AccessDenied"),
        Failure(404, "Resource not found", code="404"),
        Failure(429, "Your requests have exceeded rate limit.", code="RateLimitReached"),
    ),
    body=_gateway_or_model,
)

AZURE = replace(
    OPENAI,
    name="azure",
    usual=Variation(spelling=Spelling(order="sorted")).over(OPENAI.usual),
    nulls=OPENAI.nulls - {"system_fingerprint"},
    constants={},
    indent=None,
    silences=(Silences(1, "stream", {"chunk": _VERDICT}),),
    decorate=_decorate,
    decorate_body=_decorate_body,
    errors=_ERRORS,
)
