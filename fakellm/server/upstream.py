"""Passes a request on to the server behind this one, and reads its response piece by piece.

Owns the client side of the proxy: where a request goes, with which headers, which HTTP/1.1 chunks arrived, and how a
response broke off. Records nothing and writes to no client.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import AsyncGenerator, Iterable
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError
from yarl import URL

from fakellm.base.errors import RequestError
from fakellm.recordings.capture import Capture
from fakellm.recordings.cassette import Headers, RecordedRequest
from fakellm.recordings.upstream_url import checked_upstream
from fakellm.server.application import HttpRequest

MOST_CHUNK = 16 * 2**20
"""Bytes of an HTTP/1.1 chunk that are held back until it is complete. A longer one is passed on as several."""

Address = tuple[str, int]
"""A host's address and a port."""

CONNECT = 30.0
"""Seconds that the upstream has to accept a connection. It may answer for as long as the client waits."""

PASSED_BY = "x-fakellm-recorder"
"""The header in which a request names the recorders that have passed it on. `Via` (RFC 9110, 7.6.3) is for that, but
some servers do not compress their responses to requests with it."""

# Headers of one connection (RFC 9110, section 7.6.1), and those that each connection sets again.
_NOT_PASSED_ON = re.compile(
    f"{PASSED_BY}|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|host|expect|content-length|content-encoding",
    re.IGNORECASE,
)


class Upstream:
    """The client of the API at this base URL. Create, use and close it in one event loop."""

    def __init__(self, url: str) -> None:
        self.url = checked_upstream(url)
        self._own: set[Address] = set()
        self._name = f"{os.getpid()}-{id(self):x}"
        # A new connection per request: if the upstream has just closed a kept one, that would look like a fault.
        self._session = aiohttp.ClientSession(
            connector=_Connector(self._own, force_close=True, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    async def ask(
        self, request: RecordedRequest, captured: Capture, own: Address | None = None, passed_by: str = ""
    ) -> aiohttp.ClientResponse | None:
        """The response, after its head has arrived and been captured; None if the connection ended before.

        own: the address at which this server got the request. passed_by: its header of that name. Raises RequestError
        if the upstream cannot be reached, is this server or leads back to it: 502, or 504 if it did not accept in time.
        """
        names = passed_by.split()
        if self._name in names:
            message = (
                f"The upstream {self.url} leads back to this recorder: give each recorder the URL of a real server."
            )
            raise RequestError(502, message, "upstream_is_recorder")
        if own is not None:
            self._own.add(own)
        try:
            response = await self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=[*_passed_headers(request.headers), (PASSED_BY, " ".join([*names, self._name]))],
                data=io.BytesIO(request.body) if request.body else None,
                allow_redirects=False,
            )
        except _LoopError:
            message = f"The upstream {self.url} is this recorder itself: give it the URL of the real server."
            raise RequestError(502, message, "upstream_is_recorder") from None
        except aiohttp.ConnectionTimeoutError:
            message = f"The upstream {self.url} did not accept a connection in {CONNECT:g} s."
            raise RequestError(504, message, "upstream_timeout") from None
        except aiohttp.ClientConnectorError as error:
            message = f"The upstream {self.url} cannot be reached: {error}."
            raise RequestError(502, message, "upstream_unreachable") from None
        except (aiohttp.ServerDisconnectedError, OSError) as error:  # the request had been sent
            captured.end = _end(error)
            return None
        except aiohttp.ClientError as error:
            message = f"The upstream {self.url} did not answer in HTTP: {error}."
            raise RequestError(502, message, "upstream_invalid") from None
        if response.status < 200:  # 101 too: a change of protocol was not requested, as `Upgrade` is not passed on
            response.close()
            message = f"The upstream {self.url} did not answer in HTTP: the status {response.status} ends no request."
            raise RequestError(502, message, "upstream_invalid")
        captured.head(response.status, _latin(response.raw_headers))
        return response

    async def close(self) -> None:
        """Must be called after the last request."""
        await self._session.close()


class _LoopError(Exception):
    """A connection goes to this server itself."""


class _Protocol(ResponseHandler):
    """A connection to the upstream, with which a body that is under way ends too: where the rest of one is not valid
    HTTP, one of aiohttp's parsers leaves its reader waiting for ever."""

    def connection_lost(self, exc: BaseException | None) -> None:
        body = self._payload
        super().connection_lost(exc)
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError())


class _Connector(aiohttp.TCPConnector):
    """Connects to other servers only: a recorder behind itself would pass one request on for ever."""

    def __init__(self, own: set[Address], **options: Any) -> None:
        super().__init__(**options)
        self._factory = partial(_Protocol, loop=self._loop)  # type: ignore[assignment] # a partial is invariant
        self._own = own

    async def connect(self, *args: Any, **options: Any) -> aiohttp.connector.Connection:
        """The connection, if it leads to none of our own addresses. Raises _LoopError if it does."""
        connection = await super().connect(*args, **options)
        transport = connection.transport
        if transport is not None and (transport.get_extra_info("peername") or ())[:2] in self._own:
            connection.close()
            raise _LoopError
        return connection


def passed_on(request: HttpRequest, upstream: str) -> RecordedRequest:
    """The request to the upstream.

    Its base URL replaces this server's: `/v1/models` is passed on to `https://host/api/v1` as /api/v1/models. A base
    URL without a path is only a host, which gets every path unchanged.
    """
    path = request.target.path
    if urlsplit(upstream).path and re.match("/v1(/|$)", path):
        path = path.removeprefix("/v1")
    _, mark, query = request.path.partition("?")
    headers = [(str(name), _bytewise(value)) for name, value in request.headers.items()]
    kept = tuple((name, value) for name, value in headers if not _NOT_PASSED_ON.fullmatch(name))
    return RecordedRequest(request.method, upstream + path + mark + query, kept, request.body, request.target.session)


async def pieces(response: aiohttp.ClientResponse, captured: Capture) -> AsyncGenerator[bytes, None]:
    """The body's HTTP/1.1 chunks, or the pieces as read from the network; then `captured.end` is set.

    A chunk that is longer than MOST_CHUNK is several pieces.
    """
    content, connection = response.content, response.connection
    pending = bytearray()  # of a chunk that has not ended
    protocol = connection and connection.protocol  # only the protocol has the error of a reset

    def lost() -> Literal["close", "reset"]:
        return _end(None if protocol is None else protocol.exception())

    end: Literal["complete", "close", "reset"] = "complete"
    while True:
        try:
            data, chunk_ends = await content.readchunk()
        except (aiohttp.ClientError, HttpProcessingError, OSError):
            _end_cleanly(content)
            end = lost()
            continue
        pending += data
        if pending and (chunk_ends or captured.delimited != "chunked" or len(pending) >= MOST_CHUNK):
            yield bytes(pending)
            pending.clear()
        # For a response without a body aiohttp has a reader that all connections share, and that ends a chunk for ever.
        if not data and (not chunk_ends or content.at_eof()):
            break
    if captured.delimited == "close" and lost() == "reset":  # only the end of the connection ends the body
        end = "reset"
    captured.end = end
    if pending:  # part of a chunk that broke off
        yield bytes(pending)


def _end_cleanly(content: aiohttp.StreamReader) -> None:
    """Makes a body that broke off readable up to that point.

    aiohttp raises a connection's error before it returns the bytes that arrived before the error, and has no public way
    to read both in order: `set_exception` accepts only an exception. So the error is removed from the reader here, and
    nowhere else.
    """
    content._exception = None
    content.feed_eof()


def _end(error: BaseException | None) -> Literal["close", "reset"]:
    return "reset" if isinstance(error, OSError) else "close"


def _passed_headers(headers: Headers) -> list[tuple[str, str]]:
    """The headers for the upstream. Of the content codings only gzip is requested: a recording must be readable."""
    gzip = any(name.lower() == "accept-encoding" and "gzip" in value for name, value in headers)
    kept = [(name, _textwise(value)) for name, value in headers if name.lower() != "accept-encoding"]
    return [*kept, ("Accept-Encoding", "gzip" if gzip else "identity")]


def _bytewise(value: str) -> str:
    """A header in the form of recordings, as Latin-1 characters; aiohttp reads and writes UTF-8."""
    return value.encode("utf-8", "surrogateescape").decode("latin-1")


def _textwise(value: str) -> str:
    return value.encode("latin-1").decode("utf-8", "replace")


def _latin(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
