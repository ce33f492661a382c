"""Reads simulations of Hoverfly (https://docs.hoverfly.io), for Go, versions 5 and 5.x: JSON.

A matcher that compares for equality counts as the value that was sent; any other is an error.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Status, Values, body, from_base64, headers, typed

_EQUAL = ("exact", "json")


class _Matcher(Struct, forbid_unknown_fields=True):
    matcher: str
    value: Any = None
    config: Any = None


class _Request(Struct, rename="camel", forbid_unknown_fields=True):
    path: list[_Matcher]
    method: list[_Matcher]
    destination: list[_Matcher] = []
    scheme: list[_Matcher] = []
    body: list[_Matcher] = []
    headers: dict[str, list[_Matcher]] | None = None  # like the query, they do not identify a request
    query: dict[str, list[_Matcher]] | None = None
    deprecated_query: list[_Matcher] = []


class _Response(Struct, rename="camel", forbid_unknown_fields=True):
    status: Status
    body: str = ""
    encoded_body: bool = False
    headers: dict[str, Values] | None = None
    templated: bool = False
    fixed_delay: Annotated[int, Meta(ge=0)] = 0


class _Pair(Struct, forbid_unknown_fields=True):
    request: _Request
    response: _Response
    labels: Any = None


class _Data(Struct, rename="camel"):
    IGNORED: ClassVar = ("globalActions",)

    pairs: list[Any]


class _File(Struct):
    IGNORED: ClassVar = ("meta",)

    data: _Data


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    read = typed(data, _File, name).data.pairs
    return read_entries(name, read, _Pair, f"{name}: data.pairs", _interaction)


def _interaction(read: _Pair, place: str) -> Interaction:
    request, response = read.request, read.response
    found = {
        key: _value(getattr(request, key), f"{place}.request.{key}")
        for key in ("path", "method", "destination", "scheme", "body")
    }
    host = f"{found['scheme'] or 'http'}://{found['destination']}" if found["destination"] else ""
    recorded = RecordedRequest(found["method"] or "ANY", host + found["path"], (), found["body"].encode())
    if response.templated:
        raise CassetteError([f"{place}.response.templated: the body is a template, which has no recorded bytes"])
    at = f"{place}.response.body"
    received = from_base64(response.body, at) if response.encoded_body else body(response.body)
    delay = response.fixed_delay / 1000
    return Interaction(recorded, plan(response.status, headers(response.headers), received, at, delay=delay))


def _value(matchers: list[_Matcher], place: str) -> str:
    for number, each in enumerate(matchers):
        if each.matcher not in _EQUAL or not isinstance(each.value, str):
            allowed = "exact or json, with a text"
            raise CassetteError([f"{place}[{number}].matcher: {each.matcher!r} is not read; it must be {allowed}"])
    return str(matchers[0].value) if matchers else ""
