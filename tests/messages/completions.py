"""Strategies for what the Messages API sends, and the way from a completion to bytes and back."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fakellm.apis.events import events_of
from fakellm.apis.messages.api import MESSAGES
from fakellm.apis.messages.dialects import DIALECTS
from fakellm.apis.messages.habits import MessagesHabits, settings
from fakellm.apis.messages.names import NAME
from fakellm.apis.messages.stream_keys import MessagesKeys
from fakellm.apis.protocol import Answer
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Calls, Padding, Spelling
from fakellm.base.seed import Source
from fakellm.model.blocks import Block, Choice, Completion, Opaque, Refusal, Stop, Text, Thinking, ToolCall, Usage
from fakellm.model.deltas import Batch
from fakellm.model.request import Request
from fakellm.streaming.divide import divide
from fakellm.streaming.division import Division
from fakellm.wire.framing import Framing, frame
from fakellm.wire.sse import Decoder, Event
from tests.test_core_laws import COMPLETIONS as NEUTRAL
from tests.test_core_laws import TEXTS

JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
CITATION = st.fixed_dictionaries({"type": st.just("char_location"), "cited_text": TEXTS})
ARGUMENTS = st.sampled_from(["{}", "", '{"a":1}', '{"a": "🌍"}', "[1]", '{"a":', "null", '{"a":1e400}'])


def own(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, dict[str, Any]]]:
    return st.fixed_dictionaries({}, optional=values).map(lambda found: {NAME: found} if found else {})


CALLERS = st.sampled_from([{"type": "direct"}, {"type": "code_execution_20250825", "tool_id": "srvtoolu_01"}, 5])
KINDS = st.sampled_from(["function", "server_tool_use", "mcp_tool_use", "custom"])
RESULTS = st.sampled_from(
    [
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_01", "content": []},
        {"type": "redacted_thinking", "data": "EmwK"},
        {"type": "compaction", "content": "So far", "encrypted_content": "x"},
        {"type": "compaction", "content": None},
        {"type": "text", "text": "In disguise"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"a": [1]}},
        {"kind": "none"},
        {"type": "text", "text": 5},
    ]
)
BLOCKS: st.SearchStrategy[Block] = st.one_of(
    st.builds(Text, TEXTS, own=own(citations=st.lists(CITATION, max_size=2) | JSON, extra=JSON)),
    st.builds(Refusal, TEXTS),
    st.builds(Thinking, st.lists(TEXTS, max_size=2).map(tuple), signature=st.sampled_from(["", "c2ln"])),
    st.builds(ToolCall, st.none() | TEXTS, TEXTS, ARGUMENTS | TEXTS, KINDS, own(caller=CALLERS, server_name=TEXTS)),
    st.builds(Opaque, st.just(NAME), RESULTS),
)
STOPS = st.none() | st.builds(
    Stop,
    st.sampled_from(["stop", "length", "tool_calls", "content_filter", "pause_turn", "function_call", "end_turn", "x"]),
    own(
        stop_sequence=st.sampled_from([None, "END"]),
        stop_reason=st.sampled_from(["end_turn", "stop_sequence", "stop"]),
        stop_details=st.sampled_from([None, {"type": "refusal", "category": None}]),
        container=JSON,
        context_management=JSON,
    ),
)
COUNTS = st.integers(0, 2**40)
USAGES = st.none() | st.builds(
    Usage,
    *[COUNTS] * 4,
    st.integers(0, 9),
    own(
        server_tool_use=st.just({"web_search_requests": 1}),
        service_tier=st.sampled_from(["standard", "batch", None]),
        cache_creation=JSON | st.just({"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1}),
        output_tokens_details=JSON | st.sampled_from([{"thinking_tokens": 1, "x": 2}, {"thinking_tokens": "a"}]),
        cache_read_input_tokens=st.sampled_from([None, 0, 5]),
        start=JSON | st.just({"output_tokens": 1, "input_tokens": 7, "odd": 1}),
        iterations=JSON,
    ),
)
OWN = st.builds(
    Completion, st.builds(Choice, st.lists(BLOCKS, max_size=5).map(tuple), STOPS).map(lambda c: (c,)), USAGES
)
COMPLETIONS = OWN | NEUTRAL | st.just(Completion())

VARIATIONS = st.builds(
    Variation,
    padding=st.none() | st.sampled_from([0, 2, (Padding(before=(0, 3)),), (Padding(before="delta"),)]),
    calls=st.sampled_from([None, Calls(opening="piece")]),
    usage=st.sampled_from([None, "own", "both", "finish", "none", "every"]),
    done=st.none() | st.booleans(),
    obfuscation=st.none() | st.booleans(),
    spelling=st.none() | st.builds(Spelling, **dict.fromkeys(("ascii", "html", "spaces"), st.none() | st.booleans())),
    messages=st.none()
    | st.builds(
        MessagesKeys,
        pads=st.none() | st.text("09af", max_size=5),
        indent=st.none() | st.integers(0, 4),
        key_order=st.none() | st.just({"usage": ("output_tokens", "input_tokens"), "text": ("text", "type")}),
    ),
)
HABITS = st.builds(
    lambda variation, dialect: settings(variation, dialect).habits, VARIATIONS, st.sampled_from(list(DIALECTS.values()))
)
PLAIN_FRAMING = Framing()
REQUEST = Request(model="claude", messages=(), body={})


def answer_to(completion: Completion, habits: MessagesHabits, seed: int = 0) -> Answer[MessagesHabits]:
    """The answer with what this API can express of a completion."""
    return MESSAGES.answer(MESSAGES.expressible(completion, habits), REQUEST, habits, seed, {})


def batches_of(answer: Answer[MessagesHabits], division: Division) -> tuple[Batch, ...]:
    return divide(answer.completion, division, MESSAGES.grammar(answer.habits), Source(0))


def events_in(answer: Answer[MessagesHabits], batches: tuple[Batch, ...]) -> list[Event]:
    return [event for events in events_of(MESSAGES, batches, answer) for event in events]


def written(answer: Answer[MessagesHabits], division: Division, framing: Framing = PLAIN_FRAMING) -> bytes:
    return b"".join(frame(events_in(answer, batches_of(answer, division)), framing))


def read(data: bytes) -> list[Batch]:
    return list(MESSAGES.read(Decoder().feed(data), settings(Variation(), DIALECTS["anthropic"]).habits))


def sdk_completions() -> st.SearchStrategy[Completion]:
    """Completions that Anthropic could send: its SDK's models allow no others."""
    texts = st.text(max_size=8) | st.sampled_from(["🌍🚀", "data: {}\n\n"])
    names = st.sampled_from(["add", "multiply"])
    calls = st.builds(ToolCall, st.none(), names, st.sampled_from(["{}", '{"a":1,"b":["🌍"]}']))
    searches = st.builds(
        ToolCall, st.none(), st.just("web_search"), st.just('{"query":"x"}'), st.just("server_tool_use")
    )
    cited = {"type": "char_location", "cited_text": "a", "document_index": 0, "document_title": None}
    citation = {**cited, "start_char_index": 0, "end_char_index": 1, "file_id": None}
    citations = st.lists(st.just(citation), max_size=2).map(lambda found: {NAME: {"citations": found}} if found else {})
    blocks: st.SearchStrategy[Block] = st.one_of(
        st.builds(Text, texts, own=citations),
        st.builds(Thinking, st.lists(texts, max_size=1).map(tuple)),
        calls,
        searches,
        st.just(Opaque(NAME, {"type": "redacted_thinking", "data": "EmwK"})),
    )
    stops = st.builds(
        Stop, st.sampled_from(["stop", "length", "tool_calls", "content_filter", "pause_turn"])
    ) | st.just(Stop("stop", {NAME: {"stop_sequence": "END"}}))
    usages = st.builds(Usage, *[st.integers(0, 2**20)] * 4, st.integers(0, 9))
    choices = st.builds(Choice, st.lists(blocks, max_size=4).map(tuple), stops)
    return st.builds(lambda choice, usage: Completion((choice,), usage), choices, usages)
