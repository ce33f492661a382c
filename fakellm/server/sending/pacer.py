"""Sends the bursts of replies when they are due. Owns due times and backpressure; knows nothing about the bytes.

The clock writes what is due. The task of a reply is woken only when the reply has to wait for something other than
time, and at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from fakellm.engine.entry import Entry
from fakellm.server.clock import Clock
from fakellm.server.connection import ClientConnection
from fakellm.server.sending.lateness import TOLERANCE, Lateness, milliseconds
from fakellm.server.sending.traffic import Traffic
from fakellm.server.stepping import Stepped, Steps
from fakellm.wire.http.http1 import Burst

_TURN = 8
"""How many bursts of a reply that are due are written before other work gets its turn."""

HALF_CLOSED_PATIENCE = 60.0
"""Seconds that a client which has ended its side may have to wait for the next part of its reply."""

PIECE = 128 * 1024
"""The most bytes that are written at once. asyncio copies what a client has not read and keeps it for each client: this
much, and up to 64 KiB before it."""


class Pacer:
    """Sends the replies of one server. `speed` divides their delays; 0 removes them."""

    def __init__(self, clock: Clock, speed: float, steps: Steps, lateness: Lateness, traffic: Traffic) -> None:
        self.clock = clock
        self.speed = speed
        self.steps = steps
        self.lateness = lateness
        self.traffic = traffic

    async def send(
        self, client: ClientConnection, bursts: Iterable[Burst], entry: Entry, stepped: Stepped | None = None
    ) -> None:
        """Writes each burst when it is due, starting now, and no faster than the client reads. Raises
        ConnectionResetError if the client has left."""
        await _Paced(self, client, bursts, entry, stepped).send()


class _Paced:
    """A reply under way. Due times count from its start, so a burst that is late delays no other."""

    __slots__ = (
        "_began",
        "_burst",
        "_client",
        "_due",
        "_entry",
        "_excused",
        "_pacer",
        "_rest",
        "_separated",
        "_stepped",
        "_woken",
        "_written",
    )

    def __init__(
        self,
        pacer: Pacer,
        client: ClientConnection,
        bursts: Iterable[Burst],
        entry: Entry,
        stepped: Stepped | None,
    ) -> None:
        self._pacer = pacer
        self._client = client
        self._rest = iter(bursts)
        self._entry = entry
        self._stepped = stepped
        self._began = entry.outcome != "sending"  # what a stalled reply repeats is not its beginning
        self._written = 0
        self._separated = False  # whether the client has had time to read all bursts before this one
        self._due = self._excused = pacer.clock.now()
        self._burst: Burst | None = None
        self._next()
        # `_due` is that of `_burst`, of which `_written` bytes are written. What was due up to `_excused` waited for
        # the client or for a step.
        self._woken: asyncio.Future[None] | None = None

    async def send(self) -> None:
        """Returns when everything has been written."""
        clock, client = self._pacer.clock, self._client
        while True:
            if self._write(clock.now()):
                await self._until_due()
            elif client.full:
                await client.drain()
                self._excused = clock.now()
            elif self._burst is None:
                return
            elif self._stepped and not self._stepped.ready:
                with client.waiting():
                    await self._pacer.steps.turn(self._stepped)
                self._excused = clock.now()
            elif self._burst.separate and not self._separated:
                await client.has_read(clock)
                self._separated, self._excused = True, clock.now()
            else:
                await asyncio.sleep(0)

    async def _until_due(self) -> None:
        """Leaves the reply to the clock, until it has to wait for something else."""
        with self._client.waiting(self._waits_long):
            self._woken = asyncio.get_running_loop().create_future()
            self._pacer.clock.at(self._due, self)
            try:
                await self._woken
            finally:
                if self._woken.cancelled():
                    self._pacer.clock.forget()
                self._woken = None  # an error in it refers to this reply

    def _waits_long(self) -> bool:
        """Whether the next burst is due so late that a client which has ended its side is taken for one that left."""
        return self._due - self._pacer.clock.now() > HALF_CLOSED_PATIENCE

    @property
    def over(self) -> bool:
        return self._woken is None or self._woken.cancelled()

    def due(self, now: float) -> float | None:
        assert self._woken is not None
        try:
            if self._write(now):
                if self._client.half_closed and self._waits_long():
                    raise ConnectionResetError
                return self._due
        except Exception as error:
            self._woken.set_exception(error)
        else:
            self._woken.set_result(None)
        return None

    def _write(self, now: float) -> bool:
        """Writes what is due, as long as there is room. Whether the next burst has only to wait for its time."""
        client, entry, writes = self._client, self._entry, 0
        while self._due <= now:
            burst = self._burst
            if burst is None or writes == _TURN or client.full:
                return False
            stepped = self._stepped if burst.step else None
            if (stepped and not stepped.ready) or (burst.separate and not self._separated):
                return False
            writes += 1
            if len(burst.data) > PIECE and self._write_piece(burst.data):
                continue
            if not self._written:
                client.write(burst.data)
            self._written, self._separated = 0, False
            entry.frames_sent += burst.frames
            self._pacer.traffic.bytes += len(burst.data)
            if not self._began:
                self._began = True
                self._pacer.traffic.began(entry, now)
            if stepped:
                stepped.wrote()
            if now - self._due > TOLERANCE and self._due > self._excused:
                self._late(now - self._due)
            self._next()
        return True

    def _next(self) -> None:
        """Goes on to the next burst, which need not have been made before."""
        self._burst = next(self._rest, None)
        if self._burst is not None and self._pacer.speed:
            self._due += self._burst.delay / self._pacer.speed

    def _write_piece(self, data: bytes) -> bool:
        """Writes the next part of a burst. Whether there is more."""
        self._client.write(memoryview(data)[self._written : self._written + PIECE])
        self._written += PIECE
        return self._written < len(data)

    def _late(self, late: float) -> None:
        self._entry.late_ms = max(self._entry.late_ms, milliseconds(late))
        self._pacer.lateness.add(late, self._pacer.clock.loop)  # to ask for the loop takes a system call (Python 3.11)
