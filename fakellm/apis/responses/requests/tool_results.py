"""Checks that each call of the client's tools has its output, and each output its call, in OpenAI's words.

Recorded by users: https://github.com/continuedev/continue/issues/10092 (an output without a call),
https://github.com/tjardoo/openai-client/pull/124 and https://github.com/diegosouzapw/OmniRoute/issues/8946 (a call
without an output, also one of a stored response). Of Azure:
https://github.com/Azure/azure-sdk-for-python/issues/46092.
"""

from __future__ import annotations

from fakellm.apis.responses.requests.input_items import messages_of
from fakellm.base.errors import RequestError
from fakellm.base.validation import SHOWN
from fakellm.model.request import Request

_OUTPUTS = {"function_call_output": "function call", "custom_tool_call_output": "custom tool call"}
_ELSEWHERE = ("item_reference", "compaction")
"""Items that stand for others, which the server may know."""


def unpaired(request: Request) -> RequestError | None:
    """The refusal of the first output without a call, or call without an output, wherever they are in
    the conversation."""
    calls: dict[str, str] = {}
    results: set[str | None] = set()
    for message in request.messages:
        for call in message.calls:
            calls[call.id] = call.name
        if message.role == "tool":
            results.add(message.result_of)
    if not calls and not results:
        return None
    items = request.body.get("input")
    sent = items if isinstance(items, list) else []
    if request.body.get("prompt") or any(item.get("type") in _ELSEWHERE for item in sent) or _begins_elsewhere(request):
        return None
    for item in sent:
        kind, name = str(item.get("type")), str(item.get("call_id", ""))
        if kind in _OUTPUTS and name not in calls:
            return _refused(f"No tool call found for {_OUTPUTS[kind]} output with call_id {name[:SHOWN]}.")
    for name, tool in calls.items():
        if name not in results:
            custom = any(offered.name == tool and offered.kind == "custom" for offered in request.offered)
            return _refused(f"No tool output found for {'custom tool' if custom else 'function'} call {name[:SHOWN]}.")
    return None


def _begins_elsewhere(request: Request) -> bool:
    """Whether a request continues what is not kept, so that only its own messages are known."""
    body = request.body
    if not (body.get("previous_response_id") or body.get("conversation")):
        return False
    return request.messages == messages_of(body.get("instructions"), body.get("input"))


def _refused(message: str) -> RequestError:
    return RequestError(400, message, None, "input")
