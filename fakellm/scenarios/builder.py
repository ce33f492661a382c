"""Builds rules in Python: `on(model="gpt-*").fail(429, times=2).reply("Hi")`. The values are those that YAML gives.

It knows no files and no server. Whatever accepts a scenario accepts these too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fakellm import faults
from fakellm.apis.variation import Variation
from fakellm.base.errors import ScenarioError
from fakellm.model.request import Request
from fakellm.scenarios.matching import When
from fakellm.scenarios.reply import Call, Computed, Reply
from fakellm.scenarios.scenario import Rule, Step
from fakellm.scenarios.written_values import check
from fakellm.wire.timing import Timing


def on(when: When | None = None, /, *, name: str | None = None, dialect: str | None = None, **conditions: Any) -> On:
    """A rule for the requests that match these conditions, the keys of `When`: `model`, `user`, `turn`, `tools`…

    `name` and `dialect` are those of the rule. Set its reply with the methods of the returned value. Each method
    returns a new rule, so calls can be chained, and one start can be used for several rules.
    """
    check(when or When(**conditions), When, "on(…)")
    check({"name": name, "dialect": dialect}, _Names, "on(…)")
    return On(when or When(**conditions), name, dialect)


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

    def reply(
        self, what: str | Reply | Callable[[Request], Reply | str | Awaitable[Reply | str]] = "", /, **fields: Any
    ) -> On:
        """Answers with a text, and other fields of `Reply`; with a whole Reply; or with what a function of the request
        returns, async or not. A function needs a server in this process (`serve`, not `spawn`), and is called in a
        separate thread for each request, so that a function that blocks delays no other reply."""
        if not isinstance(what, (str, Reply)) and not callable(what):
            raise ScenarioError([f"on(…): reply: expected a text, a Reply or a function of the request, got {what!r}"])
        if isinstance(what, str):
            return self._with(reply=Reply(content=what, **fields))
        if fields:
            raise ScenarioError([f"on(…): {', '.join(fields)} beside a whole reply; set it in that reply"])
        return self._with(reply=what if isinstance(what, Reply) else Computed(function=what))

    def call_tool(self, function: str, /, **arguments: Any) -> On:
        """Answers with a call of this function, after the text if there is one. Repeat it for parallel calls."""
        step = dict(self.steps[-1])
        reply = step.pop("reply", Reply())
        reply = replace(reply, tool_calls=(*reply.tool_calls, Call(function, arguments)))
        return replace(self, steps=(*self.steps[:-1], step))._with(reply=reply)

    def fail(
        self,
        status: int = 500,
        *,
        retry_after: float | str | None = None,
        times: int | None = None,
        after: int = 0,
        **fields: Any,
    ) -> On:
        """Fails with this status, on all attempts or on `times` of them. Other fields are those of `faults.Status`."""
        return self.fault(faults.Status(status=status, retry_after=retry_after, times=times, after=after, **fields))

    def fault(self, fault: faults.Fault) -> On:
        """Injects this fault."""
        return self._with(fault=fault)

    def stream(self, **fields: Any) -> On:
        """Streams in this way: the fields of `Variation`."""
        return self._with(stream=Variation(**fields))

    def timing(self, **fields: Any) -> On:
        """Sends the frames at these times: the fields of `Timing`."""
        return self._with(timing=Timing(**fields))

    def then(self) -> On:
        """Starts the reply to the next attempt of the same request."""
        return replace(self, steps=(*self.steps, {}))

    def after(self, what: Literal["last", "cycle", "fail"]) -> On:
        """Sets what follows the last reply: that reply again, all from the first on, or a refusal."""
        return replace(self, ends=what)

    @property
    def rule(self) -> Rule:
        """The rule. Raises ScenarioError if it has no reply."""
        if not all("reply" in step or "fault" in step for step in self.steps):
            raise ScenarioError(["on(…) without a reply: add .reply(…), .call_tool(…) or .fail(…)"])
        first, *then = ({"reply": Reply()} | step for step in self.steps)
        steps = tuple(Step(**step) for step in then)
        return Rule(**first, when=self.when, name=self.name, dialect=self.dialect, then=steps, after=self.ends)

    def _with(self, **blocks: Any) -> On:
        for key in blocks.keys() & self.steps[-1].keys():
            raise ScenarioError(
                [f"on(…): a {key} after a {key}; put .then() between them, or set all of it in one call"]
            )
        for key, value in blocks.items():
            check({key: value}, _BLOCKS[key], "on(…)")
        return replace(self, steps=(*self.steps[:-1], self.steps[-1] | blocks))


_BLOCKS = {field.name: msgspec.defstruct("Block", [(field.name, field.type)]) for field in msgspec.structs.fields(Step)}
"""For each block of a rule, a value that has only this block."""
