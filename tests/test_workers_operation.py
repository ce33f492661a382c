"""Several workers have the same quotas, metrics and certificate."""

from __future__ import annotations

import json
import ssl
import urllib.request
from pathlib import Path

import pytest

import fakellm
from tests.conftest import chat
from tests.test_metrics import parsed, total
from tests.worker_servers import to_each

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc to find workers in")

CHAT = "/v1/chat/completions"
RULES = """
limits: [{per_minute: {requests: 5}}, {model: slow, concurrent: 1}]
rules:
- {name: slow, when: {model: slow}, reply: {content: one two}, timing: {step: true}}
- {name: hello, reply: {content: Hello.}}
"""


def test_quotas_are_those_of_all_workers_and_metrics_have_what_all_have_sent() -> None:
    with fakellm.spawn(RULES, workers=2) as server, to_each(server) as clients:
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
        again = clients[1].begin("POST", CHAT, chat(model="slow", stream=True))
        assert again.status == 200
        server.step(None)
        again.read()

        server.load("rules: [{name: fast, reply: {content: Hello.}}]")  # which the workers answer themselves
        for client in clients:
            assert client.send("POST", CHAT, chat()).status == 200
        for client in clients:
            samples = parsed(client.send("GET", "/metrics").body.decode())
            assert total(samples, "requests_total", status="200") == 9
            assert total(samples, "requests_total", status="429") == 2
            assert total(samples, "requests_total", rule="fast") == 2
            assert total(samples, "open_replies") == 0
            assert total(samples, "held", what="max_sessions") == 1


def test_each_worker_has_the_certificate() -> None:
    with fakellm.spawn("rules: [{reply: {content: Hello.}}]", workers=2, tls=True) as server:
        assert server.health()["status"] == "ok"
        context = ssl.create_default_context(cafile=server.ca)
        for _ in range(6):
            request = urllib.request.Request(server.url + CHAT, chat())
            with urllib.request.urlopen(request, context=context) as reply:
                assert json.load(reply)["choices"][0]["message"]["content"] == "Hello."
