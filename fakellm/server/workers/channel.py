"""Messages between the owner of the state and a worker. Owns their form, and knows nothing about what they mean.

A message is a length and a pickle: both ends are processes of one server, and no other process has the socket. Long
bytes in it follow the pickle, and leave and arrive in pieces: to copy a body of 50 MB at once would hold up the event
loop of either end.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import isawaitable
from io import BytesIO
from itertools import count
from typing import Any, cast

from fakellm.base.errors import RequestError
from fakellm.base.validation import shortened

MOST_UNSENT = 8 * 2**20
"""Bytes that wait for the other end before `full` is true."""

_LENGTH = 8
"""Bytes of the length of a message."""

_LONG = 64 * 1024
"""Bytes of a message that are sent as a part of its pickle; more follow it."""
_PIECE = 256 * 1024
"""Bytes that are written at once."""

log = logging.getLogger("fakellm")

Handler = Callable[..., Any]
"""What the other end can call. It may return an awaitable, except for `notify`."""


class ChannelLostError(ConnectionError):
    """The process at the other end is gone."""


def long(data: bytes) -> bytes:
    """The same bytes as part of a message that may be long: it must not be used for anything else."""
    return cast("bytes", pickle.PickleBuffer(data)) if len(data) > _LONG else data


def first_message(end: socket.socket) -> Any:
    """The content of the first message that arrives at an end, which no Channel has yet."""
    length = int.from_bytes(_exactly(end, _LENGTH), "big")
    _, _, (content,) = pickle.loads(_exactly(end, length))
    return content


def _exactly(end: socket.socket, length: int) -> bytes:
    """The next bytes. Raises ChannelLostError if there are not so many."""
    received = b""
    while len(received) < length:
        piece = end.recv(length - len(received))
        if not piece:
            raise ChannelLostError
        received += piece
    return received


class Channel(asyncio.Protocol):
    """One end of a channel. `lost` is called once the other end is gone.

    A message is `(number, name, content)`: a call of a handler, whose result is sent back under its number unless that
    is None; with the name `=`, a result; with `!`, the call is no longer needed. With `+`, the content is the pickle of
    a message and the lengths of the long bytes in it, which follow.
    """

    def __init__(self, handlers: Mapping[str, Handler], lost: Callable[[], None]) -> None:
        self._handlers = handlers
        self._lost = lost
        self._received = bytearray()
        self._arriving: _Arriving | None = None
        """The message whose long bytes arrive."""
        self._waiting: deque[memoryview] = deque()
        """What is to be written when there is room, from the first long bytes on."""
        self._writable = True
        self._transport: asyncio.Transport | None = None
        self._numbers = count(1)
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._answering: dict[int, asyncio.Future[Any]] = {}
        self._room = asyncio.Event()
        self._room.set()
        self.ended = asyncio.Event()
        """Set once the channel is closed."""

    def notify(self, name: str, *content: Any) -> None:
        """Calls a handler at the other end."""
        self._send((None, name, content))

    def call(self, name: str, *content: Any) -> asyncio.Future[Any]:
        """Calls a handler at the other end; the result is what that returns or raises. Raises ChannelLostError if the
        other end is gone. If the result is cancelled, so is the call."""
        number, result = next(self._numbers), asyncio.get_running_loop().create_future()
        if self._transport is None:
            result.set_exception(ChannelLostError())
            return result
        self._calls[number] = result
        result.add_done_callback(partial(self._call_over, number))
        self._send((number, name, content))
        return result

    @property
    def full(self) -> bool:
        """Whether so much waits for the other end that no more should be sent until `has_room`."""
        return not self._room.is_set()

    async def has_room(self) -> None:
        """Returns when the other end has received most of what was sent, or is gone."""
        await self._room.wait()

    async def close(self) -> None:
        """Closes the channel, and returns once everything has been sent."""
        if self._waiting:
            await self.has_room()
        if self._transport is not None:
            self._transport.close()
            await self.ended.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(MOST_UNSENT)
        self._transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self._waiting.clear()
        self._room.set()
        for result in list(self._calls.values()):
            if not result.done():
                result.set_exception(ChannelLostError())
        for answering in list(self._answering.values()):
            answering.cancel()
        self.ended.set()
        self._lost()

    def pause_writing(self) -> None:
        self._writable = False
        self._room.clear()

    def resume_writing(self) -> None:
        self._writable = True
        self._write_waiting()
        if self._writable:
            self._room.set()

    def data_received(self, data: bytes) -> None:
        left = memoryview(data)
        if self._arriving is not None:
            left = self._arrived(self._arriving, left)
        received = self._received
        received += left
        while len(received) >= _LENGTH and self._arriving is None:
            end = _LENGTH + int.from_bytes(received[:_LENGTH], "big")
            if len(received) < end:
                return
            number, name, content = pickle.loads(received[_LENGTH:end])
            del received[:end]
            if name == "+":
                rest = bytes(received)
                received.clear()
                received += self._arrived(_Arriving(*content), memoryview(rest))
            else:
                self._receive(number, name, content)

    def _arrived(self, arriving: _Arriving, data: memoryview) -> memoryview:
        """Adds data to the long bytes of a message; what follows them. Receives the message if it is complete."""
        left = arriving.add(data)
        self._arriving = None if arriving.complete else arriving
        if arriving.complete:
            self._receive(*arriving.message())
        return left

    def _send(self, message: Any) -> None:
        if self._transport is None:
            return
        long_bytes: list[pickle.PickleBuffer] = []
        data = pickle.dumps(message, 5, buffer_callback=long_bytes.append)
        views = [each.raw() for each in long_bytes]
        if views:
            data = pickle.dumps((None, "+", (data, [len(view) for view in views])), 5)
        parts = len(data).to_bytes(_LENGTH, "big"), data
        if views or self._waiting:
            self._waiting += [memoryview(part) for part in parts] + views
            self._write_waiting()
        else:
            self._transport.writelines(parts)

    def _write_waiting(self) -> None:
        """Writes what waits, in pieces, until there is no more room."""
        waiting = self._waiting
        while waiting and self._writable and self._transport is not None:
            view = waiting.popleft()
            if len(view) > _PIECE:
                waiting.appendleft(view[_PIECE:])
            self._transport.write(view[:_PIECE])

    def _receive(self, number: int | None, name: str, content: Any) -> None:
        if number is None:
            try:
                self._handlers[name](*content)
            except Exception:
                log.exception("a message between the processes of the server failed: %s", name)
        elif name == "=":
            if (result := self._calls.get(number)) is not None and not result.done():
                returned, value = content
                if returned:
                    result.set_result(value)
                else:
                    result.set_exception(value)
        elif name == "!":
            if number in self._answering:
                self._answering[number].cancel()
        else:
            self._answer(number, partial(self._handlers[name], *content))

    def _answer(self, number: int, call: Callable[[], Any]) -> None:
        try:
            value = call()
        except Exception as error:
            self._send((number, "=", (False, _sendable(error))))
            return
        if not isawaitable(value):
            self._send((number, "=", (True, value)))
            return
        answering = self._answering[number] = asyncio.ensure_future(value)
        answering.add_done_callback(partial(self._answered, number))

    def _answered(self, number: int, answering: asyncio.Future[Any]) -> None:
        del self._answering[number]
        if not answering.cancelled():
            error = answering.exception()
            self._send((number, "=", (True, answering.result()) if error is None else (False, _sendable(error))))

    def _call_over(self, number: int, result: asyncio.Future[Any]) -> None:
        del self._calls[number]
        if result.cancelled():
            self._send((number, "!", ()))


def _sendable(error: BaseException) -> BaseException:
    """The error for the other end, which must be able to read it."""
    if isinstance(error, RequestError | ConnectionError):
        return error
    log.error("a call between the processes of the server failed", exc_info=error)
    return RuntimeError(shortened(error))


class _Arriving:
    """A message whose long bytes arrive. `data`: its pickle; `lengths`: those of the long bytes."""

    def __init__(self, data: bytes, lengths: Sequence[int]) -> None:
        self._data = data
        self._lengths = deque(lengths)
        self._whole: list[bytes] = []
        self._next = BytesIO()

    def add(self, data: memoryview) -> memoryview:
        """Adds what arrives; what is left belongs to the next message."""
        while self._lengths:
            missing = self._lengths[0] - self._next.tell()
            self._next.write(data[:missing])
            if len(data) < missing:
                return data[:0]
            data = data[missing:]
            self._lengths.popleft()
            self._whole.append(self._next.getvalue())  # does not copy them
            self._next = BytesIO()
        return data

    @property
    def complete(self) -> bool:
        """Whether all have arrived."""
        return not self._lengths

    def message(self) -> Any:
        """The message."""
        return pickle.loads(self._data, buffers=self._whole)
