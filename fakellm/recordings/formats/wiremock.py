"""Reads the mappings of WireMock (https://wiremock.org/docs/stubbing/), for Java: JSON or YAML, one stub or a list.

A mapping states what a request must have; if it has a whole body, that counts as the body that was sent. What cannot
be sent again as it is written, such as a template, is an error. Unlike WireMock, a body must be equal, and a response
needs a `status`. Interactions are in the order of their `priority`.
"""

from __future__ import annotations

import re
from itertools import pairwise
from operator import itemgetter
from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import replace

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.attached_files import ReadFile
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan, unanswered
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, from_base64, headers, typed
from fakellm.wire.plan import Frame, Plan

Milliseconds = Annotated[int, Meta(ge=0)]

_PLAIN = re.compile(r"(?:[\w/:~%-]|\\[^\w])++")
"""A pattern of a URL that matches one URL only."""


class _Pattern(Struct, rename="camel", forbid_unknown_fields=True):
    equal_to_json: Any = None
    equal_to: str | None = None
    ignore_array_order: bool = False  # as WireMock's recorder writes them
    ignore_extra_elements: bool = False
    case_insensitive: bool = False


class _Request(Struct, rename="camel", forbid_unknown_fields=True):
    method: Method = "ANY"
    url: Target | None = None
    url_path: Target | None = None
    url_pattern: Target | None = None
    url_path_pattern: Target | None = None
    headers: dict[str, Any] | None = None
    query_parameters: dict[str, Any] | None = None  # like headers, they do not identify a request
    cookies: dict[str, Any] | None = None
    body_patterns: list[_Pattern] = []


class _Dribble(Struct, rename="camel", forbid_unknown_fields=True):
    number_of_chunks: Annotated[int, Meta(ge=1, le=100_000)]
    total_duration: Milliseconds


class _Response(Struct, rename="camel", forbid_unknown_fields=True):
    status: Status | UnsetType = UNSET
    status_message: str | None = None
    headers: dict[str, Values] | None = None
    body: str | None = None
    json_body: Any = None
    base64_body: str | None = field(name="base64Body", default=None)
    body_file_name: str | None = None
    fixed_delay_milliseconds: Milliseconds | None = None
    chunked_dribble_delay: _Dribble | None = None
    fault: Literal["EMPTY_RESPONSE", "CONNECTION_RESET_BY_PEER"] | None = None
    transformers: list[str] = []


class _Mapping(Struct):
    IGNORED: ClassVar = ("id", "uuid", "name", "persistent", "insertionIndex", "metadata")

    request: _Request
    response: _Response
    priority: int = 5
    """Of the mappings that match a request, WireMock prefers the one with the lowest."""


class _File(Struct):
    IGNORED: ClassVar = ("meta", "importOptions")

    mappings: list[Any]


def load(documents: list[Any], name: str, read_file: ReadFile) -> Cassette:
    """The recording in the documents of a file. Raises CassetteError.

    A body may be in a separate file, which `read_file` reads.
    """
    listed, place = documents, f"{name}: "
    if len(documents) == 1 and isinstance(documents[0], dict) and "mappings" in documents[0]:
        listed, place = typed(documents[0], _File, f"{name}: [0]").mappings, f"{name}: [0].mappings"
    ranks: list[int] = []

    def make(read: _Mapping, at: str) -> Interaction:
        made = _interaction(read, at, read_file)
        ranks.append(read.priority)
        return made

    cassette = read_entries(name, listed, _Mapping, place, make)
    ranked = [each for _, each in sorted(zip(ranks, cassette.numbered(), strict=True), key=itemgetter(0))]
    interactions, numbers = tuple(each for _, each in ranked), tuple(number for number, _ in ranked)
    return replace(cassette, interactions=interactions, numbers=numbers)


def _interaction(read: _Mapping, place: str, read_file: ReadFile) -> Interaction:
    request, response = read.request, read.response
    expected = [
        (header, value.get("equalTo")) for header, value in (request.headers or {}).items() if isinstance(value, dict)
    ]
    sent = headers({header: value for header, value in expected if isinstance(value, str)})
    bodies = [pattern.equal_to_json or pattern.equal_to for pattern in request.body_patterns]
    recorded = RecordedRequest(
        request.method, _url(request, f"{place}.request"), sent, body(next(filter(None, bodies), None))
    )
    return Interaction(recorded, _plan(response, f"{place}.response", read_file))


def _url(request: _Request, place: str) -> str:
    if url := request.url or request.url_path:
        return url
    pattern = request.url_pattern or request.url_path_pattern
    if pattern is None:
        raise CassetteError([f"{place}: it has none of the keys 'url', 'urlPath', 'urlPattern' and 'urlPathPattern'"])
    plain = pattern.replace(".", "\\.") if "\\" not in pattern else pattern
    if not _PLAIN.fullmatch(plain):
        raise CassetteError([f"{place}: the pattern {pattern!r} matches more than one URL: write the URL as 'url'"])
    return plain.replace("\\", "")


def _plan(response: _Response, place: str, read_file: ReadFile) -> Plan:
    delay = (response.fixed_delay_milliseconds or 0) / 1000
    if response.fault:
        end: Any = "reset" if response.fault == "CONNECTION_RESET_BY_PEER" else "close"
        return replace(unanswered(delay), end=end)
    if response.status is UNSET:
        raise CassetteError([f"{place}.status: the key 'status' is missing"])
    received = _body(response, place, read_file)
    if response.transformers and b"{{" in received:
        raise CassetteError([f"{place}.transformers: the body is a template, which has no recorded bytes"])
    made = plan(response.status, headers(response.headers), received, place, delay=delay)
    return _dribbled(made, response.chunked_dribble_delay) if response.chunked_dribble_delay else made


def _dribbled(made: Plan, dribble: _Dribble) -> Plan:
    """The plan with its body in so many pieces, over the whole duration."""
    data, count = made.body, dribble.number_of_chunks
    edges = [len(data) * number // count for number in range(count + 1)]
    gap = dribble.total_duration / 1000 / count
    frames = (Frame(data[start:end], gap) for start, end in pairwise(edges))
    return replace(made, frames=tuple(frames), delimited="chunked")


def _body(response: _Response, place: str, read_file: ReadFile) -> bytes:
    if response.body_file_name is not None:
        return read_file(response.body_file_name)
    if response.base64_body is not None:
        return from_base64(response.base64_body, f"{place}.base64Body")
    return body(response.json_body if response.body is None else response.body)
