"""Work for clients is done in their order, and not for those that have left: whatever leaves, the others are served."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakellm.server import offload
from fakellm.server.control import entry_matches
from fakellm.server.hosting import Hosted
from fakellm.server.processes import workers
from fakellm.server.processes.budgeted import budgeted
from fakellm.server.processes.workers import Worker, Workers, in_worker
from fakellm.server.scenario_app import App
from tests.conftest import post
from tests.test_long_work import CHAT, LONG, SLOW, prompt

# Threads


@given(st.lists(st.sampled_from(["stays", "leaves"]), max_size=12), st.integers(1, 3))
@settings(max_examples=25)
def test_work_is_done_in_order_by_so_many_threads_and_only_for_those_who_stay(clients: list[str], most: int) -> None:
    done: list[int] = []
    running, begun, go = 0, threading.Semaphore(0), threading.Event()
    lock = threading.Lock()

    def work(number: int) -> int:
        nonlocal running
        with lock:
            running += 1
            assert running <= most
        begun.release()
        go.wait()
        with lock:
            running -= 1
            done.append(number)
        return number

    async def everything() -> None:
        threads = offload.Threads(most)
        first = [asyncio.ensure_future(offload.in_thread(partial(work, -1), threads)) for _ in range(most)]
        await asyncio.sleep(0)
        for _ in first:
            await asyncio.to_thread(begun.acquire)
        tasks = [
            asyncio.ensure_future(offload.in_thread(partial(work, number), threads)) for number in range(len(clients))
        ]
        await asyncio.sleep(0)
        leaving = [task for task, client in zip(tasks, clients, strict=True) if client == "leaves"]
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        go.set()
        results = [
            result() for result in await asyncio.gather(*first, *[each for each in tasks if each not in leaving])
        ]
        staying = [number for number, client in enumerate(clients) if client == "stays"]
        assert results == [-1] * most + staying
        assert sorted(done) == sorted(results)
        if most == 1:
            assert done == results

    asyncio.run(everything())


def test_functions_of_a_test_wait_for_no_other() -> None:
    """As many as there are may wait for each other."""
    several = threading.Barrier(offload.MOST_THREADS * 3, timeout=60)

    async def everything() -> list[Any]:
        return await asyncio.gather(*(offload.offload(several.wait) for _ in range(several.parties)))

    assert sorted(result() for result in asyncio.run(everything())) == list(range(several.parties))


# Processes


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    made = Workers(most=1)
    monkeypatch.setattr(workers, "WORKERS", made)
    yield made
    made.end()


def test_work_that_nobody_waits_for_is_ended_when_other_work_waits(one_process: Workers) -> None:
    begun = threading.Event()

    def endless(process: Worker) -> None:
        begun.set()
        process.call(60, re.search, SLOW, LONG)

    async def everything() -> int:
        leaving = asyncio.ensure_future(in_worker(endless))
        await asyncio.to_thread(begun.wait)
        queued = asyncio.ensure_future(in_worker(lambda process: pytest.fail("nobody waits for it")))
        await asyncio.sleep(0)
        for task in (leaving, queued):
            task.cancel()
        await asyncio.gather(leaving, queued, return_exceptions=True)
        return await in_worker(lambda process: process.call(60, len, "abc"))

    assert asyncio.run(everything()) == 3


def test_work_that_somebody_waits_for_is_not_ended(one_process: Workers) -> None:
    async def everything() -> list[Any]:
        return await asyncio.gather(*(in_worker(lambda process: process.call(60, os.getpid)) for _ in range(4)))

    assert len(set(asyncio.run(everything()))) == 1


def test_the_entries_of_a_journal_are_compared_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an expression that could take long, another process is asked once for as many as it may have at once."""
    asked: list[int] = []

    async def counted(work: Any) -> Any:
        asked.append(1)
        return await budgeted(work)

    monkeypatch.setattr(entry_matches, "budgeted", counted)
    with Hosted(App()) as served:
        for number in range(30):
            post(served.url + CHAT, prompt("a" * 22 + str(number % 2)))
        for count, most in ((1, entry_matches._BYTES_ELSEWHERE), (30, 1)):
            asked.clear()
            monkeypatch.setattr(entry_matches, "_BYTES_ELSEWHERE", most)
            query = {"when": {"user": {"regex": "^(a|aa)+0$"}}}
            found = httpx2.post(served.url + "/_fakellm/journal", json=query, timeout=60).json()
            assert [entry["number"] for entry in found["entries"]] == list(range(1, 31, 2))
            assert found["nearest"]["number"] == 30
            assert len(asked) == count
