"""The clients of `benchmarks/` count what a server sends; how fast it is, no test asserts."""

from __future__ import annotations

import asyncio
import socket

import pytest

import fakellm
from benchmarks.client import drive
from benchmarks.paced_client import Reader
from benchmarks.soak import SCENARIO, requests
from benchmarks.table import Line
from benchmarks.workloads import DIGITS, question, same_question, scripted
from fakellm.testing.handle import Handle


def port(server: Handle) -> int:
    return int(server.url.rpartition(":")[2])


def test_requests_differ_by_their_number_and_have_one_length() -> None:
    template = question(stream=True)
    assert template.request(1) != template.request(2)
    assert len(template.request(1)) == len(template.request(10**DIGITS - 1))
    assert b"000000007" in template.request(7)
    assert same_question().request(1) == same_question().request(2)


@pytest.mark.parametrize("stream", [True, False])
def test_the_client_reads_every_response(stream: bool) -> None:
    template = question(stream=stream)
    with fakellm.serve(scripted("Hello"), strict=True) as server:
        requests = iter([*map(template.request, range(50)), *[None] * 4])
        latencies = asyncio.run(drive(port(server), requests.__next__, connections=4))
        assert len(latencies) == 50
        assert [entry.outcome for entry in server.journal] == ["sent"] * 50


def test_the_client_opens_a_broken_connection_again() -> None:
    template = question(stream=True)
    with fakellm.serve(scripted("Hello", fault={"kind": "close", "frame": 1}), strict=True) as server:
        requests = iter([*map(template.request, range(10)), *[None] * 2])
        assert len(asyncio.run(drive(port(server), requests.__next__, connections=2))) == 10
        assert len(server.journal) == 10


def test_the_paced_client_counts_every_frame_and_starts_the_next_stream() -> None:
    with fakellm.serve(scripted("Hello there", timing={"gap": 0.001}), strict=True) as server:
        reader = Reader(port(server), question(stream=True), 3, 0.001)
        for stream in reader.streams.values():
            reader.send(stream)
        while reader.result.streams < 6:
            reader.turn(10)
        under_way = sum(stream.frames for stream in reader.streams.values())
        assert len(reader.result.late) - under_way == reader.result.streams * 5
        for stream in reader.streams.values():
            stream.connection.shutdown(socket.SHUT_RDWR)
            stream.connection.close()


@pytest.mark.parametrize(
    ("target", "ratio", "verdict"),
    [((">=", 2.0), 2.0, ">= 2 yes"), ((">=", 2.0), 1.9, ">= 2 **no**"), (("<=", 5.0), 5.1, "<= 5 **no**")],
)
def test_a_line_states_whether_its_target_is_reached(target: tuple[str, float], ratio: float, verdict: str) -> None:
    assert Line("b", "s", "r", ratio=ratio, target=target).cells()[6] == verdict
    assert Line("b", "s", "r", ratio=0.0, target=target, checked=ratio).cells()[6] == verdict


def test_the_soak_has_attempts_sessions_faults_and_generated_streams() -> None:
    with fakellm.serve(SCENARIO) as server:
        sent = requests(range(20))
        assert len(asyncio.run(drive(port(server), sent.__next__, connections=1))) == 26
        root = [(entry.rule, entry.status, entry.fault) for entry in server.journal]
        assert len(root) == 22
        assert [status for rule, status, _ in root if rule and rule.endswith("#1")] == [500, 200] * 2
        assert {fault for _, _, fault in root} >= {"status", "truncated", "close", None}
        assert [entry.status for entry in server.session("test-10").journal] == [500, 200]
