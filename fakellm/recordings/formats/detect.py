"""Detects the format of a file from its content, not from its name.

It knows what each format looks like, and reads none.
"""

from __future__ import annotations

import json
import re
from typing import Any

from fakellm.base.errors import CassetteError
from fakellm.recordings.formats.http_text import TRACE
from fakellm.recordings.formats.typed_values import json_value
from fakellm.recordings.formats.yaml_values import documents

SEVERAL = ("httpmock", "wiremock")
"""Formats in which a file may have several YAML documents."""

_SSE = re.compile(rb"(?>\s*+(?:(?:event|id|retry)(?::[^\r\n]*+)?|data)(?:\r\n|\r|\n))*+\s*+(?:data:|:)")
"""What comes before the first `data:` or comment; each line can be read in one way only, or a short file would take
hours."""
_VERBOSE = re.compile(rb"(?:[^\n]*\n){0,60}?[*>] [^\n]*\n(?:[^\n]*\n){0,60}?< HTTP/")
"""How `curl -v` writes to standard error: what it does, the request and the head of the response."""
_FLOW = re.compile(rb"[1-9][0-9]{0,11}:[1-9][0-9]*:[a-z_]+;")
"""The start of a flow of mitmproxy: a mapping whose first key is text."""
_BODY = {
    *("choices", "object", "error", "output", "content", "message", "detail", "errors"),
    *("candidates", "promptFeedback", "usageMetadata", "totalTokens", "embedding", "embeddings", "input_tokens"),
    "created_at",
}
"""A JSON body of an LLM API has at least one of these keys."""


def _lines_kind(first: dict[str, Any]) -> str:
    """The format of a file of JSON objects, one per line, from the first."""
    if first.keys() == {"key", "response"}:
        return "cachy"
    ollama = isinstance(first.get("created_at"), str) and ("message" in first or "response" in first)
    return "ndjson" if ollama else "json-lines"


def detect(data: bytes, name: str) -> tuple[str, Any]:
    """The name of the format, and the values in a YAML or JSON file. Raises CassetteError."""
    opening = data[:4096].lstrip()
    if not opening and not data.strip():
        raise CassetteError([f"{name}: the file is empty"])
    if data.startswith(b'{"fakellm"'):
        return "fakellm", None
    if _FLOW.match(data):
        return "mitmproxy", None
    if data.startswith(TRACE):
        return "httprr", None
    if data.startswith(b"HTTP/"):
        return "http", None
    if _VERBOSE.match(data):
        remedy = "the log of `curl -v`, in which nothing marks a body: save the response with `curl -i`"
        raise CassetteError([f"{name}: {remedy}"])
    if _SSE.match(data):
        return "sse", None
    return _json(data, name) if opening[:1] in (b"{", b"[") else _yaml(data, name)


def _json(data: bytes, name: str) -> tuple[str, Any]:
    lines = data.split(b"\n")
    try:
        value = json_value(data, name, halves=True)
    except CassetteError:
        if any(line.strip() for line in lines[1:]) and _is_object(lines[0]):
            return _lines_kind(json.loads(lines[0])), None
        raise
    kind = _kind(value, name)
    if kind == "json":
        return kind, None
    value = json_value(data, name)
    return kind, [value] if kind in SEVERAL else value


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _yaml(data: bytes, name: str) -> tuple[str, Any]:
    values = documents(data, name)
    first = values[0] if values else None
    kind = _kind(first, name)
    if kind in SEVERAL:
        return kind, values
    if len(values) > 1:
        raise CassetteError([f"{name}: {len(values)} YAML documents; a recording ({kind}) must be one"])
    if kind == "json":
        raise _unknown(name)
    return kind, first


def _kind(value: Any, name: str) -> str:
    match value:
        case {"rules": _}:
            remedy = f"`fakellm serve {name}` answers with it, and `fakellm export` makes a recording of it"
            raise CassetteError([f"{name}: a scenario, not a recording: {remedy}"])
        case {"consumer": _, "provider": _, "interactions": _}:
            return "pact"
        case {"http_interactions": _}:
            return "ruby-vcr"
        case {"requests": list(), "responses": list()}:
            return "vcr-lists"
        case {"responses": [{"response": {"url": _}}, *_]}:
            return "responses"
        case {"data": {"pairs": _}, "meta": _}:
            return "hoverfly"
        case {"request": {"canonical_json": _}, "response": _}:
            return "req-llm"
        case {"interactions": [{"request": {"uri": _}}, *_]}:
            return "vcrpy"
        case {"interactions": [{"response": {"status": int()}}, *_]}:
            return "symfony-vcr"
        case {"interactions": _}:
            return "go-vcr"
        case {"log": _}:
            return "har"
        case {"Entries": _}:
            return "test-proxy"
        case {"when": _, "then": _}:
            return "httpmock"
        case {"request": _, "response": {"status": dict()}}:
            return "dd-vcr"
        case {"request": _, "response": {"statusCode": int()}}:
            return "instructor-php"
        case {"request": dict(request), "response": dict()} if "body" not in request:
            return "wiremock"
        case {"mappings": _}:
            return "wiremock"
        case [{"scope": _}, *_]:
            return "nock"
        case [{"request": {"request_body": _}, "response": _}, *_]:
            return "exvcr"
        case [{"request": {"url": _}, "response": {"status": {"code": _}}}, *_]:
            return "php-vcr"
        case dict() if _BODY & value.keys():
            return "json"
        case [dict(first), *_] if _BODY & first.keys():
            return "json"
        case _:
            raise _unknown(name)


def _unknown(name: str) -> CassetteError:
    from fakellm.recordings.formats import BYTES, TREES

    tried = ", ".join([*TREES, *BYTES])
    return CassetteError(
        [f"{name}: not a recording in a supported format; tried {tried}: docs/reference/recordings.md"]
    )
