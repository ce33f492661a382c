"""Reads a request from aiohttp: its path, and its body, up to a limit and without its content codings.

Knows nothing about what they mean.
"""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web
from aiohttp.http import HttpProcessingError

from fakellm.base.errors import RequestError
from fakellm.base.validation import shortened
from fakellm.base.words.count import count
from fakellm.recordings import content_codings

MOST_BYTES = 64 * 2**20
"""The largest body of a request: prompts of several MB are normal, and with pictures they reach tens of MB."""

MOST_CODINGS = 4
"""How many content codings a body may have, one inside the other: each is another body to decompress."""


BODY_SECONDS = 60.0
"""How long the rest of a body may take to arrive, after the part before it."""


def requested_path(request: web.BaseRequest) -> str:
    """The path and query as the client sent them: aiohttp's own writes `//v1` as `////v1`, for one."""
    path = request.raw_path
    if not path.startswith("/"):  # the client names the host too, as to a proxy, or sends `*`
        path = request.path_qs or path
    return path if path.isascii() else path.encode("utf-8", "backslashreplace").decode()


def received_body(request: web.BaseRequest) -> bytes | None:
    """The body if all of it has arrived and it has no content coding, so that nothing has to wait; else None."""
    content, headers = request.content, request.headers
    if not content.is_eof() or content.exception() is not None:
        return None
    if hdrs.CONTENT_ENCODING in headers or hdrs.EXPECT in headers or (content.total_bytes > MOST_BYTES):
        return None
    body = content.read_nowait()
    while not content.at_eof():
        body += content.read_nowait()
    return body


async def read_body(request: web.BaseRequest) -> bytes:
    """The body, decompressed. Raises RequestError if it is too large or damaged, or if its coding is unknown."""
    if (request.content_length or 0) > MOST_BYTES:
        raise _too_large()
    expects = request.headers.get(hdrs.EXPECT, "").lower() == "100-continue"
    if expects and request.version >= (1, 1) and not request.content.is_eof():  # RFC 9110, 10.1.1
        # curl waits a second for this before it sends a body of more than 1 MiB.
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    pieces, size, loop = [], 0, asyncio.get_running_loop()
    try:
        async with asyncio.timeout(BODY_SECONDS) as patience:
            async for piece in request.content.iter_any():
                patience.reschedule(loop.time() + BODY_SECONDS)
                pieces.append(piece)
                size += len(piece)
                if size > MOST_BYTES:
                    raise _too_large()
        if request.content.exception() is not None:  # the last read may have begun before it
            raise web.RequestPayloadError
    except TimeoutError:
        silence = f"nothing came for {BODY_SECONDS:g} s, after {count(size, 'byte')}"
        message = f"The body of your request did not arrive: {silence}."
        raise RequestError(408, message, "request_timeout", headers={"Connection": "close"}) from None
    except (web.RequestPayloadError, HttpProcessingError):  # which one depends on aiohttp's parser
        message = "The body of your request is damaged: its division into HTTP/1.1 chunks is not valid."
        raise RequestError(400, message, "invalid_body", headers={"Connection": "close"}) from None
    body, header = b"".join(pieces), ",".join(request.headers.getall(hdrs.CONTENT_ENCODING, []))
    if not header or not body:
        return body
    return await asyncio.to_thread(decoded, body, header)  # even a small one may take long


def decoded(body: bytes, header: str) -> bytes:
    """The body without the content codings in a `Content-Encoding` header; the last one applied is undone first.

    Raises RequestError: 415 if a coding is unknown or its library is not installed, 400 if the bytes are damaged, 413
    if they decompress to more than MOST_BYTES.
    """
    codings = header.split(",")
    if len(codings) > MOST_CODINGS:
        raise _unsupported(header, f"a body may have {MOST_CODINGS} codings, and this one has {len(codings):,}")
    for coding in reversed(codings):
        body = _decoded(body, coding.strip().lower(), header)
    return body


def _decoded(body: bytes, coding: str, header: str) -> bytes:
    decoder = content_codings.CODINGS.get(coding or "identity")
    if decoder is None:
        raise _unsupported(header, f"{shortened(coding)} is not a content coding known here")
    try:
        body = decoder(body)
    except ImportError as error:
        reason = f"{coding!r} needs the package {error.name}, which is not installed"
        raise _unsupported(header, reason) from None
    except Exception as error:  # each library raises its own
        message = f"The body of your request is damaged: Content-Encoding is {shortened(header)}, and it is not valid"
        raise RequestError(400, f"{message} {coding}: {error}.", "invalid_body") from None
    if len(body) > MOST_BYTES:
        raise _too_large()
    return body


def _unsupported(header: str, reason: str) -> RequestError:
    known = ", ".join(content_codings.CODINGS)
    message = f"Cannot read the body of your request: Content-Encoding is {shortened(header)}; {reason}. "
    message += f"Supported are {known}; br and zstd need the extra: pip install 'fakellm-server[codings]'."
    return RequestError(415, message, "unsupported_content_encoding")


def _too_large() -> RequestError:
    return RequestError(413, f"The body of your request exceeds {MOST_BYTES:,} bytes.", "request_too_large")
