"""vLLM's spelling, as recorded from a Llama-3.3-70B on version 0.24 in August 2026, and from 0.6 at the end of 2024.

Many keys are null: token ids, which a client may request, and what made the model stop. No streamed tool calls were
recorded; users report an opening without arguments: https://github.com/vllm-project/vllm/issues/9693
"""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_style import Errors, Failure, fields_of
from fakellm.apis.chat.providers.common import cached_details, counted_details, in_parts, no_content_beside_calls
from fakellm.apis.chat.requests.accepts import Accepts
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Calls
from fakellm.base.json_text import JSON
from fakellm.base.seed import HEX, Source

_MESSAGE = ("role", "content", "refusal", "annotations", "audio", "function_call", "tool_calls", "reasoning")


def _decorate(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """The prompt's tokens first, then a choice's tokens; only the last chunk has the version."""
    first = replace(chunks[0], extra=chunks[0].extra | {"prompt_token_ids": None, "prompt_text": None})
    *before, last = first, *in_parts(chunks[1:], lambda choice: _with_stop(choice, {"token_ids": None}))
    return (*(replace(chunk, system_fingerprint=None) for chunk in before), last)


def _with_stop(choice: ChunkChoice, extra: JSON) -> ChunkChoice:
    stop = {"stop_reason": None} if choice.finish_reason else {}
    return replace(choice, extra=choice.extra | stop | extra)


def _decorate_body(body: JSON, source: Source) -> JSON:
    choices = []
    for choice in body["choices"]:
        sent = choice["message"]
        message = {key: sent.get(key) for key in _MESSAGE if key != "tool_calls" or key in sent}
        choices.append(choice | {"message": message, "stop_reason": None, "token_ids": None, "routed_experts": None})
    absent = ("prompt_logprobs", "prompt_token_ids", "prompt_text", "kv_transfer_params", "metrics")
    return body | {"choices": choices} | dict.fromkeys(absent)


def _error(error: JSON, status: int) -> JSON:
    """The check of the API key is in front of the API and sends one word."""
    return {"error": error["message"]} if status == 401 else fields_of(*_ERROR_KEYS)(error, status)


def _flat_error(error: JSON, status: int) -> JSON:
    """The shape of the versions of 2024."""
    return _error(error, status) if status == 401 else {"object": "error", **{key: error[key] for key in _ERROR_KEYS}}


_ERROR_KEYS = ("message", "type", "param", "code")
_ERRORS = Errors(
    usual=(
        Failure(400, type="BadRequestError"),
        Failure(401, "Unauthorized"),
        Failure(404, "The model does not exist.", "NotFoundError"),
        Failure(429, type="TooManyRequestsError"),
        Failure(500, "EngineCore encountered an issue.", "InternalServerError"),
        Failure(503, type="ServiceUnavailableError"),
    ),
    code="status",
    body=_error,
)

_ACCEPTS = Accepts(roles=None, tool_types=("function",), requires_types=False)
"""`ChatCompletionRequest` in https://github.com/vllm-project/vllm/blob/main/vllm/entrypoints/openai/chat_completion/protocol.py;
a role that it does not know is left to the model's chat template."""


VLLM = Dialect(
    name="vllm",
    usual=Variation(
        split={"content": "tokens", "reasoning": "tokens", "refusal": "tokens", "arguments": "tokens"},
        calls=Calls(arguments="absent"),
        reasoning="reasoning",
        fill={"opening": {"content": "empty"}},
        unfinished="null",
    ),
    stream_type="text/event-stream; charset=utf-8",
    chunk_keys=("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
    body_keys=("id", "object", "created", "model", "choices", "service_tier", "system_fingerprint", "usage"),
    choice_keys=("index", "delta", "message", "logprobs", "finish_reason", "stop_reason", "token_ids"),
    delta_keys=("role", "content", "reasoning", "refusal", "tool_calls"),
    message_keys=("role", "content", "refusal", "tool_calls", "reasoning"),
    call_keys=("id", "type", "index", "function"),
    nulls=frozenset({"content", "finish_reason", "logprobs", "service_tier"}),
    constants={"service_tier": None},
    empty_content=no_content_beside_calls,
    named_call_finish="stop",
    usage_details=cached_details,
    usage_keys=("prompt_tokens", "total_tokens", "completion_tokens"),
    output_excludes_reasoning=False,
    completion_id=lambda source: "chatcmpl-" + source.text(HEX, 16),
    call_id=lambda source: "chatcmpl-tool-" + source.text(HEX, 16),
    fingerprint=lambda source: "vllm-0.24.0-tp4-" + source.text(HEX, 8),
    decorate=_decorate,
    decorate_body=_decorate_body,
    errors=_ERRORS,
    accepts=_ACCEPTS,
)


def _decorate_2024(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    return in_parts(chunks, lambda choice: _with_stop(choice, {}))


def _decorate_body_2024(body: JSON, source: Source) -> JSON:
    choices = []
    for choice in body["choices"]:
        message = choice["message"] | {"tool_calls": choice["message"].get("tool_calls", [])}
        choices.append(choice | {"message": message, "stop_reason": None})
    return body | {"choices": choices}


VLLM_2024 = replace(
    VLLM,
    name="vllm-2024",
    usual=Variation(reasoning="reasoning_content", fill={"opening": {}}, finish="last").over(VLLM.usual),
    chunk_keys=("id", "object", "created", "model", "system_fingerprint", "choices", "usage"),
    body_keys=("id", "object", "created", "model", "system_fingerprint", "choices", "usage"),
    delta_keys=("role", "content", "reasoning_content", "refusal", "tool_calls"),
    message_keys=("role", "content", "reasoning_content", "refusal", "tool_calls"),
    nulls=frozenset({"content", "finish_reason", "logprobs"}),
    usage_details=counted_details,
    completion_id=lambda source: "chat-" + source.text(HEX, 32),
    call_id=lambda source: "chatcmpl-tool-" + source.text(HEX, 32),
    fingerprint=lambda source: None,
    decorate=_decorate_2024,
    decorate_body=_decorate_body_2024,
    errors=replace(_ERRORS, body=_flat_error),
)
