"""Serves files that are being edited: each saved version is served, errors are logged. Owns when files are checked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from fakellm.base.words.count import count
from fakellm.scenarios.loader import Reading, dump_json, read
from fakellm.scenarios.scenario import Scenario
from fakellm.server.garbage import paused

if TYPE_CHECKING:
    from fakellm.engine.engine import Engine
    from fakellm.server.http_server import Server
    from fakellm.server.scenario_app import App

POLL = 0.5
"""Seconds between two checks of the files."""

log = logging.getLogger("fakellm")


class Files:
    """The files of a scenario: those named, what is in their folders, and what they include."""

    def __init__(self, paths: Sequence[Path], reading: Reading) -> None:
        self._paths = paths
        self._stamps = {file: _stamp(file) for file in reading.files}

    @property
    def files(self) -> Sequence[Path]:
        """All that are read now, or looked for."""
        return tuple(self._stamps)

    def changed(self) -> Reading | None:
        """The current content of the files, if any of them has changed since the last check; else None."""
        now = {file: _stamp(file) for file in self._stamps}
        if now == self._stamps:
            return None
        with paused():
            reading = read(self._paths, again=True)
        # The stamps of known files are from before this reading, so that a change in the meantime is noticed.
        self._stamps = {file: now[file] if file in now else _stamp(file) for file in reading.files}
        return reading


async def follow(server: Server, app: App, files: Files) -> None:
    """Serves the content of the files whenever they have changed, until it is cancelled. It survives any error in a
    check: the last good scenario stays, and the next check may succeed. The same error again is not logged again."""
    reported = ""
    while True:
        await asyncio.sleep(POLL)
        try:
            reading = await asyncio.to_thread(files.changed)
            if reading is not None:
                await serve_reading(server, app, reading)
            reported = ""
        except Exception as error:
            if repr(error) == reported:
                continue
            reported = repr(error)
            log.exception("the files cannot be followed; the last good scenario stays, and they are looked at again")


async def serve_reading(server: Server, app: App, reading: Reading) -> None:
    """Serves what was read, except in sessions with their own scenario. If it has errors, the last good one stays.
    If it is the one that is served, the journals stay too."""
    if reading.scenario is None:
        problems = "\n%s" * len(reading.problems)
        log.warning(f"the scenario has errors now; the last good one stays:{problems}", *reading.problems)
        return
    if await asyncio.to_thread(_equal, reading.scenario, app.scenario):
        log.warning("the files have changed, but the scenario has not: the journals stay")
        return
    engine = await asyncio.to_thread(_compiled, app, reading.scenario)
    server.change(lambda: app.restart(engine))
    rules, kept = count(len(reading.scenario.rules), "rule"), _kept(app.own_sessions)
    log.warning("the files have changed: serves %s of %s; journals begin anew%s", rules, reading.scenario.name, kept)


def _equal(one: Scenario, other: Scenario | None) -> bool:
    """Whether two scenarios of files send the same. As texts they also differ in what Python calls equal, such as 1 and
    true, and in the order of keys."""
    return other is not None and dump_json(one) == dump_json(other)


def _kept(sessions: Sequence[str]) -> str:
    """What is served besides: some sessions have loaded a scenario or rules of their own, from the page or with PUT."""
    if not sessions:
        return ""
    named = ", ".join(repr(name) if name else "the one without a name" for name in sessions[:_NAMED])
    more = f" and {len(sessions) - _NAMED:,} more" if len(sessions) > _NAMED else ""
    path = f"/s/{quote(sessions[0], safe='')}" if sessions[0] else ""
    remedy = f"(POST {path}/_fakellm/reset has it serve the files)"
    return f"; sessions that have loaded a scenario or rules of their own keep them: {named}{more} {remedy}"


_NAMED = 5
"""Sessions that a message names."""


def _compiled(app: App, scenario: Scenario) -> Engine:
    with paused():
        return app.compiled(scenario, app.strict)


def _stamp(file: Path) -> tuple[int, int] | None:
    """When the file was written and its size; None if it does not exist."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
