"""The values that a test author writes: rules, each a `when` and a reply or a script. `loader` knows where
they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta, Struct

from fakellm.apis.route import HOMES, DialectName
from fakellm.apis.variation import Variation
from fakellm.base.validation import FieldError, shortened
from fakellm.base.words.explained import Explaining
from fakellm.faults import Fault
from fakellm.faults.base import CountedBy, Times
from fakellm.quotas.rate_limits import RateLimit
from fakellm.scenarios.matching import When
from fakellm.scenarios.mistakes.part_checks import check_calls, check_dialect, check_name, check_padding, check_score
from fakellm.scenarios.reply import Computed, Reply
from fakellm.wire.frame_edits import Edit
from fakellm.wire.timing import AT_ONCE, Timing


class Step(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of several replies of a rule, with its `stream`, `timing`, `fault` and `patch` blocks.

    It answers one attempt, or with a fault that applies only to some attempts, those and the first one after them.
    """

    reply: Reply
    stream: Variation = Variation()
    timing: Timing = Timing()
    fault: Fault | None = None
    patch: tuple[Edit, ...] = ()

    def __post_init__(self) -> None:
        if (self.reply.__class__, self.stream.__class__, self.timing.__class__) != _BLOCKS:
            _check_types(self)
        check_calls(self.reply, self.fault)
        check_padding(self.reply, self.stream)
        if self.stream.score:
            check_score(self.stream.score)

    def attempts(self, stream: bool) -> int:
        """How many attempts of the same request get this reply before the next reply."""
        fault = self.fault
        if fault is None or not fault.applies(stream):
            return 1
        return fault.after + (1 if fault.most is None else fault.most + 1)


_BLOCKS = (Reply, Variation, Timing)
"""The types of the blocks `reply`, `stream` and `timing`."""

_NONE = Reply()
"""Stands for the reply of a rule that has a script in its place."""


class Rule(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The requests that it matches and the reply to them: its content, how it is streamed, its timing and its fault."""

    reply: Reply = _NONE
    when: When = When()
    stream: Variation = Variation()
    timing: Timing = Timing()
    fault: Fault | None = None
    patch: Annotated[
        tuple[Edit, ...], Meta(description=("Literal frames, for what a recording has and no other key can express."))
    ] = ()
    name: str | None = None
    dialect: DialectName | None = None
    then: Annotated[
        tuple[Step, ...],
        Meta(
            description=(
                "The replies to further attempts of the same request. Attempts are counted by session, rule and "
                "content of the request (`Request.digest`), so that different requests at the same time do not use "
                "up each other's replies."
            )
        ),
    ] = ()
    after: Annotated[
        Literal["last", "cycle", "fail"],
        Meta(
            description=(
                "What follows the last reply: that reply again, all of them from the first on (`cycle`), or a "
                "refusal (`fail`)."
            )
        ),
    ] = "last"
    script: Annotated[
        tuple[Step, ...],
        Meta(
            description=(
                "In place of `reply`: the replies to all requests of the session that the rule matches, in order, "
                "whatever they ask. A request after the last reply is refused, and the pytest fixture fails a test "
                "that leaves a reply unsent."
            )
        ),
    ] = ()

    one_of: ClassVar[tuple[str, ...]] = ("reply", "script")
    """Keys of which one must be there."""

    def __post_init__(self) -> None:
        # What is rare is not called: there may be many rules.
        if (self.reply.__class__, self.stream.__class__, self.timing.__class__) != _BLOCKS or (
            self.when.__class__ is not When
        ):
            _check_types(self)
        if self.script or self.reply is _NONE:
            _check_script(self)
        if self.fault is not None or self.then or self.script:
            _check_counts(self)
        check_dialect(self.dialect)
        check_calls(self.reply, self.fault)
        check_padding(self.reply, self.stream)
        if self.stream.score:
            check_score(self.stream.score)
        if self.name is not None:
            check_name("name", self.name)

    @property
    def steps(self) -> tuple[Step, ...]:
        """All its replies in order."""
        return self.script or (Step(self.reply, self.stream, self.timing, self.fault, self.patch), *self.then)

    @property
    def counted_by(self) -> CountedBy:
        """Which requests of a session count as attempts at this rule."""
        if self.script:
            return "rule"
        return next((each.by for each in _times(self)), "request")

    def fault_in(self, stream: bool) -> Fault | None:
        """The fault if it can apply: some faults apply only to streams, others only to whole bodies."""
        return self.fault if self.fault is not None and self.fault.applies(stream) else None


def _times(rule: Rule) -> Iterator[Times]:
    """What sets how the attempts at a rule are counted."""
    faults = (rule.fault, *(step.fault for step in (*rule.then, *rule.script)))
    return (fault.times for fault in faults if fault is not None and isinstance(fault.times, Times))


def _check_types(value: Rule | Step) -> None:
    """Raises FieldError if a block that is built in Python is a value of another type, such as a text as the reply."""
    for name, kind in (("reply", Reply), ("when", When), ("stream", Variation), ("timing", Timing)):
        block: object = getattr(value, name, kind())
        if not isinstance(block, kind):
            text = f"content={shortened(block)}" if name == "reply" and isinstance(block, str) else "…"
            remedy = f"write fakellm.{kind.__name__}({text})"
            if isinstance(value, Rule):
                remedy += ", or build the rule with fakellm.on(…).reply(…)"
            raise FieldError((name,), f"{name}: expected a {kind.__name__}, got {shortened(block)}; {remedy}")


def _check_script(rule: Rule) -> None:
    """Raises FieldError if a rule has neither a reply nor a script, or beside its script what belongs in a step."""
    if not rule.script:
        raise FieldError((), "the key 'reply' is missing")
    plain = Rule(Reply())
    for name in ("reply", *Step.__struct_fields__[1:], "then", "after"):
        if getattr(rule, name) != getattr(plain, name):
            raise FieldError((name,), f"{name!r} beside 'script': set it in the steps of the script, or leave it out")


def _check_counts(rule: Rule) -> None:
    """Raises FieldError if the faults of a rule count its attempts in different ways."""
    ways = list(dict.fromkeys(each.by for each in _times(rule)))
    if rule.script and ways not in ([], ["rule"]):
        raise FieldError(("script",), f"a fault with 'by: {ways[0]}': the attempts at a script are counted by rule")
    if len(ways) > 1:
        raise FieldError(("fault", "times", "by"), f"one rule counts its attempts in one way, got {' and '.join(ways)}")


class Scenario(Struct, metaclass=Explaining, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rules in order: the first that matches a request answers it. `dialect` and `timing` are those of rules that set
    none, and of generated replies to requests that no rule matches. `limits` are those of all requests together."""

    name: str = msgspec.field(name="scenario", default="scenario")
    dialect: DialectName = "openai"
    timing: Timing = Timing()
    limits: Annotated[
        tuple[RateLimit, ...],
        Meta(description="Quotas of its clients: a request that does not fit into one of them gets a 429."),
    ] = ()
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        check_dialect(self.dialect)
        check_name("scenario", self.name)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """How hypothesis and IPython print it."""
        from fakellm.scenarios.files.printed import as_call

        printer.text(as_call(self))

    @property
    def computed(self) -> bool:
        """Whether any reply is a function."""
        return any(isinstance(step.reply, Computed) for rule in self.rules for step in rule.steps)

    def named_rules(self) -> tuple[Rule, ...]:
        """The rules, each with a name, a dialect and a timing: its own, or those of the scenario, with its number from
        1."""
        rules = self.rules if self.timing == AT_ONCE else tuple(_timed(rule, self.timing) for rule in self.rules)
        return tuple(
            msgspec.structs.replace(
                rule, name=rule.name or f"{self.name}#{number}", dialect=rule.dialect or self.dialect
            )
            for number, rule in enumerate(rules, 1)
        )


def _timed(rule: Rule, timing: Timing) -> Rule:
    """The rule, whose replies have this timing where they have none."""
    steps = tuple(
        step if step.timing != AT_ONCE else msgspec.structs.replace(step, timing=timing) for step in rule.steps
    )
    if rule.script:
        return msgspec.structs.replace(rule, script=steps)
    return msgspec.structs.replace(rule, timing=steps[0].timing, then=steps[1:])


VERSION = 1
"""The version of the format of scenario files."""


class ScenarioFile(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A scenario in a file."""

    include: Annotated[
        tuple[str, ...],
        Meta(description=("Files and folders, relative to the folder of this file, whose rules follow its own.")),
    ] = ()
    version: Annotated[int, Meta(ge=1, description="The version of this format, which later releases may change.")] = (
        VERSION
    )


def combine(scenarios: tuple[Scenario, ...]) -> Scenario:
    """One scenario with the rules of all, in order, under the names that they had, and the limits of all."""
    if len(scenarios) == 1:
        first = scenarios[0]
        return Scenario(
            name=first.name, dialect=first.dialect, timing=first.timing, limits=first.limits, rules=first.rules
        )
    rules = tuple(_with_own_dialect(rule) for scenario in scenarios for rule in scenario.named_rules())
    limits = tuple(limit for scenario in scenarios for limit in scenario.limits)
    return Scenario(name="+".join(scenario.name for scenario in scenarios), limits=limits, rules=rules)


def extended(scenario: Scenario | None, added: Scenario, number: int | None = None, first: bool = False) -> Scenario:
    """The scenario with the rules of another after its own or, if `first`, in front of them, or with a number (from 1),
    in place of that rule; and with the limits of both. All of its own rules keep their names.

    Rules of a scenario that has a name or a dialect keep these; all others have those of the scenario they go into.
    """
    if scenario is None:
        return added
    plain = Scenario(rules=())
    rules = added.rules
    if added.name not in (plain.name, scenario.name):
        rules = tuple(
            msgspec.structs.replace(rule, name=each.name) for rule, each in zip(rules, added.named_rules(), strict=True)
        )
    if added.dialect not in (plain.dialect, scenario.dialect):
        rules = tuple(
            _with_own_dialect(msgspec.structs.replace(rule, dialect=rule.dialect or added.dialect)) for rule in rules
        )
    limits = (*scenario.limits, *added.limits)
    if first:
        own = zip(scenario.rules, scenario.named_rules(), strict=True)
        named = tuple(msgspec.structs.replace(rule, name=each.name) for rule, each in own)
        new = tuple(
            msgspec.structs.replace(rule, name=rule.name or f"{scenario.name}#{place}")
            for place, rule in enumerate(rules, len(named) + 1)
        )
        return msgspec.structs.replace(scenario, limits=limits, rules=(*new, *named))
    before = scenario.rules if number is None else scenario.rules[: number - 1]
    after = () if number is None else scenario.rules[number:]
    return msgspec.structs.replace(scenario, limits=limits, rules=(*before, *rules, *after))


def _with_own_dialect(rule: Rule) -> Rule:
    """The rule without the dialect of its scenario, if it is for an API that does not have that."""
    api = rule.when.api
    return rule if api is None or rule.dialect in HOMES[api].dialects else msgspec.structs.replace(rule, dialect=None)
