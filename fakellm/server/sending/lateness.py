"""How late paced frames leave: counts those that are too late, for the log and for `GET /_fakellm/health`.

Only the server can make a frame late here, because its process or its machine is too busy. A frame that waits because
the client does not read does not count.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from fakellm.base.words.count import count

log = logging.getLogger("fakellm")

TOLERANCE = 0.05
"""Seconds by which a frame may leave after its due time before it counts as late."""

_INTERVAL = 1.0
"""The least seconds between two lines in the log."""


class Lateness:
    """The late frames of a server since it was started."""

    def __init__(self) -> None:
        self.frames = 0
        self.worst = 0.0
        """Seconds."""
        self._unlogged = 0
        self._unlogged_worst = 0.0
        self._next = 0.0  # when the log may be written again, on the loop's clock
        self._logging = False

    def facts(self) -> dict[str, Any]:
        """The facts for `GET /_fakellm/health`."""
        return {"late_frames": self.frames, "worst_ms": milliseconds(self.worst)}

    def add(self, late: float, loop: asyncio.AbstractEventLoop) -> None:
        """Counts a frame that left this many seconds late. At most once a second, the end of a turn of `loop` writes a
        line for all late frames since the line before; no timer does, so the last ones may have to wait for `flush`."""
        self.frames += 1
        self.worst = max(self.worst, late)
        self._unlogged += 1
        self._unlogged_worst = max(self._unlogged_worst, late)
        if not self._logging and loop.time() >= self._next:
            self._logging = True
            self._next = loop.time() + _INTERVAL
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Writes the line for the late frames that no line has counted, if there are any."""
        frames, worst = self._unlogged, milliseconds(self._unlogged_worst)
        self._unlogged, self._unlogged_worst, self._logging = 0, 0.0, False
        if frames:
            log.warning(
                "%s left more than %d ms late, the worst %s ms: this process or its machine is too busy",
                count(frames, "frame"),
                TOLERANCE * 1000,
                worst,
            )


def milliseconds(seconds: float) -> float:
    """Seconds in milliseconds, to a tenth."""
    return round(seconds * 1000, 1)
