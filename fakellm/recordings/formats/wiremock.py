"""Reads the mappings of WireMock (https://wiremock.org/docs/stubbing/), for Java: JSON or YAML, one stub or a list.

A mapping states what a request must have; if it has a whole body, that counts as the body that was sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, from_base64, headers, typed

ReadFile = Callable[[str], bytes]
"""Reads a file that a recording refers to."""


class _Pattern(Struct, rename="camel"):
    equal_to_json: Any = None
    equal_to: str | None = None


class _Request(Struct, rename="camel"):
    method: Method = "ANY"
    url: Target | None = None
    url_path: Target | None = None
    url_pattern: Target | None = None
    url_path_pattern: Target | None = None
    headers: dict[str, Any] | None = None
    body_patterns: list[_Pattern] = []


class _Response(Struct, rename="camel"):
    status: Status = 200
    headers: dict[str, Values] | None = None
    body: str | None = None
    json_body: Any = None
    base64_body: str | None = field(name="base64Body", default=None)
    body_file_name: str | None = None
    fixed_delay_milliseconds: Annotated[int, Meta(ge=0)] | None = None


class _Mapping(Struct):
    request: _Request
    response: _Response


class _File(Struct):
    mappings: list[_Mapping]


def load(documents: list[Any], name: str, read_file: ReadFile) -> Cassette:
    """The recording in the documents of a file. Raises CassetteError.

    A body may be in a separate file, which `read_file` reads.
    """
    found = [each for number, document in enumerate(documents) for each in _document(document, f"{name}: [{number}]")]
    return Cassette(name, tuple(_interaction(mapping, place, read_file) for mapping, place in found))


def _document(data: Any, place: str) -> list[tuple[_Mapping, str]]:
    if not isinstance(data, dict) or "mappings" not in data:
        return [(typed(data, _Mapping, place), place)]
    read = typed(data, _File, place).mappings
    return [(mapping, f"{place}.mappings[{number}]") for number, mapping in enumerate(read)]


def _interaction(read: _Mapping, place: str, read_file: ReadFile) -> Interaction:
    request, response = read.request, read.response
    url = request.url or request.url_path or request.url_pattern or request.url_path_pattern
    if url is None:
        raise CassetteError(
            [f"{place}.request: it has none of the keys 'url', 'urlPath', 'urlPattern' and 'urlPathPattern'"]
        )
    expected = [
        (header, value.get("equalTo")) for header, value in (request.headers or {}).items() if isinstance(value, dict)
    ]
    sent = headers({header: value for header, value in expected if isinstance(value, str)})
    bodies = [pattern.equal_to_json or pattern.equal_to for pattern in request.body_patterns]
    recorded = RecordedRequest(request.method, url, sent, body(next(filter(None, bodies), None)))
    received = _body(response, f"{place}.response", read_file)
    delay = (response.fixed_delay_milliseconds or 0) / 1000
    answer = plan(response.status, headers(response.headers), received, f"{place}.response", delay=delay)
    return Interaction(recorded, answer)


def _body(response: _Response, place: str, read_file: ReadFile) -> bytes:
    if response.body_file_name is not None:
        return read_file(response.body_file_name)
    if response.base64_body is not None:
        return from_base64(response.base64_body, f"{place}.base64Body")
    return body(response.json_body if response.body is None else response.body)
