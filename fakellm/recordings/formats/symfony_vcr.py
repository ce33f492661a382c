"""Reads the cassettes that symfony/ai has of its HTTP client, for PHP: JSON."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct

from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, headers, typed


class _Request(Struct):
    IGNORED: ClassVar = ("signature",)

    method: Method
    url: Target
    headers: dict[str, Values] | None = None
    body: Any = None


class _Response(Struct):
    IGNORED: ClassVar = ("body_format",)

    status: Status
    headers: dict[str, Values] | None = None
    body: Any = None


class _Interaction(Struct):
    request: _Request
    response: _Response


class _File(Struct):
    interactions: list[Any]


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    read = typed(data, _File, name).interactions
    return read_entries(name, read, _Interaction, f"{name}: interactions", _interaction)


def _interaction(read: _Interaction, place: str) -> Interaction:
    request, response = read.request, read.response
    recorded = RecordedRequest(request.method, request.url, headers(request.headers), body(request.body))
    return Interaction(
        recorded, plan(response.status, headers(response.headers), body(response.body), f"{place}.response.body")
    )
