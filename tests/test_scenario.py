"""Scenario files: what is read, and what is refused, with its place, what is allowed and the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakellm import Call, Reply, ReplyChoice, Rule, Scenario, ScenarioError, Timing, Usage, Variation, When, dump, load
from fakellm.apis.variation_blocks import Spelling
from tests.conftest import ROOT

FULL = """\
scenario: full
dialect: xai
rules:
  - name: first
    when: {model: grok-*, turn: 2, tools: [add]}
    reply:
      choices:
        - {content: One}
        - {reasoning: Why, tool_calls: [{name: add, arguments: {b: "ü", a: [1, 2.5]}}], finish_reason: null}
      id: x
      created: 5
      model: grok
      system_fingerprint: null
      usage: {prompt: 1, completion: 2, total: 9}
    stream: {padding: 3, split: {content: tokens, arguments: [2, 4]}, role: first, interleave: both, ticks: [1]}
    timing: {first: 0.5, gap: 0.01}
  - {dialect: openai, reply: {content: "", usage: null}, stream: {split: 3}}
"""


def test_every_block() -> None:
    call = Call(name="add", arguments={"b": "ü", "a": [1, 2.5]})
    assert load(FULL) == Scenario(
        name="full",
        dialect="xai",
        rules=(
            Rule(
                name="first",
                when=When(model="grok-*", turn=2, tools=("add",)),
                reply=Reply(
                    choices=(
                        ReplyChoice(content="One"),
                        ReplyChoice(reasoning="Why", tool_calls=(call,), finish_reason=None),
                    ),
                    id="x",
                    created=5,
                    model="grok",
                    system_fingerprint=None,
                    usage=Usage(prompt=1, completion=2, total=9),
                ),
                stream=Variation(
                    padding=3,
                    split={"content": "tokens", "arguments": (2, 4)},
                    role="first",
                    interleave="both",
                    ticks=(1,),
                ),
                timing=Timing(first=0.5, gap=0.01),
            ),
            Rule(dialect="openai", reply=Reply(usage=None), stream=Variation(split=3)),
        ),
    )
    assert load(dump(load(FULL))) == load(FULL)


def test_every_source_gives_the_same_scenario(tmp_path: Path) -> None:
    text = "rules:\n- reply: {content: Hi}\n"
    file = tmp_path / "a.yaml"
    file.write_text(text)
    rule = Rule(reply=Reply(content="Hi"))
    scenario = Scenario(rules=(rule,))
    for source in (text, file, str(file), tmp_path, rule, scenario, {"rules": [{"reply": {"content": "Hi"}}]}):
        assert load(source) == scenario


def test_a_folder_is_one_scenario_and_rules_keep_their_names(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("scenario: two\ndialect: xai\nrules: [{reply: {content: B}}]\n")
    (tmp_path / "a.json").write_text(
        '{"scenario": "one", "rules": [{"name": "x", "when": {"turn": 1}, "reply": {}},'
        '{"when": {"turn": 2}, "reply": {}}]}'
    )
    (tmp_path / "notes.txt").write_text("no scenario")
    rules = load(tmp_path).named_rules()
    assert [(rule.name, rule.dialect) for rule in rules] == [("x", "openai"), ("one#2", "openai"), ("two#1", "xai")]


@pytest.mark.parametrize("file", sorted((ROOT / "scenarios").rglob("*.yaml")), ids=lambda file: file.name)
def test_every_shipped_scenario_loads_and_survives_a_dump(file: Path) -> None:
    scenario = load(file)
    assert load(dump(scenario)) == scenario


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "no.yaml", "no such file or directory"),
        (tmp_path, "no scenario in this folder"),
    ):
        with pytest.raises(ScenarioError, match=message):
            load(path)
    (tmp_path / "latin.yaml").write_bytes(b"rules: [\xe9]")
    with pytest.raises(ScenarioError, match=r"latin\.yaml: not UTF-8: byte 0xe9 at 8"):
        load(tmp_path)


def test_the_problems_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("rules: 1")
    (tmp_path / "b.yaml").write_text("rules: 2")
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path)
    assert len(caught.value.problems) == 2


def test_numbers_can_be_keys_where_chunks_are_numbered() -> None:
    text = "rules:\n- reply: {content: a}\n  stream: {spelling: {each: {x: {3: v, 5: w}}}}\n"
    scenario = load(text)
    assert scenario.rules[0].stream.spelling == Spelling(each={"x": {3: "v", 5: "w"}})
    assert load(dump(scenario)) == scenario
    aliased = "a: &a {3: v}\n" + text
    with pytest.raises(ScenarioError, match="unknown key 'a'"):
        load(aliased)
    with pytest.raises(ScenarioError, match="the key '3' appears twice"):
        load(text.replace("5: w", "3: w"))
