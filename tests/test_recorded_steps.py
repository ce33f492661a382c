"""The profile `realistic` tries what providers were recorded to send, in each API; and reports say who sends a step."""

from __future__ import annotations

import inspect
import re
from itertools import islice

import pytest

import fakellm
from fakellm.apis.route import HOMES
from fakellm.base.seed import Source
from fakellm.fuzzing import draws, tiers
from fakellm.fuzzing.draws.profiles import DEFAULT, profile
from fakellm.fuzzing.draws.steps import plain_wire
from fakellm.fuzzing.endpoints import fuzzed_api
from fakellm.fuzzing.recorded.steps import NETWORK, is_recorded, provenance, total
from fakellm.fuzzing.recorded.table import RECORDED
from fakellm.fuzzing.running.case_order import cases_of
from fakellm.fuzzing.search import Search
from fakellm.fuzzing.strategies import streams, variations
from fakellm.fuzzing.tier_table import FAULTS
from tests.conftest import CORPUS, SURFACES
from tests.count_recorded_steps import Place, names_of, recorded

HERE = {api: list(recorded(api)) for api in HOMES}


def few(places: list[Place]) -> list[Place]:
    """The first streams of each provider."""
    providers = dict.fromkeys(place.provider for place in places)
    return [place for each in providers for place in islice((one for one in places if one.provider == each), 2)]


def test_realistic_is_what_is_tried_without_a_profile() -> None:
    assert DEFAULT == Search().profile == "realistic"
    for takes in (fakellm.fuzz, streams, variations, draws.scenario):
        assert inspect.signature(takes).parameters["profile"].default == DEFAULT


def test_the_former_default_has_another_name() -> None:
    with pytest.raises(
        ValueError, match=r"^`default` is now called `standard`; without `--profile`, `realistic` is used$"
    ):
        profile("default")


@pytest.mark.parametrize("api", HOMES)
def test_all_that_is_tried_was_recorded_or_is_what_networks_do(api: str) -> None:
    found = fuzzed_api(api)
    tried = islice(cases_of(Search(api=found)), 600)
    drawn = (draws.scenario(Source(1, "case", number), api=found).rules[0] for number in range(300))
    rules = [*tried, *drawn]
    names = {step.name for rule in rules for step in tiers.steps(rule.stream, plain_wire(found), api)}
    assert {name for name in names if not is_recorded(name, api)} <= set(_LINE_ENDS.get(api, ()))
    assert {rule.fault for rule in rules} == {None}
    assert names & set(NETWORK)
    assert (names <= set(NETWORK)) == (total(api) == 0)


_LINE_ENDS = {"gemini": ("sse.line_end: lf",)}
"""An `sse` block replaces the usual one. Its line ends become the usual ones before it is sent."""


@pytest.mark.parametrize("api", HOMES)
def test_a_recorded_step_has_a_name_a_number_and_providers(api: str) -> None:
    count, steps = RECORDED[api]
    for step, (number, providers) in steps.items():
        assert tiers.named(step, api).name == step
        assert 0 < number <= count
        assert providers


@pytest.mark.parametrize(
    ("step", "tier", "api", "expected"),
    [
        ("usage: running", "T5", "chat", r"sent by perplexity: 1 of \d+ recorded streams"),
        ("messages.pads", "T2", "messages", r"sent by anthropic, vertex-claude: 43 of 45 recorded streams"),
        ("transfer.coalesce", "T0", "ollama", "any network or proxy does it"),
        ("sse.bom", "T1", "chat", "in no recorded stream; only the standard for server-sent events allows it"),
        ("transfer.trailers", "T0", "gemini", "in no recorded stream; only HTTP allows it"),
        ("interleave: calls", "T3", "gemini", "in no recorded stream; only the schema of the API allows it"),
        ("calls.id: empty", "T4", "chat", "in no recorded stream; others are reported to send it"),
        ("padding", "T3", "completions", "no stream of completions was recorded; only the schema of the API allows it"),
        ("eof", "fault", "chat", "a fault, made to break the answer"),
    ],
)
def test_a_report_says_who_sends_a_step(step: str, tier: str, api: str, expected: str) -> None:
    assert re.fullmatch(expected, provenance(step, tier, api))


@pytest.mark.parametrize("api", HOMES)
@pytest.mark.parametrize("name", ["realistic", "standard", "strict-sse", "contested", "faults", "all"])
def test_every_step_of_every_profile_has_a_sender_or_what_allows_it(name: str, api: str) -> None:
    found = fuzzed_api(api)
    for family in profile(name, (), found).families:
        assert (
            ";" in (line := provenance(family, tiers.named(family, api).tier, api))
            or "sent by" in line
            or "any" in line
        )
    assert all(provenance(fault, "fault", api) == "a fault, made to break the answer" for fault in FAULTS)


@pytest.mark.skipif(not any(HERE.values()), reason=f"the recordings are not here: no {CORPUS} or {SURFACES}")
@pytest.mark.parametrize("api", HOMES)
def test_the_table_has_the_steps_of_recordings(api: str) -> None:
    """All of them, of the first streams of each provider; counting every stream takes a minute."""
    for place in few(HERE[api]):
        assert (names_of(place, fuzzed_api(api)) or set()) <= set(RECORDED[api][1]), place
    assert RECORDED[api][0] <= len(HERE[api])
