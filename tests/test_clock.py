"""The clock of a server: many waits, one timer, and nothing left of those that were cancelled."""

from __future__ import annotations

import asyncio
import gc

from hypothesis import given
from hypothesis import strategies as st

from fakellm.server.clock import Clock


@given(st.lists(st.integers(0, 3), max_size=20))
def test_waits_end_in_the_order_of_their_due_times_and_equal_ones_in_order_of_arrival(ago: list[int]) -> None:
    async def everything() -> list[int]:
        clock, order = Clock(), []

        async def wait(number: int, due: float) -> None:
            await clock.until(due)
            order.append(number)

        start = clock.now()
        await asyncio.gather(*(wait(number, start - due) for number, due in enumerate(ago)))
        return order

    assert asyncio.run(everything()) == sorted(range(len(ago)), key=lambda number: -ago[number])


def test_cancelled_waits_do_not_pile_up() -> None:
    async def everything() -> None:
        clock = Clock()
        far = clock.now() + 86_400
        last = asyncio.ensure_future(clock.until(far))
        gc.collect()
        before = len(gc.get_objects())
        for _ in range(20):
            waits = [asyncio.ensure_future(clock.until(far - number)) for number in range(100)]
            await asyncio.sleep(0)
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        waits.clear()
        gc.collect()
        assert len(gc.get_objects()) - before < 2000  # less than one for each; those of the last round are still held
        soon = clock.now() + 0.01
        await clock.until(soon)
        assert clock.now() >= soon
        last.cancel()

    asyncio.run(everything())


def test_a_wait_cancelled_at_the_moment_it_ends_counts_once() -> None:
    async def everything() -> None:
        clock = Clock()
        for _ in range(3):
            wait = asyncio.ensure_future(clock.until(clock.now()))
            asyncio.get_running_loop().call_soon(wait.cancel)
            await asyncio.gather(wait, return_exceptions=True)
        await clock.until(clock.now())

    asyncio.run(everything())
