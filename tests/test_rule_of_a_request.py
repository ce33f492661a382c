"""A request turned into a rule, and why the rules there are answer it or do not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import fakellm
from fakellm import Rule, When
from fakellm.engine.ruleset import Ruleset
from fakellm.model.request import Request
from fakellm.scenarios.loader import dump, load
from fakellm.scenarios.matching import difference
from fakellm.scenarios.reachability import unreachable
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Scenario, extended
from fakellm.server.application import HttpRequest
from fakellm.server.one_request.smallest_rule import PLACEHOLDER, smallest_rule
from fakellm.server.scenario_app import App
from tests import controls
from tests.conftest import chat, handled
from tests.test_apis import BOTH, PATHS, answer, request
from tests.test_patched_texts import BODY, WHOLE


def called(app: App, method: str, path: str, body: str = "") -> Any:
    return controls.called(app, method, f"/_fakellm/{path}", body)


def ask(app: App, text: str, **fields: Any) -> None:
    body = chat(messages=[{"role": "user", "content": text}], **fields)
    _, entry = handled(app, HttpRequest("POST", "/v1/chat/completions", body))
    entry.frames_sent, entry.outcome = entry.frames, "sent"


# The smallest rule

USERS = st.sampled_from(["", "a", "ab", "weather in Rome", "weather\nin Paris", "é" * 70, "é" * 71])
REQUESTS = st.builds(
    lambda name, stream, user, more: parsed(name, stream, user, more),
    st.sampled_from(["chat", "messages", "gemini"]),
    st.booleans(),
    USERS,
    st.sampled_from([{}, {"temperature": 0.5}, {"temperature": 1}]),
)
WHENS = st.sampled_from(
    [
        When(),
        When(user="a"),
        When(user="ab"),
        When(user="weather"),
        When(model="*"),
        When(model="m"),
        When(turn=1),
        When(turn=2, user="a"),
        When(stream=True),
        When(api="chat", stream=False),
        When(body={"temperature": 1}),
    ]
)


def parsed(name: str, stream: bool, user: str, more: dict[str, Any]) -> Request:
    fields = {} if name == "gemini" else more
    sent = request(name, stream, user or "x", **fields)
    if not user and name == "chat":
        sent = replace(sent, body=chat(stream=stream, messages=[{"role": "system", "content": "x"}], **fields))
    return sent.target.api.parse(sent.body, {}, sent.target.url)


def without(when: When, name: str, key: str | None) -> When:
    """The conditions but one."""
    value = getattr(when, name)
    rest = {each: value[each] for each in value if each != key} if key is not None else getattr(When(), name)
    return replace(when, **{name: rest})


def keys(when: When) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    for name in When.__struct_fields__:
        value = getattr(when, name)
        if isinstance(value, dict):
            found += [(name, key) for key in value]
        elif value is not None:
            found.append((name, None))
    return found


@settings(max_examples=300)
@given(REQUESTS, st.lists(REQUESTS, max_size=4), st.lists(WHENS, max_size=4))
def test_each_condition_of_the_smallest_rule_is_needed(
    asked: Request, others: list[Request], whens: list[When]
) -> None:
    rules = [when for number, when in enumerate(whens) if number not in dict(unreachable(whens))]
    others = [
        other for other in others if (other.digest, other.api, other.stream) != (asked.digest, asked.api, asked.stream)
    ]
    made = smallest_rule(asked, others, rules)
    when = made.rule.when
    assert load(dump(made.rule)).rules == (made.rule,)
    assert difference(when, asked) == ()

    def wrong(when: When) -> set[tuple[str, int]]:
        """The requests that match though they should not, and the rules that no request reaches."""
        matching = {("request", number) for number, other in enumerate(others) if not difference(when, other)}
        behind = {("rule", later - 1) for later, earlier in unreachable([when, *rules]) if earlier == 0}
        return matching | behind

    known = {("request", number) for number in made.alike} | {("rule", number) for number in made.hidden}
    assert wrong(when) == known
    assert keys(when)
    if len(keys(when)) > 1:
        for name, key in keys(when):
            assert wrong(without(when, name, key)) > known, f"{name} is not needed"
    if not made.hidden:
        scenario = extended(
            Scenario(rules=tuple(Rule(Reply(), each) for each in rules)), Scenario(rules=(made.rule,)), first=True
        )
        assert Ruleset(load(scenario)).match(asked) == 0


def test_a_request_without_a_rule_becomes_one_in_few_lines() -> None:
    app = App(load({"rules": [{"when": {"user": "time"}, "reply": {}}]}), strict=True)
    ask(app, "What is the weather in Rome?")
    found = called(app, "GET", "requests/1/rule")
    expected = (
        f"version: 1\nrules:\n- reply: {{content: {PLACEHOLDER}}}\n  when: {{user: 'What is the weather in Rome?'}}\n"
    )
    assert (found["yaml"], found["note"]) == (expected, None)
    assert called(app, "POST", "rules?first=true", found["yaml"]) == {"rules": 2, "strict": True}
    ask(app, "What is the weather in Rome?")
    assert list(app.session("").journal)[-1].rule == "scenario#2"
    assert app.session("").content.ruleset.rules[0].name == "scenario#2"


@pytest.mark.parametrize(("name", "stream"), BOTH)
def test_the_rule_of_an_answered_request_gives_the_same_answer(name: str, stream: bool) -> None:
    reply = {"content": "Hi é", "reasoning": "Hm", "tool_calls": [{"name": "f", "arguments": {"a": [1, "é"]}}]}
    app = App(load({"rules": [{"name": "one", "reply": reply}]}))
    response, entry = handled(app, request(name, stream))
    entry.frames_sent = entry.frames
    text = called(app, "GET", "requests/1/rule")["yaml"]
    again, _ = handled(App(load(text)), request(name, stream))
    first, second = answer(name, response), answer(name, again)
    assert (first.content, first.reasoning, first.finish) == (second.content, second.reasoning, second.finish)
    arguments = [(call.name, call.arguments) for call in first.tool_calls]
    assert arguments == [(call.name, call.arguments) for call in second.tool_calls]


def test_the_rule_of_a_faulty_reply_has_the_fault_and_the_whole_reply() -> None:
    fault = {"kind": "close", "frame": 2, "times": 1}
    app = App(load({"rules": [{"reply": {"content": "One two"}, "fault": fault}]}))
    ask(app, "Hi", stream=True)
    (rule,) = load(called(app, "GET", "requests/1/rule")["yaml"]).rules
    assert rule.reply == Reply(content="One two")
    assert rule.fault == fakellm.faults.Close(frame=2)


def test_a_rule_that_would_hide_another_says_so() -> None:
    messages = [{"role": "system", "content": "Hi"}]
    when = When(
        model="m",
        turn=1,
        system=fakellm.Pattern(exact="Hi"),
        tool_choice="none",
        response_format="text",
        stream=False,
        body={"messages": messages, "model": "m"},
        api="chat",
    )
    app = App(load([Rule(Reply(), when, name="it")]))
    handled(app, HttpRequest("POST", "/v1/chat/completions", chat(messages=messages)))
    found = called(app, "GET", "requests/1/rule")
    assert found["note"] == "The rule 'it' has all of these conditions: put this one in its place, not in front of it."


def test_two_requests_in_one_session_are_distinguished_by_what_differs() -> None:
    app = App()
    ask(app, "Hi", temperature=1)
    ask(app, "Hi", temperature=0)
    ask(app, "Hi", temperature=0, stream=True)
    assert load(called(app, "GET", "requests/2/rule")["yaml"]).rules[0].when == When(
        stream=False, body={"temperature": 0}
    )


# Why


def test_each_rule_shows_what_it_expected() -> None:
    rules = [
        {"name": "both", "when": {"user": "time", "model": "gpt-*"}, "reply": {}},
        {"name": "time", "when": {"user": "time"}, "reply": {}},
        {"name": "weather", "when": {"user": "weather"}, "reply": {}},
        {"name": "any", "reply": {}},
    ]
    app = App(load({"rules": rules}))
    ask(app, "weather")
    found = called(app, "GET", "requests/1/why")
    assert found["answered_by"] == "weather"
    assert [(rule["name"], rule["matches"], rule["answers"]) for rule in found["rules"]] == [
        ("weather", True, True),
        ("any", True, False),
        ("time", False, False),
        ("both", False, False),
    ]
    user = {"field": "user", "expected": "'time'", "actual": "'weather'", "matches": False}
    model = {"field": "model", "expected": "'gpt-*'", "actual": "'m'", "matches": False}
    assert found["rules"][3]["conditions"] == [model, user]
    assert found["rules"][3]["differences"] == [
        "model: expected 'gpt-*', got 'm'",
        "user: expected 'time', got 'weather'",
    ]


@given(st.lists(WHENS, max_size=6), USERS.filter(bool))
def test_why_agrees_with_the_answer(whens: list[When], user: str) -> None:
    whens = [when for number, when in enumerate(whens) if number not in dict(unreachable(whens))]
    app = App(Scenario(rules=tuple(Rule(Reply(), when) for when in whens)), strict=True)
    ask(app, user)
    (entry,) = app.session("").journal
    found = called(app, "GET", "requests/1/why")
    assert [rule["name"] for rule in found["rules"] if rule["answers"]] == ([entry.rule] if entry.rule else [])
    counts = [len(rule["differences"]) for rule in found["rules"]]
    assert counts == sorted(counts)
    if not entry.matched and whens:
        assert "; ".join(found["rules"][0]["differences"]) in str(entry.explanation)


def test_the_values_of_secret_headers_are_not_shown() -> None:
    app = App(load({"rules": [{"when": {"headers": {"authorization": "Bearer secret-1"}}, "reply": {}}]}))
    handled(app, HttpRequest("POST", "/v1/chat/completions", chat(), {"Authorization": "Bearer secret-2"}))
    found = called(app, "GET", "requests/1/why")
    assert "secret-" not in json.dumps(found)
    assert found["rules"][0]["conditions"] == [
        {"field": "headers.authorization", "expected": "a secret", "actual": "a secret", "matches": False}
    ]


def test_an_expression_that_may_take_for_ever_is_compared_elsewhere() -> None:
    app = App(load({"rules": [{"when": {"user": {"regex": "(a+)+$"}}, "reply": {}}]}))
    app.offloads = False  # to answer, which is not what is tested
    ask(app, "a" * 20)
    assert called(app, "GET", "requests/1/why")["rules"][0]["matches"] is True


@pytest.mark.parametrize("route", ["why", "rule"])
def test_what_is_not_for_a_model_has_no_rule(route: str) -> None:
    app = App()
    handled(app, HttpRequest("GET", "/v1/models"))
    assert called(app, "GET", f"requests/1/{route}")["error"]["code"] == "not_for_a_model"


# Check and preview


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules:\n- repy: {}\n", {"line": 2, "column": 3}),
        ("rules:\n- reply: {content: a}\n  when: {user: b}\n- reply: {content: 1}\n", {"line": 4, "column": 20}),
        ("rules: [", {"line": 1, "column": 8}),
        ("", {"line": None, "column": None}),
        ("rules:\n- reply: {}\n- reply: {}\n", {"line": 3, "column": 3}),
        ("include: [other.yaml]\nrules: []\n", {"line": None}),
        ("\x00", {"line": None}),
    ],
)
def test_problems_have_their_place(text: str, problem: dict[str, Any]) -> None:
    found = called(App(), "POST", "check", text)
    assert found["rules"] is None
    first = found["problems"][0]
    assert first | problem == first
    assert first["message"]
    assert not first["message"].startswith("scenario:")


def test_a_scenario_without_problems_is_counted() -> None:
    assert called(App(), "POST", "check", "rules:\n- reply: {content: a}\n") == {
        "rules": 1,
        "problems": [],
        "notes": [],
    }


def test_what_has_no_effect_is_noted() -> None:
    rule = {"name": "it", "when": {"api": "ollama"}, "reply": {"content": "a"}, "stream": {"done": False}}
    found = called(App(), "POST", "check", json.dumps({"rules": [rule]}))
    assert found == {"rules": 1, "problems": [], "notes": ["it: stream.done has no effect in ollama"]}


def test_a_text_in_reply_and_patch_is_a_problem() -> None:
    rule = WHOLE | {"name": "it", "patch": [{"at": 0, "drop": 1, "frames": [BODY]}]}
    found = called(App(), "POST", "check", json.dumps({"rules": [rule]}))
    assert (found["rules"], found["problems"][0]["line"]) == (1, None)
    assert found["problems"][0]["message"].startswith("it: patch[0] repeats 'Hi there', which the reply has")


@pytest.mark.parametrize("name", PATHS)
def test_a_preview_is_what_would_be_sent(name: str) -> None:
    app = App(seed=7)
    handled(app, request(name, True, "Hello"))
    text = "rules:\n- {when: {user: Hello}, name: new, reply: {content: '{{user}} there', template: true}}\n"
    found = called(app, "POST", "preview?request=1", text)
    assert (found["rule"], found["problems"], found["message"]) == ("new", [], None)
    again, _ = handled(App(load(text), seed=7), request(name, True, "Hello"))
    assert "".join(frame["data"] for frame in found["wire"]["frames"]).encode("latin-1") == again.body
    assert next(iter(app.session("").journal)).rule == "generated"
    assert len(app.session("").journal) == 1


def test_a_preview_states_why_nothing_is_sent() -> None:
    app = App()
    ask(app, "Hello")
    found = called(app, "POST", "preview?request=1", "rules:\n- {when: {user: Bye}, reply: {content: a}}\n")
    assert (found["rule"], found["wire"]) == (None, None)
    assert "it differs in user: expected 'Bye', got 'Hello'" in found["message"]
    found = called(app, "POST", "preview?request=1", "rules:\n- {reply: {content: '{{tools.f.a}}', template: true}}\n")
    assert found["problems"] or found["message"]
    found = called(app, "POST", "preview?request=1", "rules: 1")
    assert found["problems"][0]["line"] == 1
    for rest, code in (("", "missing_parameter"), ("?request=9", "no_such_request")):
        assert called(app, "POST", f"preview{rest}", "rules: []")["error"]["code"] == code
