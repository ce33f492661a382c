"""A Redis of a test's own, and laws of servers that share their state in it. A plugin of pytest: it has fixtures."""

from __future__ import annotations

import asyncio
import logging
import shutil
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

C = TypeVar("C")


class RedisProcess:
    """A Redis that listens at a socket in a folder. Skips the test if there is none. `keeps`: whether it has the same
    data after it was killed and started again."""

    def __init__(self, folder: Path, keeps: bool = False) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("there is no Redis: apt-get install redis-server")
        file = folder / "redis.sock"
        self._command = [program, "--port", "0", "--unixsocket", str(file), "--save", "", "--dir", str(folder)]
        if keeps:
            self._command += ["--appendonly", "yes", "--appendfsync", "always"]
        self.url = f"unix://{file}"
        self.start()

    def start(self) -> None:
        """Returns when it accepts connections."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        assert any("eady to accept connections" in line for line in self.process.stdout)

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    def stop(self) -> None:
        """Ends it."""
        self.process.terminate()
        self.process.communicate()


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Its URL within the block: a socket in the folder. Skips the test if there is no Redis."""
    server = RedisProcess(folder)
    try:
        yield server.url
    finally:
        server.stop()


class Log(logging.Handler):
    """The lines that a server logs, and a wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._logged = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self._logged.set()

    async def has(self, text: str, times: int = 1) -> None:
        while sum(text in line for line in self.lines) < times:
            self._logged.clear()
            await self._logged.wait()


@contextmanager
def logged() -> Iterator[Log]:
    """What is logged within the block."""
    handler = Log()
    logging.getLogger("fakellm").addHandler(handler)
    try:
        yield handler
    finally:
        logging.getLogger("fakellm").removeHandler(handler)


@pytest.fixture
def log() -> Iterator[Log]:
    with logged() as handler:
        yield handler


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Callable[[bool], RedisProcess]]:
    """Starts a Redis that a test may kill."""
    started: list[RedisProcess] = []

    def start(keeps: bool) -> RedisProcess:
        started.append(RedisProcess(tmp_path, keeps))
        return started[0]

    yield start
    for each in started:
        each.kill()


def for_all(
    steps: st.SearchStrategy[Any],
    running: AbstractAsyncContextManager[C],
    compared: Callable[[C, str, Any], Coroutine[Any, Any, None]],
) -> None:
    """A law of servers, in a session of its own each time. `running`: starts them. `compared`: called with what that
    gives, with the path of the session, and with the steps."""
    sessions = count(1)
    with asyncio.Runner() as runner:
        clients = runner.run(running.__aenter__())

        @given(steps)
        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
        def law(found: Any) -> None:
            runner.run(compared(clients, f"/s/{next(sessions)}", found))

        try:
            law()
        finally:
            runner.run(running.__aexit__(None, None, None))
