"""What the tests share: where the recordings are, and requests to send."""

from __future__ import annotations

import asyncio
import json
import os
import zlib
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import settings

from fakellm.engine.entry import Entry
from fakellm.engine.response import Response, Work
from fakellm.server.application import Application, HttpRequest
from fakellm.server.offload import offload

pytest_plugins = ["pytester", "tests.redis_server"]

ROOT = Path(__file__).parent.parent
CORPUS = Path(os.environ.get("FAKELLM_CORPUS") or ROOT.parent / "shared" / "corpus")
SURFACES = Path(os.environ.get("FAKELLM_CORPUS_SURFACES") or ROOT.parent / "shared" / "corpus-surfaces")
CASES = Path(os.environ.get("FAKELLM_CASES") or CORPUS.parent / "cases")
LEAN = ("-p", "no:cacheprovider", "-p", "no:anyio", "-p", "no:hypothesispytest")
"""Options of pytest runs of their own: plugins that they do not need, and that take most of the time to start one."""
XAI = "fantasy-history/TestOpenAICompatibleCommon/multi_tool_streaming_xai-grok-4-fast@271f613.yaml"

# One run finds what another does not, on noisy machines too: no deadline, and the database keeps what was found.
settings.register_profile("fakellm", deadline=None)
settings.load_profile("fakellm")


@pytest.fixture(scope="session")
def xai_recording() -> list[tuple[bytes, bytes]]:
    """The (request, response) bodies of the recorded xAI conversation."""
    import yaml

    file = CORPUS / XAI
    if not file.exists():
        pytest.skip(f"the recordings are not here: no {file}")
    cassette = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return [(each["request"]["body"].encode(), each["response"]["body"].encode()) for each in cassette["interactions"]]


def chat(**fields: Any) -> bytes:
    """The body of a chat request: one user message to model `m`, and whatever else is given."""
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}], **fields}).encode()


def handled(app: Application, request: HttpRequest) -> tuple[Response, Entry]:
    """The response of an application to a request, with no server between, and its entry in the journal."""
    response, entry = app.handle(request)
    if isinstance(response, Work):
        response = response.then(asyncio.run(offload(response.run)))
    assert isinstance(response, Response)
    entry.fill(response)
    return response, entry


def respond(app: Application, request: HttpRequest) -> Response:
    """The response of an application to a request, with no server between."""
    return handled(app, request)[0]


def post(url: str, body: bytes, **headers: str) -> httpx2.Response:
    """One POST over a connection of its own."""
    return httpx2.post(url, content=body, headers={"content-type": "application/json", **headers}, timeout=30)


def inflated(pieces: list[bytes]) -> list[bytes]:
    """What a reader has of each piece as soon as it arrives."""
    reader, texts = zlib.decompressobj(zlib.MAX_WBITS | 32), []  # gzip or deflate
    for piece in pieces:
        text = reader.decompress(piece)
        while rest := reader.unused_data:
            reader = zlib.decompressobj(zlib.MAX_WBITS | 32)
            text += reader.decompress(rest)
        texts.append(text)
    assert not pieces or reader.eof
    return texts
