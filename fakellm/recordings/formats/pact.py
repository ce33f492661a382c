"""Reads contracts of Pact (https://docs.pact.io), versions 2 and 3 of its specification: JSON.

The values of JSON bodies are kept, not their bytes. Matching rules say what else the provider may answer: the values
are those of the example.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, headers, typed


class _Request(Struct):
    IGNORED: ClassVar = ("matchingRules", "generators", "query")

    method: Method
    path: Target
    headers: dict[str, Values] | None = None
    body: Any = None


class _Response(Struct):
    IGNORED: ClassVar = ("matchingRules", "generators")

    status: Status
    headers: dict[str, Values] | None = None
    body: Any = None


class _Interaction(Struct):
    IGNORED: ClassVar = ("description", "providerState", "providerStates")

    request: _Request
    response: _Response


class _File(Struct):
    IGNORED: ClassVar = ("consumer", "provider")

    interactions: list[Any]
    metadata: Any = None


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    read = typed(data, _File, name)
    match read.metadata:
        case {"pactSpecification": {"version": str(version)}} if version.startswith("4"):
            message = f"version {version!r} is not supported: write the contract as version 3"
            raise CassetteError([f"{name}: metadata.pactSpecification.{message}"])
    return read_entries(name, read.interactions, _Interaction, f"{name}: interactions", _interaction)


def _interaction(read: _Interaction, place: str) -> Interaction:
    request, response = read.request, read.response
    recorded = RecordedRequest(request.method.upper(), request.path, headers(request.headers), body(request.body))
    received = body(response.body)
    return Interaction(recorded, plan(response.status, headers(response.headers), received, f"{place}.response.body"))
