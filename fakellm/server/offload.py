"""Runs work that may block away from the event loop. Owns the threads; knows nothing about the work."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


async def offload(run: Callable[[], Any]) -> Any:
    """Returns or raises what `run` does: awaited here if it is async, else called in its own thread.

    A daemon thread, not one of a pool: work that never ends neither delays other work nor keeps the process alive.
    """
    result = run() if inspect.iscoroutinefunction(run) else await _in_thread(run)
    return await result if inspect.isawaitable(result) else result


async def _in_thread(run: Callable[[], Any]) -> Any:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def work() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = run()
        except StopIteration as stop:  # a future cannot hold it
            error = RuntimeError(f"raised {stop!r}")
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop has ended in the meantime
            loop.call_soon_threadsafe(settle, result, error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name="fakellm-work", daemon=True).start()
    return await done
