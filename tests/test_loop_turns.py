"""The measure of how long one callback holds up an event loop: what it reports, and for which callbacks."""

from __future__ import annotations

import asyncio
import threading
from asyncio import events
from time import thread_time

import pytest

from fakellm.server.hosting import Hosted
from fakellm.server.scenario_app import App
from tests.conftest import chat, post
from tests.loop_turns import TurnTooLongError, loop_turns, measured


def busy(seconds: float) -> None:
    end = thread_time() + seconds
    while thread_time() < end:
        pass


def test_the_longest_callback_is_reported_with_its_name() -> None:
    async def quick() -> None:
        await asyncio.sleep(0)

    async def everything() -> None:
        with loop_turns(asyncio.get_running_loop()) as turns:
            await asyncio.gather(quick(), quick())
            asyncio.get_running_loop().call_soon(busy, 0.03)
            await asyncio.sleep(0.002)
        assert turns.longest >= 0.03
        assert "busy" in turns.slowest
        turns.check(turns.longest + 0.001)
        with pytest.raises(TurnTooLongError, match="busy"):
            turns.check(0.03)
        assert turns.late >= 0.02  # the beat had to wait for it
        assert turns.count > 4

    run = events.Handle._run
    asyncio.run(everything())
    assert events.Handle._run is run


def test_another_loop_and_another_thread_do_not_count() -> None:
    async def elsewhere() -> None:
        busy(0.03)

    with Hosted(App()) as hosted, loop_turns(hosted.loop) as turns:
        other = threading.Thread(target=asyncio.run, args=(elsewhere(),))
        other.start()
        assert post(hosted.url + "/v1/chat/completions", chat()).status_code == 200
        other.join()
    assert turns.longest > 0
    assert "elsewhere" not in turns.slowest


attempts: list[int] = []


@measured
def test_a_turn_that_was_too_long_is_measured_again() -> None:
    attempts.append(1)
    if len(attempts) < 3:
        raise TurnTooLongError("a busy host")


def test_no_other_failure_is_repeated() -> None:
    assert measured.kwargs["only_rerun"] == TurnTooLongError.__name__
