"""Drivers as clients: programs that speak lines of JSON. Owns the process and the lines.

A driver is started once and receives ``{"id", "api", "base_url", "request", "timeout"}``, one line per case. It
answers each with one line: the `id` and the fields of a Result, or an `error` with its `type` and `message`.
"""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic  # noqa: TID251 # a driver is waited for by the clock; what it is sent does not depend on it
from typing import IO, Any

from fakellm.fuzzing.clients.client_under_test import CannotRunError
from fakellm.fuzzing.clients.result import NoResult, Result, read_result

STARTING = 60.0
"""Seconds that a driver has to import its client and answer for the first time. A later start may take about as long as
the first one did."""


class Driver:
    """A client in its own process. If it dies, prints an invalid line or hangs, it is restarted for the next case.

    timeout: seconds that the driver is to give its client. patience: seconds without an answer after which the driver
    has hung. api: the name of the API of its requests. Raises CannotRunError if the command cannot be started.
    """

    def __init__(self, command: Sequence[str], timeout: float, patience: float, api: str = "chat") -> None:
        self.api = api
        self._command = list(command)
        self._timeout = timeout
        self._patience = patience
        self._process: subprocess.Popen[str] | None = None
        self._starting = STARTING
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._count = 0

    def ask(self, base_url: str, request: dict[str, Any]) -> Result | NoResult:
        starts, since = self._process is None, monotonic()
        patience = self._starting if starts else self._patience
        process = self._process = self._process or self._started()
        self._count += 1
        case = {"id": self._count, "api": self.api, "base_url": base_url}
        case |= {"request": request, "timeout": self._timeout}
        assert process.stdin
        try:
            process.stdin.write(json.dumps(case) + "\n")
            process.stdin.flush()
            line = self._lines.get(timeout=patience)
        except OSError:
            line = None
        except queue.Empty:
            self.close()
            return NoResult("hung", message=f"the driver printed no line for {patience:g} s")
        if line is None:
            return NoResult("died", message=self._cause_of_death(process))
        if starts:  # another start takes as long, on a machine that may be twice as busy
            self._starting = min(self._starting, self._patience + 2 * (monotonic() - since))
        return self._read(line)

    def _read(self, line: str) -> Result | NoResult:
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict) or fields.get("id") != self._count:
            self.close()
            return NoResult("invalid", message=f"expected JSON with the id {self._count}, got {line.strip()!r:.200}")
        return read_result(fields)

    def _cause_of_death(self, process: subprocess.Popen[str]) -> str:
        try:
            code = process.wait(self._patience)
            return f"the driver ended with exit code {code}; see what it wrote to standard error"
        except subprocess.TimeoutExpired:
            return "the driver closed its standard output or input"
        finally:
            self.close()

    def _started(self) -> subprocess.Popen[str]:
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                errors="surrogateescape",
                start_new_session=True,  # Ctrl+C goes to the fuzzer alone, which then ends the driver
            )
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise CannotRunError(f"cannot start {self._command[0]!r}: {reason}{self._remedy()}") from None
        self._lines = queue.Queue()
        threading.Thread(target=_read_lines, args=(process.stdout, self._lines), daemon=True).start()
        return process

    def _remedy(self) -> str:
        """What to write if the command looks like a line for a shell, which it is not passed to."""
        line = self._command[0]
        words = f"env {line}" if re.match(r"\w+=", line) else line
        if " " not in line and "=" not in line:
            return ""
        return f"; the command is not passed to a shell: write {words}, without quotes around it"

    def close(self) -> None:
        """Ends the process; the next request starts another."""
        process = self._process
        if process is None:
            return
        with suppress(OSError):  # it has ended already
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)  # its child processes hold its pipes open
        process.kill()
        process.wait()
        self._process = None  # not before: a signal may interrupt this, and the next call must end the process
        for pipe in (process.stdin, process.stdout):
            assert pipe
            try:
                pipe.close()
            except OSError:  # buffered input can no longer be written
                continue


def _read_lines(lines: IO[str], received: queue.Queue[str | None]) -> None:
    """Passes each line on, then None at the end of the output."""
    try:
        for line in lines:
            received.put(line)
    except ValueError:  # the pipe was closed while it was read
        pass
    received.put(None)
