"""Stepped replies, whose frames wait for the test. Owns which replies wait, whose turn it is and how long a step waits.

Knows no sockets and no HTTP; only here and in `clock` does a frame wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fakellm.base.errors import RequestError
from fakellm.base.words.count import count
from fakellm.engine.response import Release
from fakellm.wire.plan import Plan


class Stepped:
    """A stepped reply under way: how many of its frames may be sent, and how many have been sent."""

    def __init__(self, session: str | None, number: int, plan: Plan, changed: Callable[[], None]) -> None:
        self.session = session
        self.number = number
        self.texts = [frame.data.decode("utf-8", "replace") for frame in plan.frames if frame.step]
        self.released = 0
        self.sent = 0
        self.over = False
        self.on_change = changed
        """Called when a frame has been sent."""

    @property
    def ready(self) -> bool:
        """Whether the next frame may be sent."""
        return self.released > self.sent

    def wrote(self) -> None:
        """Must be called after a frame has been written to the socket."""
        self.sent += 1
        self.on_change()


class Steps:
    """All stepped replies of a server that are under way, the oldest first."""

    def __init__(self) -> None:
        self._replies: list[Stepped] = []
        self._left: deque[tuple[str, int, RequestError]] = deque(maxlen=100)
        """The session and the number of each of the last replies whose clients left, and how much these got."""
        self._changed = asyncio.Event()

    @contextmanager
    def reply(self, session: str, number: int, plan: Plan) -> Iterator[Stepped]:
        """Within this block, the reply can be stepped."""
        reply = Stepped(session, number, plan, self.notify)
        self._replies.append(reply)
        self.notify()
        try:
            yield reply
        finally:
            reply.over = True
            if reply.session is not None and reply.sent < len(reply.texts):
                self._left.append((reply.session, reply.number, _incomplete(reply, "left")))
            self._replies.remove(reply)
            self.notify()

    async def turn(self, reply: Stepped) -> None:
        """Returns when the next frame of `reply` may be sent."""
        await self.until(lambda: reply.ready)

    async def release(self, release: Release) -> tuple[int, list[str]]:
        """Releases frames of one reply, and returns its number and their texts once they have been written.

        It is the reply to the request named or, if none is, the oldest with frames left; if it has fewer frames, fewer
        are released. Raises RequestError if there is no such reply within the timeout, or its client leaves or does
        not read.
        """
        reply: Stepped | None = None
        start = end = 0
        try:
            async with asyncio.timeout(release.timeout):
                await self.until(lambda: self._find(release) is not None)
                reply = self._find(release)
                assert reply is not None  # nothing else has run in between
                start, left = reply.released, len(reply.texts) - reply.released
                reply.released = end = start + (left if release.frames is None else min(release.frames, left))
                self.notify()
                await self.until(lambda: reply.over or reply.sent >= end)
        except TimeoutError:
            if reply is None:
                gone = [
                    error
                    for session, number, error in self._left
                    if session == release.session and release.request in (None, number)
                ]
                raise gone[-1] if gone else _nothing(release) from None
        if reply.sent < end:
            raise _incomplete(reply, "left" if reply.over else f"did not read on for {release.timeout:g} s")
        return reply.number, reply.texts[start:end]

    def free(self, session: str | None = None) -> None:
        """Releases at once all frames that wait in a session, or in all: no step will come for them."""
        for each in [each for each in self._left if session in (None, each[0])]:
            self._left.remove(each)
        for reply in self._replies:
            if session in (None, reply.session):
                reply.session = None  # no later step finds it
                reply.released = len(reply.texts)
        self.notify()

    def _find(self, release: Release) -> Stepped | None:
        for reply in self._replies:
            meant = reply.session == release.session and release.request in (None, reply.number)
            if meant and reply.released < len(reply.texts):
                return reply
        return None

    async def until(self, ready: Callable[[], bool]) -> None:
        """Returns when that is so; it is checked after each change of a reply."""
        while not ready():
            await self._changed.wait()

    def notify(self) -> None:
        """Wakes everything that waits, to check again."""
        self._changed.set()
        self._changed = asyncio.Event()


def _incomplete(reply: Stepped, how: str) -> RequestError:
    frames = f"{reply.sent} of {count(len(reply.texts), 'frame')}"
    return RequestError(409, f"The client of request {reply.number} {how}: it got {frames}.", "step_not_taken")


def _nothing(release: Release) -> RequestError:
    who = "No reply has a" if release.request is None else f"Request {release.request} has no"
    hint = "`timing: {step: true}` in a rule makes one."
    return RequestError(
        409, f"{who} frame that waits for a step, after {release.timeout:g} s. {hint}", "nothing_to_step"
    )
