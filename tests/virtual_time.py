"""An event loop whose time is virtual: it jumps to the next timer as soon as nothing else is to be done.

A server and its clients in one such loop speak over real sockets, and every frame arrives at an exact time, in no time.
These are Unix sockets: what is sent has arrived when `send` returns, which TCP promises not even over the loopback.
`loop.now += 0.2` in a callback is what 200 ms of work are otherwise: time passes, and nothing else runs.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Coroutine
from contextlib import chdir
from tempfile import TemporaryDirectory
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
    """Never waits for a timer."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._virtual = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout is None:
            return ready or super().select(None)
        self._virtual.now += max(timeout, 0)
        return ready


class Listening(socket.socket):
    """Listens at a path instead of a port."""

    def __init__(self, path: str) -> None:
        super().__init__(socket.AF_UNIX)
        self.bind(path)

    def getsockname(self) -> tuple[str, int]:
        """What a server makes a URL of."""
        return "unix", 0


def loop() -> VirtualLoop:
    """The loop that runs."""
    running = asyncio.get_running_loop()
    assert isinstance(running, VirtualLoop)
    return running


def run(main: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, which runs in such a loop, and in a folder of its own, where servers listen: the path of
    a socket has at most some hundred characters."""
    with TemporaryDirectory() as folder, chdir(folder), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
