"""A Redis of a test's own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


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
