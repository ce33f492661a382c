"""Rules written in Python are the values that YAML says."""

from __future__ import annotations

import pytest

from fakellm import Pattern, Reply, Rule, Scenario, ScenarioError, When, dump, faults, load, on
from fakellm.scenarios.builder import On

SAID = [
    (on(model="gpt-*").reply("Hi"), "when: {model: gpt-*}, reply: {content: Hi}"),
    (on().reply("Hi", usage=None, model="m"), "reply: {content: Hi, usage: null, model: m}"),
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
    with pytest.raises(TypeError, match="modle"):
        on(modle="m")
