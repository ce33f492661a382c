"""Reads cassettes of ExVCR (https://github.com/parroty/exvcr), for Elixir: JSON."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct

from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, headers


class _Request(Struct):
    IGNORED: ClassVar = ("options", "request_body")

    method: Method
    url: Target
    headers: dict[str, Values] | None = None
    body: str | None = None


class _Response(Struct):
    IGNORED: ClassVar = ("binary", "type")

    status_code: Status
    headers: dict[str, Values] | None = None
    body: str | None = None


class _Interaction(Struct):
    request: _Request
    response: _Response


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    return read_entries(name, data, _Interaction, f"{name}: ", _interaction)


def _interaction(read: _Interaction, place: str) -> Interaction:
    request, response = read.request, read.response
    url = request.url.removesuffix("?")  # ExVCR adds it to URLs without a query
    recorded = RecordedRequest(request.method.upper(), url, headers(request.headers), body(request.body))
    return Interaction(
        recorded, plan(response.status_code, headers(response.headers), body(response.body), f"{place}.response.body")
    )
