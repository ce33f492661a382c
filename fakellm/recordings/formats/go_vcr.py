"""Reads and writes cassettes of go-vcr (https://github.com/dnaeon/go-vcr), for Go.

It reads versions 1, 2 and later ones with the same keys, and writes version 2.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from msgspec import Struct

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats import yaml_values
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.response_writer import grouped, status_line, text_or_bytes
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, headers, typed


class _Request(Struct):
    IGNORED: ClassVar = (
        "proto",
        "proto_major",
        "proto_minor",
        "content_length",
        "host",
        "form",
        "transfer_encoding",
        "trailer",
        "remote_addr",
        "request_uri",
    )

    method: Method
    url: Target
    body: str | None = None
    headers: dict[str, Values] | None = None


class _Response(Struct):
    IGNORED: ClassVar = (
        "proto",
        "proto_major",
        "proto_minor",
        "content_length",
        "status",
        "uncompressed",
        "transfer_encoding",
        "trailer",
    )

    code: Status
    body: str | None = None
    headers: dict[str, Values] | None = None
    duration: str | int | None = None


class _Interaction(Struct):
    IGNORED: ClassVar = ("id",)

    request: _Request
    response: _Response


class _File(Struct):
    IGNORED: ClassVar = ("version",)

    interactions: list[Any]


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError.

    The recorded duration, from the request to the head of the response, is the delay of the plan.
    """
    read = typed(data, _File, name).interactions
    return read_entries(name, read, _Interaction, f"{name}: interactions", _interaction)


def _interaction(read: _Interaction, place: str) -> Interaction:
    request, response = read.request, read.response
    recorded = RecordedRequest(request.method, request.url, headers(request.headers), body(request.body))
    delay = _seconds(response.duration or "", f"{place}.response.duration")
    at = f"{place}.response.body"
    return Interaction(recorded, plan(response.code, headers(response.headers), body(response.body), at, delay=delay))


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h)"


def _seconds(duration: str | int, place: str) -> float:
    """A duration in Go's notation, such as ``1m2.5s``; a number is in nanoseconds."""
    if isinstance(duration, int):
        return round(max(duration, 0) / 1e9, 9)
    if not re.fullmatch(f"0|({_PART})*", duration):
        raise CassetteError([f"{place}: {duration!r} is not a duration as Go writes it, such as 663.689958ms"])
    return round(sum((float(number) * _UNITS[unit] for number, unit in re.findall(_PART, duration)), 0.0), 9)


def dump(cassette: Cassette) -> bytes:
    """The recording as go-vcr's YAML, version 2. Raises CassetteError if an interaction has no response."""
    interactions = [_dumped(number, each) for number, each in enumerate(cassette.interactions)]
    return b"---\n" + yaml_values.dump({"version": 2, "interactions": interactions})


_PROTO = {"proto": "HTTP/1.1", "proto_major": 1, "proto_minor": 1}


def _dumped(number: int, interaction: Interaction) -> dict[str, Any]:
    request, plan = interaction.request, interaction.response
    status, phrase, received = status_line(plan, f"interactions[{number}]")
    return {
        "id": number,
        "request": {
            **_PROTO,
            "content_length": len(request.body),
            "host": request.url.partition("//")[2].partition("/")[0],
            "body": text_or_bytes(request.body),
            "headers": grouped(request.headers),
            "url": request.url,
            "method": request.method,
        },
        "response": {
            **_PROTO,
            "content_length": len(plan.body),
            "body": text_or_bytes(plan.body),
            "headers": grouped(received),
            "status": f"{status} {phrase}",
            "code": status,
            "duration": f"{round(plan.delay * 1e9)}ns",
        },
    }
