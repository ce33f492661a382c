"""Tries the cases of a run in several processes, each with a server and a driver of its own: the side of the run.

The jobs take the cases in turn, and their verdicts are received in the order of the cases, so the run is the same
however many jobs it has. `job` is the other side.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle
from typing import Any

from msgspec import Struct

from fakellm.apis.route import Route
from fakellm.base.errors import FakellmError
from fakellm.fuzzing.running.case_order import CasePart
from fakellm.fuzzing.running.job_messages import Setup, received, settings_of, written
from fakellm.fuzzing.running.judging import Judged
from fakellm.fuzzing.search import Search
from fakellm.scenarios.scenario import Rule
from fakellm.server.processes.worker import read, write

_CODE = "import sys; sys.path[:] = sys.argv[1:]; from fakellm.fuzzing.running.job import main; main()"
_PATIENCE = 10.0
"""Seconds that a job has to end its driver."""


class JobEndedError(FakellmError):
    """A job ended before it had tried its cases."""


class Jobs(Struct, frozen=True):
    """How many jobs a run has, and the arguments of the Driver of each."""

    number: int
    command: Sequence[str]
    timeout: float
    patience: float

    @contextmanager
    def started(self, search: Search, saved: Sequence[Rule]) -> Iterator[tuple[frozenset[str], Iterator[Judged]]]:
        """The fields that the client reports, and each case once it is judged, in the order of the cases.

        Raises JobEndedError if a job dies, and what a job raises. All jobs end with the block.
        """
        jobs: list[_Job] = []
        try:
            for place in range(self.number):
                jobs.append(_Job(f"job {place + 1} of {self.number}"))
                part = self._part(search, len(saved), place)
                own = tuple(map(written, saved[place :: self.number]))
                jobs[-1].send(Setup(settings_of(search), own, part, self.command, self.timeout, self.patience))
            (reported, *_) = [job.receive() for job in jobs]
            yield reported, _in_turn(jobs, search.api)
        finally:
            for job in jobs:
                job.end()
            for job in jobs:
                job.wait()

    def _part(self, search: Search, saved: int, place: int) -> CasePart:
        """The cases of the job at this place. The jobs take saved failures in turn first, and then go on with these."""
        number, shards = search.shard
        return CasePart(number - 1 + (place - saved) % self.number * shards, self.number * shards)


def _in_turn(jobs: Sequence[_Job], api: Route) -> Iterator[Judged]:
    """The cases of all jobs in the order of the run. The first job that has none left ends them."""
    for job in cycle(jobs):
        message = job.receive()
        if message is None:
            return
        yield received(message, api)


class _Job:
    """One process, as seen by the run."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl+C goes to the run alone, which then ends its jobs
        )

    def send(self, setup: Setup) -> None:
        assert self._process.stdin
        try:
            write(self._process.stdin, setup)
        except OSError:
            raise self._ended() from None

    def receive(self) -> Any:
        """The next message. Raises JobEndedError, and what was raised in the process."""
        assert self._process.stdout
        try:
            message = read(self._process.stdout)
        except EOFError:
            raise self._ended() from None
        if isinstance(message, Exception):
            raise message
        return message

    def _ended(self) -> JobEndedError:
        code = self._process.wait()
        return JobEndedError(f"{self._name} ended with exit code {code}; see what it wrote to standard error")

    def end(self) -> None:
        """Asks the process to end."""
        self._process.terminate()  # first: what follows a closed pipe must not be interrupted by it
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with suppress(OSError):
                pipe.close()

    def wait(self) -> None:
        """Waits until the process has ended."""
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
