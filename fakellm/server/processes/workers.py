"""Runs work in processes of their own, which can be killed: a thread that computes holds up the event loop with it.

Owns these processes: they start when they are first needed, are used again, and end with the last server of this
process. Knows nothing about the work.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from fakellm.server.offload import in_thread
from fakellm.server.processes import worker

T = TypeVar("T")

_CODE = "import sys; sys.path[:] = sys.argv[1:]; from fakellm.server.processes.worker import main; main()"
_SLACK = 1.0
"""Seconds between the moment at which a process is killed and the one at which it would end by itself."""


class WorkEndedError(Exception):
    """A process ended before its work was done: after the time limit, or because it was killed."""

    def __init__(self, in_time: bool) -> None:
        super().__init__("the process that did this work has ended" if in_time else "the work took too long")
        self.in_time = in_time


class Worker:
    """One process. `call` must not be called by two threads at a time."""

    def __init__(self) -> None:
        path = [str(Path(__file__).parents[3]), *sys.path]
        command = [sys.executable, "-c", _CODE, *dict.fromkeys(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ended = False

    def start(self) -> None:
        """Waits until the process accepts calls."""
        try:
            worker.read(self._output)
        except (EOFError, OSError):
            self.end()
            raise WorkEndedError(in_time=True) from None

    def call(self, seconds: float, function: Callable[..., T], *arguments: Any) -> T:
        """What the function, which must be one of a module, returns or raises in the process; `arguments` are copied.

        Raises WorkEndedError, after which the process must not be used again.
        """
        late = threading.Event()

        def kill() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            assert self._process.stdin
            worker.write(self._process.stdin, (seconds + _SLACK, function, arguments))
            returned, value = worker.read(self._output)
        except (EOFError, OSError, ValueError):  # ValueError: `end` has closed the pipes
            self.end()
            raise WorkEndedError(in_time=not late.is_set()) from None
        finally:
            timer.cancel()
        if not returned:
            raise value
        result: T = value
        return result

    def end(self) -> None:
        """Kills the process."""
        self.ended = True
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                assert pipe
                pipe.close()

    def kill(self) -> None:
        """Kills the process while another thread waits in `call`, which then ends it."""
        self._process.kill()

    @property
    def _output(self) -> Any:
        return self._process.stdout


class Workers:
    """At most `most` processes. The one that was used last is used first: it may know what the next work needs."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._starting = 0
        self._changed = threading.Condition()
        self._users = 0
        self._ends = 0
        """How often all processes have been ended."""

    def run(self, work: Callable[[Worker], T], unwanted: threading.Event) -> T:
        """What `work` returns or raises for a process that no other thread uses meanwhile. Raises WorkEndedError if it
        is `unwanted` when its turn comes, or if `end` is called before that."""
        process = self._take()
        try:
            if unwanted.is_set():
                raise WorkEndedError(in_time=True)
            return work(process)
        finally:
            with self._changed:
                self._busy.discard(process)
                if not process.ended:
                    self._idle.append(process)
                self._changed.notify()

    def _take(self) -> Worker:
        """A process, new or idle, that is marked as busy."""
        with self._changed:
            ends = self._ends
            while not self._idle and len(self._busy) + self._starting >= self._most and ends == self._ends:
                self._changed.wait()
            if ends != self._ends:
                raise WorkEndedError(in_time=True)
            if self._idle:
                process = self._idle.pop()
                self._busy.add(process)
                return process
            self._starting += 1
        started: Worker | None = None
        try:
            started = Worker()
            started.start()
            return started
        finally:
            with self._changed:
                self._starting -= 1
                self._changed.notify()
                if started and not started.ended:
                    self._busy.add(started)
                    if ends != self._ends:
                        started.kill()

    def opened(self) -> None:
        """One more server may have work."""
        self._users += 1

    def closed(self) -> None:
        """A server has ended; with the last one, all processes end."""
        self._users -= 1
        if not self._users:
            self.end()

    def end(self) -> None:
        """Ends all processes, and with them their work."""
        with self._changed:
            self._ends += 1
            self._changed.notify_all()
            idle, self._idle = self._idle, []
            for process in self._busy:
                process.kill()
        for process in idle:
            process.end()


WORKERS = Workers(most=max(2, min(4, os.cpu_count() or 1)))
"""The processes of all servers in this process."""

atexit.register(WORKERS.end)


async def in_worker(work: Callable[[Worker], T]) -> T:
    """What `work` returns or raises; a thread calls it with a process, and waits for that process. If the caller is
    cancelled before a process is free, the work is not done."""
    unwanted = threading.Event()
    try:
        return (await in_thread(lambda: WORKERS.run(work, unwanted)))()  # type: ignore[no-any-return] # Result is of any type
    finally:
        unwanted.set()
