"""Rules that are served as soon as they have a reply: `on(…)` of a handle.

Owns when a rule is sent to the server, and which rules were left without a reply.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from msgspec.structs import replace

from fakellm.base.errors import ScenarioError
from fakellm.scenarios.builder import On, checked_when
from fakellm.scenarios.matching import When
from fakellm.scenarios.scenario import Rule

Serve = Callable[[Rule, int | None], int]
"""Serves a rule, in place of the one with this number if there is one; returns its number, from 1."""

_PACKAGE = f"{Path(__file__).parent.parent}{os.sep}"


class RuleStart:
    """One call of `on(…)`. `place`: the file and line of the call; `number`: that of its rule in the scenario that is
    served, from 1; `complete`: whether its rule has a reply;
    `replaced`: whether a `load` or `reset` has replaced the rules that were served then."""

    def __init__(self, serve: Serve) -> None:
        self.serve = serve
        self.place = _caller()
        self.number: int | None = None
        self.complete = False
        self.replaced = False


class ServedOn(On, frozen=True, kw_only=True):
    """A rule that is served from the method on that gives it a reply. Later methods of the chain change it."""

    start: RuleStart
    number: int | None = None
    """The number of the rule in the scenario that is served."""

    def _changed(self, **fields: Any) -> Self:
        if self.start.replaced and self.number is not None:  # another rule may have the number now
            message = "the rule of this on(…) is not served any more, since load or reset replaced it: call on(…) again"
            raise ScenarioError([f"{self.start.place}: {message}"])
        changed = replace(self, **fields)
        self.start.complete = changed.complete
        if not changed.complete:
            return changed
        self.start.number = self.start.serve(changed.rule, self.number)
        return replace(changed, number=self.start.number)


def served_on(
    serve: Serve, when: When | None, name: str | None, dialect: str | None, fields: dict[str, Any]
) -> ServedOn:
    """The start of a rule. Raises ScenarioError."""
    checked = checked_when(when, name, dialect, fields)
    return ServedOn(when=checked, name=name, dialect=dialect, start=RuleStart(serve))


def _caller() -> str:
    """Where the code outside this package is that called it."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
