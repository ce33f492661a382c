"""A correct client: the package's own decoder and `fold` behind a raw socket. Owns HTTP/1.1 as far as it needs it.

What every rule of `fakellm.fuzzing.verdicts` asks of a client can be had in a page or two: here it is.
"""

from __future__ import annotations

import json
import socket
import zlib
from collections.abc import Iterator
from time import monotonic  # noqa: TID251 # a client waits by the clock; what it is sent does not depend on it
from typing import Any
from urllib.parse import urlsplit

from fakellm.apis.chat.fold import fold
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.reader import read_chunk
from fakellm.base.errors import StreamError
from fakellm.fuzzing.clients.result import Answer, Call, Result
from fakellm.fuzzing.clients.result import Usage as Tokens
from fakellm.model.completion import Choice, Completion, Usage
from fakellm.wire.sse import Decoder, Event

_OPENAI = DIALECTS["openai"]


class Reference:
    """``Reference()(base_url, request)``: the answer to a chat request, read as the standards have it.

    idle: seconds without an event after which it gives up. Raises StreamError for whatever is not a whole answer, and
    OSError where the connection fails.
    """

    def __init__(self, idle: float = 1.0) -> None:
        self._idle = idle
        self._socket: socket.socket | None = None
        self._buffer = b""

    def __call__(self, base_url: str, request: dict[str, Any]) -> Result:
        try:
            completion = self._asked(base_url, request)
        except BaseException:
            self.close()
            raise
        return _result(completion)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._buffer = None, b""

    def _asked(self, base_url: str, request: dict[str, Any]) -> Completion:
        address = urlsplit(base_url)
        fresh = self._socket is None
        try:
            status, headers = self._sent(address.hostname or "", address.port or 80, address.path, request)
        except (ConnectionError, StreamError):
            if fresh:
                raise
            self.close()  # the server had closed the kept connection: nothing was answered, so nothing is lost
            status, headers = self._sent(address.hostname or "", address.port or 80, address.path, request)
        body = self._body(headers)
        if status != 200:
            raise StreamError(f"HTTP status {status}: {b''.join(body)[:200]!r}")
        if headers.get("content-encoding") == "gzip":
            body = _inflated(body)
        chunks = [read_chunk(_OPENAI, event.data) for event in _events(body, self._idle)]
        completion = fold(chunks)
        if not completion.choices or not all(choice.finish_reason for choice in completion.choices):
            raise StreamError("the stream ended before the answer did")
        if headers.get("connection") == "close":
            self.close()
        return completion

    def _sent(self, host: str, port: int, path: str, request: dict[str, Any]) -> tuple[int, dict[str, str]]:
        """Sends the request, and reads the head of the response."""
        if self._socket is None:
            self._socket = socket.create_connection((host, port), timeout=self._idle)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = json.dumps(request).encode()
        head = f"POST {path}/chat/completions HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip\r\n"
        head += "Content-Type: application/json\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = (line.partition(":") for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.lower(): value.strip() for name, _, value in headers}

    def _body(self, headers: dict[str, str]) -> Iterator[bytes]:
        """The pieces of the body (RFC 9112, section 6.3)."""
        if "chunked" in headers.get("transfer-encoding", ""):
            while size := int(self._until(b"\r\n"), 16):
                yield self._exactly(size)
                self._exactly(2)
            self._exactly(2)
        elif "content-length" in headers:
            yield self._exactly(int(headers["content-length"]))
        else:
            while self._buffer or self._receive():
                piece, self._buffer = self._buffer, b""
                yield piece
            self.close()

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            if not self._receive():
                raise StreamError("the connection was closed in mid-answer")
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._receive():
                raise StreamError("the connection was closed in mid-answer")
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _receive(self) -> bool:
        assert self._socket is not None
        piece = self._socket.recv(65536)
        self._buffer += piece
        return bool(piece)


def _inflated(body: Iterator[bytes]) -> Iterator[bytes]:
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for piece in body:
        yield reader.decompress(piece)


def _events(body: Iterator[bytes], idle: float) -> Iterator[Event]:
    """The events that are chunks, up to ``[DONE]``; the body is read to its end even so, to keep the connection."""
    decoder, done, last = Decoder(), False, monotonic()
    for piece in body:
        events = decoder.feed(piece)
        last = monotonic() if events else last
        if monotonic() - last > idle:  # comments alone are no progress
            raise StreamError(f"no event for {idle:g} s")
        for event in events:
            done = done or event.data == "[DONE]"
            if done or not event.data:
                continue
            if event.event == "error":
                raise StreamError(event.data)
            if event.event == "message":
                yield _checked(event)
    if decoder.unfinished and not done:
        raise StreamError("the last event has no end")


def _checked(event: Event) -> Event:
    """The event, where it is no error in place of a chunk."""
    try:
        frame = json.loads(event.data)
    except (ValueError, RecursionError) as error:
        raise StreamError(f"{error}: {event.data[:80]!r}") from None
    if not isinstance(frame, dict) or "error" in frame or "choices" not in frame:
        raise StreamError(event.data)
    return event


def _result(completion: Completion) -> Result:
    choices = tuple(_answer(choice) for choice in completion.choices)
    first = {name: getattr(choices[0], name) for name in Answer.__struct_fields__}
    return Result(**first, usage=_tokens(completion.usage) if completion.usage else None, choices=choices)


def _answer(choice: Choice) -> Answer:
    calls = tuple(Call(call.name, call.arguments) for call in choice.tool_calls)
    return Answer(choice.content, choice.reasoning, choice.refusal, calls, choice.finish_reason)


def _tokens(usage: Usage) -> Tokens:
    total = _OPENAI.total(usage) if usage.total is None else usage.total
    return Tokens(usage.prompt, usage.completion, total)
