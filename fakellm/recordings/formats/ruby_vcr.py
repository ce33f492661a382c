"""Reads cassettes of VCR for Ruby (https://benoittgt.github.io/vcr) and of vcr for R (https://docs.ropensci.org/vcr)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, from_base64, headers, typed


class _Body(Struct):
    string: str | None = None
    base64_string: str | None = None


class _Request(Struct):
    method: Method
    uri: Target
    body: _Body | None = None
    headers: dict[str, Values] | None = None


class _Status(Struct):
    code: Status


class _Response(Struct):
    status: _Status | Status
    body: _Body | None = None
    headers: dict[str, Values] | None = None


class _Interaction(Struct):
    request: _Request
    response: _Response


class _File(Struct):
    http_interactions: list[_Interaction]


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    read = typed(data, _File, name).http_interactions
    found = [_interaction(each, f"{name}: http_interactions[{number}]") for number, each in enumerate(read)]
    return Cassette(name, tuple(found))


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
