"""Writes a message as an object: a whole body, or the `message` of `message_start`. Owns the objects of blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fakellm.apis.messages.counts import final_usage
from fakellm.apis.messages.habits import MessagesHabits
from fakellm.apis.messages.meaning import DIRECT, input_object, stop_values
from fakellm.apis.messages.names import NAME
from fakellm.apis.protocol import Answer
from fakellm.base.json_text import dumps, spelled
from fakellm.model.blocks import Block, Opaque, Refusal, Text, Thinking, ToolCall

_UNSET = dict.fromkeys(("stop_details", "container", "context_management"))


def whole_body(answer: Answer[MessagesHabits]) -> bytes:
    """The body of a reply that is not streamed."""
    habits = answer.habits
    choice = answer.completion.choices[0]
    stop = stop_values(choice.finish) if choice.finish else {"stop_reason": None, "stop_sequence": None}
    usage = answer.completion.usage
    counts = None if usage is None else final_usage(usage, habits.keys["usage"])
    content = [block_object(habits, block) for block in choice.blocks]
    message = message_object(habits, answer.drawn, content, stop, counts)
    text = spelled(message, habits.spelling) if habits.indent is None else dumps(message, habits.indent)
    before, after = habits.margins
    return f"{before}{text}{after}".encode()


def message_object(
    habits: MessagesHabits, drawn: Mapping[str, Any], content: Sequence[Any], stop: Mapping[str, Any], usage: Any
) -> dict[str, Any]:
    """A message; without `usage` if that is None."""
    values = {
        "model": drawn.get("model"),
        "id": drawn.get("id"),
        "type": "message",
        "role": "assistant",
        "content": list(content),
        **stop,
        **({} if usage is None else {"usage": usage}),
    }
    found: dict[str, Any] = habits.ordered("message", values, _UNSET)
    return found


def block_object(habits: MessagesHabits, block: Block) -> dict[str, Any]:
    """A block as it stands in `content`."""
    own = block.own.get(NAME, {}) if not isinstance(block, Opaque) else {}
    match block:
        case Text(text) | Refusal(text):
            values = {"type": "text", "text": text, **own}
        case Thinking(parts, _, signature):
            values = {"type": "thinking", "thinking": "".join(parts), "signature": signature, **own}
            if not signature and "signature" not in habits.keys.get("thinking", ()):
                del values["signature"]
        case ToolCall(id_, name, arguments, kind):
            kind = "tool_use" if kind == "function" else kind
            values = {"type": kind, "id": id_, "name": name, "input": input_object(arguments), **own}
        case Opaque(_, value):
            return dict(value)
    found: dict[str, Any] = habits.ordered(str(values["type"]), values, {"caller": DIRECT})
    return found
