"""Clients to be asked: a driver in a process of its own that speaks lines of JSON. Owns the process and its lines.

A driver is started once and told ``{"id", "base_url", "request", "timeout"}``, a line a case; it answers with one line:
the `id` and the names of a Result, or an `error` with its `type` and `message`.
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
from typing import IO, Any, Protocol

from fakellm.base.errors import FakellmError
from fakellm.fuzzing.clients.result import Failed, Result, read

STARTING = 60.0
"""Seconds that a driver is given to import its client and answer for the first time. How long it took is how long it
may take again, when it has to be started anew."""


class CannotRunError(FakellmError):
    """A client that cannot be tested: its command is not there, or it fails on a plain stream already."""


class Asked(Protocol):
    """A client that can be asked."""

    def ask(self, base_url: str, request: dict[str, Any]) -> Result | Failed: ...

    def close(self) -> None: ...


class Driver:
    """A client in a process of its own; one that dies, prints rubbish or hangs is started anew for the next case.

    timeout: the seconds that it is told to give its client; it has hung when it takes `patience` for an answer. Raises
    CannotRunError when the command cannot be started.
    """

    def __init__(self, command: Sequence[str], timeout: float, patience: float) -> None:
        self._command = list(command)
        self._timeout = timeout
        self._patience = patience
        self._process: subprocess.Popen[str] | None = None
        self._starting = STARTING
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._count = 0

    def ask(self, base_url: str, request: dict[str, Any]) -> Result | Failed:
        starts, since = self._process is None, monotonic()
        patience = self._starting if starts else self._patience
        process = self._process = self._process or self._started()
        self._count += 1
        case = {"id": self._count, "base_url": base_url, "request": request, "timeout": self._timeout}
        assert process.stdin
        try:
            process.stdin.write(json.dumps(case) + "\n")
            process.stdin.flush()
            line = self._lines.get(timeout=patience)
        except OSError:
            line = None
        except queue.Empty:
            self.close()
            return Failed("hung", message=f"no line for {patience:g} s")
        if line is None:
            return Failed("died", message=self._died(process))
        if starts:  # another start takes as long, on a machine that may be twice as busy
            self._starting = min(self._starting, self._patience + 2 * (monotonic() - since))
        return self._read(line)

    def _read(self, line: str) -> Result | Failed:
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict) or said.get("id") != self._count:
            self.close()
            return Failed("rubbish", message=f"expected JSON with the id {self._count}, got {line.strip()!r:.200}")
        return read(said)

    def _died(self, process: subprocess.Popen[str]) -> str:
        try:
            code = process.wait(self._patience)
            return f"the driver ended with exit code {code}; see what it wrote to stderr"
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
                start_new_session=True,  # Ctrl+C is for whoever asks, who then ends it
            )
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise CannotRunError(f"cannot start {self._command[0]!r}: {reason}{self._remedy()}") from None
        self._lines = queue.Queue()
        threading.Thread(target=_listen, args=(process.stdout, self._lines), daemon=True).start()
        return process

    def _remedy(self) -> str:
        """What to write in place of a line for a shell, which the command is not given to."""
        line = self._command[0]
        words = f"env {line}" if re.match(r"\w+=", line) else line
        return f"; there is no shell here: say {words}, without quotes around it" if " " in line or "=" in line else ""

    def close(self) -> None:
        """Ends the process; the next question starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError):  # it has ended
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)  # what it has started holds its pipes open
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe
            try:
                pipe.close()
            except OSError:  # what was buffered for it can no longer be written
                continue


def _listen(lines: IO[str], told: queue.Queue[str | None]) -> None:
    """Passes on each line, and at last that there are no more."""
    try:
        for line in lines:
            told.put(line)
    except ValueError:  # closed while it was read
        pass
    told.put(None)
