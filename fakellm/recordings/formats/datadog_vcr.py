"""Reads cassettes of Datadog's test agent (https://github.com/DataDog/dd-apm-test-agent): JSON, one in a file."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct

from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, headers, typed


class _Request(Struct):
    method: Method
    url: Target
    headers: dict[str, Values] | None = None
    body: str | None = None


class _Status(Struct):
    IGNORED: ClassVar = ("message",)

    code: Status


class _Response(Struct):
    status: _Status
    headers: dict[str, Values] | None = None
    body: str | None = None


class _File(Struct):
    request: _Request
    response: _Response


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    read = typed(data, _File, name)
    request, response = read.request, read.response
    recorded = RecordedRequest(request.method, request.url, headers(request.headers), body(request.body))
    answer = plan(response.status.code, headers(response.headers), body(response.body), f"{name}: response.body")
    return Cassette(name, (Interaction(recorded, answer),))
