"""Which steps are drawn together, by name. Owns the profiles; `tiers` and `families` define the steps."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.variation import PLAIN, Variation
from fakellm.base.validation import near_miss
from fakellm.faults import Fault
from fakellm.fuzzing import tiers
from fakellm.fuzzing.draws.families import FAMILIES
from fakellm.fuzzing.draws.steps import PAUSES, excludes, names, names_elsewhere, steps_of, usual
from fakellm.scenarios.scenario import Rule

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
        if not self.exclude:
            return True
        wires = [PLAIN] if all(each in names() for each in self.exclude) else [PLAIN, *map(usual, self.dialects)]
        return not any(excludes(self.exclude, step.name) for wire in wires for step in tiers.steps(variation, wire))

    def allows_fault(self, fault: Fault) -> bool:
        return not excludes(self.exclude, tiers.step_of(fault).name)

    def holds(self, rule: Rule) -> bool:
        """Whether a rule is of this profile, as one that failed under another may not be."""
        found = [step.name for step in steps_of(rule)]
        streamed = [step.name for step in steps_of(rule) if step.tier != "fault" and step != PAUSES]
        return (
            self.allows(rule.stream)
            and not any(excludes(self.exclude, step) for step in found)
            and (rule.fault is None or self.faults)
            and (rule.dialect or "openai") in ("openai", *self.dialects)
            and all(self.takes(step) or step in self._habits for step in streamed)
        )

    def takes(self, step: str) -> bool:
        """Whether a step is drawn: whether the family is that is nearest to it, as `role: every` is to itself."""
        nearest = max((family for family in FAMILIES if excludes((family,), step)), key=len, default="")
        return nearest in self.families

    @property
    def _habits(self) -> set[str]:
        """The habits of its dialects as steps on OpenAI's wire: a failure that is made smaller may name them so."""
        habits = (tiers.steps(DIALECTS[name].usual, usual("openai")) for name in self.dialects)
        return {step.name for found in habits for step in found}


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
    _check(exclude)
    found = _PROFILES[name]() if name in _PROFILES else Profile(name, _DEFAULT, (name,))
    kept = tuple(family for family in found.families if not excludes(exclude, family))
    faults = found.faults and any(not excludes(exclude, fault) for fault in tiers.FAULTS)
    if not kept and not faults:
        raise ValueError(f"nothing is left of profile {name!r} without {', '.join(exclude)}")
    return Profile(found.name, kept, found.dialects, faults, exclude)


def _check(exclude: tuple[str, ...]) -> None:
    """Raises ValueError where a step to leave out is none."""
    for each in exclude:
        if not any(excludes((each,), step) for known in (names, names_elsewhere) for step in known()):
            listed = f"; there are {', '.join(names())}"
            raise ValueError(f"there is no step {each!r} to leave out{near_miss(each, names()) or listed}")
