"""The aiohttp server: takes requests from sockets and performs plans. Owns listening, performing and stopping.

The application decides what is sent. This is the only module that waits.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, Protocol

from aiohttp import web

from fakellm.apis.route import CHAT
from fakellm.base.errors import RequestError, ServerError
from fakellm.engine.journal import Entry
from fakellm.engine.response import Outcome, Relay, Release, Response, Work
from fakellm.server.application import Application, HttpRequest, json_response
from fakellm.server.clock import Clock
from fakellm.server.connection import ClientConnection, reset
from fakellm.server.offload import offload
from fakellm.server.processes.workers import WORKERS
from fakellm.server.request_body import read_body
from fakellm.server.stepping import Stepped, Steps
from fakellm.wire.http1 import Burst, bursts, drip, head_of
from fakellm.wire.plan import Plan
from fakellm.wire.timing import checked_speed

log = logging.getLogger("fakellm")


class Proxy(Protocol):
    """Passes requests on to a server behind this one."""

    async def __call__(self, request: HttpRequest, entry: Entry, client: ClientConnection) -> Plan:
        """Passes the request on and writes the response; returns it, so that the caller performs its end."""

    async def close(self) -> None:
        """Must be called after the last request."""


class Server:
    """A server for `app`: `start`, then `stop`, in one event loop.

    `speed` divides every delay; 0 means no delay; ValueError if it is negative or not finite. `proxy` answers the
    requests that the application relays.
    """

    def __init__(self, app: Application, speed: float = 1.0, proxy: Proxy | None = None) -> None:
        self._app = app
        self._proxy = proxy
        self._speed = checked_speed(speed)
        self._clock = Clock()
        self._steps = Steps()
        self._handling: set[asyncio.Task[Any]] = set()
        self._stopping = asyncio.Event()
        self._listener = _Listener(self._handle, handler_cancellation=True)
        self._runner = web.ServerRunner(self._listener, shutdown_timeout=1.0)

    async def start(self, listener: socket.socket) -> str:
        """Starts to accept connections, and returns the URL."""
        WORKERS.opened()
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()
        host, port = listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self, grace: float) -> None:
        """Accepts no more connections, waits up to `grace` seconds for open replies, and then ends them. Replies that
        stall are ended at once."""
        self._stopping.set()
        for site in list(self._runner.sites):
            await site.stop()
        self._steps.free()
        if self._handling:
            await asyncio.wait(self._handling, timeout=grace)
        for task in self._handling:
            task.cancel()
        await self._runner.cleanup()
        WORKERS.closed()
        if self._proxy:
            await self._proxy.close()

    def cut_off(self) -> None:
        """Ends every reply under way and its connection; other connections are still accepted."""
        for task in list(self._handling):
            task.cancel()
        for connection in self._listener.connections:  # some clients wait until a kept connection is closed
            connection.force_close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._handling.add(task)
        client = ClientConnection(request)
        try:
            return await self._send(client, *await self._answer(client, request))
        finally:
            self._handling.discard(task)

    async def _answer(
        self, client: ClientConnection, http: web.BaseRequest
    ) -> tuple[HttpRequest, Response | Relay, Entry]:
        request, entry = HttpRequest(http.method, http.path_qs, headers=http.headers), None
        outcome: Outcome
        try:
            request = HttpRequest(http.method, http.path_qs, await read_body(http), http.headers)
            with self._replaced(request.target.session):
                outcome, entry = self._app.handle(request)
            outcome = await self._settled(outcome, request, entry)
        except RequestError as error:
            outcome, entry = self._app.refuse(request, error, entry)
        except asyncio.CancelledError:
            if entry:
                entry.outcome = _cut(client)
            raise
        except Exception as error:
            log.exception("%s %s", request.method, request.path)
            message = f"fakellm itself failed: {error!r}. Please report this."
            outcome, entry = self._app.refuse(request, RequestError(500, message, "internal_error"), entry)
        if isinstance(outcome, Response) and outcome.explanation:
            generated = " with generated text" if outcome.rule == "generated" else ""
            status = f"{outcome.head.status}{generated}"
            log.warning("%s %s: answered %s. %s", request.method, request.path, status, outcome.explanation)
        return request, outcome, entry

    async def _settled(self, outcome: Outcome, request: HttpRequest, entry: Entry) -> Response | Relay:
        """The response to send, or the relay, after the work is done or the steps are released."""
        if isinstance(outcome, Work):
            task = asyncio.ensure_future(offload(outcome.run))
            try:
                with self._busy(request):
                    await asyncio.wait([task])
            finally:
                task.cancel()  # if the client has left
            with self._replaced(request.target.session):
                outcome = outcome.then(task.result())
            entry.fill(outcome)
        elif isinstance(outcome, Release):
            number, texts = await self._steps.release(outcome)
            outcome = json_response({"request": number, "frames": texts})
        elif isinstance(outcome, Relay) and self._proxy is None:
            message = f"No recording answers {request.method} {request.path}, and there is no upstream to ask."
            raise RequestError(502, message, "no_upstream")
        return outcome

    def change(self, what: Callable[[], None]) -> None:
        """Calls `what`, which may replace sessions, and releases the frames in these that wait for a step."""
        before = self._app.sessions()
        what()
        for name, session in before.items():
            if self._app.find(name) is not session:
                self._steps.free(name)

    @contextmanager
    def _replaced(self, name: str) -> Iterator[None]:
        """If this block replaces the session of this name, the frames in it that wait for a step are released: its test
        is over or starts again."""
        before = self._app.find(name)
        try:
            yield
        finally:
            if self._app.find(name) is not before:
                self._steps.free(name)

    def _busy(self, request: HttpRequest) -> AbstractContextManager[None]:
        """Within this block, the session of a request is not idle."""
        session = self._app.find(request.target.session)
        return session.reply() if session else nullcontext()

    async def _send(
        self, client: ClientConnection, request: HttpRequest, outcome: Response | Relay, entry: Entry
    ) -> web.StreamResponse:
        try:
            with self._busy(request):
                plan = await self._sent(client, request, outcome, entry)
                await self._end(client, plan, drip(plan, client.http_1_0), entry)
        except ConnectionError:
            entry.outcome = "client left"
            return _Sent(keep_alive=False)
        except asyncio.CancelledError:
            entry.outcome = _cut(client)
            raise
        return _Sent(client.keep_alive and plan.delimited != "close" and plan.end == "complete")

    async def _sent(
        self, client: ClientConnection, request: HttpRequest, outcome: Response | Relay, entry: Entry
    ) -> Plan:
        """Sends all frames; returns the plan, whose end remains to be performed."""
        if isinstance(outcome, Relay):
            assert self._proxy is not None  # else `_settled` has refused the request
            return await self._proxy(request, entry, client)
        ready = outcome.bursts if client.keep_alive else bursts(outcome.plan, False, client.http_1_0)
        if request.method == "HEAD":
            entry.frames, ready = 0, (head_of(ready),)
        with self._stepped(request, outcome, entry) as steps:
            await self._perform(client, ready, entry, steps)
        return outcome.head

    def _stepped(
        self, request: HttpRequest, response: Response, entry: Entry
    ) -> AbstractContextManager[Stepped | None]:
        if not any(burst.step for burst in response.bursts):
            return nullcontext()
        return self._steps.reply(request.target.session, entry.number, response.plan)

    async def _perform(
        self, client: ClientConnection, ready: tuple[Burst, ...], entry: Entry, steps: Stepped | None = None
    ) -> None:
        """Writes each burst when it is due, starting now, and no faster than the client reads."""
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

    async def _end(self, client: ClientConnection, plan: Plan, dripped: Burst | None, entry: Entry) -> None:
        """Performs the end of the plan; aiohttp itself closes connections that are not kept."""
        if plan.end == "reset":
            entry.outcome = "reset"
            if client.transport is not None:
                await reset(client.transport, self._clock)
        elif plan.end == "stall":
            entry.outcome = "stalled"
            while dripped and not self._stopping.is_set():
                # At any speed: a drip without waits would never let anything else run.
                await self._clock.until(self._clock.now() + dripped.delay)
                await self._perform(client, (Burst(dripped.data, 0.0, 0),), entry)
            await self._stopping.wait()  # cancelled when the client leaves
            entry.outcome = "server stopped"
        else:
            entry.outcome = "closed" if plan.end == "close" else "sent"


def _cut(client: ClientConnection) -> Literal["client left", "server stopped"]:
    """Why the reply to a request was ended early."""
    return "client left" if client.transport is None else "server stopped"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, on a free port if `port` is 0.

    Raises ServerError if that fails: the port is in use, or the host is not this machine's.
    """
    if not 0 <= port <= 65535:  # only its last 16 bits would be used
        raise ServerError(f"cannot listen on {host}:{port}: a port is a number from 0 to 65535; 0 takes a free one")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family, backlog=1024)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0].lower()
        raise ServerError(f"cannot listen on {host}:{port}: {reason}; port 0 takes a free one") from None


class _Sent(web.StreamResponse):
    """The response object for aiohttp if every byte has already been written."""

    def __init__(self, keep_alive: bool) -> None:
        super().__init__()
        self._kept_alive = keep_alive

    @property
    def keep_alive(self) -> bool:
        return self._kept_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Sends nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Ends nothing."""


class _Listener(web.Server):
    """aiohttp's server, with connections that refuse broken HTTP in OpenAI's shape and leave bodies compressed."""

    def __call__(self) -> web.RequestHandler:
        loop = asyncio.get_running_loop()
        return _Connection(self, loop=loop, access_log=None, auto_decompress=False)  # type: ignore[arg-type] # None turns the access log off; the annotation has no Optional


class _Connection(web.RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The response to bytes that are not an HTTP request, since aiohttp's own is plain text."""
        reason = str(message or exc).rstrip(".")
        error = RequestError(status, f"This is not an HTTP request: {reason}.", "invalid_http")
        log.warning("%s", error.message)
        response = web.Response(status=status, body=CHAT.refusal(error).body, content_type="application/json")
        response.force_close()
        return response
