"""JSON to chunks and completions: the inverse of `writer`. Owns what is read from the wire, and how leniently.

Keys may be missing, null or unknown; a value of the wrong type is refused, with its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from fakellm.apis.chat.chunk import Chunk, ChunkChoice, Delta, ToolCallDelta, envelope
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.fragments import with_fragments
from fakellm.apis.chat.meaning import NAME, chat_choice
from fakellm.apis.chat.read_batches import read_batches
from fakellm.apis.chat.whole_spelling import is_filled
from fakellm.base.errors import StreamError
from fakellm.model.blocks import Choice, Completion, Token, ToolCall, Usage, with_own
from fakellm.model.fold import fold


class _Function(Struct):
    name: str | None = None
    arguments: str | None = None


class _Custom(Struct):
    name: str | None = None
    input: str | None = None


class _Call(Struct):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: _Function | None = None
    custom: _Custom | None = None
    extra_content: dict[str, Any] | None = None  # Gemini's, with the signature of its thoughts


class _Part(Struct):
    text: str | None = None
    thinking: list[_Part] | None = None


class _Message(Struct):
    role: str | None = None
    content: str | list[_Part] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    annotations: list[dict[str, Any]] | None = None
    function_call: _Function | None = None
    audio: Any = None
    images: Any = None


class _Token(Struct):
    token: str = ""
    logprob: float = 0.0
    bytes: tuple[int, ...] | None = ()
    top_logprobs: list[_Token] | None = None


class _Logprobs(Struct):
    content: list[_Token] | None = None
    refusal: list[_Token] | None = None


class _Choice(Struct):
    index: int | None = None
    logprobs: _Logprobs | None = None
    delta: _Message | None = None
    message: _Message | None = None
    text: str | None = None  # of a legacy completion
    finish_reason: str | None = None


class _PromptDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(Struct):
    reasoning_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    prompt_token_details: _PromptDetails | None = None  # Writer's
    completion_tokens_details: _CompletionDetails | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Frame(Struct):
    id: str | None = None
    created: int | None = None
    model: str | None = None
    choices: list[_Choice] | UnsetType | None = UNSET
    usage: _Usage | None = None
    system_fingerprint: str | None = None


def read_chunk(dialect: Dialect, data: str) -> Chunk:
    """The chunk in the data of an event. Raises StreamError if there is none."""
    frame = _parse(data)
    return Chunk(
        id=frame.id or "",
        created=frame.created or 0,
        model=frame.model or "",
        choices=tuple(_chunk_choice(choice) for choice in frame.choices or ()),
        usage=_usage(dialect, frame.usage) if frame.usage else None,
        system_fingerprint=frame.system_fingerprint or None,
        no_choices="absent" if frame.choices is UNSET else "null" if frame.choices is None else "empty",
    )


def read_body(dialect: Dialect, data: bytes, functions: bool = False) -> tuple[Completion, dict[str, Any]]:
    """The completion in the body of a reply that was not streamed, and the envelope around it. `functions`: whether a
    call under the legacy key `function_call` is one of its calls. Raises StreamError if there is no completion."""
    frame = _parse(data.decode("utf-8", "replace"))
    completion = Completion(
        choices=tuple(_choice(choice, functions) for choice in frame.choices or ()),
        usage=_usage(dialect, frame.usage) if frame.usage else None,
    )
    envelope = {
        "id": frame.id or "",
        "created": frame.created or 0,
        "model": frame.model or "",
        "system_fingerprint": frame.system_fingerprint or None,
    }
    return completion, envelope


def read_stream(dialect: Dialect, frames: Iterable[str]) -> tuple[Completion, dict[str, Any]]:
    """The completion in the data of a stream's events, and the envelope around it: the first values that are not
    empty. Raises StreamError if there is no chunk, or something that is not a chunk."""
    return read_chunks([read_chunk(dialect, frame) for frame in frames])


def read_chunks(chunks: Sequence[Chunk]) -> tuple[Completion, dict[str, Any]]:
    """As `read_stream`, from the chunks."""
    if not chunks:
        raise StreamError("the stream has no chunk")
    return fold(read_batches(chunks))[0], envelope(chunks)


def _parse(text: str) -> _Frame:
    try:
        return msgspec.convert(json.loads(text), _Frame)
    except RecursionError:
        raise StreamError(f"nested too deeply: {text[:80]!r}") from None
    except ValueError as error:  # not valid JSON, or JSON of another shape
        raise StreamError(f"{error}: {text[:80]!r}") from None


def _usage(dialect: Dialect, usage: _Usage) -> Usage:
    prompt = [details for details in (usage.prompt_tokens_details, usage.prompt_token_details) if details]
    completion_details = usage.completion_tokens_details or _CompletionDetails()
    read = Usage(
        usage.prompt_tokens or 0,
        usage.completion_tokens or 0,
        next((details.cached_tokens for details in prompt if details.cached_tokens), usage.cached_tokens or 0),
        next((details.cache_write_tokens for details in prompt if details.cache_write_tokens), 0),
        completion_details.reasoning_tokens or usage.reasoning_tokens or 0,
    )
    if usage.total_tokens is None or usage.total_tokens == dialect.total(read):
        return read
    return msgspec.structs.replace(read, own={NAME: {"total": usage.total_tokens}})


def _chunk_choice(choice: _Choice) -> ChunkChoice:
    delta = choice.delta or _Message(content=choice.text)
    calls = tuple(_call_piece(call) for call in delta.tool_calls or ())
    texts = delta.role, _content(delta), _reasoning(delta), delta.refusal
    content = Delta(*texts, calls or None, {}, _cited(delta), _fragment(delta))
    logprobs = choice.logprobs or _Logprobs()
    tokens = (None if each is None else _tokens(each) for each in (logprobs.content, logprobs.refusal))
    return ChunkChoice(choice.index or 0, content, choice.finish_reason, {}, *tokens)


def _tokens(tokens: list[_Token] | None) -> tuple[Token, ...]:
    """The tokens; their bytes are left out if they are those of the token's text."""
    return tuple(
        Token(
            each.token,
            each.logprob,
            _tokens(each.top_logprobs),
            () if each.bytes == tuple(each.token.encode("utf-8", "surrogatepass")) else each.bytes,
        )
        for each in tokens or ()
    )


def _call_piece(call: _Call) -> ToolCallDelta:
    kind, name, arguments = _particulars(call)
    return ToolCallDelta(call.index, call.id, call.type, name, arguments, kind, _own(call))


def _own(call: _Call) -> dict[str, Any]:
    return {"extra_content": call.extra_content} if call.extra_content else {}


def _particulars(call: _Call) -> tuple[str, str | None, str | None]:
    """A call's kind, name, and arguments or input. Snowflake sends an empty `custom` beside each function."""
    if call.type == "custom" or (call.custom and not call.function):
        custom = call.custom or _Custom()
        return "custom", custom.name, custom.input
    function = call.function or _Function()
    return "function", function.name, function.arguments


def _content(message: _Message) -> str | None:
    """The content; of a list of parts, their texts."""
    if not isinstance(message.content, list):
        return message.content
    return "".join(part.text or "" for part in message.content)


def _reasoning(message: _Message) -> str | None:
    """The reasoning, under any of its keys; some providers send it under two, Mistral sends it within the content."""
    if message.reasoning_content or message.reasoning:
        return message.reasoning_content or message.reasoning
    parts = message.content if isinstance(message.content, list) else ()
    thoughts = [thought.text or "" for part in parts for thought in part.thinking or ()]
    if any(thoughts):
        return "".join(thoughts)
    return "".join(map(_text_of, message.reasoning_details or ())) or message.reasoning_content


def _text_of(detail: dict[str, Any]) -> str:
    found = detail.get("text") or detail.get("summary")
    return found if isinstance(found, str) else ""


def _fragment(message: _Message, mixed: bool = False) -> dict[str, Any]:
    """What no other block expresses: audio, images, and details of the reasoning without a text, such as a signature;
    with `mixed`, beside others that have one too."""
    details = message.reasoning_details or []
    silent = [detail for detail in details if not _text_of(detail)]
    values = {
        "audio": message.audio,
        "images": message.images,
        "reasoning_details": silent if mixed or len(silent) == len(details) else None,
    }
    return {key: value for key, value in values.items() if is_filled(value)}


def _choice(choice: _Choice, functions: bool) -> Choice:
    message = choice.message or _Message(content=choice.text)
    sent = message.tool_calls or ()
    if functions and message.function_call and not sent:
        sent = [_Call(function=message.function_call)]
    calls = [(call.id or "", *_particulars(call), with_own({}, NAME, _own(call))) for call in sent]
    read = chat_choice(
        _content(message) or "",
        _reasoning(message) or "",
        message.refusal or "",
        tuple(ToolCall(call_id, name or "", text or "", kind, own) for call_id, kind, name, text, own in calls),
        choice.finish_reason or None,
        _tokens(choice.logprobs.content if choice.logprobs else None),
        _tokens(choice.logprobs.refusal if choice.logprobs else None),
        _cited(message),
    )
    return with_fragments(read, _fragment(message, mixed=True))


def _cited(message: _Message) -> tuple[dict[str, Any], ...]:
    return tuple(message.annotations or ())
