"""The fuzzer with every API that rules answer: the reference client holds, and each step and fault has its API's rows."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import fakellm
from fakellm.apis.route import HOMES
from fakellm.engine.render import render
from fakellm.engine.what_was_sent import readings
from fakellm.fuzzing.draws.families import ALL_FAMILIES
from fakellm.fuzzing.draws.profiles import profile
from fakellm.fuzzing.endpoints import endpoint_of, example_request, fuzzed_api, name_of, settings_of
from fakellm.fuzzing.known_bugs import BUGS
from fakellm.fuzzing.reference_client import ReferenceClient
from fakellm.fuzzing.tier_table import ELSEWHERE, FAULTS, FAULTS_ELSEWHERE, TIERS
from fakellm.fuzzing.tiers import named
from fakellm.strategies import streams


@pytest.mark.parametrize("api", HOMES)
@pytest.mark.parametrize("name", ["standard", "faults", "all"])
def test_the_reference_client_of_an_api_holds(api: str, name: str) -> None:
    with closing(ReferenceClient(1.0, api)) as client:
        outcome = fakellm.fuzz(client, api=api, profile=name, examples=120, failures=None)
    assert (outcome.cases, outcome.failures, outcome.internal) == (120, [], {})
    assert {"content", "tool_calls", "finish_reason", "usage"} <= outcome.compared


@pytest.mark.parametrize("api", HOMES)
def test_an_api_has_an_endpoint_and_profiles(api: str) -> None:
    found = fuzzed_api(api)
    assert name_of(found) == api
    assert endpoint_of(found).url.startswith("/")
    assert set(profile("standard", (), found).families) <= set(ALL_FAMILIES)
    for dialect in found.dialects:
        assert profile(dialect, (), found).dialects == (dialect,)


def test_the_tables_of_other_apis_name_known_steps_and_rows() -> None:
    for steps in ELSEWHERE.values():
        for step, (tier, rows) in steps.items():
            assert named(step).tier
            assert tier.startswith("T")
            assert set(rows.split()) <= set(BUGS)
    for faults in FAULTS_ELSEWHERE.values():
        assert set(faults) <= set(FAULTS)
        assert {row for rows in faults.values() for row in rows.split()} <= set(BUGS)


def test_a_step_of_another_api_has_that_apis_rows() -> None:
    assert set(TIERS) >= {"transfer.cut", "padding"}
    assert named("transfer.cut").rows == ("A2",)
    assert named("padding").rows == ("B6",)
    assert named("padding", "messages").rows == ("H9",)
    assert named("padding", "toy").rows == ()


@pytest.mark.parametrize("api", HOMES)
@settings(max_examples=40)
@given(data=st.data())
def test_what_strategies_draw_for_an_api_is_read_by_its_reader(api: str, data: st.DataObject) -> None:
    scenario = data.draw(streams("all", exclude=("sse.ends_with", "transfer.gzip", "transfer.encoding"), api=api))
    (rule,) = scenario.rules
    found = fuzzed_api(api)
    request = example_request(found)
    plan = render(replace(rule, name="drawn", dialect=rule.dialect or scenario.dialect), request, 0, found)
    habits = settings_of(found, rule.stream, scenario.dialect).habits
    reads = readings(plan, found, habits, len(rule.reply.choices or (rule.reply,)))
    if rule.fault is None:
        assert any(each.completion.choices and not each.error for each in reads)
