"""What a server has sent since it was started, in numbers that cost next to nothing to keep.

Knows no format of metrics and no journal; how late frames left is counted by `lateness`.
"""

from __future__ import annotations

from bisect import bisect_left

from fakellm.engine.entry import Ending, Entry

BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds until the first byte of a reply, by which replies are counted."""

MOST_SERIES = 1_000
"""Combinations of API, rule, status and outcome that are counted each by itself."""

OTHERS = "(others)"
"""Stands for the rules of all further combinations."""

Series = tuple[str | None, str | None, int | None, Ending]
"""What requests are counted by: the API, the rule, the status and the outcome of their entries in the journal."""


class Traffic:
    """The requests that the journals of one server got, and the replies to them."""

    def __init__(self) -> None:
        self.requests: dict[Series, int] = {}
        """Those whose replies have ended."""
        self.unmatched = 0
        self.frames = 0
        """Of replies that have ended."""
        self.bytes = 0
        """Of all replies but those that a recorder passes on and those that send events until their readers leave."""
        self.open = 0
        """Replies that are being sent over time, or stall."""
        self.within = [0] * (len(BOUNDS) + 1)
        """How many replies had their first byte within each of BOUNDS, but not within the one before; the last: later
        than all."""
        self.seconds = 0.0
        """The times until the first bytes, together."""
        self.stopping = False
        """Whether the server takes no more requests."""

    def began(self, entry: Entry, now: float) -> None:
        """Counts a reply whose first bytes have been written."""
        if entry.number and entry.started is not None:
            self.within[bisect_left(BOUNDS, now - entry.started)] += 1
            self.seconds += now - entry.started

    def add(self, now: Traffic, before: Traffic) -> None:
        """Adds what another process has sent for the same server between two times."""
        for series, count in now.requests.items():
            self._count(series, count - before.requests.get(series, 0))
        changes = zip(self.within, now.within, before.within, strict=True)
        self.within = [ours + theirs - then for ours, theirs, then in changes]
        for name in ("unmatched", "frames", "bytes", "open", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(now, name) - getattr(before, name))

    def ended(self, entry: Entry) -> None:
        """Counts a request whose reply has ended."""
        if not entry.number:  # it is for a control route
            return
        self._count((entry.api, entry.rule, entry.status, entry.outcome), 1)
        self.frames += entry.frames_sent
        self.unmatched += not entry.matched

    def _count(self, series: Series, requests: int) -> None:
        if series not in self.requests and len(self.requests) >= MOST_SERIES:
            series = (series[0], OTHERS, *series[2:])
        self.requests[series] = self.requests.get(series, 0) + requests
