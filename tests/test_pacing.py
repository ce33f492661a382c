"""When frames leave, to the microsecond: over real sockets, in virtual time. What delays a frame is reported."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fakellm.engine.entry import Entry
from fakellm.scenarios.loader import load
from fakellm.server.http_server import Server
from fakellm.server.scenario_app import App
from tests.conftest import chat
from tests.loop_turns import loop_turns, measured
from tests.virtual_time import Listening, loop, run

BODY = chat(stream=True)
GET = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


@asynccontextmanager
async def serving(rule: dict[str, Any], speed: float = 1.0) -> AsyncIterator[tuple[App, Server]]:
    """An application with this rule, and its server."""
    app = App(load({"rules": [rule]}))
    app.offloads = False  # virtual time does not wait for another process
    server = Server(app, speed)
    await server.start(Listening("socket"))
    try:
        yield app, server
    finally:
        await server.stop(grace=0)


async def arrivals(pause: float = 0.0) -> list[float]:
    """When each chunk of a stream arrives, the empty one at its end left out, in seconds after its headers.

    Once it has the headers, the client does not read for the seconds of `pause`.
    """
    reader, writer = await asyncio.open_unix_connection("socket", limit=2**17)
    try:
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        start, times = loop().time(), []
        await asyncio.sleep(pause)
        while size := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(size + 2)
            times.append(round(loop().time() - start, 6))
        return times
    finally:
        writer.close()
        await asyncio.sleep(0)


async def busy(at: float, seconds: float) -> None:
    """Lets nothing else run for so long, from this time on."""
    await asyncio.sleep(at)
    loop().now += seconds


def entries(app: App) -> list[Entry]:
    return list(app.session("").journal)


SIX = {"reply": {"content": "One two three"}}
"""Six frames: the role, three tokens, the finish reason, [DONE]."""


@pytest.mark.parametrize("speed", [1, 4])
def test_each_frame_leaves_exactly_when_it_is_due(speed: int) -> None:
    async def everything() -> None:
        async with serving(SIX | {"timing": {"first": 2, "gap": 0.04, "burst": 2}}, speed) as (app, _):
            expected = [round(each / speed, 6) for each in (2, 2, 2.04, 2.04, 2.08, 2.08)]
            assert await asyncio.gather(*(arrivals() for _ in range(30))) == [expected] * 30
            assert {(each.outcome, each.frames_sent, each.late_ms) for each in entries(app)} == {("sent", 6, 0)}
            assert app.lateness.facts() == {"late_frames": 0, "worst_ms": 0}

    run(everything())


def test_a_frame_that_is_late_delays_no_other_and_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def everything() -> None:
        async with serving(SIX | {"timing": {"gap": 0.1}}) as (app, _):
            # The frames after the first are due at 0.1, 0.2 and so on.
            times, _ = await asyncio.gather(arrivals(), busy(0.15, 0.22))
            assert times[:2] == [0, 0.1]
            assert times[2] == times[3] == pytest.approx(0.37, abs=0.001)
            assert times[4:] == [0.4, 0.5]
            (entry,) = entries(app)
            assert (entry.outcome, entry.frames_sent) == ("sent", 6)
            assert entry.late_ms == pytest.approx(170, abs=1)  # that of 0.2; 0.3 was 70 ms late
            assert app.lateness.facts() == {"late_frames": 2, "worst_ms": entry.late_ms}

    with caplog.at_level(logging.WARNING, "fakellm"):
        run(everything())
    (line,) = caplog.messages
    assert line.startswith("2 frames left more than 50 ms late, the worst 1")
    assert line.endswith(" ms: this process or its machine is too busy")


def test_lateness_within_the_tolerance_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def everything() -> None:
        async with serving(SIX | {"timing": {"gap": 0.1}}) as (app, _):
            await asyncio.gather(arrivals(), busy(0.18, 0.06))
            assert (entries(app)[0].late_ms, app.lateness.facts()["late_frames"]) == (0, 0)

    run(everything())
    assert not caplog.messages


def test_the_log_has_one_line_a_second_with_all_late_frames(caplog: pytest.LogCaptureFixture) -> None:
    async def everything() -> None:
        async with serving({"reply": {"content": "word " * 40}, "timing": {"gap": 0.1}}) as (app, _):
            blocks = [busy(at / 10 + 0.05, 0.11) for at in (3, 6, 9, 12, 15, 18)]
            await asyncio.gather(arrivals(), *blocks)
            assert app.lateness.facts()["late_frames"] == 6

    with caplog.at_level(logging.WARNING, "fakellm"):
        run(everything())
    # At 0.46; at 1.66, with those of 0.76, 1.06 and 1.36; and that of 1.96 when the server stops.
    assert [line.partition(" left")[0] for line in caplog.messages] == ["1 frame", "4 frames", "1 frame"]


def test_a_client_that_does_not_read_delays_only_its_own_stream_and_makes_no_frame_late() -> None:
    many = {"choices": [{"content": "x" * 60_000}] * 300}  # far more than a socket holds
    rule = {"reply": many, "stream": {"split": "whole"}, "timing": {"gap": 0.01}}

    async def everything() -> None:
        async with serving(rule) as (app, _):
            slow = asyncio.ensure_future(arrivals(pause=60))
            await asyncio.sleep(0.005)
            times = await arrivals()
            due = [round(number / 100, 6) for number in range(len(times))]
            assert times == due
            first, second = entries(app)
            assert (second.outcome, second.frames_sent) == ("sent", len(times))
            assert (first.outcome, first.frames_sent < 500) == ("sending", True)
            assert set(await slow) == {60}
            assert (first.outcome, first.frames_sent) == ("sent", len(times))
            assert app.lateness.facts() == {"late_frames": 0, "worst_ms": 0}

    run(everything())


def test_a_client_that_reads_again_in_time_gets_the_rest_on_schedule() -> None:
    many = {"choices": [{"content": "x" * 60_000}] * 300}
    rule = {"reply": many, "stream": {"split": "whole"}, "timing": {"gap": 0.01}}

    async def everything() -> None:
        async with serving(rule) as (app, _):
            times = await arrivals(pause=4)
            due = [round(number / 100, 6) for number in range(len(times))]
            assert times == [max(each, 4) for each in due]
            assert entries(app)[0].late_ms == 0

    run(everything())


def test_a_client_that_leaves_between_two_frames_ends_its_stream() -> None:
    async def everything() -> None:
        async with serving(SIX | {"timing": {"first": 5, "gap": 5}}) as (app, _):
            before = asyncio.all_tasks()
            _, writer = await asyncio.open_unix_connection("socket")
            writer.write(REQUEST)
            await asyncio.sleep(12)
            writer.close()
            await asyncio.sleep(1)
            (entry,) = entries(app)
            assert (entry.outcome, entry.frames_sent) == ("client left", 2)
            assert asyncio.all_tasks() == before

    run(everything())


def test_a_client_that_leaves_among_frames_that_are_due_ends_its_stream() -> None:
    async def everything() -> None:
        async with serving(SIX | {"timing": {"gap": 1}}) as (app, _):
            before, other = asyncio.all_tasks(), asyncio.ensure_future(arrivals())
            await asyncio.sleep(0.5)
            with socket.socket(socket.AF_UNIX) as client:
                client.setblocking(False)
                await loop().sock_connect(client, "socket")
                await loop().sock_sendall(client, REQUEST)
                while b"data: " not in await loop().sock_recv(client, 4096):
                    pass
                loop().now += 3
                await asyncio.sleep(0)  # the next turn starts here, and the clock has its part of it later
            assert await other == [0, 3.5, 3.5, 3.5, 4, 5]
            first, second = sorted(entries(app), key=lambda entry: entry.frames_sent)
            assert (first.outcome, first.frames_sent < 4) == ("client left", True)
            assert (second.outcome, second.frames_sent) == ("sent", 6)
            await asyncio.sleep(1)
            assert asyncio.all_tasks() == before

    run(everything())


def test_a_server_that_stops_lets_open_streams_finish_for_as_long_as_its_grace() -> None:
    async def everything() -> None:
        async with serving(SIX | {"timing": {"gap": 1}}) as (app, server):
            streams = [asyncio.ensure_future(arrivals()) for _ in range(3)]
            await asyncio.sleep(0.5)
            streams += [asyncio.ensure_future(arrivals())]
            await asyncio.sleep(1)
            start = loop().time()
            await server.stop(grace=3.75)
            assert loop().time() - start == pytest.approx(3.75, abs=0.01)
            assert await asyncio.gather(*streams[:3]) == [[0, 1, 2, 3, 4, 5]] * 3
            with pytest.raises(asyncio.IncompleteReadError):
                await streams[3]
            ends = [(entry.outcome, entry.frames_sent) for entry in entries(app)]
            assert ends == [("sent", 6)] * 3 + [("server stopped", 5)]

    run(everything())


def test_a_stream_that_begins_while_the_server_stops_has_the_rest_of_its_grace() -> None:
    async def everything() -> None:
        async with serving(SIX | {"timing": {"gap": 1}}) as (_, server):
            reader, writer = await asyncio.open_unix_connection("socket", limit=2**17)
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            stream = asyncio.ensure_future(arrivals())
            await asyncio.sleep(2.5)
            stopping = asyncio.ensure_future(server.stop(grace=10))
            await asyncio.sleep(1)
            writer.write(REQUEST)
            assert await stream == [0, 1, 2, 3, 4, 5]
            assert (await reader.read()).endswith(b"\r\n0\r\n\r\n")
            await stopping
            writer.close()

    run(everything())


@measured
def test_many_late_frames_are_written_without_holding_up_anything_else() -> None:
    async def everything() -> None:
        rule = {"reply": {"content": "word " * 60}, "timing": {"gap": 0.1}}
        async with serving(rule) as (app, _):
            streams = [asyncio.ensure_future(arrivals()) for _ in range(150)]
            await asyncio.sleep(0.05)
            with loop_turns(loop()) as turns:
                loop().now += 60  # by now, 9,000 frames are due
                await asyncio.gather(*streams)
            assert app.lateness.facts()["late_frames"] == 150 * 63
            assert {entry.frames_sent for entry in entries(app)} == {64}
        turns.check(0.02)

    run(everything())
