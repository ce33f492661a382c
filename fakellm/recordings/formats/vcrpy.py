"""Reads and writes cassettes of vcrpy (https://vcrpy.readthedocs.io), for Python, in YAML or JSON.

Older cassettes have the responses of httpx in other keys. Test suites that reformat their cassettes write
`parsed_body`, the value of a JSON body: its bytes are lost, and become those that Python's `json` writes.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import UNSET, Struct, UnsetType

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats import yaml_values
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.response_writer import grouped, status_line, text_or_bytes
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, headers, typed


class _Request(Struct):
    method: Method
    uri: Target
    body: Any = None
    parsed_body: Any | UnsetType = UNSET
    headers: dict[str, Values] | None = None


class _Status(Struct):
    IGNORED: ClassVar = ("message",)

    code: Status


class _Body(Struct):
    string: str | None = None


class _Response(Struct):
    IGNORED: ClassVar = ("http_version", "protocol")

    status: _Status | None = None
    headers: dict[str, Values] | None = None
    body: _Body | str | None = None
    parsed_body: Any | UnsetType = UNSET
    status_code: Status | None = None
    content: str | None = None


class _Interaction(Struct):
    request: _Request
    response: _Response


class _File(Struct):
    IGNORED: ClassVar = ("version",)

    interactions: list[Any]


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    read = typed(data, _File, name).interactions
    return read_entries(name, read, _Interaction, f"{name}: interactions", _interaction)


def _interaction(read: _Interaction, place: str) -> Interaction:
    request, response = read.request, read.response
    sent = body(request.body if request.parsed_body is UNSET else request.parsed_body)
    status = response.status.code if response.status else response.status_code
    if status is None:
        raise CassetteError([f"{place}.response: it has neither the key 'status' nor 'status_code'"])
    recorded = RecordedRequest(request.method, request.uri, headers(request.headers), sent)
    return Interaction(recorded, plan(status, headers(response.headers), _body(response), f"{place}.response.body"))


def _body(response: _Response) -> bytes:
    if isinstance(response.body, _Body):
        return body(response.body.string)
    if response.body is not None:
        return body(response.body)
    return body(response.content if response.parsed_body is UNSET else response.parsed_body)


def dump(cassette: Cassette) -> bytes:
    """The recording as vcrpy's YAML. Raises CassetteError if an interaction has no response."""
    interactions = [_dumped(each, f"interactions[{number}]") for number, each in enumerate(cassette.interactions)]
    return yaml_values.dump({"interactions": interactions, "version": 1})


def _dumped(interaction: Interaction, place: str) -> dict[str, Any]:
    request, (status, phrase, received) = interaction.request, status_line(interaction.response, place)
    return {
        "request": {
            "body": text_or_bytes(request.body) or None,
            "headers": grouped(request.headers),
            "method": request.method,
            "uri": request.url,
        },
        "response": {
            "body": {"string": text_or_bytes(interaction.response.body)},
            "headers": grouped(received),
            "status": {"code": status, "message": phrase},
        },
    }
