"""Which steps are drawn together, by name. Owns the profiles; `fakellm.tiers` and `families` say what a step is."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from fakellm import tiers
from fakellm.completion import Choice, Completion, ToolCall, Usage
from fakellm.dialects import DIALECTS
from fakellm.draws.families import FAMILIES, options
from fakellm.faults import Fault
from fakellm.shape import near_miss
from fakellm.variation import Variation

STRICT = (
    "sse.bom",
    "sse.ids",
    "sse.insert: blank_line",
    "sse.insert: id",
    "sse.insert: retry",
    "sse.insert: heartbeat",
    "sse.insert: event",
)
"""What the standard of server-sent events allows, and the official OpenAI SDK for Python (3.54) stumbles over
(openai-python#2722, #3833, PR 3819): a suite that starts red for somebody else's bug helps nobody."""


class Profile(Struct, frozen=True):
    """What may be drawn: families of steps, in one of these dialects, and whether faults are; but for `exclude`."""

    name: str
    families: tuple[str, ...]
    dialects: tuple[str, ...] = ("openai",)
    faults: bool = False
    exclude: tuple[str, ...] = ()

    def allows(self, variation: Variation) -> bool:
        """Whether none of its steps is left out: a family may have options that take another's step as well."""
        return not self.exclude or not any(excludes(self.exclude, step.name) for step in tiers.steps(variation))

    def allows_fault(self, fault: Fault) -> bool:
        return not excludes(self.exclude, tiers.step_of(fault).name)


def _of(*wanted: str) -> tuple[str, ...]:
    return tuple(name for name in FAMILIES if tiers.named(name).tier in wanted)


_DEFAULT = tuple(name for name in _of("T0", "T1", "T2", "T3") if name not in STRICT)

_PROFILES = {
    "default": lambda: Profile("default", _DEFAULT),
    "strict-sse": lambda: Profile("strict-sse", _of("T0", "T1", "T2", "T3")),
    "contested": lambda: Profile("contested", _of("T5")),
    "faults": lambda: Profile("faults", (), faults=True),
    "all": lambda: Profile("all", FAMILIES, ("openai", *(name for name in DIALECTS if name != "openai")), faults=True),
}

PROFILES = (*_PROFILES, *DIALECTS)
"""`default`: T0 to T3 but for STRICT. `strict-sse`: with it. `contested`: T5 alone. `faults`: one fault each, nothing
else. `all`: every step, dialect and fault. The name of a dialect: the default steps, from its usual wire."""


@lru_cache(maxsize=64)
def profile(name: str, exclude: tuple[str, ...] = ()) -> Profile:
    """The profile of this name without some steps: names of families, of faults, or whole blocks such as `sse`.

    Raises ValueError where there is no such profile, no such step to leave out, or nothing left.
    """
    if name not in PROFILES:
        raise ValueError(f"there is no profile {name!r}; there are {', '.join(PROFILES)}{near_miss(name, PROFILES)}")
    for each in exclude:
        if not any(excludes((each,), step) for step in _known()):
            raise ValueError(f"there is no step {each!r} to leave out{near_miss(each, _known()) or _listed(_known())}")
    found = _PROFILES[name]() if name in _PROFILES else Profile(name, _DEFAULT, (name,))
    kept = tuple(family for family in found.families if not excludes(exclude, family))
    faults = found.faults and any(not excludes(exclude, fault) for fault in tiers.FAULTS)
    if not kept and not faults:
        raise ValueError(f"nothing is left of profile {name!r} without {', '.join(exclude)}")
    return Profile(found.name, kept, found.dialects, faults, exclude)


@lru_cache(maxsize=1)
def _known() -> tuple[str, ...]:
    """What can be left out: families, every step that an option of one of them takes, and faults."""
    taken = (step.name for family in options(_WHOLE).values() for each in family for step in tiers.steps(each))
    return tuple(dict.fromkeys((*FAMILIES, *tiers.FAULTS, *taken)))


_CALLS = (ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}"))
_WHOLE = Completion("c", 1, "m", (Choice("A 🌍", "Hm", "No", _CALLS), Choice("A")), Usage(1, 1))
"""An answer that has something for each family to say."""


def excludes(exclude: tuple[str, ...], step: str) -> bool:
    """Whether a step is left out: `sse` leaves out all of `sse.…`, and `usage` also `usage: every`."""
    return any(step == each or step.startswith((f"{each}.", f"{each}: ")) for each in exclude)


def _listed(names: tuple[str, ...]) -> str:
    return f"; there are {', '.join(names)}"
