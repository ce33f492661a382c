"""aiohttp's server as fakellm needs it: it reads requests, and every byte of a response is written by someone else.

Owns listening, and the refusal of what is not an HTTP request. Knows no application and no plan.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from aiohttp import web

from fakellm.apis.route import CHAT
from fakellm.base.errors import RequestError, ServerError

log = logging.getLogger("fakellm")


BACKLOG = 1024
"""How many connections may wait to be accepted; those of more clients at once would be delayed by a second."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, on a free port if `port` is 0.

    Raises ServerError if that fails: the port is in use, or the host is not this machine's.
    """
    if not 0 <= port <= 65535:  # only its last 16 bits would be used
        raise ServerError(f"cannot listen on {host}:{port}: a port is a number from 0 to 65535; 0 takes a free one")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0].lower()
        raise ServerError(f"cannot listen on {host}:{port}: {reason}; port 0 takes a free one") from None


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


class Listener(web.Server):
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
