"""An event loop whose time is virtual: it jumps to the next timer as soon as nothing else is to be done.

A server and its clients in one such loop speak over real sockets, and every frame arrives at an exact time, in no time.
`loop.now += 0.2` in a callback is what 200 ms of work are otherwise: time passes, and nothing else runs.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """`now`: its time in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now


class _Selector(selectors.DefaultSelector):
    """Never waits for a timer. What one socket sends over the loopback has arrived at the other when `send` returns."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._virtual = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout is None:
            return ready or super().select(None)
        self._virtual.now += max(timeout, 0)
        return ready


def run(main: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, which runs in such a loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
