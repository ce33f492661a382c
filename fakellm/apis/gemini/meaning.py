"""What Gemini can express: its grammar, and the part of any completion that it can send.

Blocks keep their order. Consecutive texts, and consecutive thoughts, are one: only a signature ends a text. What a
candidate or a frame has beside its parts comes after all blocks, that of a frame in the first candidate. A refusal is a
text. A function call whose arguments are not a JSON object cannot be sent: the model's answer is then what Google sends
for one, `MALFORMED_FUNCTION_CALL`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from fakellm.apis.gemini.frames.parts import (
    OUTSIDE,
    RESPONSE_KEYS,
    SIGNATURE,
    TEXT_SIGNATURE,
    block_of,
    is_outside,
    object_of,
    own_of_call,
    own_of_text,
)
from fakellm.apis.gemini.frames.usage import is_count, metadata, usage_of
from fakellm.apis.gemini.habits import GeminiHabits
from fakellm.apis.gemini.logprobs import logprobs_result
from fakellm.apis.gemini.words import NAME, finish_word, stop_of
from fakellm.base.json_text import dumps
from fakellm.model.blocks import (
    Block,
    Choice,
    Completion,
    Opaque,
    Refusal,
    Stop,
    Text,
    Thinking,
    ToolCall,
    own_value,
    with_own,
)
from fakellm.streaming.grammar import Field, Grammar, Joins

MALFORMED = "MALFORMED_FUNCTION_CALL"


def grammar(signature: str) -> Grammar:
    """The grammar of streams in which a text's signature is `beside` its last piece or `after` it."""
    fields: dict[type, tuple[Field, ...]] = {
        Thinking: (Field("parts.0"), Field("signature", "whole", ride=True)),
        Text: (Field("text"), Field(TEXT_SIGNATURE, "whole", ride=signature == "beside")),
        ToolCall: (Field("arguments", "whole"),),
    }
    return Grammar(
        fields=lambda block: fields.get(type(block), ()),
        share="any",
        opening=lambda block: "must",
        joins=Joins(start="may", finish="may", usage="may"),
        thoughts_apart=True,
    )


def expressible(completion: Completion, habits: GeminiHabits, whole: bool = False) -> Completion:
    """The part of a completion that Gemini can send; idempotent."""
    counted = metadata(completion.usage, habits) if completion.usage is not None else habits.between
    usage = usage_of(counted, habits) if is_count(counted, habits) else None
    found = [[*_blocks(choice)] for choice in completion.choices]
    of_frame = [block for blocks in found for block in blocks if _is_of_frame(block)]
    found = [[block for block in blocks if block not in of_frame] for blocks in found]
    choices = (
        _choice(blocks if number else [*blocks, *of_frame], choice.finish, whole)
        for number, (choice, blocks) in enumerate(zip(completion.choices, found, strict=True))
    )
    return Completion(tuple(choices), usage)


def _blocks(choice: Choice) -> Iterator[Block]:
    """The blocks of a choice that can be sent; and as blocks the log probabilities of its texts, and what its stop has
    of its own beside the word."""
    for block in choice.blocks:
        if (found := _expressible(block)) is not None:
            yield found
    tokens = [token for block in choice.blocks if isinstance(block, (Text, Refusal)) for token in block.logprobs]
    if tokens:
        yield Opaque(NAME, {"candidate": logprobs_result(tokens)})
    own = choice.finish.own.get(NAME, {}) if choice.finish else {}
    for place in OUTSIDE:
        of_frame = place == "response"
        more = {key: own[key] for key in own if key != "finishReason" and (key in RESPONSE_KEYS) == of_frame}
        if more:
            yield Opaque(NAME, {place: more})


def _choice(found: list[Block], stop: Stop | None, whole: bool) -> Choice:
    outside = [block for block in found if is_outside(block)]
    inside = [block for block in found if not is_outside(block)]
    calls = [block for block in inside if isinstance(block, ToolCall)]
    bad = [call for call in calls if object_of(call.arguments) is None]
    blocks = [_canonical(block) for block in inside if block not in bad]
    if stop is not None:
        cut = bad and stop.reason != "length"
        stop = Stop(MALFORMED) if cut else stop_of(finish_word(stop), len(calls) > len(bad))
    return Choice((*_joined(blocks), *(_merged(outside) if whole else outside)), stop)


def _expressible(block: Block) -> Block | None:
    """The block without what Gemini cannot express; None if nothing is left."""
    match block:
        case Refusal(text):
            return Text(text) if text else None
        case Text(text):
            own = own_of_text(block.own.get(NAME, {}))
            return Text(text, own=with_own({}, NAME, own)) if text or own else None
        case Thinking(parts, _, signature):
            own = own_of_text(block.own.get(NAME, {}))
            own.pop(SIGNATURE, None)
            parts = tuple(filter(None, ["".join(parts)]))
            return Thinking(parts, (), signature, with_own({}, NAME, own)) if parts or signature or own else None
        case ToolCall(identifier, name, arguments):
            return ToolCall(identifier or None, name, arguments, own=block.own)
        case Opaque(api, value) if api == NAME and value:
            if is_outside(block):
                return block if any(value.values()) else None
            read = block_of(value)
            return read if isinstance(read, Opaque) else _expressible(read)
    return None


def _is_of_frame(block: Block) -> bool:
    return isinstance(block, Opaque) and is_outside(block) and "response" in block.value


def _canonical(block: Block) -> Block:
    """A call as it is read back."""
    if not isinstance(block, ToolCall):
        return block
    value = object_of(block.arguments)
    own = own_of_call(block.own.get(NAME, {}), not value)
    return replace(block, arguments=dumps(value), own=with_own({}, NAME, own))


def _joined(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks, consecutive texts and thoughts joined unless something ends the first or begins the second."""
    last: Block | None = None
    for block in blocks:
        if last is not None and (both := _both(last, block)) is not None:
            last = both
            continue
        if last is not None:
            yield last
        last = block
    if last is not None:
        yield last


def _both(one: Block, other: Block) -> Block | None:
    """Two blocks as one, if that is how they are read."""
    if isinstance(one, Text) and isinstance(other, Text):
        signed = bool(own_value(one.own, NAME, SIGNATURE))
        if signed or not set(other.own.get(NAME, {})) <= {SIGNATURE}:
            return None
        own = one.own.get(NAME, {}) | other.own.get(NAME, {})
        return Text(one.text + other.text, own=with_own({}, NAME, own))
    if isinstance(one, Thinking) and isinstance(other, Thinking):
        if one.signature or other.own:
            return None
        parts = tuple(filter(None, ["".join((*one.parts, *other.parts))]))
        return Thinking(parts, (), other.signature, one.own)
    return None


def _merged(outside: Iterable[Block]) -> Iterator[Block]:
    """The blocks outside of parts as one object each for the candidate and the frame, the last value of a key first."""
    for key in OUTSIDE:
        value: dict[str, Any] = {}
        for block in outside:
            if isinstance(block, Opaque):
                value |= block.value.get(key, {})
        if value:
            yield Opaque(NAME, {key: value})
