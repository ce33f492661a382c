"""Replies that nobody wrote do as the request asks, streamed or not; what cannot be done is refused and named."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.reader import read_body, read_stream
from fakellm.base import tokenizer
from fakellm.model.blocks import Completion
from fakellm.scenarios.loader import dump, load
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.sse import Decoder
from tests.chats import logprobs
from tests.conftest import chat, respond
from tests.real_schemas import UNSATISFIABLE, WRITTEN
from tests.schemas import ANY_SCHEMA, JUNK, SATISFIABLE, Schema

USER = {"role": "user", "content": "Hello"}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def tools(*names: str, parameters: Any = CITY) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": name, "parameters": parameters}} for name in names]


def sent(app: App | None = None, **fields: Any) -> tuple[int | None, dict[str, Any]]:
    """The status and the body of a whole reply."""
    answer = respond((app or App()), HttpRequest("POST", "/v1/chat/completions", chat(**fields)))
    return answer.plan.status, json.loads(answer.plan.body)


def said(dialect: str = "openai", **fields: Any) -> Completion:
    """What is said to a request, which is the same streamed and not."""
    app = App(load({"dialect": dialect, "rules": [{"reply": {"generate": {}}}]}))
    whole = respond(app, HttpRequest("POST", "/v1/chat/completions", chat(**fields)))
    assert whole.plan.status == 200, whole.plan.body
    read = read_body(DIALECTS[dialect], whole.plan.body)
    asked = {**fields, "stream": True, "stream_options": {"include_usage": True}}
    stream = respond(app, HttpRequest("POST", "/v1/chat/completions", chat(**asked)))
    events = [event.data for event in Decoder().feed(stream.plan.body) if event.data != "[DONE]"]
    assert read_stream(DIALECTS[dialect], events) == read
    return read[0]


def refused(**fields: Any) -> tuple[str, str]:
    """The parameter and the message of the refusal."""
    status, body = sent(**fields)
    assert status == 400
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["type"] == "invalid_request_error"
    return body["error"]["param"], body["error"]["message"]


def names(completion: Completion) -> list[str]:
    return [call.name for call in completion.choices[0].tool_calls]


def test_choices_differ() -> None:
    completion = said(n=3)
    assert len({choice.content for choice in completion.choices}) == 3
    assert {choice.finish_reason for choice in completion.choices} == {"stop"}


def test_the_tokens_of_a_text_have_log_probabilities_if_requested() -> None:
    assert logprobs(said().choices[0]) == ()
    assert logprobs(said(logprobs=False).choices[0]) == ()
    [choice] = said(logprobs=True, max_tokens=9).choices
    assert "".join(token.token for token in logprobs(choice)) == choice.content
    assert len(logprobs(choice)) == 9
    for choice in said(logprobs=True, top_logprobs=3, n=2).choices:
        assert {len(token.top) for token in logprobs(choice)} == {3}
        assert all(token.top[0].logprob == token.logprob > token.top[1].logprob for token in logprobs(choice))


def test_another_seed_in_the_request_gives_another_text() -> None:
    texts = {said(seed=seed).choices[0].content for seed in (1, 1, 2, 3)}
    assert len(texts) == 3


@pytest.mark.parametrize("key", ["max_tokens", "max_completion_tokens"])
@given(limit=st.integers(1, 120), n=st.integers(1, 2), effort=st.sampled_from([None, "low", "high"]))
@settings(max_examples=25)
def test_a_text_is_cut_at_its_limit(key: str, limit: int, n: int, effort: str | None) -> None:
    asked: dict[str, Any] = {"n": n, "reasoning_effort": effort, key: limit}
    cut = said(**asked)
    assert cut.usage
    assert cut.usage.output <= limit * n
    if all(choice.finish_reason == "length" for choice in cut.choices):
        assert cut.usage.output == limit * n
    shown = [tokenizer.count(choice.content) for choice in cut.choices]
    assert sum(shown) + cut.usage.reasoning == cut.usage.output


def test_a_call_is_cut_at_its_limit() -> None:
    finishes = set()
    for limit in range(3, 12):
        completion = said(tools=tools("get_weather"), tool_choice="required", max_tokens=limit)
        [choice] = completion.choices
        [call] = choice.tool_calls
        assert call.name == "get_weather"
        assert completion.usage
        assert completion.usage.output == tokenizer.count(call.name + call.arguments) <= limit
        if choice.finish_reason == "length":
            assert completion.usage.output == limit
        else:
            jsonschema.validate(json.loads(call.arguments), CITY)
        finishes.add(choice.finish_reason)
    assert finishes == {"length", "tool_calls"}
    assert said(tools=tools("get_weather"), tool_choice="required", max_tokens=1).choices[0].tool_calls == ()


@pytest.mark.parametrize("stop", [".", [".", ","], ["", " the"], "never said", ["\n"]])
def test_a_text_ends_before_a_stop(stop: Any) -> None:
    choice = said(stop=stop).choices[0]
    assert not any(each in choice.content for each in ([stop] if isinstance(stop, str) else stop) if each)
    assert choice.content
    assert choice.finish_reason == "stop"


def test_effort_sets_the_amount_of_reasoning() -> None:
    thought = [said(reasoning_effort=effort).usage for effort in ("none", "minimal", "low", "medium", "high", "xhigh")]
    counts = [usage.reasoning for usage in thought if usage]
    assert counts == sorted(set(counts))
    assert counts[0] == 0
    assert said().usage == said().usage
    assert all(usage and usage.output > usage.reasoning for usage in thought)


@pytest.mark.parametrize(("dialect", "shown"), [("openai", False), ("azure", False), ("deepseek", True), ("xai", True)])
def test_reasoning_is_sent_if_the_provider_sends_it(dialect: str, shown: bool) -> None:
    completion = said(dialect, reasoning_effort="low")
    assert completion.usage
    assert (completion.choices[0].reasoning != "") == shown
    assert completion.usage.reasoning > 10


def test_a_long_text_has_paragraphs() -> None:
    app = App(load({"rules": [{"reply": {"generate": {"sentences": 12}}}]}))
    content = sent(app)[1]["choices"][0]["message"]["content"]
    assert [part.count(". ") + 1 for part in content.split("\n\n")] == [5, 5, 2]


def test_a_rule_that_generates_survives_yaml() -> None:
    scenario = load({"rules": [{"reply": {"generate": {"sentences": 1}, "model": "m-2", "id": "x"}}]})
    assert load(dump(scenario)) == scenario
    assert [sent(App(scenario))[1][key] for key in ("model", "id")] == ["m-2", "x"]
    without = load({"rules": [{"reply": {"generate": {}}}]})
    assert load(dump(without)) == without


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_means_the_same_streamed_and_not(dialect: str) -> None:
    asked: list[dict[str, Any]] = [{}, {"tools": tools("a", "b")}, {"max_tokens": 7}, {"reasoning_effort": "low"}]
    for fields in asked:
        said(dialect, **fields)


def test_json_is_sent_if_an_object_is_requested() -> None:
    assert isinstance(json.loads(said(response_format={"type": "json_object"}).choices[0].content), dict)
    assert not said(response_format={"type": "text"}).choices[0].content.startswith("{")
    assert json.loads(said(response_format={"type": "json_schema", "json_schema": {"name": "x"}}).choices[0].content)


@pytest.mark.parametrize("name", [*WRITTEN][::4])
@pytest.mark.parametrize("strict", [True, False])
def test_structured_output_satisfies_its_schema(name: str, strict: bool) -> None:
    shape = {"name": "answer", "strict": strict, "schema": WRITTEN[name]}
    for choice in said(response_format={"type": "json_schema", "json_schema": shape}, n=2).choices:
        jsonschema.validate(json.loads(choice.content), WRITTEN[name])


def test_the_first_turn_calls_and_the_next_answers() -> None:
    offered = tools("weather", "time", "news")
    first = said(tools=offered)
    assert 1 <= len(names(first)) <= 2
    assert first.choices[0].finish_reason == "tool_calls"
    for call in first.choices[0].tool_calls:
        jsonschema.validate(json.loads(call.arguments), CITY)
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in first.choices[0].tool_calls
    ]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "3"} for call in calls]
    turn = [USER, {"role": "assistant", "content": None, "tool_calls": calls}, *results]
    second = said(tools=offered, messages=turn)
    assert (names(second), second.choices[0].finish_reason) == ([], "stop")
    assert second.choices[0].content
    assert names(said(tools=offered, messages=[*turn, {"role": "assistant", "content": "3"}, USER]))


def test_calls_are_parallel_unless_that_is_forbidden() -> None:
    offered = tools("weather", "time", "news")
    counts = {len(names(said(tools=offered, seed=seed))) for seed in range(12)}
    assert counts == {1, 2}
    assert {len(names(said(tools=offered, seed=seed, parallel_tool_calls=False))) for seed in range(12)} == {1}
    assert {each for seed in range(12) for each in names(said(tools=offered, seed=seed))} == {"weather", "time", "news"}


def test_the_tool_choice_is_kept() -> None:
    offered = tools("weather", "time", "news")
    named = {"type": "function", "function": {"name": "time"}}
    assert names(said(tools=offered, tool_choice="none")) == []
    assert names(said(tools=offered, tool_choice="required"))
    assert names(said(tools=offered, tool_choice=named)) == ["time"]
    some = {"mode": "required", "tools": [named, {"type": "function", "function": {"name": "news"}}]}
    allowed = {"type": "allowed_tools", "allowed_tools": some}
    called = {each for seed in range(9) for each in names(said(tools=offered, tool_choice=allowed, seed=seed))}
    assert called == {"time", "news"}


CODE = {"type": "custom", "custom": {"name": "code", "description": "Runs it.", "format": {"type": "text"}}}


LARK = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /.+/"}}
REGEX = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "[a-c]{3}|x"}}


def custom(name: str, form: dict[str, Any]) -> dict[str, Any]:
    return {"type": "custom", "custom": {"name": name, "format": form}}


@pytest.mark.parametrize("choice", [None, "required", {"type": "custom", "custom": {"name": "code"}}])
def test_a_custom_tool_is_called_with_a_text(choice: Any) -> None:
    asked = {"tools": [CODE]} if choice is None else {"tools": [CODE], "tool_choice": choice}
    [call] = said(**asked).choices[0].tool_calls
    assert (call.name, call.kind) == ("code", "custom")
    assert call.arguments.endswith(".")
    [wire] = sent(**asked)[1]["choices"][0]["message"]["tool_calls"]
    assert wire == {"id": call.id, "type": "custom", "custom": {"name": "code", "input": call.arguments}}


def test_a_call_of_a_custom_tool_is_streamed_in_pieces() -> None:
    answer = respond(App(), HttpRequest("POST", "/v1/chat/completions", chat(tools=[CODE], stream=True)))
    chunks = [json.loads(event.data) for event in Decoder().feed(answer.plan.body) if event.data != "[DONE]"]
    pieces = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert [sorted(piece) for piece in pieces[:2]] == [["custom", "id", "index", "type"], ["custom", "index"]]
    assert pieces[0] | {"id": ""} == {"index": 0, "id": "", "type": "custom", "custom": {"name": "code", "input": ""}}
    assert all(piece["custom"].keys() == {"input"} for piece in pieces[1:])


def test_a_custom_tool_may_have_a_grammar() -> None:
    [call] = said(tools=[custom("abc", REGEX)]).choices[0].tool_calls
    assert re.fullmatch("[a-c]{3}|x", call.arguments)
    assert names(said(tools=[custom("lark", LARK)])) == []
    mixed = [custom("lark", LARK), *tools("time")]
    assert names(said(tools=mixed, tool_choice="required")) == ["time"]
    param, message = refused(tools=[custom("lark", LARK)], tool_choice="required")
    assert param == "tool_choice"
    assert "cannot call the custom tool 'lark': no text can be made for its grammar" in message
    broken = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "("}}
    param, message = refused(tools=[custom("x", broken)])
    assert param == "tools[0].custom.format.grammar.definition"
    assert "Invalid grammar for custom tool 'x'" in message


def test_functions_and_custom_tools_are_called_alike() -> None:
    mixed = [CODE, *tools("time")]
    called = {name for seed in range(9) for name in names(said(tools=mixed, seed=seed))}
    assert called == {"code", "time"}
    allowed = {"mode": "required", "tools": [{"type": "custom", "custom": {"name": "code"}}]}
    assert names(said(tools=mixed, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})) == ["code"]


FUNCTION_TIME = {"type": "function", "function": {"name": "time"}}


@pytest.mark.parametrize(("dialect", "finish"), [("openai", "stop"), ("azure", "stop"), ("xai", "tool_calls")])
def test_a_call_that_was_named_finishes_as_with_the_provider(dialect: str, finish: str) -> None:
    named = {"type": "function", "function": {"name": "time"}}
    assert said(dialect, tools=tools("time"), tool_choice=named).choices[0].finish_reason == finish


def test_a_call_that_must_be_made_is_of_a_tool_without_a_result() -> None:
    """An agent that ends with the call of a certain tool, as with pydantic-ai's `final_result`, ends."""
    offered, called = tools("weather", "time", "final"), list[str]()
    messages: list[dict[str, Any]] = [USER]
    while "final" not in called:
        reply = said(tools=offered, messages=messages, tool_choice="required", parallel_tool_calls=False)
        call = reply.choices[0].tool_calls[0]
        called.append(call.name)
        function = {"name": call.name, "arguments": call.arguments}
        messages.append(
            {"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": function}]}
        )
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "3"})
    assert len(called) == len(set(called))


@pytest.mark.parametrize("choice", [None, "auto", {"name": "time"}])
def test_functions_are_called_under_the_legacy_key(choice: Any) -> None:
    functions = [{"name": "time", "parameters": CITY}]
    asked = {"functions": functions, **({"function_call": choice} if choice else {})}
    [reply] = sent(**asked)[1]["choices"]
    call = reply["message"]["function_call"]
    assert (call["name"], sorted(call)) == ("time", ["arguments", "name"])
    assert reply["finish_reason"] == ("stop" if isinstance(choice, dict) else "function_call")
    jsonschema.validate(json.loads(call["arguments"]), CITY)
    answer = respond(App(), HttpRequest("POST", "/v1/chat/completions", chat(**asked, stream=True)))
    chunks = [json.loads(event.data) for event in Decoder().feed(answer.plan.body) if event.data != "[DONE]"]
    deltas = [each["choices"][0]["delta"].get("function_call", {}) for each in chunks]
    assert {key: "".join(delta.get(key, "") for delta in deltas) for key in call} == call
    assert chunks[-1]["choices"][0]["finish_reason"] == reply["finish_reason"]
    assert b"tool_calls" not in answer.plan.body


def test_a_result_of_a_function_is_answered_with_text() -> None:
    functions = [{"name": "time", "parameters": CITY}]
    call = {"role": "assistant", "function_call": {"name": "time", "arguments": "{}"}}
    turn = [USER, call, {"role": "function", "name": "time", "content": "3"}]
    for fields in ({"messages": turn}, {"function_call": "none"}):
        message = sent(**fields, functions=functions)[1]["choices"][0]["message"]
        assert message["content"]
        assert "function_call" not in message


FUNCTION = {"type": "function", "function": {"name": "tim"}}


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"max_tokens": 0}, "max_tokens", "integer below minimum value. Expected a value >= 1, but got 0 instead."),
        ({"max_completion_tokens": -1}, "max_completion_tokens", "but got -1 instead"),
        (
            {"functions": [{"name": "a", "parameters": {"type": 1}}]},
            "functions[0].parameters",
            "it is not a valid JSON Schema",
        ),
        ({"top_logprobs": 2}, "top_logprobs", "only allowed when 'logprobs' is true"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "from 0 to 20, but got 21 instead"),
        ({"response_format": {"type": "yaml"}}, "response_format.type", "'json_object', 'json_schema', and 'text'"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "Missing required parameter"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": 1}}},
            "response_format.json_schema.schema",
            "expected an object",
        ),
        ({"tool_choice": "required"}, "tool_choice", "only allowed when 'tools' are specified"),
        ({"tools": tools("time"), "tool_choice": "requird"}, "tool_choice", "did you mean 'required'?"),
        (
            {"tools": tools("time"), "tool_choice": FUNCTION},
            "tool_choice",
            "'tim' not found in 'tools' parameter; did you mean 'time'?",
        ),
        ({"tools": tools("time"), "tool_choice": {"type": "function"}}, "tool_choice.function.name", "Missing"),
        ({"tools": [CODE], "tool_choice": {"type": "custom"}}, "tool_choice.custom.name", "Missing"),
        (
            {"tools": [CODE], "tool_choice": {"type": "custom", "custom": {"name": "cod"}}},
            "tool_choice",
            "'cod' not found in 'tools' parameter; did you mean 'code'?",
        ),
        ({"tools": [CODE], "tool_choice": {"type": "function", "function": {"name": "code"}}}, "tool_choice", "'code'"),
        (
            {"tools": tools("time"), "tool_choice": {"type": "tool"}},
            "tool_choice.type",
            "Invalid value: 'tool'. Supported values are: 'function', 'allowed_tools', and 'custom'",
        ),
        (
            {"tools": tools("time"), "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}},
            "tool_choice.allowed_tools.tools",
            "Missing",
        ),
        (
            {"tools": tools("time"), "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "none"}}},
            "tool_choice.allowed_tools.mode",
            "Invalid value: 'none'. Supported values are: 'auto' and 'required'",
        ),
        (
            {
                "tools": tools("time"),
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [FUNCTION_TIME, {}]}},
            },
            "tool_choice.allowed_tools.tools[1].function.name",
            "Missing",
        ),
        ({"functions": [{"name": "time"}], "function_call": {}}, "function_call.name", "Missing"),
        (
            {"functions": [{"name": "time"}], "function_call": {"name": "tim"}},
            "function_call",
            "'tim' not found in 'functions' parameter; did you mean 'time'?",
        ),
        (
            {"tools": tools("a", parameters={"type": "string"}), "tool_choice": "none"},
            "tools[0].function.parameters",
            "of 'type': 'object', not 'string'",
        ),
        (
            {"tools": [*tools("a"), *tools("b", parameters={"properties": 1})]},
            "tools[1].function.parameters",
            "Invalid schema for function 'b': it is not a valid JSON Schema: $.properties",
        ),
        (
            {"tools": tools("a", parameters={"properties": {"x": False}, "required": ["x"]})},
            "tools[0].function.parameters",
            "x: nothing is allowed",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused(fields: dict[str, Any], param: str, message: str) -> None:
    named, text = refused(**fields)
    assert named == param
    assert message in text


@pytest.mark.parametrize("name", UNSATISFIABLE)
def test_a_schema_without_a_value_is_refused(name: str) -> None:
    schema, why = UNSATISFIABLE[name]
    if name == "infinite":
        return  # no JSON says it
    param, message = refused(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert param == "response_format.json_schema.schema"
    assert message.startswith("Invalid schema for response_format 'x': ")
    assert why in message


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(ANY_SCHEMA, st.booleans())
def test_no_schema_breaks_the_server(schema: Schema, called: bool) -> None:
    output = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}
    fields: dict[str, Any] = {"tools": tools("a", parameters=schema)} if called else output
    try:
        body = json.dumps({"model": "m", "messages": [USER], **fields}, allow_nan=False)
    except ValueError:
        return
    answer = respond(App(), HttpRequest("POST", "/v1/chat/completions", body.encode()))
    assert answer.plan.status in (200, 400)
    if answer.plan.status == 400:
        error = json.loads(answer.plan.body)["error"]
        assert error["param"].startswith(
            "tools[0].function.parameters" if called else "response_format.json_schema.schema"
        )


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(SATISFIABLE)
def test_arguments_and_outputs_satisfy_any_satisfiable_schema(schema: dict[str, Any]) -> None:
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    jsonschema.validate(json.loads(said(response_format=shape).choices[0].content), schema)
    wrapped = {"type": "object", "properties": {"value": schema}, "required": ["value"]}
    for call in said(tools=tools("f", parameters=wrapped)).choices[0].tool_calls:
        jsonschema.validate(json.loads(call.arguments), wrapped)


FIELDS = ("tool_choice", "response_format", "stop", "max_tokens", "reasoning_effort", "parallel_tool_calls", "n")
WORDS = ("type", "function", "name", "json_schema", "allowed_tools", "tools", "mode", "schema")
ODD = st.recursive(
    JUNK | st.sampled_from([*WORDS, "required", "auto", "a", "json_object"]),
    lambda inner: st.dictionaries(st.sampled_from(WORDS), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=6,
)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(FIELDS), ODD, min_size=1), st.booleans())
def test_no_request_breaks_the_server(fields: dict[str, Any], stream: bool) -> None:
    body = {"model": "m", "messages": [USER], "tools": tools("a", "b"), "stream": stream, **fields}
    answer = respond(App(), HttpRequest("POST", "/v1/chat/completions", json.dumps(body).encode()))
    assert answer.plan.status in (200, 400)
    if answer.plan.status == 400:
        assert set(json.loads(answer.plan.body)["error"]) == {"message", "type", "param", "code"}
