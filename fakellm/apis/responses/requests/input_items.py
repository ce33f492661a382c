"""Makes messages of the input of a request: items of a conversation, in the order in which they were sent.

What the model sent in one turn (texts, reasoning, calls) becomes one assistant's message. Knows no parameters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from fakellm.base.json_text import JSON
from fakellm.model.request import Message, PastCall

_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_RESULTS = "_output"


def messages_of(instructions: str | Sequence[JSON] | None, items: str | Sequence[JSON] | None) -> tuple[Message, ...]:
    """The messages of a conversation: instructions are the system's."""
    system = (Message("system", instructions),) if isinstance(instructions, str) else ()
    before = () if isinstance(instructions, str) else tuple(_messages(instructions or ()))
    if isinstance(items, str):
        return (*system, *before, Message("user", items))
    return (*system, *before, *_messages(items or ()))


def _messages(items: Iterable[JSON]) -> Iterable[Message]:
    turn: Message | None = None
    for item in items:
        part = _of_the_model(item)
        if part is not None:
            turn = part if turn is None else Message("assistant", turn.text + part.text, turn.calls + part.calls)
            continue
        if turn is not None:
            yield turn
            turn = None
        message = _message(item)
        if message is not None:
            yield message
    if turn is not None:
        yield turn


def _of_the_model(item: JSON) -> Message | None:
    """What an item adds to the model's turn; None if it is not the model's."""
    kind = _kind(item)
    if kind == "message":
        return Message("assistant", text_of(item.get("content"))) if item.get("role") == "assistant" else None
    if kind in _CALLS:
        text = item.get(_CALLS[kind])
        call = PastCall(str(item.get("call_id", "")), str(item.get("name", "")), text if isinstance(text, str) else "")
        return Message("assistant", "", (call,))
    return Message("assistant") if kind == "reasoning" or kind.endswith("_call") else None


def _kind(item: JSON) -> str:
    """The type of an item; a message needs none."""
    found = item.get("type", "message")
    return found if isinstance(found, str) else ""


def _message(item: JSON) -> Message | None:
    kind = _kind(item)
    if kind == "message":
        return Message(str(item.get("role", "user")), text_of(item.get("content")))
    if kind.endswith(_RESULTS):
        return Message("tool", text_of(item.get("output")), (), str(item.get("call_id", "")))
    return None


def text_of(content: Any) -> str:
    """The text of a content: a text, or parts of which some have a text; any other value as JSON."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list):
        texts = [part.get("text") or part.get("refusal") for part in content if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    return json.dumps(content)
