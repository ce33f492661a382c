"""Opaque blocks of chat: audio, images and signatures in fragments, in streams and joined in whole bodies, without a patch."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis.chat.fragments import joined
from fakellm.apis.chat.providers import DIALECTS
from fakellm.importing.importer import imported
from fakellm.model.blocks import Opaque
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.scenarios.loader import dump, load
from fakellm.scenarios.reply import Computed, Reply
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.sse import Decoder
from tests.conftest import chat, respond
from tests.test_import import HELLO


def opaque(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "opaque", "api": "chat", "value": value}


def sent(rule: dict[str, Any], stream: bool, dialect: str = "openai") -> list[dict[str, Any]]:
    """The deltas of a stream, or the one message of a whole body."""
    app = App(load({"rules": [rule], "dialect": dialect}))
    body = respond(app, HttpRequest("POST", "/v1/chat/completions", chat(stream=stream))).plan.body
    if not stream:
        return [choice["message"] for choice in json.loads(body)["choices"]]
    chunks = [json.loads(event.data) for event in Decoder().feed(body) if event.data != "[DONE]"]
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


AUDIO = [{"id": "audio_1"}, {"transcript": "Hel"}, {"transcript": "lo"}, {"data": "AwAB"}, {"expires_at": 1739437599}]
WHOLE_AUDIO = {"id": "audio_1", "transcript": "Hello", "data": "AwAB", "expires_at": 1739437599}
SIGNED = [{"type": "reasoning.text", "signature": "Et8B", "index": 0}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}, "index": 0}


def test_audio_is_streamed_in_fragments_and_whole_in_a_body() -> None:
    rule = {"reply": {"finish_reason": None, "blocks": [opaque({"audio": each}) for each in AUDIO]}}
    assert [delta["audio"] for delta in sent(rule, True) if "audio" in delta] == AUDIO
    assert sent(rule, False)[0]["audio"] == WHOLE_AUDIO


def test_a_signature_is_a_last_fragment_of_the_reasoning_and_part_of_it_in_a_body() -> None:
    blocks = [
        {"type": "thinking", "parts": ["Let me see."]},
        opaque({"reasoning_details": SIGNED}),
        {"type": "text", "text": "391"},
    ]
    rule = {"reply": {"blocks": blocks}, "stream": {"split": {"reasoning": [3]}}}
    details = [delta["reasoning_details"] for delta in sent(rule, True, "openrouter") if delta.get("reasoning_details")]
    assert [each[0].get("text") for each in details] == ["Let", " me see.", None]
    assert details[-1] == SIGNED
    message = sent(rule, False, "openrouter")[0]
    usual = {"type": "reasoning.text", "text": "Let me see.", "format": "unknown", "index": 0}
    assert message["reasoning_details"] == [usual | {"signature": "Et8B"}]
    assert (message["reasoning"], message["content"]) == ("Let me see.", "391")


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize("stream", [True, False])
def test_images_stand_after_the_text_in_every_dialect(dialect: str, stream: bool) -> None:
    rule = {"reply": {"blocks": [{"type": "text", "text": "Here:"}, opaque({"images": [IMAGE]})]}}
    found = sent(rule, stream, dialect)
    assert [each["images"] for each in found if each.get("images")] == [[IMAGE]]
    assert "".join(each.get("content") or "" for each in found) == "Here:"


@given(st.lists(st.text(max_size=3), max_size=4))
def test_texts_are_joined_in_order_and_other_values_are_replaced(texts: list[str]) -> None:
    whole: dict[str, Any] = {"id": "", "text": ""}
    for text in texts:
        whole = joined(whole, {"id": text, "text": text})
    assert whole == {"id": texts[-1] if texts else "", "text": "".join(texts)}


@pytest.mark.parametrize(
    ("value", "more", "expected"),
    [
        ({"a": [1]}, {"a": [2]}, {"a": [1, 2]}),
        ({"a": [{"index": 0, "text": "x"}]}, {"a": [{"index": 0, "text": "y"}, {"index": 1}]}, {"a": [{"index": 0, "text": "xy"}, {"index": 1}]}),
        ({"a": [{"index": 0}]}, {"a": [{"index": 1}, 3]}, {"a": [{"index": 0}, {"index": 1}, 3]}),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({}, {"a": "x"}, {"a": "x"}),
    ],
)  # fmt: skip
def test_fragments_are_joined(value: Any, more: Any, expected: Any) -> None:
    assert joined(value, more) == expected


# Imported again


def imported_again(rule: dict[str, Any], dialect: str, stream: bool = True) -> Reply | Computed:
    """The reply of a rule that was recorded, imported, written and served: by meaning, and with the same bytes."""
    asked = HELLO | {"stream": stream}
    request = HttpRequest("POST", "/v1/chat/completions", json.dumps(asked).encode())
    plan = respond(App(load({"rules": [rule], "dialect": dialect})), request).plan
    recorded = Interaction(RecordedRequest("POST", "/v1/chat/completions", (), request.body), plan)
    scenario, (report,) = imported([Cassette("a", (recorded,))])
    assert report.outcome == "meaning", report
    assert respond(App(load(dump(scenario))), request).plan.body == plan.body
    return scenario.rules[0].reply


BLOCKS: list[list[dict[str, Any]]] = [
    [opaque({"audio": each}) for each in AUDIO],
    [{"type": "text", "text": "Here:"}, opaque({"images": [IMAGE]})],
    [
        {"type": "thinking", "parts": ["Let me see."]},
        opaque({"reasoning_details": SIGNED}),
        {"type": "text", "text": "It is 3."},
        {"type": "tool_call", "name": "f", "id": "call_1"},
    ],
    [opaque({"reasoning_details": [{"type": "reasoning.encrypted", "data": "AwAB", "index": 0}]}), opaque({"audio": {"id": "a"}})],
]  # fmt: skip


@pytest.mark.parametrize("dialect", ["openai", "openrouter", "xai", "vercel"])
@pytest.mark.parametrize("blocks", BLOCKS)
def test_fragments_of_a_stream_are_imported_as_blocks(blocks: list[dict[str, Any]], dialect: str) -> None:
    reply = imported_again({"reply": {"blocks": blocks}, "stream": {"split": {"content": 4}}}, dialect)
    assert isinstance(reply, Reply)
    assert isinstance(reply.blocks, tuple)
    found = [block.value for block in reply.blocks if isinstance(block, Opaque)]
    assert found == [block["value"] for block in blocks if block["type"] == "opaque"]


@pytest.mark.parametrize("blocks", BLOCKS[:2])
def test_fragments_of_a_whole_body_are_imported_as_one_block(blocks: list[dict[str, Any]]) -> None:
    reply = imported_again({"reply": {"blocks": blocks}}, "openai", stream=False)
    assert isinstance(reply, Reply)
    assert isinstance(reply.blocks, tuple)
    assert [block.value for block in reply.blocks if isinstance(block, Opaque)] == [
        {"audio": WHOLE_AUDIO} if blocks is BLOCKS[0] else {"images": [IMAGE]}
    ]


def test_fragments_between_pieces_of_the_text_are_imported_with_their_turns() -> None:
    rule = {
        "reply": {"blocks": [{"type": "text", "text": "Here: there."}, opaque({"images": [IMAGE]})]},
        "stream": {"split": {"content": [6]}, "turns": [["content", 1], ["opaque", 1], ["content", 1]]},
    }
    deltas = [delta for delta in sent(rule, True) if delta.get("content") or "images" in delta]
    assert ["images" in delta for delta in deltas] == [False, True, False]
    imported_again(rule, "openai")
