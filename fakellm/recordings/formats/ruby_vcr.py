"""Reads cassettes of VCR for Ruby (https://benoittgt.github.io/vcr) and of vcr for R (https://docs.ropensci.org/vcr)."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct

from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, from_base64, headers, typed


class _Body(Struct):
    IGNORED: ClassVar = ("encoding",)

    string: str | None = None
    base64_string: str | None = None


class _Request(Struct):
    method: Method
    uri: Target
    body: _Body | None = None
    headers: dict[str, Values] | None = None


class _Status(Struct):
    IGNORED: ClassVar = ("message",)

    code: Status


class _Response(Struct):
    IGNORED: ClassVar = ("url", "http_version", "adapter_metadata")

    status: _Status | Status
    body: _Body | None = None
    headers: dict[str, Values] | None = None


class _Interaction(Struct):
    IGNORED: ClassVar = ("recorded_at",)

    request: _Request
    response: _Response


class _File(Struct):
    IGNORED: ClassVar = ("recorded_with",)

    http_interactions: list[Any]


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    read = typed(data, _File, name).http_interactions
    return read_entries(name, read, _Interaction, f"{name}: http_interactions", _interaction)


def _interaction(read: _Interaction, place: str) -> Interaction:
    request, response = read.request, read.response
    sent = _body(request.body, f"{place}.request.body")
    received = _body(response.body, f"{place}.response.body")
    recorded = RecordedRequest(request.method.upper(), request.uri, headers(request.headers), sent)
    status = response.status if isinstance(response.status, int) else response.status.code  # R has only the code
    return Interaction(recorded, plan(status, headers(response.headers), received, f"{place}.response.body"))


def _body(kept: _Body | None, place: str) -> bytes:
    if kept and kept.base64_string is not None:
        return from_base64(kept.base64_string, f"{place}.base64_string")
    return body(kept.string if kept else None)
