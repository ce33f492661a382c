"""The replies whose frames wait for the test. Owns who waits, whose turn it is and how long a step waits for them.

Knows no sockets and no HTTP; beside `clock`, the only place where a frame waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fakellm.base.errors import RequestError
from fakellm.engine.engine import Release
from fakellm.wire.plan import Plan


class Stepped:
    """A stepped reply under way: so many of its frames may leave, and so many have."""

    def __init__(self, session: str | None, number: int, plan: Plan, told: Callable[[], None]) -> None:
        self.session = session
        self.number = number
        self.texts = [frame.data.decode("utf-8", "replace") for frame in plan.frames if frame.step]
        self.released = 0
        self.sent = 0
        self.over = False
        self._told = told

    def wrote(self) -> None:
        """To be told when a frame has been written to the socket."""
        self.sent += 1
        self._told()


class Steps:
    """All stepped replies of a server that are under way, the oldest first."""

    def __init__(self) -> None:
        self._replies: list[Stepped] = []
        self._changed = asyncio.Event()

    @contextmanager
    def reply(self, session: str, number: int, plan: Plan) -> Iterator[Stepped]:
        """A reply that can be stepped within this block."""
        reply = Stepped(session, number, plan, self._tell)
        self._replies.append(reply)
        self._tell()
        try:
            yield reply
        finally:
            reply.over = True
            self._replies.remove(reply)
            self._tell()

    async def turn(self, reply: Stepped) -> None:
        """Returns when the next frame of `reply` may leave."""
        await self._until(lambda: reply.released > reply.sent)

    async def release(self, what: Release) -> tuple[int, list[str]]:
        """Lets frames of one reply go, and returns its number and their texts once they have been written.

        That is the reply to the request named, else to the oldest that has frames left; fewer frames leave if it has
        fewer. Raises RequestError when none comes to wait, or its client leaves or does not read, within the timeout.
        """
        reply: Stepped | None = None
        start = end = 0
        try:
            async with asyncio.timeout(what.timeout):
                await self._until(lambda: self._find(what) is not None)
                reply = self._find(what)
                assert reply is not None  # nothing has run since
                start, left = reply.released, len(reply.texts) - reply.released
                reply.released = end = start + (left if what.frames is None else min(what.frames, left))
                self._tell()
                await self._until(lambda: reply.over or reply.sent >= end)
        except TimeoutError:
            if reply is None:
                raise _nothing(what) from None
        if reply.sent < end:
            how = "left" if reply.over else f"did not read on for {what.timeout:g} s"
            message = (
                f"The client of request {reply.number} {how}: {reply.sent} of {len(reply.texts)} frames were sent."
            )
            raise RequestError(409, message, "step_not_taken")
        return reply.number, reply.texts[start:end]

    def free(self, session: str | None = None) -> None:
        """Lets all frames that wait in a session, or in any, go at once: nobody is there to step them any more."""
        for reply in self._replies:
            if session in (None, reply.session):
                reply.session = None  # no step finds it again
                reply.released = len(reply.texts)
        self._tell()

    def _find(self, what: Release) -> Stepped | None:
        for reply in self._replies:
            meant = reply.session == what.session and what.request in (None, reply.number)
            if meant and reply.released < len(reply.texts):
                return reply
        return None

    async def _until(self, ready: Callable[[], bool]) -> None:
        while not ready():
            await self._changed.wait()

    def _tell(self) -> None:
        """Lets all who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()


def _nothing(what: Release) -> RequestError:
    who = "No reply has a" if what.request is None else f"Request {what.request} has no"
    hint = "`timing: {step: true}` in a rule makes one."
    return RequestError(409, f"{who} frame that waits for a step, after {what.timeout:g} s. {hint}", "nothing_to_step")
