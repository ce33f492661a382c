"""The recorded xAI conversation is served from its meaning byte for byte; small examples of two dialects."""

from __future__ import annotations

import json

import pytest

import fakellm
from fakellm.scenarios.loader import load
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import ROOT, chat, post, respond

SCENARIO = ROOT / "scenarios" / "xai-parallel-tools.yaml"


def test_the_recording_comes_back_byte_for_byte(xai_recording: list[tuple[bytes, bytes]]) -> None:
    with fakellm.serve(SCENARIO, strict=True) as server:
        for request, recorded in xai_recording:
            response = post(server.base_url + "/chat/completions", request)
            assert response.headers["content-type"] == "text/event-stream"
            assert response.content == recorded
        assert [entry.rule for entry in server.journal] == ["xai-parallel-tools#1", "xai-parallel-tools#2"]


def body_of(scenario: str | Rule, **fields: object) -> str:
    """What the only rule of a scenario sends for a request with these fields."""
    answer = respond(App(load(scenario)), HttpRequest("POST", "/v1/chat/completions", chat(**fields)))
    return answer.plan.body.decode()


XAI = """\
dialect: xai
rules:
- reply:
    {id: i, created: 9, model: g, system_fingerprint: fp, reasoning: Hm, content: A b, tool_calls: [{name: f, arguments: '{"x":1}', id: c}],
     usage: {prompt: 3, cached: 1, completion: 2, reasoning: 4}}
  stream: {padding: 1, ticks: [2]}
"""


def xai_frame(created: int, delta: str) -> str:
    head = f'data: {{"id":"i","object":"chat.completion.chunk","created":{created},"model":"g","choices":'
    return f'{head}[{{"index":0,"delta":{delta}}}],"system_fingerprint":"fp"}}\n\n'


XAI_USAGE = (
    '"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":9,"prompt_tokens_details":{"text_tokens":3,'
    '"audio_tokens":0,"image_tokens":0,"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":4,'
    '"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0},"num_sources_used":0,"cost_in_usd_ticks":34500},'
    '"system_fingerprint":"fp"}'
)


def test_an_xai_stream() -> None:
    call = r'{"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"x\":1}"},"index":0,"type":"function"}]}'
    assert body_of(XAI, stream=True, stream_options={"include_usage": True}) == (
        xai_frame(9, '{"role":"assistant"}')
        + xai_frame(9, "{}")
        + xai_frame(10, '{"reasoning_content":"Hm"}')
        + xai_frame(10, '{"content":"A"}')
        + xai_frame(10, '{"content":" b"}')
        + xai_frame(10, call)
        + xai_frame(10, '{},"finish_reason":"tool_calls"').replace("}}]", "}]")
        + 'data: {"id":"i","object":"chat.completion.chunk","created":10,"model":"g","choices":[],'
        + f"{XAI_USAGE}\n\ndata: [DONE]\n\n"
    )


def test_an_xai_body() -> None:
    assert body_of(XAI) == (
        '{"id":"i","object":"chat.completion","created":9,"model":"g","choices":[{"index":0,"message":'
        '{"role":"assistant","content":"A b","reasoning_content":"Hm","tool_calls":[{"id":"c","function":'
        r'{"name":"f","arguments":"{\"x\":1}"},"type":"function"}],"refusal":null},'
        f'"finish_reason":"tool_calls"}}],{XAI_USAGE}'
    )


OPENAI = """\
rules:
- reply: {id: i, created: 9, model: g, system_fingerprint: null, %s}
"""


def openai_frame(delta: str, finish: str = "null", tail: str = "") -> str:
    head = (
        'data: {"id":"i","object":"chat.completion.chunk","created":9,"model":"g","service_tier":"default",'
        '"system_fingerprint":null,"choices":'
    )
    return f'{head}[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]{tail}}}\n\n'


def test_an_openai_stream_of_text() -> None:
    assert body_of(OPENAI % "content: Hi there", stream=True) == (
        openai_frame('{"role":"assistant","content":"","refusal":null}')
        + openai_frame('{"content":"Hi"}')
        + openai_frame('{"content":" there"}')
        + openai_frame("{}", '"stop"')
        + "data: [DONE]\n\n"
    )


def test_an_openai_stream_of_a_tool_call_with_usage() -> None:
    null = ',"usage":null'
    call = '{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}'
    piece = '{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}'
    body = body_of(
        OPENAI % "tool_calls: [{name: f, id: c}], usage: {prompt: 3, completion: 2}",
        stream=True,
        stream_options={"include_usage": True},
    )
    frames = body.split("\n\n")
    assert "\n\n".join(frames[:3]) + "\n\n" == (
        openai_frame(f'{{"role":"assistant","content":null,"tool_calls":[{call}],"refusal":null}}', tail=null)
        + openai_frame(piece, tail=null)
        + openai_frame("{}", '"tool_calls"', null)
    )
    usage = json.loads(frames[3].removeprefix("data: "))
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == 5
    assert frames[4:] == ["data: [DONE]", ""]


def test_an_openai_body() -> None:
    body = body_of(OPENAI % "tool_calls: [{name: f, id: c}], usage: {prompt: 3, completion: 2}")
    assert body.startswith('{\n  "id": "i",\n  "object": "chat.completion",')
    assert body.endswith("}\n")
    message = json.loads(body)["choices"][0]["message"]
    assert message == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        "refusal": None,
        "annotations": [],
    }


def test_obfuscation_makes_the_lengths_of_frames_alike() -> None:
    """Every frame that was recorded from OpenAI with it, the usage frame too, is one byte longer than 16 times n."""
    options = {"include_usage": True, "include_obfuscation": True}
    frames = body_of(OPENAI % "content: Hi there", stream=True, stream_options=options).split("\n\n")[:-2]
    texts = [json.loads(frame.removeprefix("data: "))["obfuscation"] for frame in frames]
    assert len(frames) == 5
    assert {len(frame.removeprefix("data: ")) % 16 for frame in frames} == {1}
    assert all(text.isalnum() for text in texts if text)
    assert len(set(texts)) > 1
    ruled = body_of((OPENAI % "content: Hi").replace("- reply", "- stream: {obfuscation: true}\n  reply"), stream=True)
    assert ruled.count('"obfuscation":') == 3
    assert "obfuscation" not in body_of(f"dialect: xai\n{OPENAI % 'content: Hi'}", stream=True, stream_options=options)


@pytest.mark.parametrize("options", [{}, {"stream_options": None}, {"stream_options": {"include_usage": False}}])
def test_a_stream_has_usage_only_if_requested(options: dict[str, object]) -> None:
    assert "usage" not in body_of(OPENAI % "content: Hi", stream=True, **options)
    assert '"usage": {' in body_of(OPENAI % "content: Hi", **options)


def test_lone_surrogates_leave_as_escapes() -> None:
    rule = Rule(reply=Reply(content="\ud83c"))
    assert r'"content":"\ud83c"' in body_of(rule, stream=True, user="\ud83c")
