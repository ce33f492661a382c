"""The steps of a rule by the names that reports give them, and those names that there are to leave out.

Owns what is a step beside the `stream:` block: pauses and faults. What a name stands for is in `fakellm.fuzzing.tiers`.
"""

from __future__ import annotations

from functools import lru_cache

from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.variation import PLAIN, Variation
from fakellm.fuzzing import tiers
from fakellm.fuzzing.draws.families import FAMILIES, options
from fakellm.fuzzing.tiers import Step
from fakellm.model.completion import Choice, Completion, ToolCall, Usage
from fakellm.scenarios.scenario import Rule
from fakellm.wire.timing import Timing

PAUSES = Step("timing", "T0")
"""Frames that arrive apart in time."""


def steps_of(rule: Rule) -> list[Step]:
    """The rule's steps away from the usual wire of its dialect, pauses and its fault among them."""
    pauses = [PAUSES] if rule.timing != Timing() else []
    return [
        *tiers.steps(rule.stream, usual(rule.dialect or "openai")),
        *pauses,
        *([tiers.step_of(rule.fault)] if rule.fault else []),
    ]


@lru_cache(maxsize=64)
def usual(dialect: str) -> Variation:
    """The usual wire of a dialect, with every field given."""
    return DIALECTS[dialect].usual.over(PLAIN)


def excludes(exclude: tuple[str, ...], step: str) -> bool:
    """Whether a step is left out: `sse` leaves out all of `sse.…`, and `usage` also `usage: every`."""
    return any(step == each or step.startswith((f"{each}.", f"{each}: ")) for each in exclude)


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """What can be left out: families, every step that an option of one of them takes, pauses and faults."""
    return tuple(dict.fromkeys((*FAMILIES, *tiers.FAULTS, PAUSES.name, *_taken(PLAIN))))


@lru_cache(maxsize=1)
def names_elsewhere() -> tuple[str, ...]:
    """The names of steps away from the usual wire of some dialect: to one that cuts texts, `split.content: whole`."""
    return tuple(dict.fromkeys(name for dialect in DIALECTS for name in _taken(usual(dialect))))


def _taken(plain: Variation) -> list[str]:
    return [step.name for family in options(_WHOLE).values() for each in family for step in tiers.steps(each, plain)]


_CALLS = (ToolCall("a", "f", '{"a":1}'), ToolCall("b", "f", "{}"))
_WHOLE = Completion("c", 1, "m", (Choice("A 🌍", "Hm 🌍", "No 🌍", _CALLS), Choice("A")), Usage(1, 1))
"""An answer that has something for each family to say."""
