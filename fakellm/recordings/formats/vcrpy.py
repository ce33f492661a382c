"""The cassettes of vcrpy (https://vcrpy.readthedocs.io), for Python; YAML and JSON hold the same.

Older ones keep a response of httpx in other keys. `parsed_body`, the value of a JSON body, is what test suites write
that reformat their cassettes: its bytes are lost, and are read as Python's `json` writes them.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Asked, Cassette, Interaction
from fakellm.recordings.formats import yaml_values
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.response_writer import grouped, kept, said
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, headers, typed


class _Request(Struct):
    method: Method
    uri: Target
    body: Any = None
    parsed_body: Any | UnsetType = UNSET
    headers: dict[str, Values] | None = None


class _Status(Struct):
    code: Status


class _Body(Struct):
    string: str | None = None


class _Response(Struct):
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
    interactions: list[_Interaction]


def load(data: Any, name: str) -> Cassette:
    """The recording that the file's value holds. Raises CassetteError."""
    read = typed(data, _File, name).interactions
    found = [_interaction(each, f"{name}: interactions[{number}]") for number, each in enumerate(read)]
    return Cassette(name, tuple(found))


def _interaction(read: _Interaction, place: str) -> Interaction:
    asked, answer = read.request, read.response
    sent = body(asked.body if asked.parsed_body is UNSET else asked.parsed_body)
    status = answer.status.code if answer.status else answer.status_code
    if status is None:
        raise CassetteError([f"{place}.response: neither the key 'status' nor 'status_code' is there"])
    response = plan(status, headers(answer.headers), _body(answer), f"{place}.response.body")
    return Interaction(Asked(asked.method, asked.uri, headers(asked.headers), sent), response)


def _body(answer: _Response) -> bytes:
    if isinstance(answer.body, _Body):
        return body(answer.body.string)
    if answer.body is not None:
        return body(answer.body)
    return body(answer.content if answer.parsed_body is UNSET else answer.parsed_body)


def dump(cassette: Cassette) -> bytes:
    """The recording as vcrpy's YAML. Raises CassetteError where no response came."""
    interactions = [_dumped(each, f"interactions[{number}]") for number, each in enumerate(cassette.interactions)]
    return yaml_values.dump({"interactions": interactions, "version": 1})


def _dumped(interaction: Interaction, place: str) -> dict[str, Any]:
    asked, (status, phrase, received) = interaction.request, said(interaction.response, place)
    return {
        "request": {
            "body": kept(asked.body) or None,
            "headers": grouped(asked.headers),
            "method": asked.method,
            "uri": asked.url,
        },
        "response": {
            "body": {"string": kept(interaction.response.body)},
            "headers": grouped(received),
            "status": {"code": status, "message": phrase},
        },
    }
