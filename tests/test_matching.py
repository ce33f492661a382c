"""Which rule a request meets: every condition, what is told where it is not met, and rules that none can reach."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis.chat.api import ChatApi
from fakellm.apis.chat.requests.parse import parse
from fakellm.engine.engine import Engine
from fakellm.engine.memo import Cache
from fakellm.engine.ruleset import Ruleset
from fakellm.model.request import Request
from fakellm.scenarios.loader import load
from fakellm.scenarios.matching import Matcher, Pattern, When, difference
from fakellm.scenarios.reachability import unreachable
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import chat, respond

ADD = {"type": "function", "function": {"name": "add"}}
CALLED = {
    "role": "assistant",
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":2}'}}],
}
AGENT = parse(
    chat(
        model="gpt-5",
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "No jokes."}]},
            {"role": "user", "content": "What is 2 and 3?"},
            CALLED,
            {"role": "tool", "tool_call_id": "call_1", "content": "The sum is 5"},
        ],
        tools=[ADD, {"type": "function", "function": {"name": "multiply"}}],
        tool_choice={"type": "function", "function": {"name": "add"}},
        response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": {}}},
        stream=True,
        metadata={"run": "7"},
        temperature=1,
    ),
    {"x-run": "nightly 7"},
)
PLAIN = parse(chat())


@pytest.mark.parametrize(
    ("when", "others"),
    [
        ({"model": "gpt-*"}, {"model": "grok-*"}),
        ({"model": "gpt-5"}, {"model": "gpt"}),
        ({"turn": 2}, {"turn": 1}),
        ({"tools": ["multiply"]}, {"tools": ["add", "divide"]}),
        ({"user": "2 and 3"}, {"user": "sum"}),
        ({"user": {"regex": r"\d and \d\?$"}}, {"user": {"regex": r"^\d"}}),
        ({"user": {"exact": "What is 2 and 3?"}}, {"user": {"exact": "What is 2"}}),
        ({"message": "sum is"}, {"message": "product"}),
        ({"message": {"exact": "Be brief."}}, {"message": {"exact": "brief"}}),
        ({"system": "No jokes"}, {"system": "2 and 3"}),
        ({"system": {"exact": "Be brief.\nNo jokes."}}, {"system": {"exact": "Be brief."}}),
        ({"tool_choice": "add"}, {"tool_choice": "auto"}),
        ({"result": {"add": "5"}}, {"result": {"add": "6"}}),
        ({"result": {"call_1": {"regex": "5$"}}}, {"result": {"multiply": ""}}),
        ({"response_format": "json_schema"}, {"response_format": "json_object"}),
        ({"response_format": "answer"}, {"response_format": "question"}),
        ({"stream": True}, {"stream": False}),
        ({"headers": {"X-Run": "nightly"}}, {"headers": {"x-run": {"exact": "nightly"}}}),
        ({"headers": {"x-run": ""}}, {"headers": {"x-other": ""}}),
        ({"body": {"metadata.run": "7"}}, {"body": {"metadata.run": 7}}),
        ({"body": {"messages[-1].role": "tool"}}, {"body": {"messages[9].role": "tool"}}),
        ({"body": {"temperature": 1.0}}, {"body": {"temperature": True}}),
        ({"body": {"metadata": {"exact": {"run": "7"}}}}, {"body": {"metadata": {}}}),
        ({"body": {"metadata.run": {"regex": "^7$"}}}, {"body": {"temperature": {"regex": "1"}}}),
        ({"api": "chat"}, {"api": "completions"}),
        ({"body": {"seed": None}}, {"body": {"stream": None}}),
    ],
)
def test_each_condition(when: dict[str, Any], others: dict[str, Any]) -> None:
    met, unmet = (load({"rules": [{"when": each, "reply": {}}]}).rules[0].when for each in (when, others))
    assert difference(met, AGENT) == ()
    assert len(difference(unmet, AGENT)) == 1


@pytest.mark.parametrize(
    ("when", "told"),
    [
        (When(model="x*"), "model: expected 'x*', got 'm'"),
        (When(model="M"), "model: expected 'M', got 'm' (differs only in case)"),
        (When(turn=2), "turn: expected 2, got 1"),
        (When(tools=("add",)), "tools: expected ['add'], got ()"),
        (When(user="weather"), "user: expected 'weather', got 'Hello'"),
        (When(user="hell"), "user: expected 'hell', got 'Hello' (differs only in case)"),
        (When(user=Pattern(regex="^W")), "user: expected {'regex': '^W'}, got 'Hello'"),
        (When(message="x"), "message: expected 'x', got ('Hello',)"),
        (When(system="x"), "system: expected 'x', got ''"),
        (When(tool_choice="auto"), "tool_choice: expected 'auto', got 'none'"),
        (When(result={"add": "5"}), "result.add: expected '5', got None"),
        (When(result={"add": ""}), "result.add: expected any text, got none"),
        (When(response_format="answer"), "response_format: expected 'answer', got ('text',)"),
        (When(stream=True), "stream: expected True, got False"),
        (When(headers={"X-Run": "7"}), "headers.X-Run: expected '7', got None"),
        (When(api="completions"), "api: expected 'completions', got 'chat'"),
        (When(body={"metadata.run": 7}), "body.metadata.run: expected 7, got None"),
        (
            When(body={"messages.0.content": "Hello"}),
            "body.messages.0.content: expected 'Hello', got None (an item of a list is written in brackets: "
            "messages[0].content)",
        ),
        *(
            (
                msgspec.convert({field: text}, When),
                f"{field}: expected {text!r}, got {shown} (a plain text; for a pattern, write {{regex: {regex!r}}}, "
                f"in Python fakellm.Pattern(regex={regex!r}))",
            )
            for field, shown in (("user", "'Hello'"), ("message", "('Hello',)"))
            for text, regex in (("^Hel", "^Hel"), ("H.llo", "H.llo"), ("/Hel.*/", "Hel"), ("*ello", ".*ello"))
        ),
        (When(user="Hello?!"), "user: expected 'Hello?!', got 'Hello'"),
        (When(user="(Hello"), "user: expected '(Hello', got 'Hello'"),
    ],
)
def test_each_difference_names_the_expected_and_the_actual_value(when: When, told: str) -> None:
    assert [str(each) for each in difference(when, PLAIN)] == [told]


@pytest.mark.parametrize(
    ("text", "message", "regex"),
    [
        ("**one** and **two** and **three**", "one and two and " * 120, None),
        ("**one** and **two** and **three**", "one and two and three", r".*one.*\ and\ .*two.*\ and\ .*three"),
        ("* one * two * three", "one two " * 250, None),
        ("(a+)+$", "a" * 27 + "b", None),
        ("one*two", "one\ntwo", None),
    ],
)
def test_a_plain_text_is_taken_for_a_pattern_only_if_that_takes_little_time(
    text: str, message: str, regex: str | None
) -> None:
    for when, number in ((When(user=text), 1), (When(message=text), 50)):
        (shown,) = difference(when, parse(chat(messages=[{"role": "user", "content": message}] * number)))
        assert (f"{{regex: {regex!r}}}" in str(shown)) == bool(regex)
        assert ("for a pattern" in str(shown)) == bool(regex)


def test_the_result_of_a_call_that_nobody_made() -> None:
    messages = [{"role": "user", "content": "2 + 1"}, {"role": "tool", "tool_call_id": "c1", "content": "3"}]
    (shown,) = difference(When(result={"add": "3"}), parse(chat(messages=messages)))
    assert str(shown) == "result.add: expected '3', got None (the result 'c1' belongs to no call in the messages)"


def test_the_start_of_a_model_lacks_its_star() -> None:
    (shown,) = difference(When(model="gpt"), parse(chat(model="gpt-5")))
    assert str(shown) == "model: expected 'gpt', got 'gpt-5' (the whole name must match: 'gpt*')"


def test_a_long_value_is_shortened() -> None:
    request = parse(chat(messages=[{"role": "user", "content": "word " * 100_000}]))
    (told,) = difference(When(user="x"), request)
    assert str(told).startswith("user: expected 'x', got 'word word ")
    assert str(told).endswith("… (500,002 characters)")


CODE = {"type": "custom", "custom": {"name": "code", "description": "Runs it.", "format": {"type": "text"}}}
CUSTOM_CALL = {"id": "call_2", "type": "custom", "custom": {"name": "code", "input": "print(2)"}}
CODER = {
    "tools": [ADD, CODE],
    "messages": [
        {"role": "user", "content": "What is 2?"},
        {"role": "assistant", "tool_calls": [CUSTOM_CALL]},
        {"role": "tool", "tool_call_id": "call_2", "content": "2"},
    ],
}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [ADD]}}


@pytest.mark.parametrize(
    ("fields", "when"),
    [
        ({}, When(tools=("code", "add"))),
        ({}, When(result={"code": "2", "call_2": "2"})),
        ({"tool_choice": {"type": "custom", "custom": {"name": "code"}}}, When(tool_choice="code")),
        ({"tool_choice": ALLOWED}, When(tool_choice="allowed_tools")),
        ({"tool_choice": "any"}, When(tool_choice="any")),
        ({"tools": None, "functions": [{"name": "add"}]}, When(tools=("add",), tool_choice="auto")),
        ({"tools": None, "functions": [{"name": "a"}], "function_call": {"name": "a"}}, When(tool_choice="a")),
        ({"tools": [{"type": "web_search"}]}, When(tools=(), tool_choice="auto")),
    ],
)
def test_custom_tools_and_functions_can_be_matched(fields: dict[str, Any], when: When) -> None:
    assert difference(when, parse(chat(**CODER | fields))) == ()


def test_the_input_of_a_custom_tool_is_its_arguments() -> None:
    assert parse(chat(**CODER)).arguments == {"code": "print(2)"}


MODELS, USERS = ("a", "ab", "b"), ("Hi", "Hi there", "Bye")
TEXTS = st.none() | st.sampled_from(USERS) | st.builds(Pattern, exact=st.sampled_from(USERS))
WHENS = st.builds(
    When,
    model=st.none() | st.sampled_from((*MODELS, "a*", "*", "?")),
    turn=st.none() | st.integers(1, 2),
    tools=st.none() | st.sampled_from(((), ("f",), ("f", "g"), ("g", "f"))),
    user=TEXTS,
    stream=st.none() | st.booleans(),
    headers=st.dictionaries(st.sampled_from(("x-a", "X-A")), st.sampled_from(("1", "")), max_size=1),
    body=st.dictionaries(st.just("seed"), st.sampled_from((None, 1)), max_size=1),
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    answers = [{"role": "assistant", "content": "x"}] * draw(st.integers(0, 1))
    said = [*answers, {"role": "user", "content": draw(st.sampled_from(USERS))}]
    tools = [{"type": "function", "function": {"name": name}} for name in draw(st.sampled_from(("", "f", "fg")))]
    fields = {"model": draw(st.sampled_from(MODELS)), "messages": said, "stream": draw(st.booleans())}
    return parse(chat(**fields, tools=tools, seed=draw(st.sampled_from((None, 1)))), {"x-a": "1"})


@given(st.lists(WHENS, max_size=5), requests())
def test_many_rules_match_as_they_do_one_by_one(whens: list[When], request: Request) -> None:
    differences = [difference(when, request) for when in whens]
    met = [number for number, each in enumerate(differences) if not each]
    assert Matcher(whens).first(request) == (met[0] if met else None)
    if whens and not met:
        nearest = min(range(len(whens)), key=lambda number: len(differences[number]))
        assert Matcher(whens).nearest(request) == (nearest, differences[nearest])


@given(st.lists(WHENS, max_size=6), requests())
def test_a_rule_that_is_called_unreachable_is(whens: list[When], request: Request) -> None:
    for later, earlier in unreachable(whens):
        assert earlier < later
        assert difference(whens[earlier], request) == () or difference(whens[later], request)


@given(st.lists(WHENS, max_size=6))
def test_a_repeated_rule_is_unreachable(whens: list[When]) -> None:
    found = dict(unreachable([*whens, *whens]))
    assert {number + len(whens) for number in range(len(whens))} <= set(found)


def answer(app: App, **headers: str) -> str:
    reply = respond(app, HttpRequest("POST", "/v1/chat/completions", chat(), headers))
    return str(json.loads(reply.plan.body)["choices"][0]["message"]["content"])


def test_the_same_body_with_other_headers_matches_another_rule() -> None:
    rules = [{"when": {"headers": {"X-Run": "7"}}, "reply": {"content": "Seven"}}, {"reply": {"content": "Other"}}]
    app = App(load({"rules": rules}))
    assert [answer(app, **{"X-RUN": run}) for run in ("7", "8", "7")] == ["Seven", "Other", "Seven"]


def test_headers_that_no_rule_reads_take_no_room_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Mapping[str, str]] = []

    def reading(body: bytes, headers: Mapping[str, str], url: str = "") -> Request:
        read.append(headers)
        return parse(body, headers)

    rules = [{"when": {"headers": {"x-run": "7"}}, "reply": {"content": "Seven"}}]
    engine = Engine(Ruleset(load({"rules": rules})), 0, False, Cache(10**6))
    route = ChatApi()
    monkeypatch.setattr(route, "parse", reading)
    matched = [engine.match(chat(), route, {"x-run": "7", "date": date}) for date in ("today", "tomorrow")]
    assert engine.respond(matched[0]) is engine.respond(matched[1])
    assert read == [{"x-run": "7"}]


def test_legacy_function_messages_are_results() -> None:
    request = parse(chat(messages=[{"role": "function", "name": "add", "content": "5"}]))
    assert difference(When(result={"add": "5"}), request) == ()
