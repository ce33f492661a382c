"""Guesses the request of a response that was saved alone, from the response's first JSON object."""

from __future__ import annotations

import json
from typing import Any

from fakellm.recordings.cassette import RecordedRequest
from fakellm.recordings.request_identity import UNKNOWN_MODEL
from fakellm.wire.sse import Decoder

_GEMINI = {"candidates", "promptFeedback", "usageMetadata"}
_MOST = 2**16
"""Bytes of a stream that are searched for its first object."""


def request_for(body: bytes, path: str | None = None) -> RecordedRequest:
    """The request, without a body: `POST` to the route of the API whose response `body` is, of chat if that cannot be
    seen. `path`: the path, if it is known."""
    return RecordedRequest("POST", path or _path(body))


def _path(body: bytes) -> str:
    match _first(body):
        case {"object": "response"} | {"response": {"object": "response"}}:
            return "/v1/responses"
        case {"type": str(kind)} if kind.startswith("response."):
            return "/v1/responses"
        case {"type": "message_start" | "message" | "error"}:
            return "/v1/messages"
        case {"error": {"code": int(), "status": str()}}:
            return _gemini(body)
        case dict(found) if _GEMINI & found.keys():
            return _gemini(body)
        case {"created_at": str(), "message": _}:
            return "/api/chat"
        case {"created_at": str(), "response": _}:
            return "/api/generate"
    return "/v1/chat/completions"


def _gemini(body: bytes) -> str:
    start = body.lstrip()[:1]
    mode = "generateContent" if start == b"{" else "streamGenerateContent" + ("" if start == b"[" else "?alt=sse")
    return f"/v1beta/models/{UNKNOWN_MODEL}:{mode}"


def _first(body: bytes) -> Any:
    """The first JSON value of a body: of its events, its lines or its array, or itself."""
    if body.lstrip()[:1] not in (b"{", b"["):
        events = Decoder().feed(body[:_MOST] + b"\n\n")
        body = next((event.data.encode() for event in events if event.data), b"")
    try:
        value, _ = json.JSONDecoder().raw_decode(body.decode("utf-8", "replace").lstrip())
    except (ValueError, RecursionError):
        return None
    return value[0] if isinstance(value, list) and value else value
