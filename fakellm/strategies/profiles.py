"""Which steps are drawn together, by name. Owns the profiles; `fakellm.tiers` and `families` say what a step is."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from fakellm import tiers
from fakellm.dialects import DIALECTS
from fakellm.shape import near_miss
from fakellm.strategies.families import FAMILIES

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
    """What may be drawn: families of steps, in one of these dialects, and whether faults are."""

    name: str
    families: tuple[str, ...]
    dialects: tuple[str, ...] = ("openai",)
    faults: bool = False


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

    Raises ValueError where there is no such profile, or no such step to leave out.
    """
    if name not in PROFILES:
        raise ValueError(f"there is no profile {name!r}; there are {', '.join(PROFILES)}{near_miss(name, PROFILES)}")
    for each in exclude:
        known = (*FAMILIES, *tiers.FAULTS)
        if not any(excludes((each,), step) for step in known):
            raise ValueError(f"there is no step {each!r} to leave out{near_miss(each, known) or _listed(known)}")
    found = _PROFILES[name]() if name in _PROFILES else Profile(name, _DEFAULT, (name,))
    kept = tuple(family for family in found.families if not excludes(exclude, family))
    return Profile(found.name, kept, found.dialects, found.faults)


def excludes(exclude: tuple[str, ...], step: str) -> bool:
    """Whether a step is left out: `sse` leaves out all of `sse.…`, and `usage` also `usage: every`."""
    return any(step == each or step.startswith((f"{each}.", f"{each}: ")) for each in exclude)


def _listed(names: tuple[str, ...]) -> str:
    return f"; there are {', '.join(names)}"
