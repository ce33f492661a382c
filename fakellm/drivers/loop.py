"""Runs a driver in Python: reads one case per line and writes one result per line. Knows no client.

{"id": 1, "api": "chat", "base_url": "http://127.0.0.1:8080/v1", "request": {"model": "m", …}, "timeout": 5.0}
{"id": 1, "content": "Hi", "tool_calls": [], "finish_reason": "stop", "usage": {"prompt_tokens": 1, …}}
{"id": 1, "error": {"type": "openai.APITimeoutError", "message": "Request timed out."}}
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from fakellm.drivers.reads import SIZES, note_reads

Result = dict[str, Any]
"""`content`, `reasoning`, `refusal`, `tool_calls` (each with `name` and `arguments`), `finish_reason`, `usage`, and
`choices` if there is more than one. Keys that the client does not report are left out. `reads` is added for clients
over `httpx`."""


def run(answer: Callable[[str, dict[str, Any], float], Result]) -> None:
    """Calls `answer(base_url, request, timeout)` for each case on standard input; the timeout is in seconds.

    An error that it raises becomes the result of the case. Whatever the client prints goes to standard error.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        for line in sys.stdin:
            case = json.loads(line)
            note_reads()
            SIZES.clear()
            try:
                result = answer(case["base_url"], case["request"], case["timeout"])
                result = {**({"reads": SIZES} if SIZES else {}), **result}
            except Exception as error:
                result = {"error": {"type": _name(type(error)), "message": str(error)}}
            print(json.dumps({"id": case["id"], **result}), file=out, flush=True)


def _name(kind: type[Exception]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def usage(tokens: Any) -> dict[str, int | None] | None:
    """The usage of a result, from an object with OpenAI's names, or from None."""
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return None if tokens is None else {name: getattr(tokens, name, None) for name in names}
