"""The cassettes of go-vcr (https://github.com/dnaeon/go-vcr), for Go: versions 1, 2 and later ones with these keys."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Asked, Cassette, Interaction
from fakellm.recordings.formats import yaml_values
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.response_writer import grouped, kept, said
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, headers, typed


class _Request(Struct):
    method: Method
    url: Target
    body: str | None = None
    headers: dict[str, Values] | None = None


class _Response(Struct):
    code: Status
    body: str | None = None
    headers: dict[str, Values] | None = None
    duration: str | int | None = None


class _Interaction(Struct):
    request: _Request
    response: _Response


class _File(Struct):
    interactions: list[_Interaction]


def load(data: Any, name: str) -> Cassette:
    """The recording that the file's value holds. Raises CassetteError.

    The recorded duration, from the request to the response's head, is the delay of the plan.
    """
    read = typed(data, _File, name).interactions
    found = [_interaction(each, f"{name}: interactions[{number}]") for number, each in enumerate(read)]
    return Cassette(name, tuple(found))


def _interaction(read: _Interaction, place: str) -> Interaction:
    asked, answer = read.request, read.response
    delay = _seconds(answer.duration or "", f"{place}.response.duration")
    at = f"{place}.response.body"
    response = plan(answer.code, headers(answer.headers), body(answer.body), at, delay=delay)
    return Interaction(Asked(asked.method, asked.url, headers(asked.headers), body(asked.body)), response)


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h)"


def _seconds(duration: str | int, place: str) -> float:
    """Go's notation of a duration, as ``1m2.5s``; a number is in nanoseconds."""
    if isinstance(duration, int):
        return round(max(duration, 0) / 1e9, 9)
    if not re.fullmatch(f"0|({_PART})*", duration):
        raise CassetteError([f"{place}: {duration!r} is no duration as Go writes it, such as 663.689958ms"])
    return round(sum((float(number) * _UNITS[unit] for number, unit in re.findall(_PART, duration)), 0.0), 9)


def dump(cassette: Cassette) -> bytes:
    """The recording as go-vcr's YAML, version 2. Raises CassetteError where no response came."""
    interactions = [_dumped(number, each) for number, each in enumerate(cassette.interactions)]
    return b"---\n" + yaml_values.dump({"version": 2, "interactions": interactions})


_PROTO = {"proto": "HTTP/1.1", "proto_major": 1, "proto_minor": 1}


def _dumped(number: int, interaction: Interaction) -> dict[str, Any]:
    asked, plan = interaction.request, interaction.response
    status, phrase, received = said(plan, f"interactions[{number}]")
    return {
        "id": number,
        "request": {
            **_PROTO,
            "content_length": len(asked.body),
            "host": asked.url.partition("//")[2].partition("/")[0],
            "body": kept(asked.body),
            "headers": grouped(asked.headers),
            "url": asked.url,
            "method": asked.method,
        },
        "response": {
            **_PROTO,
            "content_length": len(plan.body),
            "body": kept(plan.body),
            "headers": grouped(received),
            "status": f"{status} {phrase}",
            "code": status,
            "duration": f"{round(plan.delay * 1e9)}ns",
        },
    }
