"""Chunks to JSON, in the order and with the habits of a dialect. The inverse of `reader`; `whole` writes bodies."""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.chunk import EMPTY, NULL, ZEROS, Chunk, ChunkChoice, Delta, Text, ToolCallDelta, text_or_empty
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.habits import ChatHabits
from fakellm.apis.chat.meaning import NAME
from fakellm.apis.chat.whole_spelling import name_at, own_values
from fakellm.apis.skeleton import Fill, per_content
from fakellm.apis.variation_blocks import Reasoning, Spelling
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM
from fakellm.base.template import Hole
from fakellm.model.blocks import Token, Usage, own_value


def write_chunk(chunk: Chunk, habits: ChatHabits, number: int = 0) -> JSON:
    """The data of the event that carries the chunk of this number, with a hole for its token counts."""
    spelling, dialect = habits.spelling, habits.dialect
    choices = [_chunk_choice(choice, habits, number) for choice in chunk.choices]
    frame = write_envelope(dialect, "chat.completion.chunk", chunk, choices)
    if not choices and chunk.no_choices != "empty":
        frame["choices"] = None
        if chunk.no_choices == "absent":
            del frame["choices"]
    if chunk.usage is not None:
        frame["usage"] = {} if chunk.usage is EMPTY else None
        if chunk.usage is ZEROS:
            frame["usage"] = _only(spelling.usage_keys, write_usage(dialect, Usage()))
    if isinstance(chunk.usage, Usage):
        own_usage = own_values("usage.", number, spelling)
        frame["usage"] = per_content(
            "usage", lambda fill: _only(spelling.usage_keys, write_usage(dialect, fill.counted) | own_usage)
        )
    counted = isinstance(chunk.usage, Usage) and spelling.usage_keys != ()
    ends = counted or any(choice.finish_reason for choice in chunk.choices)
    keys = spelling.last_keys if spelling.last_keys and ends else spelling.keys
    own = _own("", spelling, frame, chunk.extra, number)
    return _only(keys, _placed(dialect.chunk_keys, *own))


def with_obfuscation(chunk: Chunk) -> Chunk:
    """The chunk with `obfuscation`: random text that fills its JSON to a multiple of 16 bytes, plus one.

    Every such frame recorded from OpenAI has this length; if nothing is missing, the text is empty.
    https://platform.openai.com/docs/api-reference/chat/create (`include_obfuscation`)
    """
    return replace(chunk, extra=chunk.extra | {"obfuscation": Hole("obfuscation", _obfuscation, "length")})


def _obfuscation(fill: Fill) -> str:
    return fill.text("obfuscation", ALNUM, (1 - fill.length) % 16)


def _placed(keys: tuple[str, ...], values: JSON, extra: JSON) -> JSON:
    """The values in the order of `keys`, which may list `extra` keys too; keys that it does not list come last."""
    if not extra:
        return {key: values[key] for key in keys if key in values}
    values = {key: values[key] for key in keys if key in values} | extra
    return {key: values[key] for key in keys if key in values} | values


CONTENT_KEYS = frozenset(
    {
        *("choices", "usage", "index", "delta", "finish_reason", "role", "content", "refusal", "tool_calls"),
        *("reasoning", "reasoning_content", "reasoning_details"),
    }
)
"""Keys that carry content: if a spelling sets them for some chunks, the other chunks keep theirs."""


def _own(place: str, spelling: Spelling, values: JSON, extra: JSON, number: int) -> tuple[JSON, JSON]:
    """The keys of the object at this place in the chunk of this number, and its extra ones: the provider's, overridden
    by those that the spelling sets for every chunk or for this one."""
    if not spelling.extra and not spelling.each:
        return values, extra
    each = {name_at(place, key) for key in spelling.each or ()}
    values = {key: value for key, value in values.items() if key not in each or (key in CONTENT_KEYS and value)}
    extra = {key: value for key, value in extra.items() if key not in each or (key in CONTENT_KEYS and value)}
    return values, extra | own_values(place, number, spelling)


def _only(keys: tuple[str, ...] | None, values: JSON) -> JSON:
    """The values of these keys, in their order; all unchanged if `keys` is None."""
    return values if keys is None else {key: values[key] for key in keys if key in values}


def write_envelope(dialect: Dialect, kind: str, chunk: Chunk, choices: list[JSON]) -> JSON:
    envelope: JSON = {
        "id": chunk.id,
        "object": "text_completion" if dialect.legacy else kind,
        "created": chunk.created,
        "model": chunk.model,
        "choices": choices,
    }
    if chunk.system_fingerprint is not None or "system_fingerprint" in dialect.nulls:
        envelope["system_fingerprint"] = chunk.system_fingerprint
    return envelope | dict(dialect.constants)


def write_usage(dialect: Dialect, usage: Usage) -> JSON:
    """The usage object of a chunk or a body."""
    total = own_value(usage.own, NAME, "total")
    values = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": dialect.total(usage) if total is None else total,
    }
    details = own_value(usage.own, NAME, "details")
    if isinstance(details, dict):
        return {**values, **details}
    return _placed(dialect.usage_keys, values, _with_cache_writes(dialect.usage_details(usage), usage))


def _with_cache_writes(details: JSON, usage: Usage) -> JSON:
    """The details with the tokens that were written to the cache, if any, under the key that OpenRouter uses.

    https://openrouter.ai/docs/features/prompt-caching
    """
    prompt = details.get("prompt_tokens_details") or {}
    if not usage.cache_write or prompt.get("cache_write_tokens"):
        return details
    return details | {"prompt_tokens_details": prompt | {"cache_write_tokens": usage.cache_write}}


def _chunk_choice(choice: ChunkChoice, habits: ChatHabits, number: int) -> JSON:
    dialect, spelling = habits.dialect, habits.spelling
    content: JSON = {"text": text_or_empty(choice.delta.content)}
    if not dialect.legacy:
        content = {"delta": _delta(choice.delta, habits, number)}
    values: JSON = {
        "index": choice.index,
        **content,
        "logprobs": None,
        **_sent_fields({"finish_reason": choice.finish_reason}),
    }
    if "logprobs" not in dialect.nulls:
        del values["logprobs"]
    if dialect.echoes:
        values["message"] = values["delta"]
    extra = choice.extra | write_logprobs(choice.logprobs, choice.refusal_logprobs)
    own = _own("choice.", spelling, values, extra, number)
    return _only(spelling.choice_keys, _placed(dialect.choice_keys, *own))


def write_logprobs(content: tuple[Token, ...] | None, refusal: tuple[Token, ...] | None) -> JSON:
    """Both lists of tokens, if there is either: https://platform.openai.com/docs/api-reference/chat/create"""
    if content is None and refusal is None:
        return {}
    lists = {"content": content, "refusal": refusal}
    return {"logprobs": {key: None if tokens is None else _tokens(tokens, True) for key, tokens in lists.items()}}


def _tokens(tokens: tuple[Token, ...], with_top: bool) -> list[JSON]:
    return [
        {
            "token": each.token,
            "logprob": each.logprob,
            "bytes": list(each.token.encode("utf-8", "surrogatepass")) if each.bytes == () else each.bytes,
            **({"top_logprobs": _tokens(each.top, False)} if with_top else {}),
        }
        for each in tokens
    ]


def _delta(delta: Delta, habits: ChatHabits, number: int) -> JSON:
    dialect, spelling = habits.dialect, habits.spelling
    values = _sent_fields({"role": delta.role, "content": delta.content, "refusal": delta.refusal})
    if delta.reasoning is not None:
        values |= write_reasoning(habits.reasoning, delta.reasoning, text_or_empty(delta.content), spelling.details)
    if isinstance(delta.tool_calls, tuple):
        values["tool_calls"] = [_call_piece(dialect, call, spelling) for call in delta.tool_calls]
    elif delta.tool_calls is NULL:
        values["tool_calls"] = None
    if delta.annotations:
        values["annotations"] = list(delta.annotations)
    extra = delta.extra | delta.fragments
    if isinstance(values.get("content"), list):  # the list stays, whatever the provider sends as an empty content
        extra = {key: value for key, value in extra.items() if key != "content"}
    values, extra = _own("delta.", spelling, values, extra, number)
    return _only(spelling.delta_keys, _placed(dialect.delta_keys, {}, values | extra))


def _sent_fields(values: dict[str, Text]) -> JSON:
    """The fields that are sent; NULL as null."""
    return {key: value or (None if value is NULL else value) for key, value in values.items() if value is not None}


def write_reasoning(key: Reasoning, text: Text, content: str, details: JSON | None = None) -> JSON:
    """The reasoning under its key. OpenRouter's and Vercel's details are items of the type `reasoning.text`, all at
    index 0, unless a spelling sets others.

    Mistral's thinking is a part of the content, beside the part that is `content`.
    """
    if isinstance(key, tuple):
        return {name: value for each in key for name, value in write_reasoning(each, text, content, details).items()}
    value = None if text is NULL else text
    if key in ("reasoning_content", "reasoning"):
        return {key: value}
    if key == "think":  # it is already in the content
        return {}
    if key == "thinking":
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": text}]} | (details or {})
        return {"content": [thinking, *([{"type": "text", "text": content}] if content else [])]} if text else {}
    items = [_detail(text, DETAILS if details is None else details)] if text else []
    return ({} if key == "reasoning_details" else {"reasoning": value}) | {"reasoning_details": items}


DETAILS: JSON = {"format": "unknown", "index": 0}


def _detail(text: Text, besides: JSON) -> JSON:
    kind = besides.get("type", "reasoning.text")
    return {"type": kind, kind.rpartition(".")[2]: text, **besides}


def _call_piece(dialect: Dialect, call: ToolCallDelta, spelling: Spelling) -> JSON:
    particulars = _sent_fields({"name": call.name, TEXT_KEYS.get(call.kind, "arguments"): call.arguments})
    values: JSON = {
        "index": None if call.index is NULL else call.index,
        **_sent_fields({"id": call.id, "type": call.type}),
    }
    if call.index is None:
        del values["index"]
    named = {key: particulars[key] for key in spelling.function_keys or () if key in particulars}
    values[call.kind] = named | particulars
    place, keys = ("call.", spelling.call_keys) if call.name else ("piece.", spelling.piece_keys)
    own = call.own | own_values(place, call.index if isinstance(call.index, int) else 0, spelling)
    return _placed(call_keys(keys or dialect.call_keys, call.kind), values, own)


TEXT_KEYS = {"function": "arguments", "custom": "input"}
"""The key of a call's arguments or input, by the kind of the call."""


def call_keys(keys: tuple[str, ...], kind: str) -> tuple[str, ...]:
    """The order of a call's keys, with its kind in place of `function`."""
    return tuple(kind if key == "function" else key for key in keys)
