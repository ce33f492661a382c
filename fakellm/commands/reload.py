"""Serving files that are being edited: each save is served, and a bad one is told. Owns when files are looked at."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from fakellm.app import App
from fakellm.loader import Reading, read
from fakellm.server import Server

POLL = 0.5
"""Seconds between two looks at the files."""

Stamps = dict[Path, tuple[int, int] | None]

log = logging.getLogger("fakellm")


async def follow(server: Server, app: App, paths: Sequence[Path], reading: Reading) -> None:
    """Serves what the files say whenever they, their folders or what they include have changed, until it is cancelled.

    Where they have become bad, the last good scenario stays. Sessions with a scenario of their own keep that.
    """
    stamps = await asyncio.to_thread(_stamps, reading.files)
    while True:
        await asyncio.sleep(POLL)
        now = await asyncio.to_thread(_stamps, stamps)
        if now == stamps:
            continue
        reading = await asyncio.to_thread(read, paths)
        # What has just been found is looked at from now on; what was there before, from before it was read.
        stamps = await asyncio.to_thread(_stamps, reading.files) | {
            file: now[file] for file in reading.files if file in now
        }
        if reading.scenario is None:
            log.warning("the scenario is bad now; the last good one stays:\n%s", "\n".join(reading.problems))
        else:
            server.change(partial(app.restart, reading.scenario))
            log.warning(
                "the files have changed: serves %d rules of %s", len(reading.scenario.rules), reading.scenario.name
            )


def _stamps(files: Iterable[Path]) -> Stamps:
    """When each was written and how long it is; None where it is not there."""
    return {file: _stamp(file) for file in files}


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
