"""Several workers have the same quotas, metrics and certificate."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any
from urllib.parse import urlsplit

import pytest

import fakellm
from benchmarks.processes import children
from fakellm.engine.state import Limits
from fakellm.server.application import HttpRequest
from fakellm.server.connections.settings import Connections
from fakellm.server.http_server import Server
from fakellm.server.requests.control_access import ControlAccess
from fakellm.server.scenario_app import App
from fakellm.server.workers.channel import Channel
from fakellm.server.workers.reports import Reports
from fakellm.server.workers.worker_app import WorkerApp, WorkerSettings
from fakellm.testing.handle import Handle
from tests.conftest import chat, respond
from tests.test_metrics import parsed, read, total
from tests.worker_servers import Client, connected, to_each

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc to find workers in")

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
RULES = """
limits: [{per_minute: {requests: 5}}, {model: slow, concurrent: 1}]
rules:
- {name: slow, when: {model: slow}, reply: {content: one two}, timing: {step: true}}
- {name: hello, reply: {content: Hello.}}
"""
HELD = """
limits: [{concurrent: 1}]
rules:
- {when: {user: slow}, reply: {content: one two}, timing: {step: true}}
- {reply: {content: Hello.}}
"""


@pytest.fixture(scope="module")
def several() -> Iterator[tuple[Handle, list[Client]]]:
    with fakellm.spawn(workers=2) as server, to_each(server) as clients:
        yield server, clients


def test_quotas_are_those_of_all_workers_and_metrics_have_what_all_have_sent(
    several: tuple[Handle, list[Client]],
) -> None:
    server, clients = several
    server.load(RULES)
    before = read(server.url)
    received = [client.send("POST", CHAT, chat()) for _ in range(3) for client in clients]
    assert [each.status for each in received] == [200] * 5 + [429]
    left = [dict(each.headers)["x-ratelimit-remaining-requests"] for each in received]
    assert left == ["4", "3", "2", "1", "0", "0"]
    clients[0].send("POST", "/_fakellm/advance?seconds=60")

    slow = clients[0].begin("POST", CHAT, chat(model="slow", stream=True))
    assert slow.status == 200
    assert clients[1].send("POST", CHAT, chat(model="slow")).status == 429
    server.step(None)
    slow.read()
    server.wait_for(outcome="sent", model="slow")
    again = clients[1].begin("POST", CHAT, chat(model="slow", stream=True))
    assert again.status == 200
    server.step(None)
    again.read()

    server.load("rules: [{name: fast, reply: {content: Hello.}}]")
    for client in clients:
        assert client.send("POST", CHAT, chat()).status == 200
    for client in clients:
        samples = parsed(client.send("GET", "/metrics").body.decode())
        changes = {key: value - before.get(key, 0) for key, value in samples.items()}
        assert total(changes, "requests_total", status="200", api="chat") == 9
        assert total(changes, "requests_total", status="429") == 2
        assert total(changes, "requests_total", rule="fast") == 2
        assert total(samples, "open_replies") == 0
        assert total(samples, "held", what="max_sessions") == 1
        assert total(samples, "held", what="cache_bytes") > 0
        assert total(samples, "limit", what="cache_bytes") == 3 * Limits().cache_bytes


def ask(text: str, **fields: Any) -> bytes:
    return json.dumps({"model": "m", "input": text, **fields}).encode()


def test_what_a_request_holds_comes_back_whichever_process_answers_it_and_however_it_ends(
    several: tuple[Handle, list[Client]],
) -> None:
    server, (one, other) = several
    server.load(HELD)

    def refused() -> bool:
        return other.send("POST", RESPONSES, ask("Hi")).status == 429

    kept = one.send("POST", RESPONSES, ask("Hi")).json["id"]
    continued: list[dict[str, Any]] = [{}, {"previous_response_id": kept}]
    for fields in continued * 10:  # at once, although workers report later that a reply has ended
        assert one.send("POST", RESPONSES, ask("Hi", **fields)).status == 200
        assert not refused()
    for number, fields in enumerate(continued, 1):  # the owner of the state answers the second
        reply = one.begin("POST", RESPONSES, ask("slow", stream=True, **fields))
        assert refused()
        server.step(None)
        reply.read()
        server.wait_for(number, outcome="sent", user="slow")
        assert not refused()
        reply = one.begin("POST", RESPONSES, ask("slow", stream=True, **fields))
        assert refused()
        reply.close()
        one.close()
        server.wait_for(number, outcome="client left", user="slow")
        assert not refused()


def test_what_the_requests_of_a_killed_worker_hold_comes_back() -> None:
    with fakellm.spawn(HELD, workers=2) as server:
        assert server.pid
        killed, survivor = children(server.pid)
        with connected(server, killed, survivor) as (one, other):
            reply = one.begin("POST", RESPONSES, ask("slow", stream=True))
            assert other.send("POST", RESPONSES, ask("Hi")).status == 429
            os.kill(killed, signal.SIGKILL)
            server.wait_for(outcome="server stopped")
            assert other.send("POST", RESPONSES, ask("Hi")).status == 200
            reply.close()


def test_each_worker_has_the_certificate_and_treats_connections_as_options_say() -> None:
    options = ["--workers", "2", "--tls", "self-signed", "--requests-per-connection", "2", "--grace", "0.5"]
    arguments = ["-m", "fakellm", "serve", "--port", "0", "--ready", "json", "--watch-stdin", *options]
    with subprocess.Popen([sys.executable, *arguments], stdin=PIPE, stdout=PIPE) as process:
        assert process.stdin
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        context = ssl.create_default_context(cafile=ready["ca"])
        for _ in range(4):
            with closing(HTTPSConnection(urlsplit(ready["url"]).netloc, context=context)) as client:
                for ending in (None, "close"):
                    client.request("POST", CHAT, chat())
                    reply = client.getresponse()
                    assert json.load(reply)["object"] == "chat.completion"
                    assert reply.getheader("Connection") == ending
        process.stdin.close()
    assert process.returncode == 0


def test_each_worker_closes_idle_connections_and_gives_streams_the_time_that_options_set(tmp_path: Path) -> None:
    """By default, it would keep the connections for an hour, and the streams would be whole."""
    file = tmp_path / "slow.yaml"
    file.write_text("rules: [{reply: {content: One}, timing: {first: 0, gap: 1}}]")
    options = ["--workers", "2", "--keep-alive", "0.5", "--grace", "0.1"]
    arguments = ["-m", "fakellm", "serve", str(file), "--port", "0", "--ready", "json", *options]
    with subprocess.Popen([sys.executable, *arguments], stdin=DEVNULL, stdout=PIPE) as process:
        assert process.stdout
        server = Handle(json.loads(process.stdout.readline())["url"], pid=process.pid)
        with to_each(server) as idle:
            assert [client.received() for client in idle] == [b"", b""]
        with to_each(server) as clients:
            replies = [client.begin("POST", CHAT, chat(stream=True)) for client in clients]
            process.send_signal(signal.SIGTERM)
            for reply in replies:
                with pytest.raises(HTTPException):
                    reply.read()


def test_no_worker_is_ready_once_the_server_is_about_to_end() -> None:
    async def end() -> App:
        channel = Channel({}, lambda: None)
        settings = WorkerSettings(0, (), Limits(), 1.0, ControlAccess(), Connections(), 0.0)
        app = WorkerApp(channel, Reports(channel, 0), settings)
        server = Server(app)
        assert respond(app, HttpRequest("GET", "/_fakellm/health/ready")).head.status == 200
        server.end_waits()  # as a worker does when it has to stop
        return app

    app = asyncio.run(end())
    assert respond(app, HttpRequest("GET", "/_fakellm/health/live")).head.status == 200
    assert respond(app, HttpRequest("GET", "/_fakellm/health/ready")).head.status == 503
