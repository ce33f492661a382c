"""A process that tries a part of the cases of a run: the side of that process. `jobs` is the other side.

It reads a Setup from standard input. It writes to standard output the fields that the client reports, each case once it
is judged, and None; or what was raised, if the client cannot be tried.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from itertools import chain
from typing import IO, Any

from fakellm.base.errors import FakellmError
from fakellm.fuzzing.case_server import CaseServer
from fakellm.fuzzing.clients.client_process import Driver
from fakellm.fuzzing.endpoints import name_of
from fakellm.fuzzing.running.case_order import numbered
from fakellm.fuzzing.running.job_messages import Setup, rule_in, sent
from fakellm.fuzzing.running.judging import SAVED, judged
from fakellm.fuzzing.trial import Trial
from fakellm.server.processes.worker import read, write


def main() -> None:
    """Tries the cases until they end, the run ends this process, or nobody receives them any more."""
    signal.signal(signal.SIGTERM, _end)
    sink = os.fdopen(os.dup(1), "wb", 0)  # not buffered: nothing is left to write if the run ends this process
    os.dup2(2, 1)  # what is printed is not a message
    setup = read(sys.stdin.buffer)
    with suppress(BrokenPipeError):
        try:
            _try(setup, sink)
        except FakellmError as error:
            write(sink, error)


def _end(*_: Any) -> None:
    _end_alone()
    sys.exit()


def _end_alone() -> None:
    """From now on the run does not end this process: nothing interrupts what ends the driver."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _try(setup: Setup, sink: IO[bytes]) -> None:
    search = setup.search
    client = Driver(setup.command, setup.timeout, setup.patience, name_of(search.api))
    with CaseServer(search.seed, search.deadline, search.api) as server:
        try:
            trial = Trial(client, server, search.api, search.each_read)
            write(sink, trial.reported)
            cases = chain(((SAVED, rule_in(text)) for text in setup.saved), numbered(search, setup.part))
            for each in judged(trial, cases):
                write(sink, sent(each))
            _end_alone()
            write(sink, None)
        finally:
            client.close()
