"""What a test author writes: rules, each a `when` and a reply. Values only; `loader` knows where they come from.

A reply is a completion with gaps: what is not given is made from the seed and the request when it is asked for.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from fakellm.completion import Choice, Completion, Token, Usage
from fakellm.dialects import DIALECTS
from fakellm.faults import Fault
from fakellm.generate import Generate
from fakellm.match import When
from fakellm.shape import FieldError, near_miss
from fakellm.timing import Timing
from fakellm.variation import Variation


class Call(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tool call. `arguments` is the text on the wire, or a mapping to be written as compact JSON."""

    name: str
    arguments: str | dict[str, Any] = "{}"
    id: Annotated[str, Meta(min_length=1)] | None = None


class ReplyChoice(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One answer. Without a `finish_reason` it is `tool_calls` where there are calls and `stop` where there are none;
    `finish_reason: null` never sends one.

    logprobs, refusal_logprobs: the tokens of the content and of the refusal, each as a list: its text, the logarithm of
    its probability and, if wanted, what might have stood there: ``[[It, -0.1], [" is", -0.2, [[" was", -1.9]]]]``.
    """

    content: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[Call, ...] = ()
    finish_reason: str | UnsetType | None = UNSET
    logprobs: tuple[Token, ...] = ()
    refusal_logprobs: tuple[Token, ...] = ()

    def __post_init__(self) -> None:
        for name, text in (("logprobs", "content"), ("refusal_logprobs", "refusal")):
            if getattr(self, name) and not getattr(self, text):
                raise FieldError((name,), f"{name!r} without {text!r}: they are the tokens of that text")


class Reply(ReplyChoice, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `reply:` block of a rule: one answer, or several as `choices`, and the envelope around them.

    Not given: `id`, `created` and `system_fingerprint` come from the seed, `model` is the one asked for, and `usage` is
    counted; `usage: null` sends none, and `system_fingerprint: null` is a null. With `generate`, what is said comes
    from the seed too, and does as the request asks.
    """

    generate: Generate | None = None
    choices: tuple[ReplyChoice, ...] = ()
    id: Annotated[str, Meta(min_length=1)] | None = None
    created: Annotated[int, Meta(ge=1)] | None = None
    model: Annotated[str, Meta(min_length=1)] | None = None
    system_fingerprint: str | UnsetType | None = UNSET
    usage: Usage | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        ReplyChoice.__post_init__(self)
        given = [name for name in ReplyChoice.__struct_fields__ if getattr(self, name) not in ("", (), UNSET)]
        if self.choices and given:
            raise FieldError((given[0],), f"{given[0]!r} beside 'choices': give the answers there, or one answer here")
        if self.generate and (given := [*given, *(["choices"] if self.choices else [])]):
            raise FieldError((given[0],), f"{given[0]!r} beside 'generate': say it here, or have it made")


class Rule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request to wait for and the reply to it: what is said, how it is divided, when it is sent, what goes wrong."""

    reply: Reply
    when: When = When()
    stream: Variation = Variation()
    timing: Timing = Timing()
    fault: Fault | None = None
    name: str | None = None
    dialect: str | None = None

    def __post_init__(self) -> None:
        _check_dialect(self.dialect)
        most = max(len(choice.tool_calls) for choice in self.reply.choices or (self.reply,))
        if self.fault is not None and self.fault.calls > most:
            wanted = "a tool call" if self.fault.calls == 1 else f"{self.fault.calls} tool calls in one answer"
            message = f"{self.fault.kind!r} needs a reply with {wanted}; give 'reply' its 'tool_calls'"
            raise FieldError(("fault", "kind"), message)

    def fault_in(self, stream: bool) -> Fault | None:
        """The fault where it can strike: some strike streams alone, others whole bodies alone."""
        return self.fault if self.fault is not None and self.fault.strikes(stream) else None


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rules in order: the first that meets a request answers it. `dialect` is that of rules which name none."""

    name: str = msgspec.field(name="scenario", default="scenario")
    dialect: str = "openai"
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        _check_dialect(self.dialect)

    def named_rules(self) -> tuple[Rule, ...]:
        """The rules, each with a name and a dialect: its own, or the scenario's with its number, from 1."""
        return tuple(
            msgspec.structs.replace(
                rule, name=rule.name or f"{self.name}#{number}", dialect=rule.dialect or self.dialect
            )
            for number, rule in enumerate(self.rules, 1)
        )


def combine(scenarios: tuple[Scenario, ...]) -> Scenario:
    """One scenario with the rules of all, in order, under the names they had."""
    if len(scenarios) == 1:
        return scenarios[0]
    rules = tuple(rule for scenario in scenarios for rule in scenario.named_rules())
    return Scenario(name="+".join(scenario.name for scenario in scenarios), rules=rules)


def reply_of(completion: Completion) -> Reply:
    """The reply without gaps that says just this completion."""
    choices = tuple(_reply_choice(choice) for choice in completion.choices)
    envelope: dict[str, Any] = {
        "id": completion.id,
        "created": completion.created,
        "model": completion.model,
        "system_fingerprint": completion.system_fingerprint,
        "usage": completion.usage,
    }
    if len(choices) == 1:
        return Reply(**msgspec.structs.asdict(choices[0]), **envelope)
    return Reply(choices=choices, **envelope)


def _reply_choice(choice: Choice) -> ReplyChoice:
    calls = tuple(Call(call.name, call.arguments, call.id) for call in choice.tool_calls)
    return ReplyChoice(
        choice.content,
        choice.reasoning,
        choice.refusal,
        calls,
        choice.finish_reason,
        choice.logprobs,
        choice.refusal_logprobs,
    )


def _check_dialect(name: str | None) -> None:
    if name is not None and name not in DIALECTS:
        known = ", ".join(DIALECTS)
        raise FieldError(
            ("dialect",), f"there is no dialect {name!r}; there are {known}{near_miss(name, list(DIALECTS))}"
        )
