"""Makes the body of an example request, such as the fuzzer has a client send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def example(tools: Sequence[str], choices: int) -> dict[str, Any]:
    """The body of a request: with functions of these names, and for as many candidates. The URL makes it a stream."""
    functions = [{"name": name, "parameters": {"type": "OBJECT"}} for name in tools]
    return {
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        **({"tools": [{"functionDeclarations": functions}]} if functions else {}),
        **({"generationConfig": {"candidateCount": choices}} if choices > 1 else {}),
    }
