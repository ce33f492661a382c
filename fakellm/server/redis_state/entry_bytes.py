"""The bytes of journal entries in Redis, and back: requests, states and replies. Owns their form; long ones are
compressed.

They hold values only, so that whoever can write to Redis cannot have a server run anything.
"""

from __future__ import annotations

import zlib
from typing import TypeVar

import msgspec
from msgspec import Struct
from multidict import CIMultiDict

from fakellm.engine.entry import Ending, Entry, Kept, SentReply
from fakellm.engine.response import Response
from fakellm.server.workers.owned import CHANGING
from fakellm.wire.http.http1 import Burst
from fakellm.wire.plan import Plan

T = TypeVar("T")

_LONG = 4096
"""Bytes from which on they are compressed."""
_PLAIN, _COMPRESSED, _NONE = b"p", b"z", b"n"


class SentRequest(Struct, frozen=True, array_like=True):
    """A request. Texts that UTF-8 may not be able to encode are bytes."""

    method: str
    path: str
    api: str | None
    sent_path: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    valid: bool
    advanced: float


class EntryState(Struct, frozen=True, array_like=True):
    """What changes in an entry: see `Entry`.

    clock: how many seconds the time of Redis is ahead of the clock of `started` and `ended`.
    pending: whether a reply has been made that was not written yet: until then, the entry is as before.
    """

    rule: str | None
    matched: bool
    explanation: str | None
    status: int | None
    frames: int
    frames_sent: int
    outcome: Ending
    fault: str | None
    attempts_forgotten: bool
    without_effect: tuple[str, ...]
    late_ms: float
    dialect: str | None
    started: float | None
    ended: float | None
    reply: SentReply
    clock: float
    pending: bool


class _Sent(Struct, frozen=True, array_like=True):
    """A reply, as it was made."""

    head: Plan
    bursts: tuple[Burst, ...]
    frames: int


def encoded_request(entry: Entry, kept: Kept) -> bytes:
    """The request of an entry."""
    headers = tuple((_encoded(name), _encoded(value)) for name, value in kept.headers.items())
    sent = entry.method, entry.path, entry.api, _encoded(kept.path), headers, kept.body, kept.valid, entry.advanced
    return _packed(SentRequest(*sent))


def decoded_request(data: bytes) -> Entry:
    """An entry with this request."""
    sent = _unpacked(data, SentRequest)
    headers = CIMultiDict((_decoded(name), _decoded(value)) for name, value in sent.headers)
    kept = Kept(sent.body, _decoded(sent.sent_path), headers, valid=sent.valid)
    return Entry(sent.method, sent.path, kept, api=sent.api, advanced=sent.advanced)


def encoded_state(entry: Entry, clock: float, pending: bool) -> bytes:
    """What may change in an entry, as it is now. The others: see `EntryState`."""
    values = {name: getattr(entry, name) for name in CHANGING}
    return _packed(EntryState(**values, reply=entry.reply, clock=clock, pending=pending))


def decoded_state(data: bytes, clock: float) -> EntryState:
    """What has been encoded, with times on the clock of this machine. `clock`: see `EntryState`."""
    found = _unpacked(data, EntryState)
    ahead = found.clock - clock
    if not ahead:
        return found
    started, ended = (None if each is None else each + ahead for each in (found.started, found.ended))
    return msgspec.structs.replace(found, started=started, ended=ended)


def encoded_reply(response: Response | None) -> bytes:
    """A reply; or that none will come."""
    return _NONE if response is None else _packed(_Sent(response.head, tuple(response.bursts), response.frames))


def decoded_reply(data: bytes) -> Response | None:
    """A reply, as far as it is read from a journal; None if none will come."""
    if data == _NONE:
        return None
    sent = _unpacked(data, _Sent)
    return Response(msgspec.structs.replace(sent.head, frames=()), sent.bursts, sent.frames)


def _packed(value: Struct) -> bytes:
    data = msgspec.msgpack.encode(value)
    return _PLAIN + data if len(data) < _LONG else _COMPRESSED + zlib.compress(data, 1)


def _unpacked(data: bytes, kind: type[T]) -> T:
    content = zlib.decompress(data[1:]) if data[:1] == _COMPRESSED else data[1:]
    return msgspec.msgpack.decode(content, type=kind)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
