"""Reads the fixtures of ReqLLM (https://github.com/agentjido/req_llm), for Elixir: JSON, one exchange in a file.

The body of a stream is in `chunks`, as it was read from the network; the value of a JSON body is kept, not its bytes.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct

from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.response_reader import plan
from fakellm.recordings.formats.typed_values import Method, Status, Target, Values, body, from_base64, headers, typed


class _Bytes(Struct):
    IGNORED: ClassVar = ("decoded", "t_us")

    b64: str


class _Request(Struct):
    IGNORED: ClassVar = ("canonical_json",)

    method: Method
    url: Target
    body: _Bytes
    headers: dict[str, Values] | None = None


class _Response(Struct):
    status: Status
    headers: dict[str, Values] | None = None
    body: Any = None


class _File(Struct):
    IGNORED: ClassVar = ("captured_at", "model_spec", "scenario", "provider", "type")

    request: _Request
    response: _Response
    chunks: list[_Bytes] | None = None


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    read = typed(data, _File, name)
    request, response = read.request, read.response
    sent = from_base64(request.body.b64, f"{name}: request.body.b64")
    recorded = RecordedRequest(request.method.upper(), request.url, headers(request.headers), sent)
    answer = plan(response.status, headers(response.headers), _body(read, name), f"{name}: response.body")
    return Cassette(name, (Interaction(recorded, answer),))


def _body(read: _File, name: str) -> bytes:
    if read.chunks:
        pieces = (from_base64(each.b64, f"{name}: chunks[{number}].b64") for number, each in enumerate(read.chunks))
        return b"".join(pieces)
    kept = read.response.body
    if isinstance(kept, dict) and kept.keys() == {"b64"}:
        return from_base64(str(kept["b64"]), f"{name}: response.body.b64")
    return body(kept)
