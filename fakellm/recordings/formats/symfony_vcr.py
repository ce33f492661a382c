"""Reads the cassettes that symfony/ai has of its HTTP client, for PHP: JSON."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, headers, typed


class _Request(Struct):
    method: Method
    url: Target
    headers: dict[str, Values] | None = None
    body: Any = None


class _Response(Struct):
    status: Status
    headers: dict[str, Values] | None = None
    body: Any = None


class _Interaction(Struct):
    request: _Request
    response: _Response


class _File(Struct):
    interactions: list[_Interaction]


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    read = typed(data, _File, name).interactions
    found = [_interaction(each, f"{name}: interactions[{number}]") for number, each in enumerate(read)]
    return Cassette(name, tuple(found))


def _interaction(read: _Interaction, place: str) -> Interaction:
    request, response = read.request, read.response
    recorded = RecordedRequest(request.method, request.url, headers(request.headers), body(request.body))
    return Interaction(
        recorded, plan(response.status, headers(response.headers), body(response.body), f"{place}.response.body")
    )
