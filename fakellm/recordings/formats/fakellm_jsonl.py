"""Reads and writes fakellm's own format, which loses nothing: JSON Lines, a header and then one interaction per line.

An incomplete line is an error, so a writer appends whole lines and never changes existing ones.
"""

from __future__ import annotations

import base64
import json
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.typed_values import from_base64, json_value, typed
from fakellm.wire.plan import ChunkForm, Delimited, Frame, HeaderCase, Plan

VERSION = 1

Seconds = Annotated[float, Meta(ge=0)]


class _Head(Struct, frozen=True, forbid_unknown_fields=True):
    fakellm: Literal["recording"]
    version: int


class _Frame(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Bytes: `text` if they are UTF-8, otherwise `base64`."""

    text: str = ""
    base64: str = ""
    delay: Seconds = 0.0
    step: bool = False
    separate: bool = False


class _Request(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body is in `json` if the compact form of that value has the same bytes; otherwise it is as in a frame."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    json: Any | UnsetType = UNSET
    text: str = ""
    base64: str = ""
    session: str = ""


class _Response(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The fields of a plan, with their defaults."""

    status: Annotated[int, Meta(ge=100, le=999)] | None
    headers: tuple[tuple[str, str], ...] = ()
    frames: tuple[_Frame, ...] = ()
    delimited: Delimited = "length"
    header_case: HeaderCase | None = None
    delay: Seconds = 0.0
    end: Literal["complete", "hang_up", "close", "reset", "stall"] = "complete"
    drip: _Frame | None = None
    chunks: ChunkForm | None = None
    trailers: tuple[tuple[str, str], ...] = ()


class _Line(Struct, frozen=True, forbid_unknown_fields=True):
    request: _Request
    response: _Response


def dumps_header() -> bytes:
    """The first line of a recording."""
    return msgspec.json.encode(_Head("recording", VERSION)) + b"\n"


def dump_line(interaction: Interaction) -> bytes:
    """The line of an interaction, with its line end. The inverse of `load_line`."""
    request, plan = interaction.request, interaction.response
    body = _request_body(request.body)
    response = _Response(
        status=plan.status,
        headers=plan.headers,
        frames=tuple(map(_dumped, plan.frames)),
        delimited=plan.delimited,
        header_case=plan.header_case,
        delay=plan.delay,
        end=plan.end,
        drip=_dumped(plan.drip) if plan.drip else None,
        chunks=plan.chunks,
        trailers=plan.trailers,
    )
    sent = _Request(request.method, request.url, request.headers, session=request.session, **body)
    return msgspec.json.encode(_Line(sent, response)) + b"\n"


def dump(cassette: Cassette) -> bytes:
    """The whole file."""
    return dumps_header() + b"".join(map(dump_line, cassette.interactions))


def load_line(line: bytes, name: str, number: int) -> Interaction:
    """The interaction of a line. Raises CassetteError with the name of the file and the number of the line."""
    place = f"{name}:{number}"
    read = typed(json_value(line, name, number), _Line, place)
    request, plan = read.request, read.response
    if request.json is UNSET:
        body = _bytes(request.text, request.base64, f"{place}: request")
    else:
        body = msgspec.json.encode(request.json)
    frames = [_loaded(frame, f"{place}: response.frames[{number}]") for number, frame in enumerate(plan.frames)]
    response = Plan(
        status=plan.status,
        headers=plan.headers,
        frames=tuple(frames),
        delimited=plan.delimited,
        header_case=plan.header_case,
        delay=plan.delay,
        end=plan.end,
        drip=_loaded(plan.drip, f"{place}: response.drip") if plan.drip else None,
        chunks=plan.chunks,
        trailers=plan.trailers,
    )
    return Interaction(RecordedRequest(request.method, request.url, request.headers, body, request.session), response)


def load(data: bytes, name: str) -> Cassette:
    """The recording in a whole file; `name` stands for the file in errors. Raises CassetteError."""
    head, *lines = data.split(b"\n")
    version = typed(json_value(head, name), _Head, f"{name}:1").version
    if version != VERSION:
        message = f"a recording of version {version}; this fakellm reads version {VERSION}: use a later fakellm"
        raise CassetteError([f"{name}:1: {message}"])
    if lines and lines[-1]:
        remedy = "the last line has no line end, so it was cut off: delete it to keep what was recorded before"
        raise CassetteError([f"{name}:{len(lines) + 1}: {remedy}"])
    interactions = [load_line(line, name, number) for number, line in enumerate(lines[:-1], 2)]
    return Cassette(name, tuple(interactions))


def _body(data: bytes) -> dict[str, str]:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _request_body(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
        return {"json": value} if msgspec.json.encode(value) == data else _body(data)
    except (ValueError, RecursionError):
        return _body(data)


def _bytes(text: str, encoded: str, place: str) -> bytes:
    return from_base64(encoded, f"{place}.base64") if encoded else text.encode()


def _dumped(frame: Frame) -> _Frame:
    return _Frame(**_body(frame.data), delay=frame.delay, step=frame.step, separate=frame.separate)


def _loaded(frame: _Frame, place: str) -> Frame:
    return Frame(_bytes(frame.text, frame.base64, place), frame.delay, frame.step, frame.separate)
