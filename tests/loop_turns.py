"""Measures how long an event loop is held up by a single callback: what one request can delay all the others by.

    @measured
    def test_a_body() -> None:
        with Hosted(App()) as hosted, loop_turns(hosted.loop) as turns:
            post(hosted.url + "/v1/chat/completions", body)
        turns.check(0.02)

`longest` is CPU time of the loop's own thread, so the client, which may be another thread of the process, does not
change it. It does not include time for which another thread holds the interpreter: `late` does, in wall time, which a
busy machine changes too. A virtual machine counts the time that its host takes away as CPU time, so one measurement may
be wrong: `measured` repeats a test whose turn was too long. A callback that holds up the loop does so each time.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, thread_time
from typing import Any, cast

import pytest

BEAT = 0.001
"""Seconds between the moments at which the loop should run the callback that measures `late`."""


measured = pytest.mark.flaky(reruns=2, only_rerun="TurnTooLongError")
"""Marks a test that calls `Turns.check`."""


class TurnTooLongError(AssertionError):
    """A callback held up the event loop for longer than it may."""


class Turns:
    """What has been measured so far.

    longest: CPU seconds of the longest callback; a coroutine runs as one callback from one wait to the next.
    slowest: a description of that callback.
    count: how many callbacks have run.
    late: wall seconds by which the latest beat was late: the longest time for which the loop did nothing it should.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self.slowest = ""
        self.count = 0
        self.late = 0.0

    def check(self, most: float) -> None:
        """Raises TurnTooLongError if a callback took this many CPU seconds or more."""
        if self.longest >= most:
            raise TurnTooLongError(self.slowest)


@contextmanager
def loop_turns(loop: asyncio.AbstractEventLoop) -> Iterator[Turns]:
    """Measures a loop of this process, which runs in another thread or in this one, while the block runs. The loop must
    be one of asyncio's own: others run their callbacks without Python."""
    turns = Turns()
    run = cast("Callable[[Any], None]", events.Handle._run)

    def timed(handle: Any) -> None:
        if handle._loop is not loop:
            run(handle)
            return
        description = handle._callback, handle._args
        start = thread_time()
        run(handle)
        spent = thread_time() - start
        turns.count += 1
        if spent > turns.longest:
            turns.longest, turns.slowest = spent, f"{spent * 1000:.1f} ms in {description}"

    beating = True

    def beat(due: float) -> None:
        now = perf_counter()
        turns.late = max(turns.late, now - due)
        if beating:
            loop.call_later(BEAT, beat, now + BEAT)

    events.Handle._run = timed  # type: ignore[method-assign, assignment] # asyncio offers no such hook
    try:
        loop.call_soon_threadsafe(lambda: beat(perf_counter()))
        yield turns
    finally:
        beating = False
        events.Handle._run = run  # type: ignore[method-assign, assignment]
