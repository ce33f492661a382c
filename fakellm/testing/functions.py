"""Notes what the functions of replies raise, so that it is raised in the test too, and not only shown to the client."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from threading import Lock
from typing import Any

from msgspec.structs import replace

from fakellm.base.errors import ReplyError
from fakellm.engine.resolve import shown
from fakellm.model.request import Request
from fakellm.scenarios.reply import Computed, Reply
from fakellm.scenarios.scenario import Rule, Scenario

Function = Callable[[Request], Any]


class Raised:
    """The exceptions that functions have raised on one server, by the session whose scenario has the function."""

    def __init__(self) -> None:
        self._lock = Lock()  # each function has its own thread
        self._errors: list[tuple[str, BaseException]] = []

    def watched(self, scenario: Scenario, session: str) -> Scenario:
        """The scenario of a session with functions that note what they raise."""
        if not scenario.computed:
            return scenario
        return replace(scenario, rules=tuple(self._rule(rule, session) for rule in scenario.rules))

    def take(self, session: str | None = None) -> list[BaseException]:
        """What has been raised since the last call, oldest first; with a session, only in it and in the server's own
        scenario."""
        with self._lock:
            due = [pair for pair in self._errors if session is None or pair[0] in (session, "")]
            self._errors = [pair for pair in self._errors if pair not in due]
        return [error for _, error in due]

    def _rule(self, rule: Rule, session: str) -> Rule:
        steps = {
            name: tuple(replace(step, reply=self._reply(step.reply, session)) for step in getattr(rule, name))
            for name in ("then", "script")
        }
        return replace(rule, reply=self._reply(rule.reply, session), **steps)

    def _reply(self, reply: Reply, session: str) -> Reply:
        return Computed(function=self._noting(reply.function, session)) if isinstance(reply, Computed) else reply

    def _noting(self, function: Function, session: str) -> Function:
        def noting(request: Request) -> Any:
            try:
                result = function(request)
            except BaseException as error:
                self._note(session, error)
                raise
            return awaiting(result) if inspect.isawaitable(result) else result

        async def awaiting(result: Awaitable[Any]) -> Any:
            try:
                return await result
            except BaseException as error:
                task = asyncio.current_task()
                if not (isinstance(error, asyncio.CancelledError) and task and task.cancelling()):  # the client left
                    self._note(session, error)
                raise

        return noting

    def _note(self, session: str, error: BaseException) -> None:
        with self._lock:
            self._errors.append((session, error))


def raise_first(errors: list[BaseException]) -> None:
    """Raises the first error, with the others in its notes. One that would end the program is raised as the cause of a
    ReplyError."""
    if not errors:
        return
    first, *others = errors
    if isinstance(first, (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)):
        error: BaseException = ReplyError(f"the function of a reply raised {shown(first)}")
        error.__cause__ = first
    else:
        error = first
        error.add_note("fakellm: the function of a reply raised this")
    for other in others:
        error.add_note(f"fakellm: then, the function of a reply raised {shown(other)}")
    raise error
