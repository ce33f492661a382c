"""The recording proxy: asks the server behind this one, passes on what it answers as it comes, and records it.

Owns what is asked of the upstream and how its faults are told apart. The server performs the end of what is passed on;
`take` says what is kept of a response, `redact` takes the secrets out, `tape` writes.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Literal
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http import HttpProcessingError
from msgspec.structs import replace
from yarl import URL

from fakellm.cassettes.cassette import Asked, Headers, Interaction
from fakellm.clock import Clock
from fakellm.connection import Client
from fakellm.control import Call, address
from fakellm.engine import refusal
from fakellm.errors import RequestError
from fakellm.journal import Entry
from fakellm.redact import redacted
from fakellm.reproduce import Recording
from fakellm.take import Take, readable
from fakellm.tape import Tape
from fakellm.wire import Plan, bursts, chunk

CONNECT = 30.0
"""Seconds that the upstream is given to accept a connection. To answer it has as long as the client waits."""

log = logging.getLogger("fakellm")

# Those of one connection (RFC 9110, section 7.6.1), and those that are made anew for the next.
_HOP = re.compile(
    "connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|host|expect|content-length|content-encoding",
    re.IGNORECASE,
)


class Recorder:
    """Passes requests on to `upstream` and records them on `tape`; `learn`, where given, is told of each.

    To be made, used and closed in one event loop.
    """

    def __init__(self, upstream: str, tape: Tape, learn: Callable[[Recording], None] | None = None) -> None:
        self._upstream = checked_upstream(upstream)
        self._tape = tape
        self._learn = learn
        self._clock = Clock()
        # A connection for each request: on one that was kept, an upstream that had just closed it looks like a fault.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    async def __call__(self, call: Call, entry: Entry, client: Client) -> Plan:
        """Answers the client with what the upstream answers, and returns that as far as it came."""
        number, request, take = self._tape.number(), asked(call, self._upstream), Take(self._clock.now)
        try:
            await self._pass_on(request, take, entry, client)
        except RequestError as error:
            # Nothing answered, so there is nothing to record.
            log.warning("%s %s: %s %s", call.method, call.path, error.status, error.message)
            entry.status, entry.explanation = error.status, error.message
            return _refuse(error, client)
        except asyncio.CancelledError:
            take.end = (
                "stall" if client.transport is None else "close"
            )  # to the client, this server's stop is the connection's end
            self._keep(number, request, take)
            raise
        except ConnectionError:  # the client's: those of the upstream are ends of what it sent
            take.end = "stall"
            self._keep(number, request, take)
            raise
        self._keep(number, request, take)
        return take.plan

    async def close(self) -> None:
        """To be called once nothing is passed on any more."""
        await self._session.close()
        self._tape.close()

    def _keep(self, number: int, request: Asked, take: Take) -> None:
        interaction = redacted(Interaction(request, readable(take.plan)))
        try:
            self._tape.add(number, interaction)
        except OSError as error:  # the client has its answer, and shall not pay for a full disk
            log.error("%s %s: not recorded: %s", request.method, interaction.request.url, error)
        if self._learn:
            self._learn(Recording(f"{self._tape.path}#{number}", interaction, framed=True))

    async def _pass_on(self, request: Asked, take: Take, entry: Entry, client: Client) -> None:
        try:
            response = await self._ask(request)
        except (aiohttp.ServerDisconnectedError, OSError) as error:  # it took the request, and gave no answer
            take.end = _end(error)
            return
        async with response:
            take.head(response.status, _latin(response.raw_headers))
            entry.status = take.status
            head = replace(take.plan, end="close")  # the end comes when it comes
            client.write(bursts(head, client.keep_alive, client.http_1_0)[0].data)
            as_chunks = take.delimited == "chunked" and not client.http_1_0
            async with aclosing(pieces(response, take)) as arriving:
                async for piece in arriving:
                    take.body(piece)
                    entry.frames = len(take.frames)
                    client.write(chunk(piece) if as_chunks else piece)
                    entry.frames_sent = len(take.frames)
                    await client.drain()
            if as_chunks and take.end == "complete":
                client.write(chunk(b""))

    async def _ask(self, request: Asked) -> aiohttp.ClientResponse:
        """The head of the upstream's response. Raises RequestError where there is no upstream to be had."""
        headers = _passed_on(request.headers)
        try:
            return await self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=headers,
                data=request.body or None,
                allow_redirects=False,
            )
        except aiohttp.ConnectionTimeoutError:
            message = f"The upstream {self._upstream} did not accept a connection in {CONNECT:g} s."
            raise RequestError(504, message, "upstream_timeout") from None
        except (aiohttp.ClientConnectorError, aiohttp.ClientSSLError, aiohttp.InvalidURL) as error:
            message = f"The upstream {self._upstream} cannot be reached: {error}."
            raise RequestError(502, message, "upstream_unreachable") from None
        except aiohttp.ClientResponseError as error:
            message = f"The upstream {self._upstream} answered with no HTTP: {error.message}."
            raise RequestError(502, message, "upstream_invalid") from None


def checked_upstream(url: str) -> str:
    """The base URL of an API, without a slash at its end. Raises ValueError where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is no base URL of an API: write it as https://api.example.com/v1")
    if parts.username is not None:
        raise ValueError(
            "leave user and password out of the URL: what the client sends to authorize itself is passed on"
        )
    return url.rstrip("/")


def asked(call: Call, upstream: str) -> Asked:
    """The request to the upstream.

    Its base URL stands in for this server's: `/v1/models` is asked of `https://host/api/v1` as /api/v1/models. One
    without a path is a host alone, of which every path is asked as it is.
    """
    _, route = address(call.path)
    if urlsplit(upstream).path and re.match("/v1(/|$)", route):
        route = route.removeprefix("/v1")
    _, mark, query = call.path.partition("?")
    headers = tuple((str(name), _bytewise(value)) for name, value in call.headers.items() if not _HOP.fullmatch(name))
    return Asked(call.method, upstream + route + mark + query, headers, call.body)


def _passed_on(headers: Headers) -> list[tuple[str, str]]:
    """The headers for the upstream. Of the encodings only gzip is asked for: a recording is to be readable."""
    gzip = any(name.lower() == "accept-encoding" and "gzip" in value for name, value in headers)
    kept = [(name, _textwise(value)) for name, value in headers if name.lower() != "accept-encoding"]
    return [*kept, ("Accept-Encoding", "gzip" if gzip else "identity")]


def _bytewise(value: str) -> str:
    """A header as a recording has it, of the characters of Latin-1; aiohttp has read and writes UTF-8."""
    return value.encode("utf-8", "surrogateescape").decode("latin-1")


def _textwise(value: str) -> str:
    return value.encode("latin-1").decode("utf-8", "replace")


def _refuse(error: RequestError, client: Client) -> Plan:
    plan = refusal(error, 0).plan
    client.write(bursts(plan, client.keep_alive)[0].data)
    return plan


async def pieces(response: aiohttp.ClientResponse, take: Take) -> AsyncGenerator[bytes, None]:
    """The body's HTTP/1.1 chunks, or what the network gave; then `take.end` is set."""
    content, connection, pending = response.content, response.connection, b""
    protocol = connection and connection.protocol  # this alone knows of a reset

    def lost() -> Literal["close", "reset"]:
        return _end(None if protocol is None else protocol.exception())

    end: Literal["complete", "close", "reset"] = "complete"
    while True:
        try:
            data, chunk_ends = await content.readchunk()
        except (aiohttp.ClientError, HttpProcessingError, OSError):
            # aiohttp tells of a fault before what had arrived ahead of it. Both are wanted, in their order.
            content._exception = None
            content.feed_eof()
            end = lost()
            continue
        pending += data
        if pending and (chunk_ends or take.delimited != "chunked"):
            yield pending
            pending = b""
        if not data and not chunk_ends:
            break
    if take.delimited == "close" and lost() == "reset":  # no other end than that of the connection
        end = "reset"
    take.end = end
    if pending:  # of a chunk that broke off
        yield pending


def _end(error: BaseException | None) -> Literal["close", "reset"]:
    return "reset" if isinstance(error, OSError) else "close"


def _latin(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
