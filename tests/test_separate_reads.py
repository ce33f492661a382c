"""A cut that must end a read does so for clients whose HTTP libraries otherwise join what arrives at once."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
import pytest

import fakellm
from fakellm.apis.variation import Variation
from fakellm.fuzzing.clients.client_function import FunctionClient
from fakellm.fuzzing.run import run
from fakellm.fuzzing.search import Search
from fakellm.wire.http.transfer import Transfer
from tests.conftest import chat
from tests.test_pacing import REQUEST, serving
from tests.test_record import wait_for
from tests.virtual_time import loop
from tests.virtual_time import run as in_virtual_time
from tests.wrong_clients import JSON, Careful

REPLY = fakellm.Reply(content="A 🌍")


async def reads_of(url: str, body: bytes) -> list[bytes]:
    """What each read of aiohttp's client returns."""
    async with aiohttp.ClientSession() as session, session.post(f"{url}/chat/completions", data=body) as response:
        return [read async for read in response.content.iter_any()]


def read_with_aiohttp(transfer: Transfer) -> list[bytes]:
    with fakellm.serve(fakellm.Rule(reply=REPLY, stream=Variation(transfer=transfer))) as server:
        return asyncio.run(reads_of(f"{server.url}/v1", chat(stream=True)))


@pytest.mark.parametrize("body", ["chunked", "length", "close"])
def test_a_read_ends_at_each_of_the_first_cuts(body: Any) -> None:
    joined = b"".join(read_with_aiohttp(Transfer(body=body)))
    end = joined.index("🌍".encode()) + 1
    reads = read_with_aiohttp(Transfer(cut="inside_characters", separate_reads=2, body=body))
    assert b"".join(reads) == joined
    ends = [sum(map(len, reads[: number + 1])) for number in range(len(reads))]
    assert {end, end + 1} <= set(ends)


def test_the_reads_are_separate_at_any_speed_and_late_for_no_other_reason() -> None:
    stream = {"split": "whole", "transfer": {"cut": [20, 40, 60], "separate_reads": 2}}

    async def main() -> None:
        async with serving({"reply": {"content": "Hello"}, "stream": stream}, speed=0) as (app, _):
            reader, writer = await asyncio.open_unix_connection("socket")
            writer.write(REQUEST)
            start, sizes = loop().time(), []
            await reader.readuntil(b"\r\n\r\n")
            while not (read := await reader.read(2**16)).endswith(b"\r\n0\r\n\r\n"):
                sizes.append((len(read), round(loop().time() - start, 6)))
            assert sizes == [(26, 0.0), (26, 0.003)]
            assert round(loop().time() - start, 6) == 0.006
            writer.close()
            entry = next(iter(app.session("").journal))
            assert entry.late_ms == 0
            assert entry.frames_sent == entry.frames

    in_virtual_time(main())


def test_a_client_that_does_not_read_ends_the_wait_when_it_leaves() -> None:
    large = fakellm.Rule(
        reply=fakellm.Reply(content="x" * 30_000_000),
        stream=Variation(split="whole", transfer=Transfer(cut=(29_000_000,), separate_reads=1)),
    )
    with fakellm.serve(large) as server:
        body = chat(stream=True)
        with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0)) as client:
            client.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            client.recv(100)
        wait_for(lambda: server.journal[0].outcome == "client left")


class DecodesEachRead(Careful):
    """Reads with aiohttp, and decodes each read alone."""

    def ask(self, base_url: str, request: JSON) -> None:
        self._reads = asyncio.run(reads_of(base_url, json.dumps(request).encode()))
        self.read(cast(HTTPResponse, SimpleNamespace(status=200)))

    def reads(self, response: HTTPResponse) -> Iterator[bytes]:
        for read in self._reads:
            yield read.decode("utf-8", "replace").encode()


def test_a_client_that_decodes_each_read_alone_is_found_within_fifty_cases() -> None:
    outcome = run(FunctionClient(DecodesEachRead()), Search(profile="all", examples=50))
    assert [cause.partition(":")[0] for cause in outcome.failures[0].cause] == ["transfer.cut"]
