"""Reasoning said aloud: in the content, between tags, in a stream and in a whole body alike."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from fakellm.apis.chat.meaning import expressible
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.reader import read_body
from fakellm.apis.variation import Variation
from fakellm.base.seed import Source
from fakellm.fuzzing.strategies import completions
from fakellm.model.blocks import Completion, Token
from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.sse import Decoder
from tests.chats import chat_choice, divide, folded, logprobs, read
from tests.conftest import chat, respond


@given(completions())
def test_a_stream_folds_to_the_completion_with_think_tags(completion: Completion) -> None:
    told = folded(divide(completion, Variation(reasoning="think", split=3), Source(0)))
    assert told == expressible(completion, think=True)
    for choice, said in zip(completion.choices, told.choices, strict=True):
        assert said.reasoning == ""
        thought = f"<think>{choice.reasoning}</think>\n\n" if choice.reasoning else ""
        assert said.content == thought + choice.content
        weight = "".join(token.token for token in logprobs(said))
        assert weight in ("", said.content)


def test_without_reasoning_nothing_is_tagged() -> None:
    said = Completion((chat_choice("Hi", logprobs=(Token("Hi", -1.0),)),))
    assert expressible(said, think=True) == said


def sent(dialect: str, stream: bool, block: str = "{reasoning: think}") -> bytes:
    text = f"dialect: {dialect}\nrules:\n- reply: {{reasoning: Hm, content: Hi}}\n  stream: {block}\n"
    return respond(App(load(text)), HttpRequest("POST", "/v1/chat/completions", chat(stream=stream))).plan.body


@pytest.mark.parametrize("name", DIALECTS)
def test_a_stream_and_a_whole_body_mean_the_same(name: str) -> None:
    events = Decoder().feed(sent(name, True))
    streamed = read(DIALECTS[name], [event.data for event in events if event.data != "[DONE]"])
    whole, _ = read_body(DIALECTS[name], sent(name, False))
    assert [choice.content for choice in (*streamed.choices, *whole.choices)] == ["<think>Hm</think>\n\nHi"] * 2
    assert [choice.reasoning for choice in (*streamed.choices, *whole.choices)] == ["", ""]


def test_the_tag_can_be_cut() -> None:
    block = "{reasoning: think, split: {content: [4, 12]}, fill: {delta: {reasoning: empty}}}"
    frames = [json.loads(event.data) for event in Decoder().feed(sent("openai", True, block)) if event.data[0] == "{"]
    said = [frame["choices"][0]["delta"].get("content") for frame in frames if frame["choices"]]
    assert said == ["", "<thi", "nk>Hm</t", "hink>\n\nHi", None]
