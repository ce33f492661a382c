"""What a request to Ollama's API means, and which ones are refused, in Ollama's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakellm.apis.ollama.api import OLLAMA
from fakellm.apis.ollama.urls import target
from fakellm.base.errors import RequestError
from fakellm.model.request import JsonOutput, Message, PastCall, Request, Tool
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from tests.conftest import respond
from tests.ollama.samples import body, lines, request, sent


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"stream": True, "max_tokens": None, "stop": (), "effort": None, "output": None, "tool_choice": "none"}),
        ({"stream": None}, {"stream": True}),
        ({"stream": False}, {"stream": False}),
        ({"options": {"num_predict": 5, "stop": ["a", "b"], "x": 1}}, {"max_tokens": 5, "stop": ("a", "b")}),
        ({"options": {"num_predict": -1}}, {"max_tokens": None}),
        ({"format": "json"}, {"output": JsonOutput(None, "", "format"), "response_format": ("json_object",)}),
        ({"format": {"title": "T"}}, {"output": JsonOutput({"title": "T"}, "T", "format")}),
        ({"format": ""}, {"output": None}),
        ({"think": True}, {"effort": "medium"}),
        ({"think": False}, {"effort": "none"}),
        ({"think": "high"}, {"effort": "high"}),
        ({"logprobs": True, "top_logprobs": 2}, {"top_logprobs": 2}),
    ],
)
@pytest.mark.parametrize("route", ["chat", "generate"])
def test_what_a_request_sets(route: str, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    found = request(route, **fields)
    assert {name: getattr(found, name) for name in expected} == expected
    assert (found.api, found.model, found.user) == ("ollama", "m", "Hi")


def chat(*messages: dict[str, Any], **fields: Any) -> Request:
    return OLLAMA.parse(json.dumps({"model": "m", "messages": messages, **fields}).encode(), {}, "/api/chat")


def test_the_messages_of_a_chat() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    calls: list[Any] = [{"function": {"name": "f", "arguments": {"a": 1}}}, {"id": "c", "function": {"name": "g"}}]
    found = chat(
        {"role": "System", "content": "Be brief."},
        {"role": "user", "content": "Hi", "images": ["aGk="]},
        {"role": "assistant", "content": "", "thinking": "Hm", "tool_calls": calls},
        {"role": "tool", "content": "5", "tool_name": "f"},
        {"role": "tool", "content": "6", "tool_call_id": "c"},
        tools=[tool],
    )
    assert found.messages == (
        Message("system", "Be brief."),
        Message("user", "Hi"),
        Message("assistant", "", (PastCall("call 2.0", "f", '{"a":1}'), PastCall("c", "g", "{}"))),
        Message("tool", "5", (), "call 2.0", "f"),
        Message("tool", "6", (), "c", "g"),
    )
    assert found.results == {"call 2.0": "5", "f": "5", "c": "6", "g": "6"}
    assert found.offered == (Tool("f", "function", {"type": "object"}, "tools[0].function.parameters"),)
    assert (found.turn, found.tool_choice, found.allowed_calls.names) == (2, "auto", ("f",))


def test_results_without_a_name_belong_to_the_calls_in_their_order() -> None:
    calls: list[Any] = [{"function": {"name": name, "arguments": {}}} for name in ("f", "g")]
    results = [{"role": "tool", "content": "5"}, {"role": "tool", "content": "6"}, {"role": "tool", "content": "7"}]
    found = chat({"role": "assistant", "content": "", "tool_calls": calls}, *results)
    assert (found.results["f"], found.results["g"]) == ("5", "6")


def test_the_prompt_of_a_text() -> None:
    found = request("generate", system="Be brief.", suffix=" end")
    assert found.messages == (Message("system", "Be brief."), Message("user", "Hi end"))


@pytest.mark.parametrize(
    ("path", "value", "status", "message"),
    [
        ("/api/chat", b"", 400, "missing request body"),
        ("/api/chat", b'{"model":', 400, "unexpected EOF"),
        ("/api/chat", b"{x}", 400, "invalid character 'x' looking for beginning of value"),
        ("/api/chat", b"[]", 400, "json: cannot unmarshal array into Go value of type api.ChatRequest"),
        ("/api/chat", {"messages": []}, 400, "model is required"),
        ("/api/generate", {"model": ""}, 400, "model is required"),
        (
            "/api/chat",
            {"model": 5},
            400,
            "json: cannot unmarshal number into Go struct field ChatRequest.model of type string",
        ),
        (
            "/api/chat",
            {"model": "m", "messages": [{"role": "user", "content": []}]},
            400,
            "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string",
        ),
        (
            "/api/generate",
            {"model": "m", "stream": "yes"},
            400,
            "json: cannot unmarshal string into Go struct field GenerateRequest.stream of type bool",
        ),
        ("/api/chat", body(top_logprobs=21), 400, "top_logprobs must be between 0 and 20"),
        ("/api/chat", body(options={"num_predict": "5"}), 500, 'option "num_predict" must be of type integer'),
        ("/api/chat", body(options={"stop": "x"}), 500, 'option "stop" must be of type array'),
        ("/api/chat", body(options={"stop": [1]}), 500, 'option "stop" must be of an array of strings'),
        (
            "/api/chat",
            body(format="xml"),
            500,
            'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object',
        ),
        (
            "/api/chat",
            body(think="max"),
            400,
            'invalid think value: "max" (must be "high", "medium", "low", true, or false)',
        ),
        (
            "/api/generate",
            body("generate", raw=True, system="s"),
            400,
            "raw mode does not support template, system, or context",
        ),
    ],
)
def test_what_is_refused(path: str, value: Any, status: int, message: str) -> None:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(RequestError) as caught:
        OLLAMA.parse(data, {}, path)
    assert (caught.value.status, caught.value.message) == (status, message)
    plan = respond(App(), HttpRequest("POST", path, data)).plan
    assert (plan.status, json.loads(plan.body)) == (status, {"error": message})


@pytest.mark.parametrize("value", ["[" * 100_000, '{"model":"m","messages":' + '[{"a":' * 20_000, "{" * 50_000])
def test_a_body_that_is_nested_too_deeply_is_refused(value: str) -> None:
    with pytest.raises(RequestError):
        OLLAMA.parse(value.encode(), {}, "/api/chat")


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/chat", "/api/chat"),
        ("/ollama/api/generate", "/api/generate"),
        ("/api/blobs/sha256:5", "/api/blobs"),
        ("/api/pull", "/api/pull"),
        ("/api", None),
        ("/v1/chat/completions", None),
        ("/api/v1/chat/completions", None),
        ("/api/chats", None),
        ("/api/pullx", None),
    ],
)
def test_which_paths_belong_to_the_api(path: str, route: str | None) -> None:
    found = target(path)
    assert (found and found.route) == route


def test_a_rule_can_name_the_api() -> None:
    scenario = load(
        {
            "rules": [
                {"when": {"api": "ollama"}, "reply": {"content": "native"}},
                {"reply": {"content": "compatible"}},
            ]
        }
    )
    assert lines(sent(scenario))[0]["message"]["content"] == "native"
    plan = respond(App(scenario), HttpRequest("POST", "/v1/chat/completions", json.dumps(body()).encode())).plan
    assert json.loads(plan.body)["choices"][0]["message"]["content"] == "compatible"


def test_what_no_rule_matches_is_refused_with_the_nearest_rule() -> None:
    plan = sent(load({"rules": [{"when": {"user": "Bye"}, "reply": {"content": "!"}}]}))
    assert plan.status == 404
    assert "Bye" in json.loads(plan.body)["error"]


def test_operations_about_an_unknown_model_are_refused() -> None:
    app = App(load({"rules": [{"when": {"model": "known"}, "reply": {"content": "!"}}]}), strict=True)
    for path, fields in (("/api/show", {}), ("/api/embed", {"input": "a"}), ("/api/embeddings", {"prompt": "a"})):
        for model, status in (("known", 200), ("x", 404)):
            found = respond(app, HttpRequest("POST", path, json.dumps({"model": model, **fields}).encode())).plan
            assert found.status == status
    assert json.loads(found.body) == {"error": "model 'x' not found"}
