"""Makes the body of an example request, such as the fuzzer has a client send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def example(tools: Sequence[str]) -> dict[str, Any]:
    """The body of a request for a stream, with functions of these names."""
    functions = [
        {"type": "function", "name": name, "parameters": {"type": "object"}, "strict": False} for name in tools
    ]
    return {"model": "fakellm", "input": "Hello", "stream": True, **({"tools": functions} if functions else {})}
