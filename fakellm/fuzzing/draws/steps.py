"""The steps of a rule under the names that reports use, and all names that can be excluded.

Owns the steps outside the `stream:` block: pauses and faults. `fakellm.fuzzing.tiers` knows what a name stands for.
"""

from __future__ import annotations

from functools import lru_cache

from fakellm.apis.chat.meaning import chat_choice
from fakellm.apis.route import CHAT, Route
from fakellm.apis.variation import PLAIN, Variation
from fakellm.fuzzing import tiers
from fakellm.fuzzing.draws.families import ALL_FAMILIES, options
from fakellm.fuzzing.endpoints import name_of
from fakellm.fuzzing.tier_table import FAULTS
from fakellm.fuzzing.tiers import WireStep
from fakellm.model.blocks import Completion, ToolCall, Usage
from fakellm.scenarios.scenario import Rule
from fakellm.wire.timing import Timing

PAUSES = WireStep("timing", "T0")
"""Pauses between frames."""


def steps_of(rule: Rule, api: Route = CHAT) -> list[WireStep]:
    """The rule's steps away from the usual wire of its dialect, including pauses and its fault."""
    pauses = [PAUSES] if rule.timing != Timing() else []
    name = name_of(api)
    return [
        *tiers.steps(rule.stream, usual(rule.dialect, api), name),
        *pauses,
        *([tiers.step_of(rule.fault, name)] if rule.fault else []),
    ]


@lru_cache(maxsize=64)
def usual(dialect: str | None, api: Route = CHAT) -> Variation:
    """The usual wire of a dialect, with every field set; if the API does not have the dialect, its own usual wire."""
    return api.usual(dialect if dialect in api.dialects else None).over(PLAIN)


def plain_wire(api: Route) -> Variation:
    """The wire that the steps of an API are counted from."""
    return PLAIN if api is CHAT else usual(None, api)


def excludes(exclude: tuple[str, ...], step: str) -> bool:
    """Whether a step is excluded: `sse` excludes every `sse.…`, and `usage` also excludes `usage: every`."""
    return any(step == each or step.startswith((f"{each}.", f"{each}: ")) for each in exclude)


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """All names that can be excluded: families, every step that one of their options takes, pauses and faults."""
    return tuple(dict.fromkeys((*ALL_FAMILIES, *FAULTS, PAUSES.name, *_step_names(PLAIN))))


@lru_cache(maxsize=8)
def names_elsewhere(api: Route = CHAT) -> tuple[str, ...]:
    """The names of steps away from the usual wire of any dialect, such as `split.content: whole` if it usually cuts
    texts."""
    dialects = api.dialects or (None,)
    return tuple(dict.fromkeys(name for dialect in dialects for name in _step_names(usual(dialect, api))))


def _step_names(plain: Variation) -> list[str]:
    return [step.name for family in options(WHOLE).values() for each in family for step in tiers.steps(each, plain)]


_CALLS = (ToolCall("a", "f", '{"a":1}'), ToolCall("b", "f", "{}"))
WHOLE = Completion((chat_choice("A 🌍", "Hm 🌍", "No 🌍", _CALLS), chat_choice("A")), Usage(1, 1))
"""An answer to which every family applies."""
