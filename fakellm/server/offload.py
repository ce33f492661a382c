"""Runs work that may block away from the event loop. Owns the threads, and how many there are; knows nothing about the
work but its form.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from fakellm.engine.response import Response, Work, give_up

Result = Callable[[], Any]
"""Returns what some work returned, or raises what it raised."""


MOST_THREADS = 2
"""How many threads do fakellm's own work at the same time: each of them takes the interpreter from the event loop for
some milliseconds at a time."""


class Threads:
    """Threads that do work in the order in which it comes, at most `most` at the same time. They are daemons: work that
    never ends does not keep the process alive."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], object]] = deque()
        self._count = 0

    def add(self, work: Callable[[], object]) -> None:
        """Has a thread call `work`, which raises nothing. RuntimeError if there can be no more threads."""
        with self._lock:
            self._waiting.append(work)
            if self._count == self._most:
                return
            self._count += 1
        try:
            threading.Thread(target=self._run, name="fakellm-work", daemon=True).start()
        except BaseException:
            with self._lock:
                self._count -= 1
                if work not in self._waiting:
                    return  # another thread has taken it
                self._waiting.remove(work)
            raise

    def remove(self, work: Callable[[], object]) -> None:
        """Has `work` not be called, unless that has begun."""
        with self._lock, suppress(ValueError):
            self._waiting.remove(work)

    def _run(self) -> None:
        while work := self._next():
            work()

    def _next(self) -> Callable[[], object] | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._count -= 1
            return None


_OWN = Threads(MOST_THREADS)
_OF_USERS = Threads(sys.maxsize)
"""For the functions of a test, which may wait for each other: each has a thread of its own."""


async def offload(run: Callable[[], Any]) -> Result:
    """The result of `run`: awaited here if it is async, else called in a thread of its own, so that work that never
    ends keeps no other waiting.

    Whatever the work raises is in the result, and only the caller's cancellation is raised here: a SystemExit or
    KeyboardInterrupt would end the event loop, and a CancelledError would look like that cancellation.
    """
    try:
        value = run() if inspect.iscoroutinefunction(run) else (await in_thread(run, _OF_USERS))()
        value = await value if inspect.isawaitable(value) else value
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        return partial(_raise, error)
    return lambda: value


async def responded(outcome: Response | Work) -> Response:
    """The response of an outcome whose work is part of other work. Work that gives no response is given up."""
    if isinstance(outcome, Response):
        return outcome
    try:
        return outcome.then(await offload(outcome.run))
    except BaseException:
        give_up(outcome)
        raise


async def in_thread(run: Callable[[], Any], threads: Threads = _OWN) -> Result:
    """The result of `run`, which one of these threads calls. Only the caller's cancellation is raised here, and
    RuntimeError if there can be no more threads; if either comes before a thread is free, `run` is not called."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result) -> None:
        if not done.cancelled():
            done.set_result(result)

    def work() -> None:
        try:
            value = run()
        except BaseException as error:
            result: Result = partial(_raise, error)
        else:
            result = lambda: value  # noqa: E731 # one of two results
        with suppress(RuntimeError):  # the loop has ended in the meantime
            loop.call_soon_threadsafe(settle, result)

    job = partial(contextvars.copy_context().run, work)
    threads.add(job)
    try:
        return await done
    except asyncio.CancelledError:
        threads.remove(job)
        raise


def _raise(error: BaseException) -> NoReturn:
    raise error
