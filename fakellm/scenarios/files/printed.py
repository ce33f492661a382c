"""Prints a scenario as the call that loads it: the counterexample of a property test can be pasted, or served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakellm.base.errors import ScenarioError
from fakellm.scenarios.loader import dump

if TYPE_CHECKING:
    from fakellm.scenarios.scenario import Scenario


def as_call(scenario: Scenario) -> str:
    """``fakellm.load(…)`` with the YAML of the scenario; the value as Python writes it, if a reply is a function."""
    try:
        text = dump(scenario)
    except ScenarioError:
        return repr(scenario)
    if '"""' in text:
        return f"fakellm.load({text!r})"
    return f'fakellm.load({"r" if chr(92) in text else ""}"""\n{text}""")'
