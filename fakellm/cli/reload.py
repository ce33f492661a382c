"""Serving files that are being edited: each save is served, and a bad one is told. Owns when files are looked at."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from fakellm.scenarios.loader import Reading, read
from fakellm.server.http_server import Server
from fakellm.server.scenario_app import App

POLL = 0.5
"""Seconds between two looks at the files."""

log = logging.getLogger("fakellm")


class Files:
    """The files of a scenario: those named, what is in their folders, and what they include."""

    def __init__(self, paths: Sequence[Path], reading: Reading) -> None:
        self._paths = paths
        self._stamps = {file: _stamp(file) for file in reading.files}

    def changed(self) -> Reading | None:
        """What they say now, where any has changed since the last look."""
        now = {file: _stamp(file) for file in self._stamps}
        if now == self._stamps:
            return None
        reading = read(self._paths)
        # Those known before are as they were before this reading, so that a change in the meantime is seen.
        self._stamps = {file: now[file] if file in now else _stamp(file) for file in reading.files}
        return reading


async def follow(server: Server, app: App, files: Files) -> None:
    """Serves what the files say whenever they have changed, until it is cancelled."""
    while True:
        await asyncio.sleep(POLL)
        reading = await asyncio.to_thread(files.changed)
        if reading is not None:
            take(server, app, reading)


def take(server: Server, app: App, reading: Reading) -> None:
    """Serves what was read, but for sessions with a scenario of their own; where it is bad, the last good one stays."""
    if reading.scenario is None:
        log.warning("the scenario is bad now; the last good one stays:\n%s", "\n".join(reading.problems))
    else:
        server.change(partial(app.restart, reading.scenario))
        log.warning("the files have changed: serves %d rules of %s", len(reading.scenario.rules), reading.scenario.name)


def _stamp(file: Path) -> tuple[int, int] | None:
    """When it was written and how long it is; None where it is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
