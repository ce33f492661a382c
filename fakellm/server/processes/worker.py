"""A process that runs what one server asks of it, one call at a time: the side of that process.

The server writes calls to standard input and reads the results from standard output; the process ends when its standard
input closes, and by itself if a call takes longer than the server waits, whatever became of the server. Knows nothing
about the calls.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from fakellm.base.budget import BUDGET

_HEADER = 8
"""Bytes of a number in a message: how many parts it has, and the length of each."""


def write(sink: IO[bytes], value: Any) -> None:
    """Writes a value as a message. Whatever is wrapped in a PickleBuffer is not copied."""
    buffers: list[pickle.PickleBuffer] = []
    parts = [memoryview(pickle.dumps(value, 5, buffer_callback=buffers.append)), *(each.raw() for each in buffers)]
    sizes = [len(parts), *map(len, parts)]
    for part in (memoryview(b"".join(size.to_bytes(_HEADER, "big") for size in sizes)), *parts):
        while part:
            part = part[sink.write(part) :]
    sink.flush()


def read(source: IO[bytes]) -> Any:
    """The value of the next message; what was wrapped in a PickleBuffer is bytes. Raises EOFError at the end."""
    count = _number(source)
    sizes = [_number(source) for _ in range(count)]
    data, *buffers = [_exactly(source, size) for size in sizes]
    return pickle.loads(data, buffers=buffers)


def _number(source: IO[bytes]) -> int:
    return int.from_bytes(_exactly(source, _HEADER), "big")


def _exactly(source: IO[bytes], size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data


def main() -> None:
    """Runs calls until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches this process too; the server ends it
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a call prints is not a result
    with suppress(AttributeError, OSError):  # Windows has no such call
        os.nice(10)  # the server, which sends what is due, goes first
    _limit_memory()
    with suppress(EOFError, BrokenPipeError), Path(os.devnull).open("w") as nowhere:
        write(sink, "ready")
        while True:
            seconds, function, arguments = read(sys.stdin.buffer)
            faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
            result = _result(function, arguments)
            faulthandler.cancel_dump_traceback_later()
            write(sink, result)


def _result(function: Callable[..., Any], arguments: Sequence[Any]) -> tuple[bool, Any]:
    """Whether the function returned, and what it returned or raised."""
    try:
        return True, function(*arguments)
    except BaseException as error:
        error.__traceback__ = error.__cause__ = error.__context__ = None
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            return False, RuntimeError(f"{type(error).__name__}: {error}")
        return False, error


def _limit_memory() -> None:
    """Lets calls raise MemoryError before the machine has no memory left."""
    with suppress(ImportError, ValueError, OSError):  # Windows has no limits; macOS refuses this one
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = BUDGET.work_bytes if hard == resource.RLIM_INFINITY else min(BUDGET.work_bytes, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
