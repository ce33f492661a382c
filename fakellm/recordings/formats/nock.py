"""Reads recordings of nock (https://github.com/nock/nock), for Node.js: a JSON list.

A body that is not UTF-8 is a list of its pieces in hexadecimal; a JSON body is its value, so its bytes are lost.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Cassette, Headers, Interaction, RecordedRequest
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Pair, Status, Target, Values, body, headers, pairs


class _Definition(Struct):
    scope: Target
    path: Target
    status: Status
    method: Method = "GET"
    body: Any = None
    response: Any = None
    sent: dict[str, Values] | None = field(name="reqheaders", default=None)
    received: dict[str, Values] | list[str] | None = field(name="rawHeaders", default=None)
    binary: bool = field(name="responseIsBinary", default=False)


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    return read_entries(name, data, _Definition, f"{name}: ", _interaction)


def _interaction(read: _Definition, place: str) -> Interaction:
    recorded = RecordedRequest(read.method, read.scope + read.path, headers(read.sent), body(read.body))
    at = f"{place}.response"
    return Interaction(recorded, plan(read.status, _pairs(read.received), _body(read.response, read.binary, at), at))


def _pairs(received: dict[str, Values] | list[str] | None) -> Headers:
    """The headers: names and values alternating or, in later versions, a mapping."""
    if isinstance(received, list):
        return pairs([Pair(name, value) for name, value in zip(received[::2], received[1::2], strict=False)])
    return headers(received)


def _body(kept: Any, binary: bool, place: str) -> bytes:
    pieces = kept if isinstance(kept, list) else [kept] if binary else []
    if not pieces or not all(isinstance(piece, str) for piece in pieces):
        return body(kept)
    try:
        return bytes.fromhex("".join(pieces))
    except ValueError as error:
        raise CassetteError([f"{place}: {error}"]) from None
