"""Performs responses: writes what is due, then performs the end of the plan. Owns what the journal records about that.

`pacer` decides when to write; the application has decided what.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Literal, Protocol

from fakellm.engine.entry import Entry
from fakellm.engine.response import Response
from fakellm.server.application import HttpRequest
from fakellm.server.clock import Clock
from fakellm.server.connection import ClientConnection, reset
from fakellm.server.control.changes import Changes
from fakellm.server.garbage import reply_began
from fakellm.server.listener import EndedResponse
from fakellm.server.requests.log import logger, summarize
from fakellm.server.sending.lateness import Lateness
from fakellm.server.sending.pacer import Pacer
from fakellm.server.sending.traffic import Traffic
from fakellm.server.stepping import Steps
from fakellm.wire.http.http1 import Burst, bursts, drip, head_of
from fakellm.wire.http.segments import within_framing
from fakellm.wire.plan import Plan

BODYLESS = (204, 304)
"""The statuses of responses without a body, whatever their headers (RFC 9112, 6.3)."""


class Proxy(Protocol):
    """Passes requests on to a server behind this one."""

    async def __call__(self, request: HttpRequest, entry: Entry, client: ClientConnection) -> Plan:
        """Passes the request on and writes the response; returns it, so that the caller performs its end."""

    async def close(self) -> None:
        """Must be called after the last request."""


class Performer:
    """Performs the responses of one server. `settled`: called when a reply in a session stalls. `steps`: the stepped
    replies under way."""

    def __init__(
        self,
        speed: float,
        lateness: Lateness,
        traffic: Traffic,
        changes: Changes,
        settled: Callable[[str, Entry], None],
        steps: Steps,
    ) -> None:
        self._logs = logger().isEnabledFor(logging.INFO)
        self._settled = settled
        self._traffic = traffic
        self._changes = changes
        self.clock = Clock()
        self.steps = steps
        self.stopping = asyncio.Event()
        """Set when the server stops: then replies that stall end."""
        self._pacer = Pacer(self.clock, speed, self.steps, lateness, traffic)
        self._kept, self._closed = EndedResponse(keep_alive=True), EndedResponse(keep_alive=False)

    def paced(self, speed: float | None) -> float:
        """The speed, after it has been changed to this one if there is one."""
        if speed is not None:
            self._pacer.speed = speed
        return self._pacer.speed

    def send_at_once(self, client: ClientConnection, response: Response, entry: Entry) -> EndedResponse | None:
        """Does what `send` does if nothing in it has to wait; else returns None, with nothing sent."""
        plan, burst = response.head, response.at_once
        if burst is None or burst.step or burst.separate or plan.cut_framing or (burst.delay and self._pacer.speed):
            return None
        if plan.end in ("stall", "reset") or not client.keep_alive or client.head_only or plan.status in BODYLESS:
            return None
        if not client.has_room(len(burst.data)):
            return None
        if response.ended:  # before the client can know
            response.ended()
        client.write(burst.data)
        entry.frames_sent = burst.frames
        entry.outcome = "closed" if plan.end == "close" else "sent"
        self.ended(entry)
        self._traffic.bytes += len(burst.data)
        self._traffic.began(entry, entry.ended or 0.0)
        return self._finished(client, plan)

    def ended(self, entry: Entry) -> None:
        """Records when a reply ended, and logs a line about it."""
        entry.ended = self.clock.now()
        if self._logs and entry.started is not None:
            summarize(entry, 1_000 * (entry.ended - entry.started))
        self._traffic.ended(entry)
        self._changes.notify(entry)

    async def send(self, client: ClientConnection, response: Response, entry: Entry, session: str) -> EndedResponse:
        """Sends the response to a request in this session."""
        reply_began()
        plan, ended = response.head, response.ended
        self._traffic.open += 1
        try:
            ready = _written(client, response, entry)
            if response.stepped:
                with self.steps.reply(session, entry.number, response.plan) as stepped:
                    await self._pacer.send(client, ready, entry, stepped)
            else:
                await self._pacer.send(client, ready, entry)
            del response, ready  # the end may take long, and nothing needs what was written
            return await self._end(client, plan, entry, session)
        except (asyncio.CancelledError, Exception) as error:
            self._broke_off(client, entry, error)
            if isinstance(error, asyncio.CancelledError):
                raise
            return self._closed
        finally:
            self._traffic.open -= 1
            self.ended(entry)
            if ended:
                ended()

    async def pass_on(
        self, proxy: Proxy, client: ClientConnection, request: HttpRequest, entry: Entry
    ) -> EndedResponse:
        """Passes a request on, and the response back."""
        try:
            with client.waiting():  # the upstream's pace is not known
                return await self._end(client, await proxy(request, entry, client), entry, request.target.session)
        except (asyncio.CancelledError, Exception) as error:
            self._broke_off(client, entry, error)
            if isinstance(error, asyncio.CancelledError):
                raise
            return self._closed
        finally:
            self.ended(entry)

    async def _end(self, client: ClientConnection, plan: Plan, entry: Entry, session: str) -> EndedResponse:
        """Performs the end of the plan; aiohttp itself closes connections that are not kept."""
        if plan.end == "reset":
            if client.transport is None:
                raise ConnectionResetError
            await reset(client.transport, self.clock)
            entry.outcome = "reset"
        elif plan.end == "stall":
            entry.outcome = "stalled"
            self._changes.notify(entry)
            dripped = drip(plan, client.http_1_0)
            self._settled(session, entry)
            with client.waiting():
                while dripped and not self.stopping.is_set():
                    # At any speed: a drip without waits would never let anything else run.
                    await self.clock.until(self.clock.now() + dripped.delay)
                    await self._pacer.send(client, (Burst(dripped.data, 0.0, 0),), entry)
                await self.stopping.wait()  # cancelled when the client leaves
            entry.outcome = "server stopped"
        else:
            entry.outcome = "closed" if plan.end == "close" else "sent"
            if client.left:
                raise ConnectionResetError
        return self._finished(client, plan)

    def _finished(self, client: ClientConnection, plan: Plan) -> EndedResponse:
        kept = client.keep_alive and plan.delimited != "close" and plan.end == "complete"
        return self._kept if kept else self._closed

    def _broke_off(self, client: ClientConnection, entry: Entry, error: BaseException) -> None:
        """Records why a reply has ended early. If fakellm failed, ends the connection, so that the client does not take
        what it has got for a whole reply."""
        if isinstance(error, ConnectionError):
            entry.outcome = "client left"
        elif isinstance(error, asyncio.CancelledError):
            entry.outcome = ended_early(client)
        else:
            logger().exception("fakellm itself failed while it sent a reply. Please report this.")
            entry.outcome = "closed"
            if client.transport is not None:
                client.transport.abort()


def _written(client: ClientConnection, response: Response, entry: Entry) -> Iterable[Burst]:
    """What is written to this client of a response."""
    written = response.bursts if client.keep_alive else bursts(response.plan, False, client.http_1_0)
    if client.head_only or response.head.status in BODYLESS:  # or the next response would start with the body
        entry.frames, written = 0, (head_of(written),)
    plan = response.head
    if plan.cut_framing and plan.status is not None:
        return within_framing(written, plan.delimited == "chunked" and not client.http_1_0)
    return written


def ended_early(client: ClientConnection) -> Literal["client left", "server stopped"]:
    """Why the task of a reply was cancelled."""
    return "client left" if client.transport is None else "server stopped"
