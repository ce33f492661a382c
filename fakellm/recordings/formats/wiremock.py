"""The mappings of WireMock (https://wiremock.org/docs/stubbing/), for Java: JSON or YAML, a stub or a list of them.

A mapping says what a request must have; where it names a whole body, that is taken for the one that was sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Asked, Cassette, Interaction
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, from_base64, headers, typed

Beside = Callable[[str], bytes]
"""Reads a file that a recording names."""


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


def load(documents: list[Any], name: str, beside: Beside) -> Cassette:
    """The recording that the file's documents hold. Raises CassetteError.

    A body may be in a file of its own, which `beside` reads.
    """
    found = [each for number, document in enumerate(documents) for each in _document(document, f"{name}: [{number}]")]
    return Cassette(name, tuple(_interaction(mapping, place, beside) for mapping, place in found))


def _document(data: Any, place: str) -> list[tuple[_Mapping, str]]:
    if not isinstance(data, dict) or "mappings" not in data:
        return [(typed(data, _Mapping, place), place)]
    read = typed(data, _File, place).mappings
    return [(mapping, f"{place}.mappings[{number}]") for number, mapping in enumerate(read)]


def _interaction(read: _Mapping, place: str, beside: Beside) -> Interaction:
    asked, answer = read.request, read.response
    url = asked.url or asked.url_path or asked.url_pattern or asked.url_path_pattern
    if url is None:
        raise CassetteError([f"{place}.request: none of the keys 'url', 'urlPath', 'urlPattern' and 'urlPathPattern'"])
    wanted = [
        (header, value.get("equalTo")) for header, value in (asked.headers or {}).items() if isinstance(value, dict)
    ]
    sent = headers({header: value for header, value in wanted if isinstance(value, str)})
    bodies = [pattern.equal_to_json or pattern.equal_to for pattern in asked.body_patterns]
    request = Asked(asked.method, url, sent, body(next(filter(None, bodies), None)))
    received = _body(answer, f"{place}.response", beside)
    delay = (answer.fixed_delay_milliseconds or 0) / 1000
    response = plan(answer.status, headers(answer.headers), received, f"{place}.response", delay=delay)
    return Interaction(request, response)


def _body(answer: _Response, place: str, beside: Beside) -> bytes:
    if answer.body_file_name is not None:
        return beside(answer.body_file_name)
    if answer.base64_body is not None:
        return from_base64(answer.base64_body, f"{place}.base64Body")
    return body(answer.json_body if answer.body is None else answer.body)
