"""Answers with what only one API has: blocks that a client may skip, and ends that it must know. Data only.

Each of them is in the API's reference. A client that knows none of these blocks returns the rest of the answer.
"""

from __future__ import annotations

from fakellm.apis.route import Route
from fakellm.fuzzing.draws.payloads import answer
from fakellm.fuzzing.endpoints import name_of
from fakellm.model.blocks import Choice, Completion, Opaque, Refusal, Stop, Text, Thinking, ToolCall

_END = Stop("stop")
_REDACTED = Opaque("messages", {"type": "redacted_thinking", "data": "EmwKAhgB"})
_CITATION = {"type": "char_location", "cited_text": "7 °C", "document_index": 0, "start_char_index": 0}
_SEARCH = Opaque(
    "responses",
    {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "Oslo"}},
)
_SOURCE = {"type": "url_citation", "url": "https://example.com", "title": "Oslo", "start_index": 0, "end_index": 4}
_CODE = Opaque("gemini", {"executableCode": {"language": "PYTHON", "code": "print(7)"}})
_OUTPUT = Opaque("gemini", {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "7\n"}})

_OWN: dict[str, tuple[Completion, ...]] = {
    "messages": (
        answer(Choice((_REDACTED, Text("It is 7")), _END)),
        answer(Choice((Thinking(signature="EmwKAhgB"), Text("It is 7")), _END)),  # the thinking is not shown
        answer(Choice((Text("It is 7", own={"messages": {"citations": [_CITATION]}}), Text(" today")), _END)),
        answer(Choice((Text("1, 2"),), Stop("stop", {"messages": {"stop_sequence": "3"}}))),
    ),
    "responses": (
        answer(Choice((_SEARCH, Text("It is 7", own={"responses": {"annotations": [_SOURCE]}})), _END)),
        answer(Choice((Text("It is 7", item="a"), Text(" today", item="a"), Text(", I think", item="b")), _END)),
        answer(Choice((Text("It is 7", item="a"), Refusal("I cannot", item="a")), _END)),
        answer(Choice((ToolCall("call_0", "shell", "print('7')", "custom"),), Stop("tool_calls"))),
    ),
    "gemini": (
        answer(Choice((_CODE, _OUTPUT, Text("It is 7")), _END)),
        answer(Choice((Text("It is 7", own={"gemini": {"thoughtSignature": "EmwKAhgB"}}), Text(" today")), _END)),
    ),
}
"""The answers by the name of the API."""


def own_answers(api: Route) -> tuple[Completion, ...]:
    """The answers with what only this API has."""
    return _OWN.get(name_of(api), ())
