"""Runs work that may block away from the event loop. Owns the threads; knows nothing about the work."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

Result = Callable[[], Any]
"""Returns what some work returned, or raises what it raised."""


async def offload(run: Callable[[], Any]) -> Result:
    """The result of `run`: awaited here if it is async, else called in its own thread.

    A daemon thread, not one of a pool: work that never ends keeps neither other work waiting nor the process alive.
    Whatever the work raises is in the result, and only the caller's cancellation is raised here: a SystemExit or
    KeyboardInterrupt would end the event loop, and a CancelledError would look like that cancellation.
    """
    try:
        value = run() if inspect.iscoroutinefunction(run) else (await in_thread(run))()
        value = await value if inspect.isawaitable(value) else value
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        return partial(_raise, error)
    return lambda: value


async def in_thread(run: Callable[[], Any]) -> Result:
    """The result of `run`, which is called in a thread of its own. Only the caller's cancellation is raised here."""
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

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name="fakellm-work", daemon=True).start()
    return await done


def _raise(error: BaseException) -> NoReturn:
    raise error
