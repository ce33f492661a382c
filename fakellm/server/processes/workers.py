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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from fakellm.server.offload import Threads, in_thread
from fakellm.server.processes import worker

T = TypeVar("T")

_CODE = (
    "import sys; sys.path[:] = sys.argv[1:]; import fakellm.server.scenario_app; "  # what calls need, before the first
    "from fakellm.server.processes.worker import main; main()"
)
_SLACK = 1.0
"""Seconds between the moment at which a process is killed and the one at which it would end by itself."""


def search_path() -> list[str]:
    """Where another process of fakellm must look for modules: where this one does, and where fakellm is."""
    beside = str(Path(__file__).parents[3])  # last: a package there may have the name of one in the standard library
    return [*dict.fromkeys([*sys.path, beside])]


class WorkEndedError(Exception):
    """A process ended before its work was done: after the time limit, or because it was killed."""

    def __init__(self, in_time: bool) -> None:
        super().__init__("the process that did this work has ended" if in_time else "the work took too long")
        self.in_time = in_time


class Worker:
    """One process. `call` must not be called by two threads at a time."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", _CODE, *search_path()]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ended = self.killed = False

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
            self.kill()

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
            timer.join()  # it may be about to kill the process
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
        """Kills the process while another thread uses it, which must end it: its last result may still arrive."""
        self.killed = True
        self._process.kill()

    @property
    def gone(self) -> bool:
        """Whether the process has ended, whoever has killed it."""
        return self._process.poll() is not None

    @property
    def _output(self) -> Any:
        return self._process.stdout


class Workers:
    """At most `most` processes. The one that was used last is used first: it may know what the next work needs."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.threads = Threads(most)
        """One for each process, to wait for it."""
        self._idle: list[Worker] = []
        self._busy: dict[Worker, threading.Event] = {}
        """With what is set when nobody waits for the work any more."""
        self._callers = 0
        """How many wait for work."""
        self._starting = 0
        self._changed = threading.Condition()
        self._users = 0
        self._ends = 0
        """How often all processes have been ended."""

    def run(self, work: Callable[[Worker], T], unwanted: threading.Event) -> T:
        """What `work` returns or raises for a process that no other thread uses meanwhile. Raises WorkEndedError if it
        is `unwanted` when its turn comes, or if `end` is called before that."""
        process = self._take(unwanted)
        try:
            if unwanted.is_set():
                raise WorkEndedError(in_time=True)
            return work(process)
        except MemoryError:
            process.kill()  # what is left of its memory may be in pieces
            raise
        finally:
            with self._changed:
                del self._busy[process]
                if not process.killed and not process.ended:
                    self._idle.append(process)
                self._changed.notify()
            if process.killed:
                process.end()  # not with the lock, which the event loop takes: this waits for the process

    @contextmanager
    def caller(self) -> Iterator[threading.Event]:
        """Within this block, someone waits for work; gives what is set at its end. Work that nobody waits for any more
        is ended if its process is needed."""
        unwanted = threading.Event()
        self._waits(1)
        try:
            yield unwanted
        finally:
            unwanted.set()
            self._waits(-1)

    def _waits(self, more: int) -> None:
        with self._changed:
            self._callers += more
            unwanted = [process for process, each in self._busy.items() if each.is_set()]
            for process in unwanted[: max(0, self._callers + len(unwanted) - self._most)]:
                process.kill()

    def _take(self, unwanted: threading.Event) -> Worker:
        """A process, new or idle, that is marked as busy."""
        with self._changed:
            ends = self._ends
            while not self._idle and len(self._busy) + self._starting >= self._most and ends == self._ends:
                self._changed.wait()
            if ends != self._ends:
                raise WorkEndedError(in_time=True)
            while self._idle:
                process = self._idle.pop()
                if not process.gone:
                    self._busy[process] = unwanted
                    return process
                process.end()
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
                    self._busy[started] = unwanted
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
    """What `work` returns or raises; a thread calls it with a process, and waits for that process.

    If the caller is cancelled before a process is free, the work is not done; after that, the process is killed once
    other work needs it.
    """
    with WORKERS.caller() as unwanted:
        return (await in_thread(lambda: WORKERS.run(work, unwanted), WORKERS.threads))()  # type: ignore[no-any-return] # Result is of any type
