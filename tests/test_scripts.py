"""Scripts: replies in order, whatever the request; and attempts that are counted by request, rule or session."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakellm import Reply, Rule, Scenario, ScenarioError, Step, Timing, When, dump, faults, load
from fakellm.engine.entry import Entry
from fakellm.engine.ruleset import Script
from fakellm.engine.state import Limits
from fakellm.faults import Times
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from tests.conftest import chat, handled, respond


def sent(app: App, text: str, model: str = "m", session: str = "") -> Entry:
    """The entry of a request with this text."""
    body = chat(model=model, messages=[{"role": "user", "content": text}])
    return handled(app, HttpRequest("POST", f"{session}/v1/chat/completions", body))[1]


def content(app: App, text: str, model: str = "m") -> str | None:
    """What the request with this text is answered with; None if it is refused."""
    body = chat(model=model, messages=[{"role": "user", "content": text}])
    answer = json.loads(respond(app, HttpRequest("POST", "/v1/chat/completions", body)).body)
    return answer["choices"][0]["message"]["content"] if "choices" in answer else None


def scripted(*texts: str) -> Rule:
    return Rule(script=tuple(Step(Reply(content=text)) for text in texts))


def scripts(app: App) -> Any:
    return json.loads(respond(app, HttpRequest("GET", "/_fakellm/scripts")).body)["scripts"]


TEXTS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5)


@settings(max_examples=30)
@given(TEXTS, TEXTS)
def test_replies_are_sent_in_order_whatever_the_request(replies: list[str], requests: list[str]) -> None:
    scenario = Scenario(rules=(scripted(*replies),))
    assert load(dump(scenario)) == scenario
    app = App(scenario, strict=True)
    answers = [content(app, text) for text in requests]
    assert answers == [*replies, *[None] * len(requests)][: len(requests)]
    (script,) = scripts(app)
    assert script == {
        "rule": "scenario#1",
        "requests": len(requests),
        "replies": len(replies),
        "forgotten": False,
    }


@settings(max_examples=20)
@given(TEXTS, st.lists(st.booleans(), max_size=8), st.integers(1, 3))
def test_each_count_is_what_it_is_called(texts: list[str], turns: list[bool], most: int) -> None:
    """Two rules fail `most` times; how many of the first requests fail depends on what shares a count."""
    for by in ("request", "rule", "session"):
        fault = faults.Status(status=429, times=Times(most, by=by))
        rules = tuple(Rule(Reply(), When(model=model), fault=fault) for model in ("x", "y"))
        app = App(load(dump(Scenario(rules=rules))))
        counts: dict[tuple[str, ...], int] = {}
        for number, first in enumerate(turns):
            text, model = texts[number % len(texts)], "x" if first else "y"
            key = {"request": (model, text), "rule": (model,), "session": ()}[by]
            counts[key] = counts.get(key, 0) + 1
            assert (sent(app, text, model).status == 429) == (counts[key] <= most)


def test_a_request_after_the_last_reply_is_refused_with_the_reason() -> None:
    app = App(load([scripted("one", "two")]))
    assert [sent(app, text).status for text in "abcc"] == [200, 200, 404, 404]
    entries = list(app.session("").journal)
    assert [entry.matched for entry in entries] == [True, True, False, False]
    assert entries[3].explanation == (
        "The script of the rule 'scenario#1' has replies for 2 requests, and this is request 4. Add a reply to the "
        "script, or find out why the application sends another request."
    )
    assert sent(app, "a", session="/s/other").status == 200  # each session has its own place in the script


@pytest.mark.parametrize("stream", [False, True])
def test_a_fault_with_times_is_sent_before_its_reply(stream: bool) -> None:
    rule = "{script: [{reply: {content: a}, fault: {kind: status, status: 500, times: 2}}, {reply: {content: b}}]}"
    app = App(load(f"rules: [{rule}]\n"))
    bodies = [chat(seed=number, stream=stream) for number in range(5)]
    entries = [handled(app, HttpRequest("POST", "/v1/chat/completions", body))[1] for body in bodies]
    assert [entry.status for entry in entries] == [500, 500, 200, 200, 404]
    assert "has replies for 4 requests, and this is request 5." in str(entries[4].explanation)
    assert scripts(app)[0]["replies"] == 4


def test_the_rest_of_a_scenario_is_as_it_was() -> None:
    rules = [{"when": {"model": "a"}, "script": [{"reply": {"content": "1"}}]}, {"reply": {"content": "other"}}]
    app = App(load({"rules": rules}))
    assert [content(app, "x", model) for model in "bab"] == ["other", "1", "other"]


def test_a_forgotten_place_in_a_script_is_marked() -> None:
    app = App(load([scripted("a", "b")]), limits=Limits(max_attempts=1))
    assert not sent(app, "x").attempts_forgotten
    sent(app, "x", session="/s/other")
    assert sent(app, "y").attempts_forgotten
    assert scripts(app)[0]["forgotten"]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (
            "{script: [{reply: {}}], reply: {content: a}}",
            "'reply' beside 'script': set it in the steps of the script, or leave it out",
        ),
        ("{script: [{reply: {}}], after: cycle}", "'after' beside 'script'"),
        (
            "{script: [{reply: {}, fault: {kind: empty, times: {count: 1, by: session}}}]}",
            "a fault with 'by: session': the attempts at a script are counted by rule",
        ),
        (
            "{reply: {}, fault: {kind: empty, times: {count: 1, by: rule}}, "
            "then: [{reply: {}, fault: {kind: empty, times: {count: 1, by: session}}}]}",
            "one rule counts its attempts in one way, got rule and session",
        ),
        ("{script: []}", "the key 'reply' is missing"),
        ("{scrpt: [{reply: {}}]}", "unknown key 'scrpt'; allowed here: "),
    ],
)
def test_what_does_not_go_with_a_script_is_an_error(rule: str, problem: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(f"rules:\n- {rule}\n")
    assert problem in str(caught.value)
    assert str(caught.value).startswith("scenario:2:")


def test_a_script_serves_long_requests_too() -> None:
    """Another process matches them; their attempts are counted here."""
    app = App(load([scripted("one", "two")]))
    assert [sent(app, text).status for text in ("x" * 100_000, "short", "y" * 100_000)] == [200, 200, 404]


def test_the_timing_of_a_scenario_is_that_of_the_replies_of_a_script() -> None:
    own = Step(Reply(), timing=Timing(first=9))
    scenario = Scenario(rules=(Rule(script=(own, Step(Reply()))),), timing=Timing(first=2))
    (rule,) = scenario.named_rules()
    assert [step.timing.first for step in rule.script] == [9, 2]


STEP_FAULTS = st.one_of(
    st.none(),
    st.builds(
        faults.Status,
        status=st.just(500),
        times=st.one_of(st.none(), st.integers(1, 3)),
        after=st.integers(0, 2),
        rate=st.one_of(st.none(), st.just(0.5)),
    ),
)
SEVERAL = st.lists(st.builds(Step, st.just(Reply(content="a")), fault=STEP_FAULTS), min_size=1, max_size=3)


@settings(max_examples=200)
@given(SEVERAL, st.sampled_from(["last", "cycle", "fail"]), st.booleans(), st.integers(1, 20), st.booleans())
def test_attempts_that_are_alike_get_the_same(
    steps: list[Step], after: Any, script: bool, number: int, stream: bool
) -> None:
    if script:
        rule = Rule(script=tuple(steps))
    else:
        rule = Rule(steps[0].reply, fault=steps[0].fault, then=tuple(steps[1:]), after=after)
    found = Script(rule)
    attempts = [found.attempt(each, stream, 7, "digest") for each in range(1, 60)]
    last = found.alike(number, stream)
    assert last >= number
    assert len(set(attempts[number - 1 : None if last == inf else int(last)])) == 1
    assert [each is None for each in attempts] == [each > found.last(stream) for each in range(1, 60)]
