"""What the tests of the Responses API draw: completions with everything that it can express, and ways to send them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec import Struct

from fakellm.apis.responses.dialects.providers import DIALECTS
from fakellm.apis.responses.habits import Habits, settings
from fakellm.apis.responses.spelling import ResponsesSpelling
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.model.blocks import Block, Choice, Completion, Opaque, Refusal, Stop, Text, Thinking, ToolCall
from tests.test_core_laws import BLOCKS, TEXTS, TOKENS, USAGES

ANNOTATIONS = st.lists(
    st.sampled_from(
        [
            {"type": "url_citation", "start_index": 0, "end_index": 1, "title": "A", "url": "https://a/"},
            {"type": "file_citation", "file_id": "file-1", "filename": "a", "index": 0},
        ]
    ),
    max_size=2,
)
PHASES = st.sampled_from([{}, {"phase": "commentary"}, {"phase": "final_answer"}])
ITEMS: list[dict[str, Any]] = [
    {
        "id": "ws_1",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "q", "queries": ["q"]},
    },
    {"id": "fs_1", "type": "file_search_call", "status": "completed", "queries": ["q"], "results": None},
    {
        "type": "code_interpreter_call",
        "status": "completed",
        "code": "print('🌍')",
        "container_id": "cntr_1",
        "outputs": [{"type": "logs", "logs": "x"}],
    },
    {"type": "image_generation_call", "status": "completed", "result": "aGk="},
    {
        "type": "mcp_call",
        "status": "completed",
        "approval_request_id": None,
        "arguments": '{"a":1}',
        "error": None,
        "name": "m",
        "output": "x",
        "server_label": "s",
    },
    {"type": "mcp_list_tools", "server_label": "s", "tools": []},
    {"type": "message", "status": "completed", "content": [], "role": "assistant"},
    {
        "type": "message",
        "status": "completed",
        "content": [
            {"type": "output_text", "annotations": [], "logprobs": [], "text": "A"},
            {"type": "refusal", "refusal": "B"},
        ],
        "role": "assistant",
    },
]


@st.composite
def owns(draw: st.DrawFn) -> dict[str, Any]:
    values = draw(PHASES) | {"annotations": draw(ANNOTATIONS)}
    return {"responses": values}


OWN_BLOCKS: st.SearchStrategy[Block] = st.one_of(
    BLOCKS,
    st.builds(Text, TEXTS, TOKENS, st.sampled_from(["", "i", "j"]), owns()),
    st.builds(Refusal, TEXTS, st.just(()), st.sampled_from(["", "i", "j"])),
    st.builds(Thinking, st.lists(TEXTS, max_size=2).map(tuple), st.lists(TEXTS, max_size=3).map(tuple), TEXTS),
    st.builds(ToolCall, st.none() | TEXTS, TEXTS, TEXTS, st.sampled_from(["function", "custom"])),
    st.builds(Opaque, st.just("responses"), st.sampled_from(ITEMS)),
)
STOPS = st.none() | st.builds(Stop, st.sampled_from(["stop", "length", "content_filter", "tool_calls", "eos"]))
COMPLETIONS = st.builds(
    Completion,
    st.lists(st.builds(Choice, st.lists(OWN_BLOCKS, max_size=6).map(tuple), STOPS), max_size=2).map(tuple),
    USAGES,
)
SPELLINGS = st.none() | st.builds(
    ResponsesSpelling,
    begins=st.none() | st.sampled_from([("created",), ("created", "queued", "in_progress"), ()]),
    whole=st.none()
    | st.lists(st.sampled_from(["content", "reasoning", "refusal", "arguments"]), max_size=3).map(tuple),
    output=st.none() | st.booleans(),
    reasoning=st.sampled_from([None, "summary", "text", "part"]),
    numbers=st.sampled_from([None, "counted", "gaps", "absent"]),
    named=st.none() | st.booleans(),
    indent=st.none() | st.booleans(),
)


class Way(Struct, frozen=True):
    """A dialect, a variation of it, and what of the request matters: a short form of habits."""

    dialect: str
    variation: Variation
    obfuscates: bool = True
    summarizes: bool = True

    @property
    def habits(self) -> Habits:
        return settings(self.variation, DIALECTS[self.dialect], self.obfuscates, self.summarizes).habits


@st.composite
def ways(draw: st.DrawFn) -> Way:
    """Any habits of any dialect."""
    spelling = st.builds(
        Spelling,
        ascii=st.none() | st.booleans(),
        spaces=st.none() | st.booleans(),
        order=st.sampled_from([None, "sorted", "reversed"]),
    )
    variation = st.builds(
        Variation,
        responses=SPELLINGS,
        spelling=st.none() | spelling,
        obfuscation=st.none() | st.booleans(),
        done=st.none() | st.booleans(),
        id=st.sampled_from([None, "changing"]),
    )
    return Way(draw(st.sampled_from(sorted(DIALECTS))), draw(variation), draw(st.booleans()), draw(st.booleans()))
