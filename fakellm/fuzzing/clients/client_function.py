"""Clients to be asked: a function of this process. Owns the thread that it is called in, and gives up one that hangs.

A function that never returns cannot be ended, only left alone: whoever asks goes on with another thread.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any

from fakellm.fuzzing.clients.result import Failed, Result, failed, read

Said = Result | Mapping[str, Any]
Client = Callable[[str, dict[str, Any]], Said | Awaitable[Said]]
"""``client(base_url, request)`` returns what it read, or raises; it may be async."""


class Function:
    """A client in this process; it has hung when it does not come back in `patience` seconds."""

    def __init__(self, client: Client, patience: float = 60.0) -> None:
        self._client = client
        self._patience = patience
        self._worker: _Worker | None = None

    def ask(self, base_url: str, request: dict[str, Any]) -> Result | Failed:
        self._worker = self._worker or _Worker(self._client)
        try:
            return self._worker.ask(base_url, request, self._patience)
        except Empty:
            self.close()
            return Failed("hung", message=f"it did not come back in {self._patience:g} s")

    def close(self) -> None:
        """Ends the thread, where the function has come back."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()


class _Worker:
    """A thread that calls the client, always in the same event loop where it is async: its connections belong to it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._cases: SimpleQueue[tuple[str, dict[str, Any]] | None] = SimpleQueue()
        self._answers: SimpleQueue[Result | Failed] = SimpleQueue()
        threading.Thread(target=self._work, name="fakellm-client", daemon=True).start()

    def ask(self, base_url: str, request: dict[str, Any], patience: float) -> Result | Failed:
        self._cases.put((base_url, request))
        return self._answers.get(timeout=patience)

    def end(self) -> None:
        self._cases.put(None)

    def _work(self) -> None:
        with asyncio.Runner() as runner:
            for case in iter(self._cases.get, None):
                self._answers.put(self._answer(runner, *case))

    def _answer(self, runner: asyncio.Runner, base_url: str, request: dict[str, Any]) -> Result | Failed:
        try:
            said = self._client(base_url, request)
            return read(runner.run(_awaited(said)) if inspect.isawaitable(said) else said)
        except BaseException as error:  # a cancellation too: nothing is above to be told
            return failed(type(error).__qualname__, str(error))


async def _awaited(said: Awaitable[Said]) -> Said:
    return await said
