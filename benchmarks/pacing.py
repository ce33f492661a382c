"""How late paced frames are and what they cost: the one clock of a server, against a plain `asyncio.sleep` a frame.

``python benchmarks/pacing.py [streams] [frames]``. In this process and without sockets: each stream is a task that
waits for its frames, 20 ms apart, and notes how long after its due time it woke. The streams start spread over one gap.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from statistics import quantiles
from time import process_time

from fakellm.base.seed import Source
from fakellm.server.clock import Clock
from fakellm.wire.timing import Timing, pace

GAP = 0.02
Wait = Callable[[Clock, float, float], Awaitable[None]]


async def clock(clock: Clock, due: float, delay: float) -> None:
    """As the server waits: for a point in time, on the clock that all streams share."""
    await clock.until(due)


async def sleep(clock: Clock, due: float, delay: float) -> None:
    """As it is often written: for a while, with a timer of its own."""
    await asyncio.sleep(delay)


async def measure(wait: Wait, streams: int, frames: int) -> tuple[list[float], float]:
    """How late each frame was in seconds, and the CPU seconds of them all."""
    shared = Clock()
    plan = pace([b"data: {}\n\n"] * frames, Timing(gap=GAP), Source(0))
    late: list[float] = []

    async def stream(start: float) -> None:
        due = start
        await shared.until(start)
        for frame in plan[1:]:
            due += frame.delay
            await wait(shared, due, frame.delay)
            late.append(shared.now() - due)

    start, cpu = shared.now() + 0.1, process_time()
    await asyncio.gather(*(stream(start + GAP * number / streams) for number in range(streams)))
    return late, process_time() - cpu


def main(streams: int, frames: int) -> None:
    print(f"{streams} streams at once, {frames} frames each, {GAP * 1000:.0f} ms apart")
    for name, wait in (("the shared clock", clock), ("asyncio.sleep", sleep)):
        late, cpu = asyncio.run(measure(wait, streams, frames))
        cuts = quantiles(late, n=100)
        lateness = f"late p50 {cuts[49] * 1000:7.2f} ms, p99 {cuts[98] * 1000:7.2f} ms"
        print(f"{name:17} {lateness}, CPU {cpu / len(late) * 1e6:5.1f} µs a frame")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:] or ("1000", "100")))
