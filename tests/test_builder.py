"""Rules written in Python are the values that YAML says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pydantic
import pytest

import fakellm
from fakellm import Call, Pattern, Reply, Rule, Scenario, ScenarioError, Step, When, call, dump, faults, load, on
from fakellm.engine.resolve import computed
from fakellm.scenarios.builder import On

SAID = [
    (on(model="gpt-*").reply("Hi"), "when: {model: gpt-*}, reply: {content: Hi}"),
    (on().reply("Hi", usage=None, model="m"), "reply: {content: Hi, usage: null, model: m}"),
    (on().reply(content="Hi", finish_reason="length"), "reply: {content: Hi, finish_reason: length}"),
    (on().reply(Reply(reasoning="Hm")), "reply: {reasoning: Hm}"),
    (on(When(turn=2), name="n", dialect="xai").reply(), "name: n, dialect: xai, when: {turn: 2}, reply: {}"),
    (
        on(user=Pattern(regex="^a"), tools=("add",)).call_tool("add", a=2, b=3).call_tool("now"),
        "when: {user: {regex: ^a}, tools: [add]}, "
        "reply: {tool_calls: [{name: add, arguments: {a: 2, b: 3}}, {name: now, arguments: {}}]}",
    ),
    (on().reply("Let me see.").call_tool("f"), "reply: {content: Let me see., tool_calls: [{name: f, arguments: {}}]}"),
    (
        on().fail(429, retry_after=1, times=2).reply("Hi"),
        "reply: {content: Hi}, fault: {kind: status, status: 429, retry_after: 1, times: 2}",
    ),
    (on().fail(400, message="No", after=1), "reply: {}, fault: {kind: status, status: 400, message: 'No', after: 1}"),
    (on().reply("A").fault(faults.Reset(frame=1)), "reply: {content: A}, fault: {kind: reset, frame: 1}"),
    (
        on().reply("A").stream(split=1).timing(gap=0.1),
        "reply: {content: A}, stream: {split: 1}, timing: {gap: 0.1}",
    ),
    (
        on().fail(503).then().reply("A").then().reply("B").after("cycle"),
        "reply: {}, fault: {kind: status, status: 503}, "
        "then: [{reply: {content: A}}, {reply: {content: B}}], after: cycle",
    ),
]


@pytest.mark.parametrize(("said", "yaml"), SAID, ids=[yaml for _, yaml in SAID])
def test_it_builds_the_values_of_yaml(said: On, yaml: str) -> None:
    scenario = load(f"rules:\n- {{{yaml}}}\n")
    assert said.rule == scenario.rules[0]
    assert load(said) == load([said]) == load(dump(said)) == scenario


def test_several_rules_are_a_scenario() -> None:
    rules: list[On | Rule] = [on(turn=1).reply("One"), on(turn=2).reply("Two").rule]
    assert load(rules) == Scenario(rules=tuple(load(rule).rules[0] for rule in rules))
    assert load(dump(rules)) == load(rules)


def test_one_start_can_be_used_for_several_rules() -> None:
    start = on(model="m").fail(500, times=1)
    assert (start.reply("A").rule.reply, start.reply("B").rule.reply) == (Reply(content="A"), Reply(content="B"))
    assert start.rule.reply == Reply()


def test_invalid_chains_are_reported() -> None:
    with pytest.raises(ScenarioError, match=r"on\(…\) without a reply: add \.reply"):
        load(on(model="m"))
    with pytest.raises(ScenarioError, match="without a reply"):
        load(on().reply("A").then())
    with pytest.raises(ScenarioError, match=r"a reply after a reply; put \.then\(\) between them"):
        on().reply("A").reply("B")
    with pytest.raises(ScenarioError, match="a fault after a fault"):
        on().fail(500).fail(429)
    with pytest.raises(ScenarioError, match="usage beside a whole reply"):
        on().reply(Reply(), usage=None)
    with pytest.raises(ValueError, match="'tool_calls' beside a function"):
        on().reply(lambda request: "Hi").call_tool("f")
    with pytest.raises(ScenarioError, match=r"a stream beside a script; write fakellm\.Step"):
        on().script("A").stream(split=1)


@dataclass
class City:
    name: str
    founded: date


class Point(pydantic.BaseModel):
    north: float = pydantic.Field(alias="N")


@pytest.mark.parametrize(
    ("value", "reply"),
    [
        ("Hi", Reply(content="Hi")),
        ({"city": "Oslo", "at": [1.5, None]}, Reply(content='{"city":"Oslo","at":[1.5,null]}')),
        (City("Oslo", date(1040, 1, 1)), Reply(content='{"name":"Oslo","founded":"1040-01-01"}')),
        (Point(N=59.9), Reply(content='{"N":59.9}')),
        ({"points": [Point(N=59.9)]}, Reply(content='{"points":[{"N":59.9}]}')),
        (call("add", a=2), Reply(tool_calls=(Call("add", {"a": 2}),))),
        ([call("add", a=2), Call("now", id="c")], Reply(tool_calls=(Call("add", {"a": 2}), Call("now", id="c")))),
        (Reply(reasoning="Hm"), Reply(reasoning="Hm")),
    ],
)
def test_a_reply_is_what_a_test_has_at_hand(value: Any, reply: Reply) -> None:
    assert on().reply(value).rule.reply == reply
    assert on().script(value).rule.script == (Step(reply),)
    assert computed(value) == reply  # what a function returns


def test_a_script_has_replies_faults_and_steps() -> None:
    limit = faults.Status(status=429)
    rule = on(model="m", name="n").script("one", limit, Step(Reply(content="two"), fault=limit)).rule
    assert rule == Rule(
        when=When(model="m"),
        name="n",
        script=(Step(Reply(content="one")), Step(Reply(), fault=limit), Step(Reply(content="two"), fault=limit)),
    )
    assert load(dump(rule)).rules == (rule,)


def test_a_failure_can_be_counted_by_rule() -> None:
    assert on().fail(429, times=2, by="rule").rule.fault == faults.Status(status=429, times=faults.Times(2, "rule"))


def wrong(value: Any) -> Any:
    return value


WRONG = [
    (lambda: on(usr="Hi"), "on(…): unknown key 'usr'; allowed here: name, dialect, model, ", "did you mean 'user'?"),
    (lambda: on(wrong("gpt-5")), "on(…): expected conditions by name, such as user='Hi'", "got 'gpt-5'"),
    (lambda: on(When(), user="Hi"), "on(…): expected conditions by name", "or one When alone"),
    (lambda: on().reply("Hi", usge=None), "on(…).reply: unknown key 'usge'; allowed", "did you mean 'usage'?"),
    (lambda: on().reply(wrong(5)), "on(…).reply: expected a text, data to send as JSON (a", "got 5"),
    (lambda: on().reply(wrong(City)), "on(…).reply: expected a text, data", "City'>; pass an instance of it"),
    (lambda: on().reply({"a": {1, object}}), "reply: {'a': {", "cannot be sent as JSON"),
    (lambda: on().reply({"a": math.nan}), "reply: {'a': nan} cannot be sent as JSON", "not JSON compliant"),
    (
        lambda: on().fail(429, retry_afer=1),
        "on(…).fail: unknown key 'retry_afer'; allowed",
        "did you mean 'retry_after'?",
    ),
    (lambda: on().fail(429, by="rule"), "on(…).fail: by='rule' needs times=…", ""),
    (
        lambda: on().fail(429, times=1, by=wrong("rul")),
        "on(…): fault.times.by: 'rul' is not one of",
        "did you mean 'rule'?",
    ),
    (lambda: on().stream(splt=1), "on(…).stream: unknown key 'splt'; allowed", "did you mean 'split'?"),
    (lambda: on().timing(frist=1), "on(…).timing: unknown key 'frist'; allowed", "did you mean 'first'?"),
    (
        lambda: on().reply(wrong(faults.Empty())),
        "on(…).reply: expected a text",
        "a fault goes into .fault(…) or .script(…)",
    ),
    (lambda: on().reply(wrong(When())), "on(…).reply: expected a text", "got When("),
    (
        lambda: on().script(wrong(["a", "b"])),
        "on(…).script: replies[0]: expected",
        "are arguments of script(…), without a list",
    ),
    (lambda: on().reply("Hi", content="Ho"), "on(…).reply: the first argument is the content already", ""),
    (lambda: on().script(), "on(…).script: expected one or more replies", ""),
    (lambda: on().script("a").script("b"), "on(…).script: a script beside other replies", "into one script(…)"),
    (lambda: on().reply("a").script("b"), "on(…).script: a script beside other replies", ""),
    (lambda: on().script("a").reply("b"), "on(…): a reply beside a script; write fakellm.Step(reply=…, reply=…)", ""),
    (lambda: on().script("a", wrong(5)), "on(…).script: replies[1]: expected a text", "got 5"),
    (lambda: on().script(wrong(on().reply("a"))), "on(…).script: replies[0]: expected a reply, not on(…)", ""),
]


@pytest.mark.parametrize(("make", "problem", "hint"), WRONG, ids=[problem for _, problem, _ in WRONG])
def test_a_wrong_argument_is_refused_at_the_call(make: Callable[[], object], problem: str, hint: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        make()
    assert str(caught.value).startswith(problem)
    assert hint in str(caught.value)
    hidden = [entry for entry in caught.traceback if entry.path != Path(__file__)]
    assert all("__tracebackhide__" in entry.locals for entry in hidden)  # pytest shows the line of the test


def test_an_error_of_an_object_of_the_callers_keeps_its_traceback() -> None:
    class Model:
        def model_dump_json(self, *, by_alias: bool | None = None) -> str:
            raise TypeError("broken")

    with pytest.raises(TypeError, match=r"^broken$") as caught:
        on().reply(Model())
    assert caught.traceback[-1].name == "model_dump_json"


def test_a_call_that_is_a_mapping_is_refused_with_what_to_write() -> None:
    with pytest.raises(
        ValueError, match=r"^tool_calls\[0\]: expected a Call, got \{'name': 'f'\}; write fakellm\.call\("
    ):
        Reply(tool_calls=wrong([{"name": "f"}]))


@pytest.mark.parametrize("name", ["reply", "journal", "assert_called"])
def test_the_module_says_which_names_only_the_fixture_has(name: str) -> None:
    with pytest.raises(AttributeError, match=r"add the argument `fakellm` to the test$"):
        getattr(fakellm, name)
