"""A property test that fails prints its scenario as YAML, in a call that can be pasted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.vendor.pretty import pretty

import fakellm
from fakellm.strategies import streams


@given(streams("all"))
def test_what_is_printed_is_the_scenario(scenario: fakellm.Scenario) -> None:
    printed = pretty(scenario)
    assert printed.startswith(('fakellm.load("""\n', 'fakellm.load(r"""\n', "fakellm.load('"))
    assert eval(printed, {"fakellm": fakellm}) == scenario


@pytest.mark.parametrize("content", ['"""', "\\", "\\n", '"', "a\nb\n", "\x85"])
def test_odd_texts_are_printed_so_that_they_are_read_again(content: str) -> None:
    scenario = fakellm.Scenario(rules=(fakellm.Rule(fakellm.Reply(content=content)),))
    assert eval(pretty(scenario), {"fakellm": fakellm}) == scenario


def test_a_function_is_printed_as_python_writes_it() -> None:
    scenario = fakellm.Scenario(rules=(fakellm.on().reply(lambda request: request.user).rule,))
    assert pretty(scenario) == repr(scenario)


def test_a_counterexample_is_yaml() -> None:
    @given(streams("standard"))
    def never_holds(scenario: fakellm.Scenario) -> None:
        raise AssertionError

    with pytest.raises(AssertionError) as raised:
        never_holds()
    example = "\n".join(raised.value.__notes__)
    assert "scenario=fakellm.load(" in example
    assert "version: 1\nscenario: drawn\nrules:\n- reply:\n" in example
