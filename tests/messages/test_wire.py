"""Streams that clients have misread, by hand: what each means, and that it is imported by meaning and sent again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakellm.apis.messages.api import MESSAGES
from fakellm.apis.messages.dialects import dialect_of
from fakellm.apis.messages.habits import settings
from fakellm.apis.variation import Variation
from fakellm.model.blocks import Choice, Completion, Opaque, Stop, Text, Thinking, ToolCall, Usage
from fakellm.model.deltas import End
from fakellm.model.fold import fold
from fakellm.wire.sse import Decoder
from tests.messages.test_import import sent_again

HABITS = settings(Variation(), dialect_of(None)).habits
START: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 1},
}
BEGIN: dict[str, Any] = {"type": "message_start", "message": START}
TEXT: dict[str, Any] = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
HI: dict[str, Any] = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
STOP = {"type": "content_block_stop", "index": 0}
REASON: dict[str, Any] = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 3},
}
FINISH: list[Any] = [REASON, {"type": "message_stop"}]
ERROR = {"type": "error", "error": {"details": None, "type": "overloaded_error", "message": "Overloaded"}}


def started(kind: str, index: int = 0, **values: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **values}}


def delta(kind: str, index: int = 0, **values: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **values}}


def wire(*events: dict[str, Any] | str) -> bytes:
    texts = [each if isinstance(each, str) else json.dumps(each, separators=(",", ":")) for each in events]
    names = ["" if text.startswith("[") else f"event: {json.loads(text)['type']}\n" for text in texts]
    return "".join(f"{name}data: {text}\n\n" for name, text in zip(names, texts, strict=True)).encode()


def meaning(*blocks: Any, stop: Stop | None = None, usage: Usage | None = None) -> Completion:
    start = {"messages": {"start": {"output_tokens": 1}}}
    return Completion((Choice(blocks, stop or Stop("stop")),), usage or Usage(5, 3, own=start))


WHOLE = {
    **START,
    "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}],
    "stop_reason": "tool_use",
}
CODE = {"type": "code_execution_20250825", "tool_id": "srvtoolu_1"}
TOKENS = delta("thinking_delta", thinking="", estimated_tokens=50)
CALL: dict[str, Any] = {"id": "toolu_1", "name": "f"}

STREAMS: dict[str, tuple[bytes, Completion]] = {
    "text": (wire(BEGIN, TEXT, HI, STOP, *FINISH), meaning(Text("Hi"))),
    "no block": (wire(BEGIN, *FINISH), meaning()),
    "all of it at the start": (
        wire({"type": "message_start", "message": WHOLE}, {"type": "message_stop"}),
        meaning(ToolCall("toolu_1", "f", '{"a":1}'), stop=Stop("tool_calls"), usage=Usage(5, 1)),
    ),
    "pings": (wire(BEGIN, '{"type": "ping"}', TEXT, '{"type": "ping"}', HI, STOP, *FINISH), meaning(Text("Hi"))),
    "another ping": (wire(BEGIN, {"type": "ping"}, TEXT, HI, STOP, *FINISH), meaning(Text("Hi"))),
    "[DONE]": (wire(BEGIN, TEXT, HI, STOP, *FINISH, "[DONE]"), meaning(Text("Hi"))),
    "an unknown event": (wire(BEGIN, {"type": "news", "a": 1}, TEXT, HI, STOP, *FINISH), meaning(Text("Hi"))),
    "an unknown delta": (wire(BEGIN, TEXT, delta("new_delta", x=1), HI, STOP, *FINISH), meaning(Text("Hi"))),
    "an unknown block": (
        wire(BEGIN, started("news", items=[1.5]), STOP, *FINISH),
        meaning(Opaque("messages", {"type": "news", "items": [1.5]})),
    ),
    "an unknown reason": (
        wire(BEGIN, {**REASON, "delta": {"stop_reason": "tired", "stop_sequence": None}}, {"type": "message_stop"}),
        meaning(stop=Stop("tired")),
    ),
    "a stop sequence": (
        wire(BEGIN, {**REASON, "delta": {"stop_reason": "stop_sequence", "stop_sequence": "X"}}, FINISH[1]),
        meaning(stop=Stop("stop", {"messages": {"stop_sequence": "X"}})),
    ),
    "thinking that is not shown": (
        wire(
            *(
                BEGIN,
                started("thinking", thinking="", signature=""),
                TOKENS,
                delta("signature_delta", signature="c2ln"),
            ),
            *(STOP, *FINISH),
        ),
        meaning(Thinking(signature="c2ln")),
    ),
    "a signature in pieces": (
        wire(
            *(BEGIN, started("thinking", thinking="", signature=""), delta("thinking_delta", thinking="Hm")),
            *(delta("signature_delta", signature="c2"), delta("signature_delta", signature="ln"), STOP, *FINISH),
        ),
        meaning(Thinking(("Hm",), (), "c2ln")),
    ),
    "no arguments": (
        wire(BEGIN, started("tool_use", **CALL, input={}), delta("input_json_delta", partial_json=""), STOP, *FINISH),
        meaning(ToolCall("toolu_1", "f", "")),
    ),
    "input at the start": (
        wire(BEGIN, started("tool_use", **CALL, input={"a": 1}), STOP, *FINISH),
        meaning(ToolCall("toolu_1", "f", '{"a":1}')),
    ),
    "a call by code": (
        wire(BEGIN, started("server_tool_use", **CALL, input={"a": 1}, caller=CODE), STOP, *FINISH),
        meaning(ToolCall("toolu_1", "f", '{"a":1}', "server_tool_use", {"messages": {"caller": CODE}})),
    ),
    "input that is cut": (
        wire(
            BEGIN, started("tool_use", **CALL, input={}), delta("input_json_delta", partial_json='{"a'), STOP, *FINISH
        ),
        meaning(ToolCall("toolu_1", "f", '{"a')),
    ),
    "citations between texts": (
        wire(
            *(BEGIN, started("text", citations=[], text=""), HI, delta("citations_delta", citation={"a": 1}), HI),
            *(STOP, *FINISH),
        ),
        meaning(Text("HiHi", own={"messages": {"citations": [{"a": 1}]}})),
    ),
    "counts that grow": (
        wire(
            BEGIN, {**REASON, "usage": {"input_tokens": 9, "output_tokens": 3, "server_tool_use": {"n": 1}}}, FINISH[1]
        ),
        meaning(
            usage=Usage(
                9, 3, own={"messages": {"server_tool_use": {"n": 1}, "start": {"input_tokens": 5, "output_tokens": 1}}}
            )
        ),
    ),
    "a null count": (
        wire(
            BEGIN,
            {**REASON, "usage": {"input_tokens": 5, "cache_read_input_tokens": None, "output_tokens": 3}},
            FINISH[1],
        ),
        meaning(usage=Usage(5, 3, own={"messages": {"cache_read_input_tokens": None, "start": {"output_tokens": 1}}})),
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_means_this(name: str) -> None:
    body, expected = STREAMS[name]
    assert fold(MESSAGES.read(Decoder().feed(body), HABITS)) == (expected, End())


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_imported_and_sent_again(name: str) -> None:
    body, _ = STREAMS[name]
    assert sent_again(body, streamed=True) == (body, "meaning")


def test_deltas_replace_the_input_at_the_start() -> None:
    """Servers that send both repeat it."""
    piece = delta("input_json_delta", partial_json='{"b":2}')
    body = wire(BEGIN, started("tool_use", **CALL, input={"a": 1}), piece, STOP, *FINISH)
    completion, _ = fold(MESSAGES.read(Decoder().feed(body), HABITS))
    assert completion.choices[0].tool_calls[0].arguments == '{"b":2}'


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (wire(BEGIN, TEXT, HI, ERROR), ERROR),
        (wire(BEGIN, HI), "piece of block 0, which is not open"),
        (wire(BEGIN, TEXT, {**HI, "index": 1}), "piece of block 1, which is not open"),
        (wire(BEGIN, TEXT, STOP, HI), "piece of block 0, which is not open"),
        (wire(BEGIN, TEXT, TEXT), "block 0 is opened twice"),
        (wire(BEGIN, BEGIN), "message_start: a second message begins"),
        (wire(BEGIN, TEXT, delta("input_json_delta", partial_json="{")), "a Text block has no field 'arguments'"),
        (
            wire(BEGIN, {**REASON, "usage": {"output_tokens": "3"}}),
            "message_delta: a token count must be a whole number",
        ),
        (wire(BEGIN, {**TEXT, "index": "0"}), "content_block_start: 'index' must be a whole number, got '0'"),
    ],
)
def test_a_stream_that_breaks_the_rules_ends_with_an_error(body: bytes, error: Any) -> None:
    _, end = fold(MESSAGES.read(Decoder().feed(body), HABITS))
    assert end is not None
    assert end.error == error if isinstance(error, dict) else str(end.error).startswith(error)


def test_an_error_in_a_stream_is_imported_and_sent_again() -> None:
    body = wire(BEGIN, TEXT, HI, ERROR)
    assert sent_again(body, streamed=True) == (body, "meaning")


@pytest.mark.parametrize("cut", range(5))
def test_a_stream_without_its_end_has_none(cut: int) -> None:
    body = wire(*[BEGIN, TEXT, HI, STOP, *FINISH][: cut + 1])
    assert fold(MESSAGES.read(Decoder().feed(body), HABITS))[1] is None
    assert sent_again(body, streamed=True) == (body, "meaning")
