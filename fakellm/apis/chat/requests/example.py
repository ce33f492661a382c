"""Makes the body of an example request, such as the fuzzer has a client send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def example(tools: Sequence[str], choices: int) -> dict[str, Any]:
    """The body of a request for a stream with usage: with functions of these names, and for as many choices."""
    functions = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in tools]
    return {
        "model": "fakellm",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        **({"tools": functions} if functions else {}),
        **({"n": choices} if choices > 1 else {}),
    }
