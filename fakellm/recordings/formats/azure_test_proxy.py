"""Reads recordings of the test proxy of the Azure SDKs (https://github.com/Azure/azure-sdk-tools): JSON.

The format keeps JSON bodies as their value, so their bytes are lost, and other bodies as a list of their lines.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct

from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, headers, typed


class _Entry(Struct, rename="pascal"):
    request_uri: Target
    request_method: Method
    status_code: Status
    request_headers: dict[str, Values] | None = None
    request_body: Any = None
    response_headers: dict[str, Values] | None = None
    response_body: Any = None


class _File(Struct, rename="pascal"):
    IGNORED: ClassVar = ("Variables",)

    entries: list[Any]


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    read = typed(data, _File, name).entries
    return read_entries(name, read, _Entry, f"{name}: Entries", _interaction)


def _interaction(read: _Entry, place: str) -> Interaction:
    sent, received = _body(read.request_body), _body(read.response_body)
    request = RecordedRequest(read.request_method, read.request_uri, headers(read.request_headers), sent)
    response = plan(read.status_code, headers(read.response_headers), received, f"{place}.ResponseBody")
    return Interaction(request, response)


def _body(kept: Any) -> bytes:
    lines = isinstance(kept, list) and all(isinstance(line, str) for line in kept)
    return body("".join(kept) if lines else kept)
