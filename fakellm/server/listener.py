"""aiohttp's server as fakellm needs it: it reads requests, and every byte of a response is written by someone else.

Owns listening, and the refusal of what is not an HTTP request. Knows no application and no plan.
"""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import InvalidURLError

from fakellm.apis.route import CHAT
from fakellm.base.errors import RequestError, ServerError
from fakellm.server.connections.settings import Connections
from fakellm.server.requests.log import logger

log = logger()


HEAD_SECONDS = 60.0
"""How long the rest of a request's head may take to arrive, after the part before it."""

_BLANK = b"\r\n\r\n"

BACKLOG = 1024
"""How many connections may wait to be accepted; those of more clients at once would be delayed by a second."""


_TURNS = 10
"""Turns of the event loop in which asyncio notices the end of a connection that it has just accepted, also with TLS."""


class Accepting(socket.socket):
    """A listening socket that knows which of the connections it has accepted are open."""

    def __init__(self, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self._accepted: WeakSet[socket.socket] = WeakSet()

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        self._accepted.add(connection)
        return connection, address

    async def end_all(self) -> None:
        """Ends these connections, in both directions, whatever asyncio has made of them, and lets it notice that."""
        for _ in range(_TURNS):
            for connection in [each for each in self._accepted if each.fileno() >= 0]:
                with suppress(OSError):  # the client has ended it
                    connection.shutdown(socket.SHUT_RDWR)
            await asyncio.sleep(0)


def listen(host: str, port: int) -> Accepting:
    """A listening socket, on a free port if `port` is 0.

    Raises ServerError if that fails: the port is in use, or the host is not this machine's.
    """
    if not 0 <= port <= 65535:  # only its last 16 bits would be used
        raise ServerError(f"cannot listen on {host}:{port}: a port is a number from 0 to 65535; 0 takes a free one")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return Accepting(socket.create_server(address, family=family, backlog=BACKLOG).detach())
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0].lower()
        raise ServerError(f"cannot listen on {host}:{port}: {reason}; port 0 takes a free one") from None


def url_of(listener: socket.socket, tls: bool) -> str:
    """The URL of a listening socket, without a path."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"


_DATA = re.compile(r"(?:\n| when reading|(?::| line) b?['\"]).*", re.DOTALL)
"""The part of a request that aiohttp quotes in an error. It may be a line with an API key."""


def _head_end(data: bytes) -> int:
    """Where the first blank line ends; 0 if there is none."""
    return data.find(_BLANK) + 4 if _BLANK in data else 0


class EndedResponse(web.StreamResponse):
    """The response object for aiohttp if every byte has already been written; it belongs to no single request."""

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


_REMEDIES = {
    "HTTPS": " The URL of its client must start with http://, or the server needs --tls.",
    "PRI": " Its client insists on HTTP/2, and must use HTTP/1.1.",
}
"""What the client of such bytes must change, by a word of the parser's."""


class Listener(web.Server):
    """aiohttp's server, with connections that refuse broken HTTP in OpenAI's shape and leave bodies compressed."""

    def __init__(self, handler: Any, settings: Connections) -> None:
        super().__init__(handler, handler_cancellation=True)
        self._settings = settings

    def __call__(self) -> web.RequestHandler:
        loop, settings = asyncio.get_running_loop(), self._settings
        made = Connection(
            self,
            loop=loop,
            access_log=None,  # type: ignore[arg-type] # None turns the access log off; the annotation has no Optional
            auto_decompress=False,
            keepalive_timeout=settings.keep_alive,
        )
        made.requests_left = settings.requests
        return made


class Connection(web.RequestHandler):
    """The connection of a client: half of one is enough for a client that only waits for its answer."""

    half_closed = False
    """Whether the client has ended its side: it sends nothing more, and may still read."""

    requests_left: int | None = None
    """How many more requests it may have; None: any number."""

    waits = False
    """Whether the reply under way waits for its time, for a step or for the client to leave, instead of being made or
    written. A client that ends its side then has left, as far as anyone can know."""

    _before = b""
    """The last three bytes of what arrived."""

    _last_body: StreamReader | None = None
    """The body of the newest request, which alone may be incomplete."""

    _damaged = False
    """Whether that body is damaged, so that nobody knows where the next request would start."""

    _head_timeout: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Takes in what the client sent. aiohttp forgets the requests that arrive together with what is not HTTP, so
        every head is passed on by itself."""
        before, self._before = self._before, (self._before + data[-3:])[-3:]
        end = _head_end(before + data[:3]) - len(before)  # the blank line may have begun before
        if end <= 0:
            end = _head_end(data)
        while 0 < end < len(data):
            self._parse(data[:end])
            data = data[end:]
            end = _head_end(data)
        self._parse(data)
        waiter = self._waiter
        if self._head_timeout is not None:
            self._head_timeout.cancel()
            self._head_timeout = None
        if waiter is not None and not waiter.done():  # there is no complete head yet
            self._head_timeout = self._loop.call_later(HEAD_SECONDS, self.force_close)

    def _parse(self, data: bytes) -> None:
        """Takes in one part. If it damages the body that is arriving, that ends with an error: one of aiohttp's parsers
        lets the request wait for the rest, and refuses what it takes for the next request."""
        if self._damaged:
            return
        body, before = self._last_body, len(self._messages)
        super().data_received(data)
        more = len(self._messages) > before
        if body is not None and not body.is_eof() and (more or body.exception() is not None):
            self._damaged = True
            if more:
                self._messages.pop()
            if body.exception() is None:
                body.set_exception(web.RequestPayloadError())
            body.feed_eof()
            self._end_after_answers()
        elif more:
            self._last_body = self._messages[-1][1]

    def _end_after_answers(self) -> None:
        if self._messages:
            self.finish_response = self._finish_one_of_several  # type: ignore[assignment, method-assign] # nobody else pays for it
        else:
            self.close()

    @property
    def _secure(self) -> bool:
        return self.transport is not None and self.transport.get_extra_info("sslcontext") is not None

    def eof_received(self) -> bool | None:  # type: ignore[override] # aiohttp's never keeps its side open
        """Keeps the server's side open for a client that waits for its answers, after which the connection ends.
        With TLS, asyncio closes both sides together."""
        waiter = self._waiter
        idle = waiter is not None and not waiter.done()
        if idle or self.waits or self._secure or self._last_body is None or not self._last_body.is_eof():
            return None
        self.half_closed = True
        self._end_after_answers()
        return True

    async def _finish_one_of_several(self, *arguments: Any) -> tuple[web.StreamResponse, bool]:
        finished = await super().finish_response(*arguments)
        if not self._messages:
            self.close()
        return finished

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._head_timeout is not None:
            self._head_timeout.cancel()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The response to bytes that are not an HTTP request, since aiohttp's own is plain text."""
        text = "Invalid URL" if isinstance(exc, InvalidURLError) else str(message or exc)
        reason = _DATA.sub("", text).rstrip(".:")
        error = RequestError(status, f"This is not an HTTP request: {reason}.", "invalid_http")
        remedy = next((each for word, each in _REMEDIES.items() if word in reason), "")
        log.warning("%s%s", error.message, remedy)
        response = web.Response(status=status, body=CHAT.refusal(error).body, content_type="application/json")
        response.force_close()
        return response
