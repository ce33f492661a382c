"""What a test author writes: rules, each a `when` and a reply. Values only; `loader` knows where they come from.

A reply is a completion with gaps: what is not given is made from the seed and the request when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from fakellm.apis.chat.meaning import annotations_of, chat_choice, logprobs_of
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.variation import Variation
from fakellm.base.json_text import dumps
from fakellm.base.validation import FieldError, Path, near_miss
from fakellm.faults import Fault
from fakellm.faults.base import check_headers
from fakellm.generate import Generate
from fakellm.model.blocks import Block, Choice, Completion, Refusal, Text, Token, ToolCall
from fakellm.model.request import Request
from fakellm.scenarios import templates
from fakellm.scenarios.matching import When
from fakellm.scenarios.usage import Usage, usage_block
from fakellm.wire.frame_edits import Edit
from fakellm.wire.timing import Timing


class Call(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tool call. `arguments` is the text on the wire, or a mapping to be written as compact JSON.

    kind: `custom` for a call of a custom tool, whose input is `arguments`.
    """

    name: str
    arguments: str | dict[str, Any] = "{}"
    id: Annotated[str, Meta(min_length=1)] | None = None
    kind: Literal["function", "custom"] = "function"


class ReplyChoice(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One answer. Without a `finish_reason` it is `tool_calls` where there are calls and `stop` where there are none;
    `finish_reason: null` never sends one.

    logprobs, refusal_logprobs: the tokens of the content and of the refusal, each as a list: its text, the logarithm of
    its probability and, if wanted, what might have stood there: ``[[It, -0.1], [" is", -0.2, [[" was", -1.9]]]]``.
    annotations: what the content cites, each word for word as it stands on the wire, whatever the dialect.
    template: the texts and the arguments have gaps such as `{{user}}`, which the request fills (see `template`).
    """

    content: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[Call, ...] = ()
    finish_reason: str | UnsetType | None = UNSET
    logprobs: tuple[Token, ...] = ()
    refusal_logprobs: tuple[Token, ...] = ()
    annotations: tuple[dict[str, Any], ...] = ()
    template: bool = False

    def __post_init__(self) -> None:
        for name, text in (("logprobs", "content"), ("refusal_logprobs", "refusal")):
            if getattr(self, name) and not getattr(self, text):
                raise FieldError((name,), f"{name!r} without {text!r}: they are the tokens of that text")
        for path, said in self.texts() if self.template else ():
            try:
                templates.check(said)
            except ValueError as error:
                raise FieldError(path, str(error)) from None

    def texts(self) -> Iterator[tuple[Path, str]]:
        """All that is said, with its path: the texts, and those in the arguments of calls."""
        yield from (((name,), getattr(self, name)) for name in ("content", "reasoning", "refusal"))
        for number, call in enumerate(self.tool_calls):
            yield from templates.texts_in(call.arguments, ("tool_calls", number, "arguments"))


class Reply(ReplyChoice, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `reply:` block of a rule: one answer, or several as `choices`, and the envelope around them.

    Not given: `id`, `created` and `system_fingerprint` come from the seed, `model` is the one asked for, and `usage` is
    counted; `usage: null` sends none, and `system_fingerprint: null` is a null. `headers` are those of the response,
    more of them or in place of the usual ones. With `generate`, what is said comes from the seed too, and does as the
    request asks.
    """

    generate: Generate | None = None
    choices: tuple[ReplyChoice, ...] = ()
    id: Annotated[str, Meta(min_length=1)] | None = None
    created: Annotated[int, Meta(ge=1)] | None = None
    model: Annotated[str, Meta(min_length=1)] | None = None
    system_fingerprint: str | UnsetType | None = UNSET
    usage: Usage | UnsetType | None = UNSET
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_headers(self.headers)
        given = [name for name in ReplyChoice.__struct_fields__ if getattr(self, name) not in ("", (), UNSET, False)]
        if self.choices and given:
            raise FieldError((given[0],), f"{given[0]!r} beside 'choices': give the answers there, or one answer here")
        if self.generate and (given := [*given, *(["choices"] if self.choices else [])]):
            raise FieldError((given[0],), f"{given[0]!r} beside 'generate': say it here, or have it made")

    def gaps(self) -> Iterator[Path]:
        """What the gaps of its templates name."""
        choices = [choice for choice in self.choices or (self,) if choice.template]
        return (gap for choice in choices for _, text in choice.texts() for gap in templates.gaps(text))


class Computed(Reply, frozen=True, kw_only=True):
    """A reply that a Python function makes of the request: it returns a Reply, or a text, and says all there is to say.

    It is called for each request, in the server's thread; no YAML can say it.
    """

    function: Callable[[Request], Reply | str]

    def __post_init__(self) -> None:
        plain = Reply()
        for name in Reply.__struct_fields__:
            if getattr(self, name) != getattr(plain, name):
                raise FieldError((name,), f"{name!r} beside a function: the Reply that it returns says it")


class Step(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of several replies of a rule, with its `stream`, `timing`, `fault` and `patch` blocks.

    It is for one attempt; a fault that strikes only some attempts is for those and the first plain one after them.
    """

    reply: Reply
    stream: Variation = Variation()
    timing: Timing = Timing()
    fault: Fault | None = None
    patch: tuple[Edit, ...] = ()

    def __post_init__(self) -> None:
        _check_calls(self.reply, self.fault)

    def attempts(self, stream: bool) -> int:
        """How many attempts of the same request get this reply, before the next one's turn."""
        fault = self.fault
        if fault is None or not fault.strikes(stream):
            return 1
        return fault.after + (1 if fault.times is None else fault.times + 1)


class Attempt(Struct, frozen=True):
    """Which of a rule's replies an attempt gets, and whether its fault may strike. `number` is the attempt's, from 1,
    where the reply speaks of it; else 1."""

    step: int = 0
    faulty: bool = True
    number: int = 1


class Rule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request to wait for and the reply to it: what is said, how it is divided, when it is sent, what goes wrong.

    patch: frames to be sent word for word, where a recording holds what nothing else can say.
    then: more replies, for when the same request comes again: attempts are counted by session, rule and what is asked
        (`Request.digest`), so that requests at the same time do not take each other's turn.
    after: what follows the last: that one again, all of them from the start (`cycle`), or a refusal (`fail`).
    """

    reply: Reply
    when: When = When()
    stream: Variation = Variation()
    timing: Timing = Timing()
    fault: Fault | None = None
    patch: tuple[Edit, ...] = ()
    name: str | None = None
    dialect: str | None = None
    then: tuple[Step, ...] = ()
    after: Literal["last", "cycle", "fail"] = "last"

    def __post_init__(self) -> None:
        _check_dialect(self.dialect)
        _check_calls(self.reply, self.fault)

    @property
    def steps(self) -> tuple[Step, ...]:
        """All its replies in order."""
        return (Step(self.reply, self.stream, self.timing, self.fault, self.patch), *self.then)

    def counts(self, stream: bool) -> bool:
        """Whether it matters which attempt a request is."""
        fault = self.fault_in(stream)
        return bool(self.then or self.after == "fail" or (fault and fault.counts)) or self._says_attempt()

    def attempt(self, number: int, stream: bool) -> Attempt | None:
        """What the attempt of this number, from 1, gets; None where all is said."""
        lengths = [step.attempts(stream) for step in self.steps]
        place = number - 1
        if self.after == "cycle":
            place %= sum(lengths)
        elif place >= sum(lengths):
            if self.after == "fail":
                return None
            place = sum(lengths) - 1
        step = next(step for step in range(len(lengths)) if place < sum(lengths[: step + 1]))
        fault = self.steps[step].fault
        faulty = fault is None or fault.meets(place - sum(lengths[:step]))
        return Attempt(step, faulty, number if self._says_attempt() else 1)

    def at(self, attempt: Attempt) -> Rule:
        """The rule with the reply of this attempt alone."""
        step = self.steps[attempt.step]
        said = msgspec.structs.asdict(step) | {"fault": step.fault if attempt.faulty else None}
        return msgspec.structs.replace(self, **said, then=(), after="last")

    def fault_in(self, stream: bool) -> Fault | None:
        """The fault where it can strike: some strike streams alone, others whole bodies alone."""
        return self.fault if self.fault is not None and self.fault.strikes(stream) else None

    def headers_read(self) -> frozenset[str]:
        """The headers that it looks at, in lower case."""
        said = [str(gap[1]) for step in self.steps for gap in step.reply.gaps() if gap[0] == "headers"]
        return frozenset(name.lower() for name in (*self.when.headers, *said))

    def _says_attempt(self) -> bool:
        return any(gap[0] == "attempt" for step in self.steps for gap in step.reply.gaps())


def _check_calls(reply: Reply, fault: Fault | None) -> None:
    """A fault in tool calls needs them; what a function will say is seen when it has said it."""
    most = max(len(choice.tool_calls) for choice in reply.choices or (reply,))
    if fault is not None and fault.calls > most and not isinstance(reply, Computed):
        wanted = "a tool call" if fault.calls == 1 else f"{fault.calls} tool calls in one answer"
        raise FieldError(
            ("fault", "kind"), f"{fault.kind!r} needs a reply with {wanted}; give 'reply' its 'tool_calls'"
        )


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rules in order: the first that meets a request answers it. `dialect` is that of rules which name none."""

    name: str = msgspec.field(name="scenario", default="scenario")
    dialect: str = "openai"
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        _check_dialect(self.dialect)

    @property
    def computed(self) -> bool:
        """Whether a reply in it is a function."""
        return any(isinstance(step.reply, Computed) for rule in self.rules for step in rule.steps)

    def named_rules(self) -> tuple[Rule, ...]:
        """The rules, each with a name and a dialect: its own, or the scenario's with its number, from 1."""
        return tuple(
            msgspec.structs.replace(
                rule, name=rule.name or f"{self.name}#{number}", dialect=rule.dialect or self.dialect
            )
            for number, rule in enumerate(self.rules, 1)
        )


class ScenarioFile(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A scenario as it stands in a file.

    include: files and folders, from this file's own folder, whose rules come after its own.
    """

    include: tuple[str, ...] = ()


def combine(scenarios: tuple[Scenario, ...]) -> Scenario:
    """One scenario with the rules of all, in order, under the names they had."""
    if len(scenarios) == 1:
        return Scenario(name=scenarios[0].name, dialect=scenarios[0].dialect, rules=scenarios[0].rules)
    rules = tuple(rule for scenario in scenarios for rule in scenario.named_rules())
    return Scenario(name="+".join(scenario.name for scenario in scenarios), rules=rules)


def reply_of(completion: Completion, values: Mapping[str, Any] | None = None) -> Reply:
    """The reply without gaps that is just this completion. `values`: the id, created, model and system_fingerprint
    around it; what is not there is drawn."""
    choices = tuple(_reply_choice(choice) for choice in completion.choices)
    around: dict[str, Any] = dict(values or {})
    around["usage"] = completion.usage and usage_block(completion.usage)
    if len(choices) == 1:
        return Reply(**msgspec.structs.asdict(choices[0]), **around)
    return Reply(choices=choices, **around)


def choice_blocks(choice: ReplyChoice) -> tuple[Block, ...]:
    """The blocks of an answer."""
    calls = (
        ToolCall(
            call.id,
            call.name,
            call.arguments if isinstance(call.arguments, str) else dumps(call.arguments),
            call.kind,
        )
        for call in choice.tool_calls
    )
    return chat_choice(
        choice.content,
        choice.reasoning,
        choice.refusal,
        calls,
        None,
        choice.logprobs,
        choice.refusal_logprobs,
        choice.annotations,
    ).blocks


def _reply_choice(choice: Choice) -> ReplyChoice:
    return ReplyChoice(
        choice.content,
        choice.reasoning,
        choice.refusal,
        tuple(
            Call(call.name, call.arguments, call.id, "custom" if call.kind == "custom" else "function")
            for call in choice.tool_calls
        ),
        choice.finish_reason,
        logprobs_of(choice, Text),
        logprobs_of(choice, Refusal),
        tuple(annotations_of(choice)),
    )


def _check_dialect(name: str | None) -> None:
    if name is not None and name not in DIALECTS:
        known = ", ".join(DIALECTS)
        raise FieldError(
            ("dialect",), f"there is no dialect {name!r}; there are {known}{near_miss(name, list(DIALECTS))}"
        )
