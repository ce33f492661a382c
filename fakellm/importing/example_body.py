"""Spells a made-up conversation as the body of a request, in each API. Knows no rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

Body = dict[str, Any]


class ExampleConversation(Struct, frozen=True):
    """What a request contains: `turns` of the assistant before it, of which the last called the tools of `results`;
    these are names and texts. `tools`: the names of those on offer."""

    model: str
    system: str
    user: str
    turns: int
    results: tuple[tuple[str, str], ...]
    tools: tuple[str, ...]
    stream: bool

    @property
    def calls(self) -> list[tuple[str, str, str]]:
        """The id, the name and the result of each call."""
        return [(f"call_{number}", *each) for number, each in enumerate(self.results)] if self.turns else []


def body_of(conversation: ExampleConversation, api: str) -> Body:
    """The body of the request, in the API of this name."""
    return _BODIES[api](conversation)


def _turns(conversation: ExampleConversation, user: Any, assistant: Any, called: list[Any]) -> list[Any]:
    """The messages: of the user, and of the assistant and the user in turn; at the end, calls and their results."""
    messages = [user, *[assistant, user] * conversation.turns]
    return [*messages[:-2], *called] if called else messages


def _chat(conversation: ExampleConversation) -> Body:
    calls = [
        {"id": name_id, "type": "function", "function": {"name": name, "arguments": "{}"}}
        for name_id, name, _ in conversation.calls
    ]
    called = [
        {"role": "assistant", "tool_calls": calls},
        *({"role": "tool", "tool_call_id": name_id, "content": text} for name_id, _, text in conversation.calls),
    ]
    system = [{"role": "system", "content": conversation.system}] if conversation.system else []
    body: Body = {
        "model": conversation.model,
        "messages": [*system, *_texts(conversation, called)],
        "stream": conversation.stream,
        "stream_options": {"include_usage": True},
    }
    tools = [{"type": "function", "function": {"name": name}} for name in conversation.tools]
    return body | ({"tools": tools} if tools else {})


def _texts(conversation: ExampleConversation, called: list[Any]) -> list[Any]:
    user, assistant = {"role": "user", "content": conversation.user}, {"role": "assistant", "content": "Well."}
    return _turns(conversation, user, assistant, called if conversation.calls else [])


def _completions(conversation: ExampleConversation) -> Body:
    return {"model": conversation.model, "prompt": conversation.user, "stream": conversation.stream}


def _responses(conversation: ExampleConversation) -> Body:
    called: list[Any] = [
        {"type": "function_call", "call_id": name_id, "name": name, "arguments": "{}"}
        for name_id, name, _ in conversation.calls
    ]
    called += [
        {"type": "function_call_output", "call_id": name_id, "output": text} for name_id, _, text in conversation.calls
    ]
    body: Body = {
        "model": conversation.model,
        "input": _texts(conversation, called),
        "stream": conversation.stream,
    }
    tools = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in conversation.tools]
    system = {"instructions": conversation.system} if conversation.system else {}
    return body | system | ({"tools": tools} if tools else {})


def _messages(conversation: ExampleConversation) -> Body:
    calls = [{"type": "tool_use", "id": name_id, "name": name, "input": {}} for name_id, name, _ in conversation.calls]
    results = [
        {"type": "tool_result", "tool_use_id": name_id, "content": text} for name_id, _, text in conversation.calls
    ]
    body: Body = {
        "model": conversation.model,
        "max_tokens": 1024,
        "messages": _texts(
            conversation, [{"role": "assistant", "content": calls}, {"role": "user", "content": results}]
        ),
        "stream": conversation.stream,
    }
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in conversation.tools]
    system = {"system": conversation.system} if conversation.system else {}
    return body | system | ({"tools": tools} if tools else {})


def _gemini(conversation: ExampleConversation) -> Body:
    def content(role: str, *parts: Body) -> Body:
        return {"role": role, "parts": list(parts)}

    calls = [{"functionCall": {"name": name, "args": {}}} for _, name, _ in conversation.calls]
    results = [
        {"functionResponse": {"name": name, "response": {"result": text}}} for _, name, text in conversation.calls
    ]
    called = [content("model", *calls), content("user", *results)] if calls else []
    user, model = content("user", {"text": conversation.user}), content("model", {"text": "Well."})
    body: Body = {"contents": _turns(conversation, user, model, called)}
    system = {"systemInstruction": {"parts": [{"text": conversation.system}]}} if conversation.system else {}
    functions = [{"name": name} for name in conversation.tools]
    return body | system | ({"tools": [{"functionDeclarations": functions}]} if functions else {})


def _ollama(conversation: ExampleConversation) -> Body:
    calls = [{"function": {"name": name, "arguments": {}}} for _, name, _ in conversation.calls]
    results = [{"role": "tool", "tool_name": name, "content": text} for _, name, text in conversation.calls]
    body = _chat(conversation)
    body["messages"] = [
        *(message for message in body["messages"] if message["role"] == "system"),
        *_texts(conversation, [{"role": "assistant", "tool_calls": calls}, *results]),
    ]
    del body["stream_options"]
    return body


_BODIES: dict[str, Callable[[ExampleConversation], Body]] = {
    "chat": _chat,
    "completions": _completions,
    "gemini": _gemini,
    "messages": _messages,
    "ollama": _ollama,
    "responses": _responses,
}
