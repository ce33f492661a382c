"""Reads cassettes of PHP-VCR (https://php-vcr.github.io): YAML or JSON, a list."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, headers


class _Request(Struct):
    IGNORED: ClassVar = ("curl_options", "post_files")

    method: Method
    url: Target
    headers: dict[str, Values] | None = None
    body: str | None = None


class _Status(Struct):
    IGNORED: ClassVar = ("http_version", "message")

    code: Status | Annotated[str, Meta(pattern="^[1-9][0-9][0-9]$")]


class _Response(Struct):
    IGNORED: ClassVar = ("curl_info",)

    status: _Status
    headers: dict[str, Values] | None = None
    body: str | None = None


class _Interaction(Struct):
    IGNORED: ClassVar = ("index",)

    request: _Request
    response: _Response


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    return read_entries(name, data, _Interaction, f"{name}: ", _interaction)


def _interaction(read: _Interaction, place: str) -> Interaction:
    request, response = read.request, read.response
    recorded = RecordedRequest(request.method, request.url, headers(request.headers), body(request.body))
    status, received = int(response.status.code), body(response.body)
    return Interaction(recorded, plan(status, headers(response.headers), received, f"{place}.response.body"))
