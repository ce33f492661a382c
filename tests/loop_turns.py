"""Measures how long an event loop is held up by a single callback: what one request can delay all the others by.

    with Hosted(App()) as hosted, loop_turns(hosted.loop) as turns:
        post(hosted.url + "/v1/chat/completions", body)
    assert turns.longest < 0.02, turns.slowest

`longest` is CPU time of the loop's own thread, so neither a busy machine nor the client, which may be another thread of
the process, changes it. It does not include time for which another thread holds the interpreter: `late` does, in wall
time, which a busy machine changes too.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, thread_time
from typing import Any, cast

BEAT = 0.001
"""Seconds between the moments at which the loop should run the callback that measures `late`."""


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
