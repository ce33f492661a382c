"""aiohttp's server as fakellm needs it: it reads requests, and every byte of a response is written by someone else.

Owns the refusal of what is not an HTTP request. Knows no application and no plan.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, cast

from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage, StreamWriter
from aiohttp.http_exceptions import InvalidURLError

from fakellm.apis.route import CHAT
from fakellm.base.errors import RequestError
from fakellm.server.connections.settings import Connections
from fakellm.server.garbage import connection_ended
from fakellm.server.requests.log import logger

log = logger()


HEAD_SECONDS = 60.0
"""How long the rest of a request's head may take to arrive, after a part that arrives while no reply is under way."""

_BLANK = b"\r\n\r\n"

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
    """aiohttp's server, with connections that refuse broken HTTP in OpenAI's shape and leave bodies compressed.

    begin: called with a request as soon as it has arrived, if no other is under way on its connection. If it returns a
        response, all of that has been sent; if not, aiohttp calls the handler, which takes what it returned with
        `begun`.
    abandoned: called with that if the connection is lost before.
    """

    def __init__(
        self,
        begin: Callable[[web.BaseRequest], Any],
        handler: Any,
        abandoned: Callable[[Any], None],
        settings: Connections,
    ) -> None:
        super().__init__(handler, handler_cancellation=True)
        self.begin = begin
        self.abandoned = abandoned
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
        parser = getattr(made, "_parser", None)  # it has another name before 3.14
        made.consumed = getattr(parser, "message_consumed", made.consumed)  # type: ignore[method-assign] # see there
        return made

    @staticmethod
    def begun(http: web.BaseRequest) -> Any:
        """What `begin` returned for this request, if it was called."""
        connection = cast(Connection, http.protocol)
        begun, connection.begun = connection.begun, None
        return begun


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

    begun: Any = None
    """What has begun of the next request: see `Listener`."""

    @staticmethod
    def consumed() -> None:
        """Must be called for each request that is taken from those that have arrived. Before 3.14, aiohttp does not
        count them."""

    def data_received(self, data: bytes) -> None:
        """Takes in what the client sent. If no request is under way, the next is answered here, if that can be done at
        once: to wake aiohttp's task, which makes another, takes longer than most replies."""
        waiter, self._waiter = self._waiter, None
        try:
            self._take_in(data)
            if self._head_timeout is not None:
                self._head_timeout.cancel()
                self._head_timeout = None
            idle = waiter is not None and not waiter.done()
            answered = idle and bool(self._messages) and self._answer()
        finally:
            self._waiter = waiter
        if waiter is None or waiter.done():
            return
        if self._close or self._force_close:
            waiter.cancel()
        elif self._messages:
            waiter.set_result(None)
        elif not answered and data.strip(b"\r\n"):  # there is no complete head yet
            self._head_timeout = self._loop.call_later(HEAD_SECONDS, self.force_close)

    def _answer(self) -> bool:
        """Whether the first of the requests that have arrived was answered."""
        message, payload = self._messages[0]
        if not isinstance(message, RawRequestMessage):
            return False  # it is not HTTP
        manager, loop = cast(Listener, self._manager), self._loop
        task = cast("asyncio.Task[None]", self._task_handler)
        found = manager.begin(web.BaseRequest(message, payload, self, StreamWriter(self, loop), task, loop))
        if not isinstance(found, web.StreamResponse):
            self.begun = found
            return False
        self._messages.popleft()
        self.consumed()
        if found.keep_alive:
            self._keepalive = True
            self._next_keepalive_close_time = loop.time() + self._keepalive_timeout
            if self._keepalive_handle is None:
                self._keepalive_handle = loop.call_at(self._next_keepalive_close_time, self._process_keepalive)
        else:
            self.force_close()
        return True

    def _take_in(self, data: bytes) -> None:
        """Passes on what the client sent. aiohttp forgets the requests that arrive together with what is not HTTP, so
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

    def resume_reading(self, *options: Any, **named: Any) -> None:
        """If reading is not paused, aiohttp's would have an empty piece of input parsed."""
        if self._reading_paused:
            super().resume_reading(*options, **named)

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

    def _process_keepalive(self) -> None:
        """Ends the connection if it is idle. After a part of a head it is not: that has a time of its own."""
        if self._head_timeout is None:
            super()._process_keepalive()
        else:
            self._keepalive_handle = None  # the next reply sets it again

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._head_timeout is not None:
            self._head_timeout.cancel()
        if self.begun is not None:
            cast(Listener, self._manager).abandoned(self.begun)
            self.begun = None
        self.__dict__.pop("consumed", None)  # its parser refers to this connection, as the body does
        self._last_body = None
        connection_ended()
        super().connection_lost(exc)
        self._messages.clear()

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
