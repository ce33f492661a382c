"""Writes HTTP Archives, HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/); `har` reads them.

Bodies are decompressed, as in a browser. The format requires a date for each request; a plan has none, so it is the
epoch.
"""

from __future__ import annotations

import json
from base64 import b64encode
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl

from fakellm.recordings.cassette import Cassette, Headers, Interaction, RecordedRequest
from fakellm.recordings.content_codings import decoded
from fakellm.recordings.formats.response_writer import status_line, text_or_bytes, written
from fakellm.wire.plan import Plan

_EPOCH = "1970-01-01T00:00:00.000Z"


def dump(cassette: Cassette) -> bytes:
    """The recording as HAR, with the status 0 for an interaction without a response.

    Raises CassetteError if a compressed body is damaged.
    """
    entries = [_entry(each, f"interactions[{number}]") for number, each in enumerate(cassette.interactions)]
    log = {"version": "1.2", "creator": {"name": "fakellm", "version": version("fakellm-server")}, "entries": entries}
    return json.dumps({"log": log}, ensure_ascii=False, indent=1).encode() + b"\n"


def _entry(interaction: Interaction, place: str) -> dict[str, Any]:
    plan = interaction.response
    wait, receive = plan.delay * 1000, sum(frame.delay for frame in plan.frames) * 1000
    return {
        "startedDateTime": _EPOCH,
        "time": wait + receive,
        "request": _request(interaction.request),
        "response": _response(plan, place),
        "cache": {},
        "timings": {"send": 0, "wait": wait, "receive": receive},
    }


_NOT_KNOWN = {"httpVersion": "HTTP/1.1", "cookies": [], "headersSize": -1}


def _request(request: RecordedRequest) -> dict[str, Any]:
    kind = next((value for name, value in request.headers if name.lower() == "content-type"), "")
    posted = {"postData": {"mimeType": kind, **_text(request.body)}} if request.body else {}
    return {
        "method": request.method,
        "url": request.url,
        **_NOT_KNOWN,
        "headers": _pairs(request.headers),
        "queryString": _pairs(tuple(parse_qsl(request.url.partition("?")[2], keep_blank_values=True))),
        **posted,
        "bodySize": len(request.body),
    }


def _response(plan: Plan, place: str) -> dict[str, Any]:
    status, phrase, _ = status_line(plan, place) if plan.status else (0, "", ())
    headers = written(plan)
    body = decoded(plan.body, headers, place)
    kind = next((value for name, value in headers if name.lower() == "content-type"), "")
    return {
        "status": status,
        "statusText": phrase,
        **_NOT_KNOWN,
        "headers": _pairs(tuple(pair for pair in headers if pair[0].lower() != "content-encoding")),
        "content": {"size": len(body), "mimeType": kind, **_text(body)},
        "redirectURL": next((value for name, value in headers if name.lower() == "location"), ""),
        "bodySize": len(plan.body),
    }


def _pairs(headers: Headers) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers]


def _text(body: bytes) -> dict[str, str]:
    """The body as text, or as base64 with its `encoding`."""
    text = text_or_bytes(body)
    if isinstance(text, bytes):
        return {"text": b64encode(text).decode(), "encoding": "base64"}
    return {"text": text}
