"""Builds rules in Python: `on(model="gpt-*").fail(429, times=2).reply("Hi")`. The values are those that YAML has.

It knows no files and no server. Whatever accepts a scenario accepts these too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Never, Self

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fakellm import faults
from fakellm.apis.variation import Variation
from fakellm.base.errors import ScenarioError
from fakellm.base.validation import FieldError, dotted, shortened
from fakellm.base.words.near_miss import near_miss
from fakellm.faults.base import Base, CountedBy
from fakellm.scenarios.matching import When
from fakellm.scenarios.mistakes.at_the_call import at_the_call
from fakellm.scenarios.python_replies import ReplyValue, call_with, check_fields, python_reply
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule, Step
from fakellm.scenarios.written_values import check
from fakellm.wire.timing import Timing


@at_the_call
def on(when: When | None = None, /, *, name: str | None = None, dialect: str | None = None, **conditions: Any) -> On:
    """A rule for the requests that match these conditions, the keys of `When`: `model`, `user`, `turn`, `tools`…

    `name` and `dialect` are those of the rule. Set its reply with the methods of the returned value. Each method
    returns a new rule, so calls can be chained, and one start can be used for several rules. Raises ScenarioError.
    """
    return On(checked_when(when, name, dialect, conditions), name, dialect)


def checked_when(when: object, name: object, dialect: object, conditions: dict[str, Any]) -> When:
    """The conditions of a rule. Raises ScenarioError."""
    check_fields(When, conditions, "on(…)", "name", "dialect")
    if when is not None and (conditions or not isinstance(when, When)):
        expected = "conditions by name, such as user='Hi', or one When alone"
        raise ScenarioError([f"on(…): expected {expected}, got {shortened(when)}"])
    try:
        found = when if isinstance(when, When) else When(**conditions)
    except FieldError as error:
        raise ScenarioError([f"on(…): {dotted(error.path)}: {error}"]) from None
    check(found, When, "on(…)")
    check({"name": name, "dialect": dialect}, _Names, "on(…)")
    return found


_METHODS = ("reply", "script", "call_tool", "fail", "fault", "stream", "timing", "then", "after")

_MEANT = {
    "delay": "timing(first=1)",
    "latency": "timing(first=1)",
    "sleep": "timing(first=1)",
    "error": "fail(status)",
    "once": "script(…)",
    "raises": "fail(status)",
    "respond": "reply(…)",
    "return_value": "reply(…)",
    "returns": "reply(…)",
    "side_effect": "script(…)",
    "times": "fail(status, times=…)",
}
"""What other libraries call the methods."""


class _Names(Struct):
    name: str | None
    dialect: str | None


class On(Struct, frozen=True):
    """An unfinished rule. `rule` is its value."""

    when: When
    name: str | None = None
    dialect: str | None = None
    steps: tuple[dict[str, Any], ...] = ({},)
    ends: Literal["last", "cycle", "fail"] = "last"
    scripted: tuple[Step, ...] = ()

    @at_the_call
    def reply(self, what: ReplyValue = "", /, **fields: Any) -> Self:
        """Answers with a text, and other fields of `Reply`; with a dict, pydantic model or dataclass, which is sent as
        JSON; with a `Call` or several; with a whole Reply; or with what a function of the request returns, async or
        not. A function needs a server in this process (`serve`, not `spawn`), and is called in a separate thread for
        each request, so that a function that blocks delays no other reply."""
        return self._with(reply=python_reply(what, "on(…).reply", fields))

    @at_the_call
    def script(self, *replies: ReplyValue | faults.Fault | Step) -> Self:
        """Answers the requests of a session in this order, whatever they ask: each with what `reply` takes, with a
        fault, or with a `Step` for both. A request after the last reply is refused."""
        if not replies or self.scripted or self.steps != ({},):
            message = "expected one or more replies" if not replies else "a script beside other replies of the rule"
            raise ScenarioError([f"on(…).script: {message}; put all replies in order into one script(…)"])
        return self._changed(scripted=tuple(_step(reply, number) for number, reply in enumerate(replies)))

    @at_the_call
    def call_tool(self, function: str, /, *more: Never, **arguments: Any) -> Self:
        """Answers with a call of this function, after the text if there is one. Repeat it for parallel calls."""
        reply = self.steps[-1].get("reply", Reply())
        reply = replace(reply, tool_calls=(*reply.tool_calls, call_with("call_tool", function, more, arguments)))
        return self._with(replaces=True, reply=reply)

    @at_the_call
    def fail(
        self,
        status: int = 500,
        *,
        retry_after: float | str | None = None,
        times: int | faults.Times | None = None,
        by: CountedBy = "request",
        after: int = 0,
        **fields: Any,
    ) -> Self:
        """Fails with this status, on all attempts or on `times` of them, which are counted `by` request, rule or
        session. Other fields are those of `faults.Status`."""
        check_fields(faults.Status, fields, "on(…).fail", "by")
        if by != "request":
            if not isinstance(times, int):
                raise ScenarioError([f"on(…).fail: by={by!r} needs times=…, the number of attempts that fail"])
            times = faults.Times(times, by)
        return self.fault(faults.Status(status=status, retry_after=retry_after, times=times, after=after, **fields))

    @at_the_call
    def fault(self, fault: faults.Fault) -> Self:
        """Injects this fault."""
        return self._with(fault=fault)

    @at_the_call
    def stream(self, **fields: Any) -> Self:
        """Streams in this way: the fields of `Variation`."""
        check_fields(Variation, fields, "on(…).stream")
        return self._with(stream=Variation(**fields))

    @at_the_call
    def timing(self, **fields: Any) -> Self:
        """Sends the frames at these times: the fields of `Timing`."""
        check_fields(Timing, fields, "on(…).timing")
        return self._with(timing=Timing(**fields))

    @at_the_call
    def then(self) -> Self:
        """Starts the reply to the next attempt of the same request."""
        return self._changed(steps=(*self.steps, {}))

    def after(self, what: Literal["last", "cycle", "fail"]) -> Self:
        """Sets what follows the last reply: that reply again, all from the first on, or a refusal."""
        return self._changed(ends=what)

    @property
    def complete(self) -> bool:
        """Whether each of its replies has been set."""
        return bool(self.scripted) or all("reply" in step or "fault" in step for step in self.steps)

    @property
    def rule(self) -> Rule:
        """The rule. Raises ScenarioError if it has no reply."""
        if self.scripted:
            return Rule(when=self.when, name=self.name, dialect=self.dialect, script=self.scripted)
        if not self.complete:
            raise ScenarioError(["on(…) without a reply: add .reply(…), .script(…), .call_tool(…) or .fail(…)"])
        first, *then = ({"reply": Reply()} | step for step in self.steps)
        steps = tuple(Step(**step) for step in then)
        return Rule(**first, when=self.when, name=self.name, dialect=self.dialect, then=steps, after=self.ends)

    if not TYPE_CHECKING:  # a type checker would take any name for one that is there

        def __getattr__(self, name: str) -> object:
            near = f"; did you mean .{_MEANT[name]}?" if name in _MEANT else near_miss(name, _METHODS)
            message = f"on(…) has no {name!r}; it has {', '.join(_METHODS)}{near}"
            raise AttributeError(message, name="", obj=None)  # so that Python adds no hint of its own

    def _with(self, replaces: bool = False, **blocks: Any) -> Self:
        for key in blocks:
            if self.scripted:
                message = f"a {key} beside a script; write fakellm.Step(reply=…, {key}=…) in the script"
                raise ScenarioError([f"on(…): {message}"])
            if key in self.steps[-1] and not replaces:
                message = f"a {key} after a {key}; put .then() between them, or set all of it in one call"
                if key == "reply":
                    message += "; for replies in order whatever the request, write .script(…)"
                raise ScenarioError([f"on(…): {message}"])
        for key, value in blocks.items():
            check({key: value}, _BLOCKS[key], "on(…)")
        return self._changed(steps=(*self.steps[:-1], self.steps[-1] | blocks))

    def _changed(self, **fields: Any) -> Self:
        """The rule with these fields."""
        return replace(self, **fields)


def _step(value: object, number: int) -> Step:
    """One reply of a script."""
    name = f"on(…).script: replies[{number}]"
    if isinstance(value, On):
        message = "expected a reply, not on(…): write the reply itself, or fakellm.Step(reply=…, fault=…)"
        raise ScenarioError([f"{name}: {message}"])
    if isinstance(value, Step):
        step = value
    elif isinstance(value, Base):
        step = Step(Reply(), fault=value)  # type: ignore[arg-type] # all faults are members of the union
    elif isinstance(value, int) and 400 <= value < 600:
        remedy = f"write fakellm.faults.Status(status={value})"
        raise ScenarioError([f"{name}: a status is not a reply, got {value}; {remedy}"])
    else:
        step = Step(python_reply(value, name, {}))
    check(step, Step, name)
    return step


_BLOCKS = {field.name: msgspec.defstruct("Block", [(field.name, field.type)]) for field in msgspec.structs.fields(Step)}
"""For each block of a rule, a value that has only this block."""
