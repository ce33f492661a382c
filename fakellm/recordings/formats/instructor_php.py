"""Reads recordings of instructor-php's HTTP client (https://github.com/cognesy/instructor-php): JSON, one in a file.

The body of a stream is in `chunks`, as it was read from the network.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct

from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, headers, typed


class _Request(Struct):
    IGNORED: ClassVar = ("options",)

    method: Method
    url: Target
    headers: dict[str, Values] | None = None
    body: Any = None


class _Response(Struct, rename="camel"):
    status_code: Status
    headers: dict[str, Values] | None = None
    body: str | None = None


class _File(Struct):
    request: _Request
    response: _Response
    chunks: list[str] | None = None


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    read = typed(data, _File, name)
    request, response = read.request, read.response
    recorded = RecordedRequest(request.method, request.url, headers(request.headers), body(request.body))
    content = body("".join(read.chunks) if read.chunks else response.body)
    answer = plan(response.status_code, headers(response.headers), content, f"{name}: response.body")
    return Cassette(name, (Interaction(recorded, answer),))
