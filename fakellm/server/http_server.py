"""The server: takes requests from aiohttp, has the application answer them, and sends the responses. Owns stopping.

The application decides what is sent, and `performer` sends it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar

from aiohttp import web

from fakellm.base.errors import RequestError
from fakellm.base.validation import shortened
from fakellm.engine.entry import Entry
from fakellm.engine.response import Outcome, Pace, Relay, Release, Response, Watch, Work, give_up
from fakellm.engine.state import Session
from fakellm.server.application import Application, HttpRequest, json_response, led_to_page, parsed_entry, settled
from fakellm.server.connection import ClientConnection
from fakellm.server.connections.listening import BACKLOG, Accepting, accept_no_more, url_of
from fakellm.server.connections.settings import Connections
from fakellm.server.connections.tls import context
from fakellm.server.listener import Listener
from fakellm.server.live.feed import Feed, Watching
from fakellm.server.offload import offload
from fakellm.server.page.paths import opens_root
from fakellm.server.processes.workers import WORKERS
from fakellm.server.request_body import read_body, received_body, requested_path
from fakellm.server.requests.begun import Begun
from fakellm.server.requests.control_access import ControlAccess
from fakellm.server.requests.log import explain, logger, quieten
from fakellm.server.sending.performer import Performer, ended_early
from fakellm.server.sending.performer import Proxy as Proxy  # callers of a Server need it
from fakellm.server.stepping import Steps
from fakellm.wire.timing import checked_speed

T = TypeVar("T")
log = logger()


class Server:
    """A server for `app`: `start`, then `stop`, in one event loop.

    `speed` divides every delay; 0 means no delay; ValueError if it is negative or not finite. `proxy` answers the
    requests that the application relays. `access`: who may use the control routes. `connections`: how they are treated;
    ServerError if their certificate cannot be used. `steps`: where stepped replies are; by default they are its own.
    `feed`: sends what happens; by default what happens in this process.
    """

    def __init__(
        self,
        app: Application,
        speed: float = 1.0,
        proxy: Proxy | None = None,
        access: ControlAccess = ControlAccess(),  # noqa: B008 # it is frozen
        connections: Connections = Connections(),  # noqa: B008 # it is frozen
        *,
        steps: Steps | None = None,
        feed: Watching | None = None,
    ) -> None:
        self._app = app
        self._proxy = proxy
        self._access = access
        self._performer = Performer(
            checked_speed(speed), app.lateness, app.traffic, app.changes, partial(settled, app), steps or Steps()
        )
        self.feed: Watching = feed or Feed(app, partial(parsed_entry, app), self._performer.clock.now)
        self._handling: set[asyncio.Task[Any]] = set()
        """The tasks of requests that wait for something."""
        self._listener = Listener(self._begin, self._handle, self._abandoned, connections)
        self._tls = context(connections)
        if self._tls:
            app.scheme = "https"
        self._socket: socket.socket | None = None
        self._runner = web.ServerRunner(self._listener, shutdown_timeout=1.0)

    async def start(self, listener: socket.socket) -> str:
        """Starts to accept connections, and returns the URL. Warns if others than this machine can reach the control
        routes."""
        self._access.warn_if_open(listener)
        await self.accept(listener)
        return url_of(listener, self._tls is not None)

    async def accept(self, listener: socket.socket) -> None:
        """Starts to accept connections."""
        WORKERS.opened()
        quieten(asyncio.get_running_loop())
        await self._runner.setup()
        self._socket = listener
        # aiohttp listens again
        await web.SockSite(self._runner, listener, backlog=BACKLOG, ssl_context=self._tls).start()

    async def stop(self, grace: float) -> None:
        """Accepts no more connections, waits up to `grace` seconds for open replies, and then ends them. Replies that
        stall are ended at once."""
        if self._socket is not None:
            await accept_no_more(self._socket)
        for site in list(self._runner.sites):
            await site.stop()
        self.end_waits()
        now = self._performer.clock.now
        end = now() + grace
        while self._handling and (left := end - now()) > 0:  # more may begin meanwhile, on kept connections
            await asyncio.wait(self._handling, timeout=left)
        for task in self._handling:
            task.cancel()
        await self._runner.cleanup()
        if isinstance(self._socket, Accepting):
            await self._socket.end_all()  # what aiohttp does not know yet, and what TLS would wait for
        self._app.lateness.flush()
        WORKERS.closed()
        if self._proxy:
            await self._proxy.close()

    def end_waits(self) -> None:
        """From now on nothing waits for a step or for a change of a journal, nobody watches, and no reply stalls."""
        self._app.traffic.stopping = True
        self._performer.stopping.set()
        self._performer.steps.free()
        self._app.changes.close()
        self.feed.close()

    def pace(self, speed: float | None) -> float:
        """The number that delays are divided by, after it has been set to this one, if there is one."""
        return self._performer.paced(speed)

    def cut_off(self) -> None:
        """Ends every reply under way, as if its client had left, and its connection; others are still accepted."""
        for task in list(self._handling):
            task.cancel()
        for connection in self._listener.connections:  # some clients wait until a kept connection is closed
            connection.force_close()

    def _begin(self, http: web.BaseRequest) -> web.StreamResponse | Begun | None:
        """Answers a request of which all has arrived: returns what aiohttp gets for it or, if something has to wait,
        what is known by then. None, with nothing done, if its body has not arrived."""
        body = received_body(http)
        return None if body is None else self._answered(http, body, self._performer.clock.now())

    async def _read(self, http: web.BaseRequest) -> web.StreamResponse | Begun:
        """As `_begin`, for a request whose body has not arrived."""
        started = self._performer.clock.now()
        try:
            body = await read_body(http)
        except ConnectionError:
            raise  # the client has left before it sent its request
        except Exception as error:
            request = HttpRequest(http.method, requested_path(http), headers=http.headers)
            return self._replied(ClientConnection(http), request, started, *self._refused(request, error))
        return self._answered(http, body, started)

    def _answered(self, http: web.BaseRequest, body: bytes, started: float) -> web.StreamResponse | Begun:
        client, request = ClientConnection(http), HttpRequest(http.method, requested_path(http), body, http.headers)
        try:
            ready = self._app.prepare(request)
        except Exception as error:
            return self._replied(client, request, started, *self._refused(request, error))
        if ready is not None:
            return Begun(client, request, started, None, asyncio.ensure_future(ready))
        return self._replied(client, request, started, *self._answer(request))

    def _replied(
        self, client: ClientConnection, request: HttpRequest, started: float, outcome: Outcome, entry: Entry
    ) -> web.StreamResponse | Begun:
        try:
            return self._sent(client, request, started, outcome, entry)
        except Exception as error:
            client.keep_alive = False  # a part of the reply may have been written
            return self._sent(client, request, started, *self._refused(request, error, entry))

    def _sent(
        self, client: ClientConnection, request: HttpRequest, started: float, outcome: Outcome, entry: Entry
    ) -> web.StreamResponse | Begun:
        entry.started = None if request.target.control else started
        if isinstance(outcome, Response):
            if outcome.explanation:
                explain(request.method, request.target.shown, outcome)
            if (sent := self._performer.send_at_once(client, outcome, entry)) is not None:
                return sent
        return Begun(client, request, started, (outcome, entry))

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        """Answers a request for which something has to wait."""
        found: web.StreamResponse | Begun | None = self._listener.begun(http) or self._begin(http)
        if found is None:
            found = await self._tracked(self._read(http))
        if isinstance(found, Begun) and found.ready:
            found = await self._tracked(self._prepared(found, found.ready))
        if not isinstance(found, Begun):
            return found
        client, request, started, answer, _ = found
        assert answer
        (outcome, entry), session = answer, request.target.session
        if not isinstance(outcome, Response):
            if isinstance(outcome, Relay) and self._proxy is not None:
                with self._busy(session):
                    return await self._tracked(self._performer.pass_on(self._proxy, client, request, entry))
            if isinstance(outcome, Watch):
                try:
                    return await self._tracked(self.feed.serve(client, outcome))
                except RequestError as full:
                    outcome, entry = self._refused(request, full, entry)
            else:
                outcome = await self._tracked(self._settled(client, request, outcome, entry))
            found = self._replied(client, request, started, outcome, entry)
            if not isinstance(found, Begun):
                return found
        sending = self._performer.send(client, outcome, entry, session)
        del found, answer, request, outcome  # they may be large, and the reply may take long
        with self._busy(session):
            return await self._tracked(sending)

    def _abandoned(self, begun: Begun) -> None:
        """Records that a client has left before its reply could go on."""
        if begun.ready:
            begun.ready.cancel()
        if begun.answer:
            outcome, entry = begun.answer
            entry.outcome = "client left"
            self._performer.ended(entry)
            give_up(outcome)

    async def _tracked(self, waiting: Awaitable[T]) -> T:
        """Waits in such a way that `stop` and `cut_off` find the task of this request."""
        task = asyncio.current_task()
        assert task is not None
        self._handling.add(task)
        try:
            return await waiting
        finally:
            self._handling.discard(task)

    async def _prepared(self, begun: Begun, ready: Awaitable[None] | None) -> web.StreamResponse | Begun:
        """As `_begin`, for a request that the application cannot answer before something is `ready`."""
        try:
            while ready is not None:
                await ready
                ready = self._app.prepare(begun.request)
            answer = self._answer(begun.request)
        except Exception as error:
            answer = self._refused(begun.request, error)
        return self._replied(*begun[:3], *answer)

    async def answered(self, request: HttpRequest) -> tuple[Response, Entry, Session[Any] | None]:
        """The response to a request that another process has received and answers with it, the entry, and the session
        that it is for, as that was when the request arrived."""
        outcome, entry = self._answer(request)
        session = self._app.find(request.target.session)
        if not isinstance(outcome, Response):
            outcome = await self._settled(None, request, outcome, entry)
        return outcome, entry, session

    def _answer(self, request: HttpRequest) -> tuple[Outcome, Entry]:
        target = request.target
        before = self._app.find(target.session)
        try:
            if target.control:
                self._access.check(request.method, target.operation, request.headers)
            elif self._access.page and opens_root(request.method, target.path, request.headers):
                return led_to_page(request)
            return self._app.handle(request)
        except Exception as error:
            return self._refused(request, error)
        finally:
            self._replaced(target.session, before)

    def _refused(self, request: HttpRequest, error: Exception, entry: Entry | None = None) -> tuple[Response, Entry]:
        """The refusal of a request, which must be called while this error is handled."""
        if not isinstance(error, RequestError):
            log.exception("%s %s", request.method, request.target.shown)
            message = f"fakellm itself failed: {shortened(error)}. Please report this."
            error = RequestError(500, message, "internal_error")
        return self._app.refuse(request, error, entry)

    async def _settled(
        self,
        client: ClientConnection | None,
        request: HttpRequest,
        outcome: Work | Release | Pace | Relay | Watch,
        entry: Entry,
    ) -> Response:
        """The response to send, after the work is done or the steps are released. `client`: None if another process has
        the connection."""
        try:
            if isinstance(outcome, Work):
                return await self._worked(client, request, outcome, entry)
            if isinstance(outcome, Release):
                number, texts = await self._performer.steps.release(outcome)
                return json_response({"request": number, "frames": texts})
            if isinstance(outcome, Pace):
                return json_response({"speed": self.pace(outcome.speed)})
            message = f"No recording answers {request.method} {request.target.shown}, and there is no upstream to ask."
            raise RequestError(502, message, "no_upstream")
        except asyncio.CancelledError:
            entry.outcome = ended_early(client) if client else "client left"
            self._performer.ended(entry)
            give_up(outcome)
            raise
        except Exception as error:
            give_up(outcome)
            return self._refused(request, error, entry)[0]

    async def _worked(
        self, client: ClientConnection | None, request: HttpRequest, work: Work, entry: Entry
    ) -> Response:
        name = request.target.session
        task = asyncio.ensure_future(offload(work.run))
        try:
            with self._busy(name), client.waiting(lambda: not task.done()) if client and work.waits else nullcontext():
                await asyncio.wait([task])
        finally:
            task.cancel()  # if the client has left
        before = self._app.find(name)
        try:
            response = work.then(task.result())
        finally:
            self._replaced(name, before)
        entry.fill(response)
        if session := self._app.find(name):
            session.journal.remeasure(entry)
        return response

    def change(self, what: Callable[[], None]) -> None:
        """Calls `what`, which may replace sessions, and releases the frames in these that wait for a step."""
        before = self._app.sessions()
        what()
        for name, session in before.items():
            self._replaced(name, session)

    def _replaced(self, name: str, before: Session[Any] | None) -> None:
        """If the session of this name is no longer `before`, releases the frames in it that wait for a step: its test
        is over or starts again."""
        if before is not None and self._app.find(name) is not before:
            self._performer.steps.free(name)

    def _busy(self, name: str) -> AbstractContextManager[None]:
        """Within this block, the session of this name is not idle."""
        session = self._app.find(name)
        return session.reply() if session else nullcontext()
