"""Named sets of steps to draw from. Owns the profiles; `tiers` and `families` define the steps."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from fakellm.apis.route import CHAT
from fakellm.apis.variation import PLAIN, Variation
from fakellm.base.validation import near_miss
from fakellm.faults import Fault
from fakellm.fuzzing import tiers
from fakellm.fuzzing.draws.families import FAMILIES
from fakellm.fuzzing.draws.steps import PAUSES, excludes, names, names_elsewhere, steps_of, usual
from fakellm.fuzzing.tier_table import FAULTS, TIERS
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
"""What the standard for server-sent events allows, but the official OpenAI SDK for Python (3.54) misreads
(openai-python#2722, #3833, PR 3819). The default profile leaves it out: a suite that is red from the start because of
somebody else's bug helps nobody."""


class Profile(Struct, frozen=True):
    """What may be drawn: families of steps, in one of the dialects, and faults if set; but nothing in `exclude`."""

    name: str
    families: tuple[str, ...]
    dialects: tuple[str, ...] = ("openai",)
    faults: bool = False
    exclude: tuple[str, ...] = ()

    def allows(self, variation: Variation) -> bool:
        """Whether none of its steps is excluded. An option of one family may also take a step of another."""
        if not self.exclude:
            return True
        wires = [PLAIN] if all(each in names() for each in self.exclude) else [PLAIN, *map(usual, self.dialects)]
        return not any(excludes(self.exclude, step.name) for wire in wires for step in tiers.steps(variation, wire))

    def allows_fault(self, fault: Fault) -> bool:
        return not excludes(self.exclude, tiers.step_of(fault).name)

    def contains(self, rule: Rule) -> bool:
        """Whether a rule belongs to this profile. One that failed under another profile may not."""
        names = [step.name for step in steps_of(rule)]
        streamed = [step.name for step in steps_of(rule) if step.tier != "fault" and step != PAUSES]
        return (
            self.allows(rule.stream)
            and not any(excludes(self.exclude, step) for step in names)
            and (rule.fault is None or self.faults)
            and (rule.dialect or "openai") in ("openai", *self.dialects)
            and all(self.draws(step) or step in self._habits for step in streamed)
        )

    def draws(self, step: str) -> bool:
        """Whether a step is drawn, that is, whether its nearest family is: for `role: every` that name, not `role`."""
        nearest = max((family for family in FAMILIES if excludes((family,), step)), key=len, default="")
        return nearest in self.families

    @property
    def _habits(self) -> set[str]:
        """The habits of its dialects as steps on OpenAI's wire, which is how a shrunk failure may name them."""
        habits = (tiers.steps(CHAT.usual(name), usual("openai")) for name in self.dialects)
        return {step.name for found in habits for step in found}


def _of(*included: str) -> tuple[str, ...]:
    return tuple(name for name in FAMILIES if tiers.named(name).tier in included)


_DEFAULT = tuple(name for name in _of("T0", "T1", "T2", "T3") if name not in STRICT)

_PROFILES = {
    "default": lambda: Profile("default", _DEFAULT),
    "strict-sse": lambda: Profile("strict-sse", _of("T0", "T1", "T2", "T3")),
    "contested": lambda: Profile("contested", _of("T5")),
    "faults": lambda: Profile("faults", (), faults=True),
    "all": lambda: Profile("all", FAMILIES, tuple(dict.fromkeys(("openai", *CHAT.dialects))), faults=True),
}

PROFILES = (*_PROFILES, *CHAT.dialects)
"""`default`: T0 to T3 without STRICT. `strict-sse`: T0 to T3. `contested`: T5 alone. `faults`: one fault each, nothing
else. `all`: every step, dialect and fault. The name of a dialect: the default steps, from its usual wire."""


@lru_cache(maxsize=64)
def profile(name: str, exclude: tuple[str, ...] = ()) -> Profile:
    """The profile with this name, without the excluded steps: families, faults, or whole blocks such as `sse`.

    Raises ValueError if there is no such profile or step, or if nothing is left.
    """
    if name not in PROFILES:
        raise ValueError(
            f"there is no profile {name!r}; the profiles are {', '.join(PROFILES)}{near_miss(name, PROFILES)}"
        )
    _check(exclude)
    found = _PROFILES[name]() if name in _PROFILES else Profile(name, _DEFAULT, (name,))
    kept = tuple(family for family in found.families if not excludes(exclude, family))
    faults = found.faults and any(not excludes(exclude, fault) for fault in FAULTS)
    if not kept and not faults:
        raise ValueError(f"nothing is left of profile {name!r} without {', '.join(exclude)}")
    return Profile(found.name, kept, found.dialects, faults, exclude)


def _check(exclude: tuple[str, ...]) -> None:
    """Raises ValueError if an excluded step does not exist."""
    for each in exclude:
        if not _exists(each):
            listed = f"; the steps are {', '.join(names())}"
            raise ValueError(f"there is no step {each!r} to exclude{near_miss(each, names()) or listed}")


def _exists(name: str) -> bool:
    known = (*names(), *TIERS)
    return any(excludes((name,), step) for step in known) or any(excludes((name,), step) for step in names_elsewhere())
