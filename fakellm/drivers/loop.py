"""What the drivers in Python share: one case a line in, one result a line out. Knows no client.

{"id": 1, "base_url": "http://127.0.0.1:8080/v1", "request": {"model": "m", …, "stream": true}, "timeout": 5.0}
{"id": 1, "content": "Hi", "tool_calls": [], "finish_reason": "stop", "usage": {"prompt_tokens": 1, …}}
{"id": 1, "error": {"type": "openai.APITimeoutError", "message": "Request timed out."}}
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

Result = dict[str, Any]
"""`content`, `reasoning`, `refusal`, `tool_calls` (each `name` and `arguments`), `finish_reason`, `usage`, and
`choices` where there is more than one; a key that is left out is one the client does not report."""


def run(answer: Callable[[str, dict[str, Any], float], Result]) -> None:
    """Answers the cases on standard input until it ends: `answer(base_url, request, timeout)`, timeout in seconds.

    What it raises becomes the error of the case. Whatever the client prints goes to standard error.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        for line in sys.stdin:
            case = json.loads(line)
            try:
                result = answer(case["base_url"], case["request"], case["timeout"])
            except Exception as error:
                result = {"error": {"type": _name(type(error)), "message": str(error)}}
            print(json.dumps({"id": case["id"], **result}), file=out, flush=True)


def _name(kind: type[Exception]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def usage(given: Any) -> dict[str, int | None] | None:
    """The usage of a result, from an object with OpenAI's names or None."""
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return None if given is None else {name: getattr(given, name, None) for name in names}
