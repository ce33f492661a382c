"""Reads recordings of httpmock (https://docs.rs/httpmock), for Rust: YAML, one document per interaction.

It keeps the path of a request but not its host, and can be configured to reformat JSON bodies.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from msgspec import Meta, Struct

from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Pair, Status, Target, body, from_base64, pairs


class _When(Struct, forbid_unknown_fields=True):
    path: Target
    method: Method = "GET"
    query_param: list[Pair] | None = None
    header: list[Pair] | None = None
    body: str | None = None
    body_base64: str | None = None
    json_body: Any = None
    json_body_str: str | None = None


class _Then(Struct, forbid_unknown_fields=True):
    status: Status
    header: list[Pair] | None = None
    body: str | None = None
    body_base64: str | None = None
    delay: Annotated[int, Meta(ge=0)] = 0


class _Document(Struct, forbid_unknown_fields=True):
    when: _When
    then: _Then


def load(documents: list[Any], name: str) -> Cassette:
    """The recording in the documents of a file. Raises CassetteError. `delay`, in milliseconds, is that of the plan."""
    return read_entries(name, documents, _Document, f"{name}: ", _interaction)


def _interaction(read: _Document, place: str) -> Interaction:
    when, then = read.when, read.then
    query = urlencode(pairs(when.query_param))
    recorded = RecordedRequest(
        when.method, f"{when.path}?{query}" if query else when.path, pairs(when.header), _body(when, f"{place}.when")
    )
    received = _body(then, f"{place}.then")
    return Interaction(recorded, plan(then.status, pairs(then.header), received, place, delay=then.delay / 1000))


def _body(kept: _When | _Then, place: str) -> bytes:
    if kept.body_base64 is not None:
        return from_base64(kept.body_base64, f"{place}.body_base64")
    if isinstance(kept, _When) and kept.body is None:
        return body(kept.json_body if kept.json_body_str is None else kept.json_body_str)
    return body(kept.body)
