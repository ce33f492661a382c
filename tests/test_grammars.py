"""Each production of the grammars that a stream obeys is sent, alone, by one of the first 400 cases of `all`."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import islice

import pytest
from msgspec.structs import replace

from fakellm.apis.route import CHAT
from fakellm.engine.render import render
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.draws.steps import steps_of
from fakellm.fuzzing.grammar_table import GRAMMARS, HTTP, Production
from fakellm.fuzzing.running.case_order import cases_of
from fakellm.fuzzing.search import Search
from fakellm.scenarios.scenario import Rule
from fakellm.wire.http.http1 import bursts
from tests.conftest import ROOT

SOON = 400
PRODUCTIONS = [(each, each in HTTP) for productions in GRAMMARS.values() for each in productions]


def sent(rule: Rule, http: bool) -> bytes:
    """The response to a client, or its body alone."""
    request = CHAT.parse(json.dumps(cases.request(rule)).encode(), {})
    plan = render(replace(rule, name="a"), request, 0)
    return b"".join(burst.data for burst in bursts(plan)) if http else plan.body


@cache
def first() -> list[tuple[Rule, list[str]]]:
    """The first cases without a fault, each with the names of its steps."""
    rules = islice(cases_of(Search(profile="all")), SOON)
    return [(rule, [step.name for step in steps_of(rule)]) for rule in rules if rule.fault is None]


def alone(production: Production) -> list[Rule]:
    """The cases whose only step is that of the production."""
    step = production.step
    return [
        rule
        for rule, names in first()
        if " ".join(names) == step or (step and len(names) == 1 and names[0].startswith(step))
    ]


@pytest.mark.parametrize(("production", "http"), PRODUCTIONS, ids=[each.what for each, _ in PRODUCTIONS])
def test_a_production_is_sent_soon_and_alone(production: Production, http: bool) -> None:
    pattern = re.compile(production.pattern, re.MULTILINE | re.DOTALL)
    found = [rule for rule in alone(production) if pattern.search(sent(rule, http))]
    assert found
    if production.step:
        assert not pattern.search(sent(Rule(reply=found[0].reply, dialect=found[0].dialect), http))


def test_the_docs_show_every_production() -> None:
    text = (ROOT / "docs" / "reference" / "grammar.md").read_text(encoding="utf-8")
    for grammar, productions in GRAMMARS.items():
        _, _, section = text.partition(f"\n## {grammar}\n")
        rows = re.findall(r"^\| (?!production|---)(.+) \| (.+) \|$", section.partition("\n## ")[0], re.MULTILINE)
        assert rows == [(each.what, shown(each.step)) for each in productions]


def shown(step: str) -> str:
    """The steps in a row of the docs."""
    names = re.findall(r"\S+: \S+|\S+", step)
    return " ".join(f"`{name}`" for name in names) or "every stream"
