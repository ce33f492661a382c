"""What the Messages API can express: its grammar, and the part of any completion that it can send.

A message has one choice: an ordered list of blocks, one open at a time. What only this API has is under `messages` in
`own`: citations of a text, `caller` of a call, `stop_sequence` and `stop_details` of a finish, further token counts. A
block that only this API has, such as the result of a server tool, is an Opaque block, word for word.
https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from fakellm.apis.messages.counts import read_usage, whole_usage
from fakellm.apis.messages.names import CITATIONS, NAME
from fakellm.base.json_text import dumps
from fakellm.model.blocks import (
    Block,
    Choice,
    Completion,
    Opaque,
    Own,
    Refusal,
    Stop,
    Text,
    Thinking,
    ToolCall,
    Usage,
    own_value,
    with_own,
)
from fakellm.streaming.grammar import Field, Grammar, Joins

_WORDS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""This API's word for a neutral one; any other word is sent as it is."""
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def grammar(input_at_start: bool) -> Grammar:
    """What streams look like. `input_at_start`: calls open with all of their input, as some compatible servers send
    them."""

    def fields(block: Block) -> tuple[Field, ...]:
        match block:
            case Text():
                return Field(CITATIONS, "whole"), Field("text")
            case Thinking():
                return Field("parts.0"), Field("signature", "whole")
            case ToolCall():
                return () if input_at_start or made_by_code(block) else (Field("arguments", empty=True),)
            case Opaque(_, {"type": "compaction", "content": str()}):
                return Field("value.content"), Field("value.encrypted_content", "whole", ride=True)
        return ()

    return Grammar(fields, choices=1, silent_first=False, closes="bare", joins=Joins(usage="must"))


def made_by_code(call: ToolCall) -> bool:
    """Whether code of the model made a call, which then opens with its input."""
    caller = own_value(call.own, NAME, "caller")
    return isinstance(caller, dict) and str(caller.get("type", "")).startswith("code_execution")


def expressible(completion: Completion, input_at_start: bool = False, whole: bool = False) -> Completion:
    """The part of a completion that this API can send; idempotent."""
    choice = completion.choices[0] if completion.choices else Choice()
    blocks = tuple(canonical_blocks(choice.blocks, input_at_start or whole))
    finish = choice.finish and read_stop(stop_values(choice.finish))
    if finish and finish == Stop("stop") and any(isinstance(block, Refusal) for block in choice.blocks):
        finish = Stop("content_filter")
    usage = completion.usage and _expressible_usage(completion.usage, whole)
    return Completion((Choice(blocks, finish),), usage)


def _expressible_usage(usage: Usage, whole: bool) -> Usage:
    start = own_value(usage.own, NAME, "start")
    try:
        found = read_usage(whole_usage(usage), None)
    except ValueError:  # a count in `own` that is not one
        found = read_usage(whole_usage(replace(usage, own={})), None)
    if whole or not isinstance(start, dict) or not start:
        return found
    return replace(found, own=with_own(found.own, NAME, {**found.own.get(NAME, {}), "start": start}))


def canonical_blocks(blocks: Iterable[Block], as_object: bool) -> Iterable[Block]:
    """The blocks that this API has. `as_object`: the input of calls is sent as an object, not as text."""
    return (found for block in blocks if (found := _canonical(block, as_object)) is not None)


def _canonical(block: Block, as_object: bool) -> Block | None:
    match block:
        case Text(text) | Refusal(text):
            own = _own(block.own, ("type", "text"))
            if not isinstance(own_value(own, NAME, "citations"), (list, type(None))):
                own = _own(own, ("citations",))
            return Text(text, own=own)
        case Thinking(parts, summary, signature):
            text = "".join(parts) or "\n\n".join(summary)
            unsigned = not signature and own_value(block.own, NAME, "signature") == ""
            own = _own(block.own, ("type", "thinking", *(() if unsigned else ("signature",))))
            return Thinking((text,) if text else (), (), signature, own)
        case ToolCall(id_, name, arguments, kind):
            if kind != "function" and not is_call(kind):
                return None
            own = _own(block.own, ("type", "id", "name", "input"))
            if own_value(own, NAME, "caller") == DIRECT:
                own = _own(own, ("caller",))
            call = ToolCall(id_, name, arguments, "function" if kind == "tool_use" else kind, own)
            in_object = as_object or made_by_code(call)
            return replace(call, arguments=object_text(arguments) if in_object else input_text(arguments))
        case Opaque(api, value):
            return _opaque(value, as_object) if api == NAME and isinstance(value.get("type"), str) else None
    return None


def _opaque(value: dict[str, Any], as_object: bool) -> Block | None:
    try:
        found = read_block(value)
    except ValueError:
        return None
    return found if isinstance(found, Opaque) else _canonical(found, as_object)


def _own(own: Own, without: Iterable[str]) -> Own:
    """What is this API's in `own`, except for these keys."""
    return with_own({}, NAME, {key: value for key, value in own.get(NAME, {}).items() if key not in without})


# Calls

DIRECT = {"type": "direct"}
"""The `caller` of a call that the model makes itself."""


def is_call(kind: str) -> bool:
    """Whether a block of this type is a call: of the client's tool, a server tool or a tool of an MCP server."""
    return kind == "tool_use" or kind.endswith("_tool_use")


def input_text(arguments: str) -> str:
    """The arguments as the pieces of a stream have them: a call without arguments has only empty ones."""
    return "" if arguments == "{}" else arguments


def object_text(arguments: str) -> str:
    """The arguments as compact JSON. Those that are not an object cannot be sent as one: the input is empty then, as it
    is in a message that `max_tokens` cut within a call."""
    return input_text(dumps(input_object(arguments)))


def input_object(arguments: str) -> dict[str, Any]:
    """The `input` for these arguments; empty if they are not a JSON object."""
    try:
        value = json.loads(arguments)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


# Blocks


def read_block(value: Mapping[str, Any]) -> Block:
    """The block that an object in `content`, or in `content_block_start`, stands for. Raises ValueError."""
    kind = _text(value, "type")
    if kind == "text":
        return Text(_text(value, "text"), own=_rest(value, ("type", "text")))
    if kind == "thinking":
        text, signature = _text(value, "thinking"), _text(value, "signature")
        unsigned = not signature and "signature" in value
        own = _rest({**value, "signature": ""}, ("type", "thinking", *(() if unsigned else ("signature",))))
        return Thinking((text,) if text else (), (), signature, own)
    if is_call(kind):
        found = value.get("input")
        arguments = found if isinstance(found, str) else "" if found is None else input_text(dumps(found))
        own = _rest(value, ("type", "id", "name", "input", *(("caller",) if value.get("caller") == DIRECT else ())))
        return ToolCall(
            _text(value, "id"), _text(value, "name"), arguments, "function" if kind == "tool_use" else kind, own
        )
    unset = ("content", "encrypted_content") if kind == "compaction" else ()
    return Opaque(NAME, {key: each for key, each in value.items() if key not in unset or each is not None})


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key, "")
    if found is None:
        return ""
    if not isinstance(found, str):
        raise ValueError(f"{key!r} of a block must be text, got {found!r}")
    return found


def _rest(value: Mapping[str, Any], known: Iterable[str]) -> Own:
    return with_own({}, NAME, {key: each for key, each in value.items() if key not in known})


# Finishes


def stop_values(stop: Stop) -> dict[str, Any]:
    """The `stop_reason` of a finish, its `stop_sequence`, and what else the API sends with them."""
    own = stop.own.get(NAME, {})
    usual = "stop_sequence" if stop.reason == "stop" and own.get("stop_sequence") is not None else None
    return {"stop_reason": usual or _WORDS.get(stop.reason, stop.reason), "stop_sequence": None, **own}


def read_stop(values: Mapping[str, Any]) -> Stop | None:
    """The finish that these values state; None if there is no reason. Raises ValueError for one that is not text."""
    word = values.get("stop_reason")
    if word is None:
        return None
    if not isinstance(word, str):
        raise ValueError(f"'stop_reason' must be text, got {word!r}")
    own = {key: value for key, value in values.items() if key != "stop_reason" and value is not None}
    reason = _REASONS.get(word, word)
    found = Stop(reason, with_own({}, NAME, own))
    return found if stop_values(found)["stop_reason"] == word else Stop(reason, {NAME: {"stop_reason": word, **own}})
