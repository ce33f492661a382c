"""What chat completions can express: its grammar, and the part of any completion that it can send.

A choice has at most one reasoning, one text and one refusal, followed by its tool calls, in whatever order they arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from fakellm.model.blocks import (
    Block,
    Choice,
    Completion,
    Opaque,
    Refusal,
    Stop,
    Text,
    Thinking,
    Token,
    ToolCall,
    own_value,
    with_own,
)
from fakellm.streaming.grammar import Field, Grammar, Join, Joins

NAME = "chat"
ANNOTATIONS = "own.chat.annotations"

_FIELDS: dict[type, tuple[Field, ...]] = {
    Thinking: (Field("parts.0"),),
    Text: (Field("text"), Field(ANNOTATIONS, "whole")),
    Refusal: (Field("text"),),
    ToolCall: (Field("arguments"),),
}


def _opening(block: Block) -> Join:
    return "may" if isinstance(block, (ToolCall, Opaque)) else "must"


GRAMMAR = Grammar(
    fields=lambda block: _FIELDS.get(type(block), ()),
    overlap="any",  # the calls of a choice may arrive last first: their index orders them
    share="any",
    opening=_opening,
    joins=Joins(start="may", finish="may", usage="may"),
)


def chat_choice(
    content: str = "",
    reasoning: str = "",
    refusal: str = "",
    tool_calls: Iterable[ToolCall] = (),
    finish_reason: str | None = None,
    logprobs: tuple[Token, ...] = (),
    refusal_logprobs: tuple[Token, ...] = (),
    annotations: Iterable[dict[str, Any]] = (),
) -> Choice:
    """The choice of a chat message: a block for each field that is not empty, in chat's order."""
    cited = list(annotations)
    blocks: list[Block] = []
    if reasoning:
        blocks.append(Thinking((reasoning,)))
    if content or cited:
        blocks.append(Text(content, logprobs, own=with_own({}, NAME, {"annotations": cited} if cited else {})))
    if refusal:
        blocks.append(Refusal(refusal, refusal_logprobs))
    return Choice((*blocks, *tool_calls), Stop(finish_reason) if finish_reason is not None else None)


def logprobs_of(choice: Choice, kind: type[Text | Refusal]) -> tuple[Token, ...]:
    """The tokens of all texts, or of all refusals, of a choice."""
    return tuple(token for block in choice.blocks if isinstance(block, kind) for token in block.logprobs)


def annotations_of(choice: Choice) -> list[dict[str, Any]]:
    """The annotations of a choice's texts."""
    return [each for block in choice.blocks if isinstance(block, Text) for each in annotations_in(block)]


def annotations_in(block: Text | Refusal) -> Sequence[dict[str, Any]]:
    """The annotations of a text; none if the value there is not a list."""
    found = own_value(block.own, NAME, "annotations")
    return found if isinstance(found, (list, tuple)) else ()


def finish_word(stop: Stop | None) -> str | None:
    """The `finish_reason` of a stop."""
    return (stop and (own_value(stop.own, NAME, "finish_reason") or stop.reason)) or None


def expressible(completion: Completion, think: bool = False, one_call: bool = False) -> Completion:
    """The part of a completion that chat can send; idempotent. `think`: reasoning is part of the content, between tags.

    `one_call`: a choice has at most one call, without an id.
    """
    usage = completion.usage
    if usage is not None:
        usage = replace(usage, own=with_own({}, NAME, usage.own.get(NAME, {})))
    return Completion(tuple(_expressible(choice, think, one_call) for choice in completion.choices), usage)


def _expressible(choice: Choice, think: bool, one_call: bool) -> Choice:
    kinds = ("function",) if one_call else ("function", "custom")
    calls = [
        ToolCall(call.id, call.name, call.arguments, call.kind, with_own({}, NAME, _own_of(call)))
        for call in choice.tool_calls
        if call.kind in kinds
    ]
    if one_call:
        calls = [replace(call, id="") for call in calls[:1]]
    content, refusal = choice.content, choice.refusal
    meant = chat_choice(
        content,
        choice.reasoning,
        refusal,
        calls,
        finish_word(choice.finish),
        logprobs_of(choice, Text) if content else (),
        logprobs_of(choice, Refusal) if refusal else (),
        annotations_of(choice),
    )
    blocks = choice.blocks
    if think and meant.reasoning:
        meant, blocks = _with_think_tags(meant), (Text(), *blocks)  # a text comes first
    fragments = [block for block in choice.blocks if isinstance(block, Opaque) and block.api == NAME]
    return _with_fragments(meant, fragments, blocks) if fragments else meant


def _with_fragments(meant: Choice, fragments: Sequence[Opaque], blocks: Sequence[Block]) -> Choice:
    """The choice with the opaque blocks of chat, before or after its texts as in `blocks`, and before its calls."""
    texts = [number for number, block in enumerate(blocks) if isinstance(block, (Text, Refusal))]
    first = texts[0] if texts else len(blocks)
    early = sum(block in fragments for block in blocks[:first])
    thinking = [block for block in meant.blocks if isinstance(block, Thinking)]
    texts_meant = [block for block in meant.blocks if isinstance(block, (Text, Refusal))]
    return replace(meant, blocks=(*thinking, *fragments[:early], *texts_meant, *fragments[early:], *meant.tool_calls))


def _own_of(call: ToolCall) -> dict[str, Any]:
    """What only chat has of a call: Gemini's `extra_content`, with the signature of the thoughts before it."""
    return {key: value for key, value in call.own.get(NAME, {}).items() if key == "extra_content"}


def _with_think_tags(choice: Choice) -> Choice:
    """The choice with its reasoning in the content: ``<think>…</think>``, a blank line, and the content itself.

    Open models are trained to do this, and servers that do not parse the tags pass them on. Nothing undoes this: a text
    may start with a literal tag. If the content has log probabilities, the reasoning is one token of probability 1.
    """
    if not choice.reasoning:
        return choice
    thought = f"<think>{choice.reasoning}</think>\n\n"
    tokens = logprobs_of(choice, Text)
    text = next((block for block in choice.blocks if isinstance(block, Text)), Text())
    text = replace(text, text=thought + text.text, logprobs=(Token(thought, 0.0), *tokens) if tokens else ())
    others = tuple(block for block in choice.blocks if not isinstance(block, (Thinking, Text)))
    return replace(choice, blocks=(text, *others))
