"""Reads recordings of `responses` (https://github.com/getsentry/responses), for Python: YAML, no bodies of requests."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct

from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, headers, typed


class _Response(Struct):
    IGNORED: ClassVar = ("auto_calculate_content_length",)

    method: Method
    url: Target
    status: Status
    body: str | None = None
    content_type: str | None = None
    headers: dict[str, Values] | None = None


class _Entry(Struct):
    response: _Response


class _File(Struct):
    responses: list[Any]


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    read = typed(data, _File, name).responses
    return read_entries(name, read, _Entry, f"{name}: responses", _interaction)


def _interaction(read: _Entry, place: str) -> Interaction:
    response = read.response
    kind = (("Content-Type", response.content_type),) if response.content_type else ()
    received = (*kind, *(pair for pair in headers(response.headers) if pair[0].lower() != "content-type" or not kind))
    recorded = RecordedRequest(response.method, response.url)
    return Interaction(recorded, plan(response.status, received, body(response.body), f"{place}.response.body"))
