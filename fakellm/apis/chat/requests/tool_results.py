"""Checks that each tool call of a conversation has its result, and each result its call, in OpenAI's words.

Recorded by users of OpenAI: https://github.com/langchain-ai/langgraph/issues/606 (a result without a call),
https://github.com/sdcb/chats/pull/132 and https://github.com/RamiAwar/dataline/issues/172 (a call without a result that
a message follows; `param` is plain `messages` where none follows), https://github.com/dapr/dapr-agents/issues/145 (the
id of no call). Of Azure: https://github.com/Nikunj2003/LLaMa-MCP-Streamlit/issues/1,
https://github.com/vercel/ai/issues/1844.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from fakellm.base.errors import RequestError
from fakellm.base.validation import SHOWN

_NO_CALLS = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
_NO_RESULTS = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
    "The following tool_call_ids did not have response messages: "
)


def unpaired(messages: Sequence[dict[str, Any]]) -> RequestError | None:
    """The refusal of the first message that breaks the order: the results follow their calls at once."""
    calls: dict[str, None] = {}
    open_calls: dict[str, None] = {}
    for number, message in enumerate(messages):
        if message["role"] == "tool":
            name = message["tool_call_id"]
            if not calls:
                return RequestError(400, _NO_CALLS, None, f"messages.[{number}].role")
            if name not in calls:
                shown = f"'tool_call_id' of '{name[:SHOWN]}' not found in 'tool_calls' of previous message."
                return RequestError(400, f"Invalid parameter: {shown}", None, f"messages.[{number}].tool_call_id")
            open_calls.pop(name, None)
            continue
        if open_calls:
            return _unanswered(open_calls, f"messages.[{number}].role")
        calls = dict.fromkeys(call["id"] for call in message.get("tool_calls") or ())
        open_calls = dict(calls)
    return _unanswered(open_calls, "messages") if open_calls else None


def _unanswered(calls: Iterable[str], param: str) -> RequestError:
    listed = ", ".join(name[:SHOWN] for name in islice(calls, _LISTED))
    return RequestError(400, _NO_RESULTS + listed, None, param)


_LISTED = 15
"""The most ids that a refusal lists."""
