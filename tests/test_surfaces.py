"""Public recordings of the other APIs: all of them are read, and come back byte for byte."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from yarl import URL

from fakellm.recordings.cassette import Cassette
from fakellm.recordings.formats import read_file
from fakellm.server.connections.listening import listen
from fakellm.server.http_server import Server
from fakellm.server.replay_app import Replay
from tests.conftest import SURFACES

INDEX = SURFACES / "index.json"
APIS = {"responses", "messages", "gemini", "ollama"}
ENTRIES: list[dict[str, Any]] = [
    entry
    for entry in (json.loads(INDEX.read_bytes())["entries"] if INDEX.exists() else [])
    if APIS & set(entry["apis"])
]
pytestmark = pytest.mark.skipif(not ENTRIES, reason=f"the recordings are not here: no {INDEX}")


def test_every_exchange_comes_back_byte_for_byte() -> None:
    cassettes = [read_file(SURFACES / entry["file"]) for entry in ENTRIES]
    assert sum(len(cassette.interactions) for cassette in cassettes) >= 560
    differing: list[str] = []

    async def play(client: aiohttp.ClientSession, url: str, cassette: Cassette) -> None:
        for number, each in enumerate(cassette.interactions, 1):
            path = urlsplit(each.request.url)
            target = f"{url}/{path.path.removeprefix('/')}" + (f"?{path.query}" if path.query else "")
            async with client.request(
                each.request.method, URL(target, encoded=True), data=each.request.body
            ) as response:
                if (response.status, await response.read()) != (each.response.status, each.response.body):
                    differing.append(f"{cassette.name}#{number}: {response.headers.get('x-fakellm-recording')}")

    async def everything() -> None:
        async with aiohttp.ClientSession(auto_decompress=False) as client:
            for cassette in cassettes:
                server = Server(Replay([cassette]))
                await play(client, await server.start(listen("127.0.0.1", 0)), cassette)
                await server.stop(0)

    asyncio.run(everything())
    assert differing == []
