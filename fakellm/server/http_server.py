"""The aiohttp shell: sockets in, plans out. Owns listening, reading a request, performing a plan, and stopping.

Decides nothing about what is said; the application does. The only room that waits.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from aiohttp import hdrs, web

from fakellm.apis.chat.writer import write_error
from fakellm.base.errors import RequestError, ServerError
from fakellm.engine.engine import Answer
from fakellm.engine.journal import Entry
from fakellm.server.application import Application, Call, address, json_answer
from fakellm.server.clock import Clock
from fakellm.server.connection import Client, reset
from fakellm.server.stepping import Stepped, Steps
from fakellm.wire.http1 import Burst, bursts, drip
from fakellm.wire.plan import Plan
from fakellm.wire.timing import checked_speed

MOST_BYTES = 64 * 2**20
"""The largest body of a request: prompts of several MB are normal, and with pictures they reach tens of MB."""

log = logging.getLogger("fakellm")


class Relay(Protocol):
    """The way to a server behind this one."""

    async def __call__(self, call: Call, entry: Entry, client: Client) -> Plan:
        """Asks that server and writes what it answers; returns it, for its end to be performed here."""

    async def close(self) -> None:
        """To be called once nothing is asked any more."""


class Server:
    """A server for `app`: `start`, then `stop`, in one event loop.

    `speed` divides every delay, 0 is no delay at all. Raises ValueError where it is no such number. `relay` answers
    what the application leaves to the server behind this one.
    """

    def __init__(self, app: Application, speed: float = 1.0, relay: Relay | None = None) -> None:
        self._app = app
        self._relay = relay
        self._speed = checked_speed(speed)
        self._clock = Clock()
        self._steps = Steps()
        self._handling: set[asyncio.Task[Any]] = set()
        self._stopping = asyncio.Event()
        self._listener = _Listener(self._handle, handler_cancellation=True)
        self._runner = web.ServerRunner(self._listener, shutdown_timeout=1.0)

    async def start(self, listener: socket.socket) -> str:
        """Accepts connections from now on, and returns the URL."""
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()
        host, port = listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self, grace: float) -> None:
        """Takes no more connections, gives open replies so many seconds to end, and then ends them; at once those that
        stall."""
        self._stopping.set()
        for site in list(self._runner.sites):
            await site.stop()
        self._steps.free()
        if self._handling:
            await asyncio.wait(self._handling, timeout=grace)
        for task in self._handling:
            task.cancel()
        await self._runner.cleanup()
        if self._relay:
            await self._relay.close()

    def cut_off(self) -> None:
        """Ends every reply that is under way, and its connection; goes on to accept others."""
        for task in list(self._handling):
            task.cancel()
        for connection in self._listener.connections:  # some wait for the close of one that is kept
            connection.force_close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._handling.add(task)
        try:
            return await self._send(Client(request), *await self._answer(request))
        finally:
            self._handling.discard(task)

    async def _answer(self, request: web.BaseRequest) -> tuple[Call, Answer, Entry]:
        call = Call(request.method, request.path_qs, headers=request.headers)
        try:
            call = Call(request.method, request.path_qs, await _read(request), request.headers)
            answer, entry = self._handled(call)
            if answer.release:
                number, texts = await self._steps.release(answer.release)
                answer = json_answer({"request": number, "frames": texts})
        except RequestError as error:
            answer, entry = self._app.refuse(call, error)
        except Exception as error:
            log.exception("%s %s", call.method, call.path)
            message = f"fakellm itself failed: {error!r}. Please report this."
            answer, entry = self._app.refuse(call, RequestError(500, message, "internal_error"))
        if answer.explanation:
            log.warning("%s %s: %s %s", call.method, call.path, answer.plan.status, answer.explanation)
        return call, answer, entry

    def change(self, what: Callable[[], None]) -> None:
        """Does what may put other sessions in place of some, and lets the frames go that wait for a step in those."""
        before = dict(self._app.sessions)
        what()
        for name, engine in before.items():
            if self._app.sessions.get(name) is not engine:
                self._steps.free(name)

    def _handled(self, call: Call) -> tuple[Answer, Entry]:
        name, _ = address(call.path)
        before = self._app.sessions.get(name)
        handled = self._app.handle(call)
        if self._app.sessions.get(name) is not before:  # a reset or a load: its test is over, or starts anew
            self._steps.free(name)
        return handled

    async def _send(self, client: Client, call: Call, answer: Answer, entry: Entry) -> web.StreamResponse:
        plan = answer.plan
        keep_alive = client.keep_alive and plan.delimited != "close"
        try:
            if answer.relay and self._relay:
                plan = await self._relay(call, entry, client)
            else:
                ready = answer.bursts if keep_alive else bursts(plan, keep_alive, client.http_1_0)
                with self._stepped(ready, answer, entry) as steps:
                    await self._perform(client, ready, entry, steps)
            await self._end(client, plan, drip(plan, client.http_1_0), entry)
        except ConnectionError:
            entry.outcome = "client left"
            return _Sent(keep_alive=False)
        except asyncio.CancelledError:
            entry.outcome = "client left" if client.transport is None else "server stopped"
            raise
        return _Sent(client.keep_alive and plan.delimited != "close" and plan.end == "complete")

    def _stepped(
        self, ready: tuple[Burst, ...], answer: Answer, entry: Entry
    ) -> AbstractContextManager[Stepped | None]:
        if not any(burst.step for burst in ready):
            return nullcontext()
        name, _ = address(entry.path)
        return self._steps.reply(name, entry.number, answer.plan)

    async def _perform(
        self, client: Client, ready: tuple[Burst, ...], entry: Entry, steps: Stepped | None = None
    ) -> None:
        """Writes each burst when it is due, counted from now, and no faster than the client reads."""
        due = self._clock.now()
        for burst in ready:
            if burst.delay and self._speed:
                due += burst.delay / self._speed
                await self._clock.until(due)
            if burst.step and steps:
                await self._steps.turn(steps)
            client.write(burst.data)
            entry.frames_sent += burst.frames
            if burst.step and steps:
                steps.wrote()
            await client.drain()

    async def _end(self, client: Client, plan: Plan, dripped: Burst | None, entry: Entry) -> None:
        """What follows the last frame; aiohttp itself closes the connections that are not kept."""
        if plan.end == "reset":
            entry.outcome = "reset"
            if client.transport is not None:
                await reset(client.transport, self._clock)
        elif plan.end == "stall":
            entry.outcome = "stalled"
            while dripped and not self._stopping.is_set():
                # Whatever the speed: a drip without waits would never let anything else run.
                await self._clock.until(self._clock.now() + dripped.delay)
                await self._perform(client, (Burst(dripped.data, 0.0, 0),), entry)
            await self._stopping.wait()  # cancelled when the client leaves
            entry.outcome = "server stopped"
        else:
            entry.outcome = "closed" if plan.end == "close" else "sent"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, on a free port where `port` is 0.

    Raises ServerError when it cannot: the port is in use, the host is not this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family, backlog=1024)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0].lower()
        raise ServerError(f"cannot listen on {host}:{port}: {reason}; port 0 takes a free one") from None


async def _read(request: web.BaseRequest) -> bytes:
    """The body, decompressed. Raises RequestError when it is too large or damaged."""
    too_large = RequestError(413, f"The body of your request exceeds {MOST_BYTES:,} bytes.", "request_too_large")
    if (request.content_length or 0) > MOST_BYTES:
        raise too_large
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        # curl waits a second for this before it sends a body of more than 1 MiB.
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    pieces, size = [], 0
    try:
        async for piece in request.content.iter_any():
            pieces.append(piece)
            size += len(piece)
            if size > MOST_BYTES:
                raise too_large
    except web.RequestPayloadError as error:
        raise RequestError(400, f"The body of your request is damaged: {error}.", "invalid_body") from None
    return b"".join(pieces)


class _Sent(web.StreamResponse):
    """What aiohttp is given for a response whose every byte has been written already."""

    def __init__(self, keep_alive: bool) -> None:
        super().__init__()
        self._kept_alive = keep_alive

    @property
    def keep_alive(self) -> bool:
        return self._kept_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing to send."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing to end."""


class _Listener(web.Server):
    """aiohttp's server, with connections that refuse broken HTTP in OpenAI's shape."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=asyncio.get_running_loop(), access_log=None)  # type: ignore[arg-type] # None turns it off; the annotation has no Optional


class _Connection(web.RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The reply to bytes that are no HTTP request: aiohttp's own is plain text."""
        error = RequestError(status, f"This is no HTTP request: {str(message or exc).rstrip('.')}.", "invalid_http")
        log.warning("%s", error.message)
        body = write_error(error)
        response = web.Response(status=status, body=body, content_type="application/json")
        response.force_close()
        return response
