"""Whole bodies: a completion that is not streamed, with the habits of a dialect and, where a rule sets them, its own.

Owns the body's objects. `whole_spelling` changes their keys as a rule sets it; `writer` knows what chunks have too.
"""

from __future__ import annotations

from fakellm.apis.chat.chunk import Chunk, envelope_of
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.fragments import fragments_of, joined
from fakellm.apis.chat.meaning import NAME, annotations_of, finish_word, logprobs_of
from fakellm.apis.chat.whole_spelling import respelled, written
from fakellm.apis.chat.writer import (
    TEXT_KEYS,
    call_keys,
    write_envelope,
    write_logprobs,
    write_reasoning,
    write_usage,
)
from fakellm.apis.protocol import Values
from fakellm.apis.variation_blocks import Reasoning, Spelling
from fakellm.base.json_text import JSON, dumps
from fakellm.base.seed import Source
from fakellm.model import blocks as model
from fakellm.model.blocks import Choice, Completion


def write_body(
    dialect: Dialect,
    completion: Completion,
    drawn: Values,
    source: Source,
    margins: tuple[str, str] | None = None,
    spelling: Spelling | None = None,
    reasoning: Reasoning | None = None,
) -> bytes:
    """The body of a reply that is not streamed. `margins`, `spelling` and the key of the `reasoning` are the
    provider's where they are None.

    `drawn` has the envelope; `source` draws everything else that the provider adds.
    """
    key = reasoning or dialect.usual.reasoning or "reasoning_content"
    details = spelling.details if spelling else None
    thoughts = [_reasoning(choice, key, details) for choice in completion.choices]
    choices = [
        _body_choice(dialect, index, choice, thought)
        for index, (choice, thought) in enumerate(zip(completion.choices, thoughts, strict=True))
    ]
    body = write_envelope(dialect, "chat.completion", Chunk(**envelope_of(drawn)), choices)
    if completion.usage is not None:
        body["usage"] = write_usage(dialect, completion.usage)
    body = dialect.decorate_body(_ordered(dialect, dialect.body_keys, body), source)
    if reasoning is not None and not dialect.legacy:
        for choice, thought in zip(body["choices"], thoughts, strict=True):
            choice["message"] = choice["message"] | {name: value for name, value in thought.items() if value}
    for choice, one in zip(completion.choices, body["choices"], strict=True):
        if not dialect.legacy and (fragments := fragments_of(choice)):
            one["message"] = joined(one["message"], fragments)
    text = (
        dumps(body, dialect.indent)
        if spelling is None
        else written(respelled(body, spelling), spelling, dialect.indent)
    )
    before, after = dialect.margins if margins is None else margins
    return (before + text + after).encode()


def _ordered(dialect: Dialect, keys: tuple[str, ...], values: JSON) -> JSON:
    """The values in the order of `keys`; None is sent as null if the dialect has the key in `nulls`, else left out."""
    return {key: values[key] for key in keys if key in values and (values[key] is not None or key in dialect.nulls)}


def _reasoning(choice: Choice, key: Reasoning, details: JSON | None) -> JSON:
    return write_reasoning(key, choice.reasoning, choice.content, details) if choice.reasoning else {}


def _body_choice(dialect: Dialect, index: int, choice: Choice, reasoning: JSON) -> JSON:
    content = {"text": choice.content} if dialect.legacy else {"message": _message(dialect, choice, reasoning)}
    values = {"index": index, **content, "logprobs": None, "finish_reason": finish_word(choice.finish)}
    values = _ordered(dialect, dialect.choice_keys, values)
    return values | write_logprobs(logprobs_of(choice, model.Text) or None, logprobs_of(choice, model.Refusal) or None)


def _call(dialect: Dialect, number: int, call: model.ToolCall) -> JSON:
    particulars = {"name": call.name, TEXT_KEYS.get(call.kind, "arguments"): call.arguments}
    values: JSON = {"id": call.id, "type": call.kind, call.kind: particulars}
    if dialect.calls_indexed:
        values["index"] = number
    return _ordered(dialect, call_keys(dialect.call_keys, call.kind), values) | call.own.get(NAME, {})


def _message(dialect: Dialect, choice: Choice, reasoning: JSON) -> JSON:
    calls = [_call(dialect, number, call) for number, call in enumerate(choice.tool_calls)]
    message: JSON = {
        "role": "assistant",
        "content": choice.content or dialect.empty_content(choice),
        "reasoning_content": None,
        "reasoning": None,
        "tool_calls": calls or None,
        "refusal": choice.refusal or None,
        "annotations": [],
    }
    annotations = annotations_of(choice)
    cited: JSON = {"annotations": annotations} if annotations else {}
    return _ordered(dialect, dialect.message_keys, message | reasoning) | cited
