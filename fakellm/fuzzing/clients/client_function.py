"""Python functions as clients. Owns the thread in which the function is called, and abandons one that hangs.

A function that never returns cannot be ended, so its thread is left behind and the next request uses a new one.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any

from fakellm.fuzzing.clients.result import NoResult, Result, raised, read_result

Returned = Result | Mapping[str, Any]
ClientFunction = Callable[[str, dict[str, Any]], Returned | Awaitable[Returned]]
"""``client(base_url, request)`` returns what it read from the response, or raises; it may be async."""


class FunctionClient:
    """A client in this process. It has hung if it does not return within `patience` seconds."""

    def __init__(self, function: ClientFunction, patience: float = 60.0) -> None:
        self._function = function
        self._patience = patience
        self._worker: _Worker | None = None

    def ask(self, base_url: str, request: dict[str, Any]) -> Result | NoResult:
        self._worker = self._worker or _Worker(self._function)
        try:
            return self._worker.ask(base_url, request, self._patience)
        except Empty:
            self.close()
            return NoResult("hung", message=f"the client did not return within {self._patience:g} s")

    def close(self) -> None:
        """Ends the thread as soon as the function has returned."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()


class _Worker:
    """A thread that calls the client. An async client always runs in the same event loop, to which its connections
    belong."""

    def __init__(self, function: ClientFunction) -> None:
        self._function = function
        self._requests: SimpleQueue[tuple[str, dict[str, Any]] | None] = SimpleQueue()
        self._results: SimpleQueue[Result | NoResult] = SimpleQueue()
        threading.Thread(target=self._work, name="fakellm-client", daemon=True).start()

    def ask(self, base_url: str, request: dict[str, Any], patience: float) -> Result | NoResult:
        self._requests.put((base_url, request))
        return self._results.get(timeout=patience)

    def end(self) -> None:
        self._requests.put(None)

    def _work(self) -> None:
        with asyncio.Runner() as runner:
            for request in iter(self._requests.get, None):
                self._results.put(self._call(runner, *request))

    def _call(self, runner: asyncio.Runner, base_url: str, request: dict[str, Any]) -> Result | NoResult:
        try:
            returned = self._function(base_url, request)
            if inspect.isawaitable(returned):
                returned = runner.run(_awaited(returned))
            return read_result(returned)
        except BaseException as error:  # a cancellation too: nothing above could handle it
            own = isinstance(error, TypeError) and error.__traceback__ and error.__traceback__.tb_next is None
            hint = "; it is called with (base_url, request)" if own else ""  # its first line was not reached
            return raised(type(error).__qualname__, f"{error}{hint}")


async def _awaited(returned: Awaitable[Returned]) -> Returned:
    return await returned
