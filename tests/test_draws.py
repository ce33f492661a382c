"""What the fuzzer draws: from the seed alone, hardly a case twice, and nothing that is excluded."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import islice
from random import Random

import msgspec
import pytest
from hypothesis import Phase, find, settings

from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.route import HOMES
from fakellm.base.seed import Source
from fakellm.faults import Error
from fakellm.fuzzing import draws
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.draws.families import FAMILIES
from fakellm.fuzzing.draws.faults import KINDS
from fakellm.fuzzing.draws.profiles import PROFILES, profile
from fakellm.fuzzing.draws.steps import steps_of
from fakellm.fuzzing.endpoints import fuzzed_api
from fakellm.fuzzing.recorded.steps import is_recorded
from fakellm.fuzzing.running.case_order import cases_of
from fakellm.fuzzing.search import Search
from fakellm.fuzzing.strategies import streams
from fakellm.fuzzing.tier_table import FAULTS
from fakellm.fuzzing.tiers import steps
from fakellm.scenarios.scenario import Rule, Scenario


@pytest.mark.parametrize("api", HOMES)
def test_400_cases_are_enough_for_each_value_of_each_step(api: str) -> None:
    """Of those that have a few; places and sizes are drawn."""
    search = Search(profile="all", examples=400, api=fuzzed_api(api))
    tried = set(map(repr, islice(cases_of(search), 400)))
    what = profile("all", (), search.api)
    assert set(map(repr, cases.values(what))) - tried == set()


def drawn(many: int, profile: str = "standard", exclude: tuple[str, ...] = ()) -> list[Rule]:
    cases = (Source(0, "case", number) for number in range(many))
    return [draws.scenario(each, profile, exclude).rules[0] for each in cases]


@pytest.mark.parametrize("name", PROFILES)
def test_hardly_a_case_is_drawn_twice(name: str) -> None:
    assert len(set(map(repr, drawn(300, name)))) >= 290


def test_what_was_recorded_often_is_drawn_often() -> None:
    rules = drawn(2000, "realistic")
    names = Counter(step.name for rule in rules for step in steps(rule.stream))
    assert {name for name in names if not is_recorded(name)} == set()
    assert names["usage: finish"] > names["usage: running"] > 0
    assert {rule.fault for rule in rules} == {None}


def kept(step: str) -> str:
    """The name of a step without its value: `calls.id`."""
    key = step.partition(": ")[0]
    return key.partition(".")[0] if key.startswith(("fill", "split")) else key


def test_every_step_and_every_kind_of_fault_is_drawn_soon() -> None:
    rules = drawn(4000, "all")
    names = {kept(step.name) for rule in rules for step in steps(rule.stream)}
    assert {kept(family) for family in FAMILIES} - names == set()
    kinds = {rule.fault.kind for rule in rules if rule.fault}
    assert {kind.__struct_config__.tag for kind in KINDS} - kinds == {
        "repeat",
        "swap",
        "stream",
        "stall",
        "drip",
        "surplus",
    }


@pytest.mark.parametrize(
    ("step", "shrunk"),
    [
        ("sse.line_end: crlf", ("a", 0)),
        ("transfer.cut: offsets", ("a", 0)),
        ("split.content: offsets", ("aa", 0)),
        ("calls.id: repeated", (None, 1)),  # sometimes with a short text before it
    ],
)
def test_hypothesis_finds_a_step_and_shrinks_to_it_alone(step: str, shrunk: tuple[str | None, int]) -> None:
    def has(scenario: Scenario) -> bool:
        return step in {each.name for each in steps(scenario.rules[0].stream)}

    quick = settings(database=None, max_examples=2000, phases=(Phase.generate, Phase.shrink))
    found = find(streams("all"), has, settings=quick, random=Random(0))
    rule = found.rules[0]
    assert [each.name for each in steps(rule.stream)] == [step]
    assert found.dialect == "openai"
    assert (shrunk[0] and rule.reply.content, len(rule.reply.tool_calls)) == shrunk
    assert len(rule.reply.content) <= 2


def test_a_seed_draws_the_same_in_another_process_and_without_hypothesis() -> None:
    code = """
import sys
from fakellm import fuzzing
from fakellm.fuzzing import draws
from fakellm.base.seed import Source
drawn = [draws.scenario(Source(0, "case", number), "all").rules[0] for number in range(50)]
print(ascii(drawn))
assert "hypothesis" not in sys.modules
"""
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env={"PYTHONHASHSEED": "7"})
    assert there.stdout.decode().strip() == ascii(drawn(50, "all"))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_step_can_be_excluded_by_its_name(dialect: str) -> None:
    rules = [msgspec.structs.replace(rule, dialect=dialect) for rule in drawn(150, dialect)]
    names = {step.name for rule in rules for step in steps_of(rule)}
    assert names
    for name in names:
        assert profile(dialect, (name,)).exclude == (name,)
    name = min(names)
    again = [msgspec.structs.replace(rule, dialect=dialect) for rule in drawn(150, dialect, (name,))]
    assert name not in {step.name for rule in again for step in steps_of(rule)}


def test_what_is_excluded_is_not_drawn() -> None:
    others = tuple(name for name in FAULTS if ":" not in name and name not in ("unknown_tool", "error"))
    rules = drawn(200, "faults", (*others, "error: line", "error: text"))
    assert {rule.fault.kind for rule in rules if rule.fault} == {"unknown_tool", "error"}
    shapes = {rule.fault.shape for rule in rules if isinstance(rule.fault, Error)}
    assert shapes == {
        "data",
        "chunk",
        "event",
        "message",
    }  # with no shape set, the dialect's own might be an excluded one
    assert "sse.insert: comment" in {step.name for rule in drawn(2000, "strict-sse") for step in steps(rule.stream)}
    rules = drawn(2000, "strict-sse", ("sse.insert: comment", "split.content: words"))
    assert {step.name for rule in rules for step in steps(rule.stream)}.isdisjoint(
        {"sse.insert: comment", "split.content: words"}
    )
    rules = drawn(200, "faults", (*others, "error"))  # an answer without calls is left as it is
    assert {rule.fault.kind if rule.fault else None for rule in rules} == {"unknown_tool", None}
    with pytest.raises(ValueError, match="nothing is left of profile 'faults' without"):
        drawn(1, "faults", tuple(name for name in FAULTS if ":" not in name))
