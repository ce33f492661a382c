"""The cassettes of Datadog's test agent (https://github.com/DataDog/dd-apm-test-agent): JSON, an interaction a file."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from fakellm.recordings.cassette import Asked, Cassette, Interaction
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, headers, typed


class _Request(Struct):
    method: Method
    url: Target
    headers: dict[str, Values] | None = None
    body: str | None = None


class _Status(Struct):
    code: Status


class _Response(Struct):
    status: _Status
    headers: dict[str, Values] | None = None
    body: str | None = None


class _File(Struct):
    request: _Request
    response: _Response


def load(data: Any, name: str) -> Cassette:
    """The recording that the file's value holds. Raises CassetteError."""
    read = typed(data, _File, name)
    asked, answer = read.request, read.response
    response = plan(answer.status.code, headers(answer.headers), body(answer.body), f"{name}: response.body")
    request = Asked(asked.method, asked.url, headers(asked.headers), body(asked.body))
    return Cassette(name, (Interaction(request, response),))
