"""A request for a stream, as a client sends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def example(tools: Sequence[str] = ()) -> dict[str, Any]:
    """The body of a request for a stream, with tools of these names."""
    body: dict[str, Any] = {
        "model": "fakellm",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
    }
    names = list(dict.fromkeys(tools))
    if names:
        body["tools"] = [{"name": name, "input_schema": {"type": "object", "properties": {}}} for name in names]
    return body
