"""Named sets of steps to draw from. Owns the profiles; `tiers` and `families` define the steps."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.effects import without_effect
from fakellm.apis.route import CHAT, HOMES, Route
from fakellm.apis.variation import PLAIN, Variation
from fakellm.base.words.near_miss import near_miss, other_word
from fakellm.faults import Fault
from fakellm.fuzzing import tiers
from fakellm.fuzzing.draws.characters import characters_of, has
from fakellm.fuzzing.draws.families import ALL_FAMILIES, FAMILIES, options
from fakellm.fuzzing.draws.steps import PAUSES, WHOLE, excludes, names, names_elsewhere, plain_wire, steps_of, usual
from fakellm.fuzzing.endpoints import has_effect, name_of, settings_of
from fakellm.fuzzing.recorded.steps import is_recorded, weight
from fakellm.fuzzing.tier_table import FAULTS, LEFT_OUT, TIERS
from fakellm.scenarios.scenario import Rule
from fakellm.wire.kinds import SSE, kind_of

STRICT = (
    "sse.bom",
    "sse.ids",
    "sse.insert: blank_line",
    "sse.insert: id",
    "sse.insert: retry",
    "sse.insert: heartbeat",
    "sse.insert: event",
    "transfer.gzip: members",
    "transfer.head: interim",
)
"""What the standards for server-sent events, gzip and HTTP allow, but the official OpenAI SDK for Python (3.54)
misreads (openai-python#2722, #3833, PR 3819; httpx stops after the first gzip member) or Node's `fetch` does (undici
takes a status 100 that it did not ask for as an error). The profile `standard` leaves it out: a
suite that is red from the start because of somebody else's bug helps nobody."""


class Profile(Struct, frozen=True):
    """What may be drawn: families of steps, in one of the dialects, and faults if set; but nothing in `exclude`.

    dialects: None stands for the usual one of an API other than chat. recorded: whether only what recordings have is
    drawn, and what more of them have more often.
    """

    name: str
    families: tuple[str, ...]
    dialects: tuple[str | None, ...] = ("openai",)
    faults: bool = False
    exclude: tuple[str, ...] = ()
    api: Route = CHAT
    recorded: bool = False

    @property
    def weighted(self) -> tuple[str, ...]:
        """Its families, each as often as it is drawn."""
        if not self.recorded:
            return self.families
        return tuple(family for family in self.families for _ in range(weight(family, name_of(self.api))))

    def tier(self, family: str) -> str:
        """The tier of a family."""
        return tiers.named(family, name_of(self.api)).tier

    def allows(self, variation: Variation) -> bool:
        """Whether none of its steps is excluded. An option of one family may also take a step of another."""
        if self.recorded and not _was_recorded(variation, self.api):
            return False
        if not self.exclude:
            return True
        plain = all(each in names() for each in self.exclude)
        wires = [PLAIN] if plain else [PLAIN, *(usual(name, self.api) for name in self.dialects)]
        return not any(excludes(self.exclude, step.name) for wire in wires for step in tiers.steps(variation, wire))

    def allows_fault(self, fault: Fault) -> bool:
        return not excludes(self.exclude, tiers.step_of(fault).name)

    def contains(self, rule: Rule) -> bool:
        """Whether a rule belongs to this profile. One that failed under another profile may not."""
        steps = steps_of(rule, self.api)
        names = [step.name for step in steps]
        streamed = [step.name for step in steps if step.tier != "fault" and step != PAUSES]
        return (
            self.allows(rule.stream)
            and not has(rule.reply, characters_of(self.exclude))
            and not any(excludes(self.exclude, step) for step in names)
            and (rule.fault is None or self.faults)
            and rule.dialect in (None, "openai", *self.dialects)
            and all(self.draws(step) or step in self._habits for step in streamed)
        )

    def draws(self, step: str) -> bool:
        """Whether a step is drawn, that is, whether its family is."""
        return _family_of(step) in self.families

    @property
    def _habits(self) -> set[str]:
        """The habits of its dialects as steps on the usual wire, which is how a shrunk failure may name them."""
        habits = (tiers.steps(self.api.usual(name), usual(None, self.api)) for name in self.dialects)
        return {step.name for found in habits for step in found}


@lru_cache(maxsize=512)
def _family_of(step: str) -> str:
    """The family of a step: the one with its name, the one with a form that takes it alone, the nearest (for `role:
    every` that name, not `role`), or one with a form that takes it among others."""
    if step in ALL_FAMILIES or step in (alone := _single_steps()):
        return step if step in ALL_FAMILIES else alone[step]
    nearest = max((family for family in ALL_FAMILIES if excludes((family,), step)), key=len, default="")
    return nearest or next((family for family, forms in options(WHOLE).items() if _takes_step(forms, step)), "")


@lru_cache(maxsize=1)
def _single_steps() -> dict[str, str]:
    """The family of each step that a form takes alone."""
    families: dict[str, str] = {}
    for family, forms in options(WHOLE).items():
        for form in forms:
            found = tiers.steps(form)
            if len(found) == 1:
                families.setdefault(found[0].name, family)
    return families


def _takes_step(forms: Iterable[Variation], step: str) -> bool:
    return any(each.name == step for form in forms for each in tiers.steps(form))


def _of(api: Route, *included: str) -> tuple[str, ...]:
    """The families of these tiers that have an effect in the API."""
    name = name_of(api)
    return tuple(family for family in _effective(api) if tiers.named(family, name).tier in included)


@lru_cache(maxsize=16)
def _effective(api: Route) -> tuple[str, ...]:
    """The families that have an effect in the API. Other values of a Content-Type are known for events alone."""
    if api is CHAT:
        return FAMILIES
    found = options(WHOLE)
    events = kind_of(api.content_type(settings_of(api, Variation()).habits, True)) is SSE
    return tuple(
        family
        for family in ALL_FAMILIES
        if (events or family != "transfer.content_type")
        and family not in LEFT_OUT.get(name_of(api), ())
        and any(has_effect(api, each) for each in islice(found.get(family, ()), _ENOUGH))
        and not without_effect(found[family][0], api.stream_keys)
    )


_ENOUGH = 9
"""So many forms of a step show whether it has an effect."""


def _standard(api: Route) -> tuple[str, ...]:
    return tuple(name for name in _of(api, "T0", "T1", "T2", "T3") if name not in STRICT)


def _recorded(api: Route) -> tuple[str, ...]:
    """The families with a form that was recorded."""
    forms = options(WHOLE)
    return tuple(family for family in _effective(api) if any(_was_recorded(each, api) for each in forms[family]))


def _was_recorded(variation: Variation, api: Route) -> bool:
    """Whether each of its steps was recorded, or is one of networks. Its `sse` block is compared with the plain one,
    which the usual line ends are added to."""
    plain = replace(plain_wire(api), sse=PLAIN.sse)
    return all(is_recorded(step.name, name_of(api)) for step in tiers.steps(variation, plain))


def _usual_dialect(api: Route) -> str | None:
    return "openai" if api is CHAT else None


def _made(name: str, api: Route) -> Profile:
    first = (_usual_dialect(api),)
    every = tuple(dict.fromkeys((*first, *api.dialects)))
    match name:
        case "realistic":
            return Profile(name, _recorded(api), every, api=api, recorded=True)
        case "standard":
            return Profile(name, _standard(api), first, api=api)
        case "strict-sse":
            return Profile(name, _of(api, "T0", "T1", "T2", "T3"), first, api=api)
        case "contested":
            return Profile(name, _of(api, "T5"), first, api=api)
        case "faults":
            return Profile(name, (), first, faults=True, api=api)
        case "all":
            return Profile(name, _effective(api), every, faults=True, api=api)
    return Profile(name, _standard(api), (name,), api=api)


DEFAULT = "realistic"

OF_EVERY_API = ("realistic", "standard", "strict-sse", "contested", "faults", "all")

PROFILES = (*OF_EVERY_API, *CHAT.dialects)
"""`realistic`: what providers were recorded to send. `standard`: T0 to T3 without STRICT. `strict-sse`: T0 to T3.
`contested`: T5 alone. `faults`: one fault each, nothing else. `all`: every step, dialect and fault. The name of a
dialect: the steps of `standard`, from its usual wire. Another API has those of OF_EVERY_API and its own dialects."""


@lru_cache(maxsize=64)
def profile(name: str, exclude: tuple[str, ...] = (), api: Route = CHAT) -> Profile:
    """The profile with this name of an API, without the excluded steps: families, faults, or whole blocks such as
    `sse`.

    Raises ValueError if there is no such profile or step, or if nothing is left.
    """
    known = (*OF_EVERY_API, *api.dialects)
    if name == "default":
        raise ValueError(f"`default` is now called `standard`; without `--profile`, `{DEFAULT}` is used")
    if name not in known:
        hint = _as_api(name) or near_miss(name, known)
        raise ValueError(f"there is no profile {name!r}; the profiles are {', '.join(known)}{hint}")
    _check(exclude, api)
    found = _made(name, api)
    first, *others = found.dialects
    dialects = (first, *(each for each in others if not _takes(each, first, exclude, api)))
    kept = tuple(family for family in found.families if not excludes(exclude, family))
    faults = found.faults and any(not excludes(exclude, fault) for fault in FAULTS)
    if not kept and not faults:
        raise ValueError(f"nothing is left of profile {name!r} without {', '.join(exclude)}")
    return replace(found, families=kept, dialects=dialects, faults=faults, exclude=exclude)


def _as_api(name: str) -> str:
    """A hint if an API was meant, by its name, its provider or one of its dialects."""
    exact = [each for each in HOMES if each == name or name in HOMES[each].dialects]
    found = exact[0] if exact else other_word(name, list(HOMES))
    return f"; for clients of {found}, write --api {found}, or api={found!r} in Python" if found else ""


def _takes(dialect: str | None, first: str | None, exclude: tuple[str, ...], api: Route) -> bool:
    """Whether the usual wire of a dialect takes an excluded step away from that of the first dialect, as which a
    failure there is reported."""
    habits = tiers.steps(usual(dialect, api), usual(first, api), name_of(api)) if exclude else []
    return any(excludes(exclude, habit.name) for habit in habits)


def _check(exclude: tuple[str, ...], api: Route) -> None:
    """Raises ValueError if an excluded step does not exist."""
    for each in exclude:
        if not _exists(each, api):
            listed = f"; the steps are {', '.join(names())}"
            raise ValueError(f"there is no step {each!r} to exclude{near_miss(each, names()) or listed}")


def _exists(name: str, api: Route) -> bool:
    known = (*names(), *TIERS)
    return (
        bool(characters_of([name]))
        or any(excludes((name,), step) for step in known)
        or any(excludes((name,), step) for step in names_elsewhere(api))
    )
