"""A Redis of a test's own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Its URL within the block: a socket in the folder. Skips the test if there is no Redis."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no Redis: apt-get install redis-server")
    file = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(file), "--save", "", "--dir", str(folder)]
    with subprocess.Popen([program, *options], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            assert any("eady to accept connections" in line for line in server.stdout)
            yield f"unix://{file}"
        finally:
            server.terminate()
            server.stdout.read()
