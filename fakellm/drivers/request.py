"""Reads from a request of any API what a client needs to write its own: the prompt and the functions.

Knows no client.
"""

from __future__ import annotations

from typing import Any


def prompt(request: dict[str, Any]) -> str:
    """The user's text."""
    if "contents" in request:  # Gemini
        return str(request["contents"][-1]["parts"][0]["text"])
    return str(request["input"] if "input" in request else request["messages"][-1]["content"])


def functions(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The functions that the model may call, each with its `name` and the JSON Schema of its `parameters`."""
    tools = request.get("tools") or []
    if "contents" in request:
        tools = [declared for tool in tools for declared in tool["functionDeclarations"]]
    named = [tool.get("function", tool) for tool in tools]  # in chat and Ollama's API, a function is within its tool
    return [{"name": each["name"], "parameters": {"type": "object", "properties": {}}} for each in named]
