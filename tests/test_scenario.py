"""Scenario files: what is read, and what is refused, with its place, what is allowed and the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakellm import Call, Reply, ReplyChoice, Rule, Scenario, ScenarioError, Timing, Usage, Variation, When, dump, load
from fakellm.apis.route import DIALECT_NAMES
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


REFUSED = [
    ("", ["a.yaml: the file is empty; a scenario is a mapping with a list of 'rules'"]),
    ("# nothing", ["a.yaml: the file is empty; a scenario is a mapping with a list of 'rules'"]),
    ("rules", ["a.yaml:1:1: expected object, got string"]),
    ("scenario: x", ["a.yaml:1:1: the key 'rules' is missing"]),
    ("rules: 3", ["a.yaml:1:8: rules: expected array, got integer"]),
    ("rules:\n- {}", ["a.yaml:2:3: rules[0]: the key 'reply' is missing"]),
    (
        "rule: []",
        [
            "a.yaml:1:1: unknown key 'rule'; allowed here: scenario, dialect, timing, limits, rules, include, version; did you mean 'rules'?",
        ],
    ),
    (
        "rules:\n- reply: {contnt: Hi}\n  stream: {paddding: 3}",
        [
            "a.yaml:2:11: rules[0].reply: unknown key 'contnt'; allowed here: content, reasoning, refusal, tool_calls, "
            "finish_reason, logprobs, refusal_logprobs, annotations, template, blocks, own, generate, choices, id, created, model, system_fingerprint, usage, headers; did you mean 'content'?",
            "a.yaml:3:12: rules[0].stream: unknown key 'paddding'; allowed here: "
            f"{', '.join(Variation.__struct_fields__)}; did you mean 'padding'?",
        ],
    ),
    (
        "rules:\n- reply: {content: 5}",
        ["a.yaml:2:20: rules[0].reply.content: expected string, got integer; put it in quotes to make it text"],
    ),
    (
        "rules:\n- reply: {content: yes}",
        ["a.yaml:2:20: rules[0].reply.content: expected string, got boolean; put it in quotes to make it text"],
    ),
    ("rules:\n- reply: {content: [x]}", ["a.yaml:2:20: rules[0].reply.content: expected string, got array"]),
    (
        "rules:\n- reply: {}\n  stream: {padding: -1}",
        ["a.yaml:3:21: rules[0].stream.padding: expected integer >= 0, got -1"],
    ),
    (
        "rules:\n- reply: {}\n  stream: {split: tokns}",
        [
            "a.yaml:3:19: rules[0].stream.split: 'tokns' is not one of whole, tokens, words, characters, random, surrogates; did you mean 'tokens'?"
        ],
    ),
    (
        "rules:\n- reply: {}\n  stream: {split: {contents: tokens}}",
        [
            "a.yaml:3:30: rules[0].stream.split.contents: 'contents' is not a part of a reply; parts are content, reasoning, "
            "refusal, arguments, tool_calls[0].arguments, choices[1].content; did you mean 'content'?"
        ],
    ),
    (
        "rules:\n- reply: {}\n  stream: {ticks: [0]}",
        ["a.yaml:3:20: rules[0].stream.ticks[0]: expected integer >= 1, got 0"],
    ),
    ("rules:\n- reply: {}\n  when: {turn: 0}", ["a.yaml:3:16: rules[0].when.turn: expected integer >= 1, got 0"]),
    (
        "rules:\n- reply: {}\n  timing: {gap: soon}",
        ["a.yaml:3:17: rules[0].timing.gap: expected number | object, got string"],
    ),
    (
        "dialect: xia\nrules: []",
        [f"a.yaml:1:10: dialect: 'xia' is not one of {', '.join(DIALECT_NAMES)}; did you mean 'xai'?"],
    ),
    (
        "rules:\n- reply: {content: a, choices: [{content: b}]}",
        ["a.yaml:2:20: rules[0].reply.content: 'content' beside 'choices': put it in a choice, or leave out 'choices'"],
    ),
    (
        "rules:\n- reply: {generate: {}, reasoning: Hm}\n- reply: {generate: {sentences: 0}, choices: [{content: Hi}]}",
        [
            "a.yaml:2:36: rules[0].reply.reasoning: 'reasoning' beside 'generate': leave out one of them",
            "a.yaml:3:33: rules[1].reply.generate.sentences: expected integer >= 1, got 0",
        ],
    ),
    (
        "rules:\n- reply: {tool_calls: [{arguments: 3}]}",
        [
            "a.yaml:2:36: rules[0].reply.tool_calls[0].arguments: expected string | object, got integer; put it in quotes to make it text",
            "a.yaml:2:24: rules[0].reply.tool_calls[0]: the key 'name' is missing",
        ],
    ),
    ("rules: []\nrules: []", ["a.yaml:2:1: the key 'rules' appears twice; first in line 1"]),
    ("rules: []\n5: x", ["a.yaml:2:1: a key must be text; put it in quotes"]),
    ("rules: &a [*a]", ["a.yaml:1:8: this part contains itself"]),
    ("rules: [", ["a.yaml:1:8: this bracket is never closed"]),
    ("rules: *a", ["a.yaml:1:8: found undefined alias"]),
    ("rules: []\n---\nrules: []", ["a.yaml:2:1: a scenario file has one document"]),
    ("rules: [\x01]", ["a.yaml: unacceptable character #x0001: control characters are not allowed"]),
    ("rules: " + "[" * 5000 + "]" * 5000, ["a.yaml:1:207: nested more than 200 levels deep"]),
    ("rules: " + "[" * 300_000, ["a.yaml:1:207: nested more than 200 levels deep"]),
    ("- " * 100_000, ["a.yaml:1:401: nested more than 200 levels deep"]),
    ("rules: !!float x", ["a.yaml:1:8: 'x' does not fit its tag !!float: could not convert string to float: 'x'"]),
    (
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{k}: &{k} [{','.join(['*' + p] * 9)}]\n" for p, k in zip("abcdefgh", "bcdefghi", strict=True)),
        ["a.yaml:1:1: aliases expand this to 490,329,064 values; at most 5,000,000 are allowed"],
    ),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_what_is_refused_and_why(
    text: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load("a.yaml")
    assert len(caught.value.problems) == len(expected)
    for problem, start in zip(caught.value.problems, expected, strict=True):
        assert problem.startswith(start)


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
