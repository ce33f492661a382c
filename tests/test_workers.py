"""Several workers on one port behave like one process: the same bytes, the same counts, the same journal."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pickle
import re
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPException
from itertools import count, islice
from pathlib import Path
from select import select
from time import monotonic
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fakellm
from benchmarks.processes import children
from fakellm.base.errors import ServerError
from fakellm.engine.entry import Entry, Kept
from fakellm.engine.state import Limits
from fakellm.server.connections.listening import listen
from fakellm.server.connections.settings import Connections
from fakellm.server.requests.control_access import ControlAccess
from fakellm.server.scenario_app import App
from fakellm.server.workers.owned import Owned
from fakellm.server.workers.owner import Owner
from fakellm.server.workers.reports import EntryReport, SessionName
from fakellm.server.workers.supervisor import Supervisor
from fakellm.server.workers.watched_state import WatchedState
from fakellm.server.workers.worker_app import WorkerSettings
from fakellm.testing.handle import Handle
from tests.conftest import chat
from tests.worker_servers import Client, Received, connected, to_each

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc to find workers in")

SESSIONS = 12
PATIENCE = 60
"""Seconds after which what has not happened never will."""
MOST_LINES = 1_000
"""Lines of events among which is what a test waits for."""
CHAT = "/v1/chat/completions"
STEP = {"name": "step", "when": {"user": "step"}, "reply": {"content": "One two"}, "timing": {"step": True}}
LOADED = {
    "name": "loaded",
    "when": {"user": "loaded"},
    "reply": {"content": "Chat {{attempt}} of many", "template": True},
    "timing": {"gap": 0.001},
}
RULES: list[dict[str, Any]] = [
    {"name": "plain", "when": {"user": "plain"}, "reply": {"content": "Hello"}},
    {"name": "number", "when": {"user": "number"}, "reply": {"content": "Attempt {{attempt}}", "template": True}},
    {
        "name": "script",
        "when": {"user": "script"},
        "script": [{"reply": {"content": "One"}}, {"reply": {"tool_calls": [{"name": "add", "arguments": {"a": 2}}]}}],
    },
    {
        "name": "flaky",
        "when": {"user": "flaky"},
        "reply": {"content": "Fine"},
        "fault": {"kind": "status", "status": 429, "times": {"count": 2, "by": "session"}},
    },
    {"name": "then", "when": {"user": "then"}, "reply": {"content": "A"}, "then": [{"reply": {"content": "B"}}]},
    {
        "name": "cycle",
        "when": {"user": "cycle"},
        "after": "cycle",
        "reply": {"content": "A"},
        "then": [{"reply": {"content": "B"}}],
    },
    {
        "name": "cut",
        "when": {"user": "cut"},
        "reply": {"content": "A b c"},
        "fault": {"kind": "close", "frame": 2, "times": 1},
    },
    {"name": "paced", "when": {"user": "paced"}, "reply": {"content": "A b c d"}, "timing": {"gap": 0.001}},
]
TEXTS = [str(rule["name"]) for rule in RULES] + ["nothing"]


class Pair:
    """A server of two workers with a connection to each, and one process that they must be like."""

    def __init__(self, several: Handle, one: Handle, clients: list[Client]) -> None:
        self.several, self.one, self.clients = several, one, clients
        self.numbers = count()

    def client(self, number: int) -> Client:
        return self.clients[number % len(self.clients)]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with (
        fakellm.spawn(workers=2, max_sessions=SESSIONS) as several,
        fakellm.serve(max_sessions=SESSIONS) as one,
        to_each(several) as clients,
    ):
        yield Pair(several, one, clients)


def asks(text: str, stream: bool = False, **fields: Any) -> bytes:
    return chat(stream=stream, messages=[{"role": "user", "content": text}], **fields)


def received(client: Client, path: str, body: bytes) -> Received | str:
    """What a client received; of a response that breaks off, that it did. Its connection is opened again."""
    try:
        return client.send("POST", path, body)
    except HTTPException as error:
        client.close()
        return type(error).__name__


STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(TEXTS), st.booleans(), st.sampled_from(["a", "b"])), max_size=8
)


QUOTAS: list[list[dict[str, Any]]] = [
    [],
    [{"per_minute": {"requests": 3}}],
    [{"by": "model", "per_day": {"tokens": 40}}, {"per_minute": {"requests": 5, "input_tokens": 30}}],
]


@given(
    st.lists(st.sampled_from(RULES), unique_by=lambda rule: rule["name"]),
    STEPS,
    st.booleans(),
    st.sampled_from(QUOTAS),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_requests_get_the_same_bytes_and_counts_as_from_one_process(
    pair: Pair,
    rules: list[dict[str, Any]],
    steps: list[tuple[int, str, bool, str]],
    strict: bool,
    quotas: list[dict[str, Any]],
) -> None:
    example = next(pair.numbers)
    handles = {
        name: [each.session(f"{example}-{name}", strict=strict) for each in (pair.several, pair.one)] for name in "ab"
    }
    for each in (*handles["a"], *handles["b"]):
        each.load({"rules": rules, "limits": quotas})
    with closing(Client(pair.one)) as alone:
        for worker, text, stream, name in steps:
            path, body = f"/s/{example}-{name}{CHAT}", asks(text, stream)
            assert received(pair.client(worker), path, body) == received(alone, path, body)
    for several, one in handles.values():
        assert [shown(entry) for entry in several.journal] == [shown(entry) for entry in one.journal]
        assert several.unsent() == one.unsent()
        several.reset()
        one.reset()


def shown(entry: fakellm.Entry) -> dict[str, Any]:
    """An entry without its times and what depends on the connection."""
    fields = {name: getattr(entry, name) for name in entry.__struct_fields__}
    return {name: value for name, value in fields.items() if name not in ("started", "ended", "late_ms", "headers")}


def test_a_reply_that_stalls_at_once_is_read_before_its_client_leaves(pair: Pair) -> None:
    rule = {"reply": {"content": "A b"}, "stream": {"split": "words"}, "fault": {"kind": "stall", "frame": 1}}
    session = pair.several.session("stalled")
    session.load({"rules": [rule]})
    with closing(Client(pair.several)) as client:
        client.begin("POST", f"/s/stalled{CHAT}", asks("Hi", stream=True))
        (entry,) = session.wait_for(outcome="stalled")
    assert (entry.reply.kept, entry.reply.whole) == (True, False)
    session.reset()


def test_a_change_of_the_scenario_holds_for_all_workers_once_it_is_answered(pair: Pair) -> None:
    path = "/s/changed"
    for number in range(6):
        rules = {"rules": [{"reply": {"content": f"Version {number}"}}]}
        assert pair.client(number).send("PUT", f"{path}/_fakellm/scenario", json.dumps(rules).encode()).status == 200
        for client in pair.clients:
            assert f"Version {number}".encode() in client.send("POST", path + CHAT, asks("Hi")).body
    added = {"rules": [{"name": "new", "when": {"user": "new"}, "reply": {"content": "Added"}}]}
    pair.client(0).send("PUT", f"{path}/_fakellm/scenario", json.dumps({"rules": [RULES[0]]}).encode())
    pair.client(0).send("POST", f"{path}/_fakellm/rules", json.dumps(added).encode())
    for client in pair.clients:
        assert b"Added" in client.send("POST", path + CHAT, asks("new")).body
        assert b"Hello" in client.send("POST", path + CHAT, asks("plain")).body
    pair.client(1).send("POST", f"{path}/_fakellm/reset")
    for client in pair.clients:
        assert b"Added" not in client.send("POST", path + CHAT, asks("new")).body


def test_requests_that_count_nothing_wait_for_no_other_process(pair: Pair) -> None:
    """They are answered while the owner of the state stands still; its journal then has them as they arrived."""
    assert pair.several.pid
    session = pair.several.session("alone")
    session.load({"rules": [RULES[0]]})
    for client in pair.clients:
        client.send("POST", f"/s/alone{CHAT}", asks("plain"))
    os.kill(pair.several.pid, signal.SIGSTOP)
    try:
        for number in range(6):
            assert pair.client(number).send("POST", f"/s/alone{CHAT}", asks(f"plain {number}")).status == 200
            assert (
                pair.client(number).send("GET", f"/_fakellm/health/{(number % 2 and 'live') or 'ready'}").status == 200
            )
    finally:
        os.kill(pair.several.pid, signal.SIGCONT)
    texts = [entry.request["messages"][0]["content"] for entry in session.requests]
    assert texts == ["plain", "plain", *(f"plain {number}" for number in range(6))]
    assert [entry.number for entry in session.requests] == list(range(1, 9))
    session.reset()


def test_a_query_waits_for_a_request_at_any_worker(pair: Pair) -> None:
    session = pair.several.session("waiting")
    session.load({"rules": [RULES[-1]]})
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(session.wait_for, 2, outcome="sent", user="paced")
        for client in pair.clients:
            client.send("POST", f"/s/waiting{CHAT}", asks("paced", stream=True))
        assert [entry.reply.text for entry in waiting.result()] == ["A b c d"] * 2


def test_a_step_releases_a_frame_of_a_reply_at_any_worker(pair: Pair) -> None:
    session = pair.several.session("stepped")
    session.load({"rules": [STEP]})
    replies = [client.begin("POST", f"/s/stepped{CHAT}", asks("step", stream=True)) for client in pair.clients]
    for number, reply in enumerate(replies, 1):
        first = session.step(request=number)
        assert first
        assert reply.read(len(first[0])) == first[0].encode()
        assert session.journal[number - 1].frames_sent == 1
    session.step(None, request=1)
    assert replies[0].read().endswith(b"data: [DONE]\n\n")
    session.reset()  # which releases the other
    assert replies[1].read().endswith(b"data: [DONE]\n\n")


def test_what_an_api_keeps_is_kept_once(pair: Pair) -> None:
    def send(number: int, method: str, path: str, **body: Any) -> Any:
        sent = json.dumps(body).encode() if body else None
        return pair.client(number).send(method, f"/s/kept/v1/{path}", sent).json

    first = send(0, "POST", "responses", model="m", input="Hi")
    assert send(1, "GET", f"responses/{first['id']}")["output"] == first["output"]
    second = send(1, "POST", "responses", model="m", input="And now?", previous_response_id=first["id"])
    items = send(0, "GET", f"responses/{second['id']}/input_items")["data"]
    assert [item["content"][0]["text"] for item in items if item["role"] == "user"] == ["And now?"]
    later = send(0, "POST", "responses", model="m", input="Later", background=True)
    assert later["status"] == "queued"
    assert send(1, "GET", f"responses/{later['id']}")["status"] == "in_progress"
    conversation = send(0, "POST", "conversations", items=[])
    send(1, "POST", "responses", model="m", input="Hello", conversation=conversation["id"])
    assert len(send(0, "GET", f"conversations/{conversation['id']}/items")["data"]) == 2
    entries = pair.several.session("kept").journal
    assert [(entry.number, entry.method, entry.outcome) for entry in entries] == [
        (number, method, "sent")
        for number, method in enumerate(["POST", "GET", "POST", "GET", "POST", "GET", "POST", "POST", "GET"], 1)
    ]


def test_a_long_request_counts_too(pair: Pair) -> None:
    """Another process of the worker answers it."""
    pair.several.session("long").load({"rules": [RULES[1]]})
    body = asks("number " + "x" * 100_000)
    replies = [content(client.send("POST", f"/s/long{CHAT}", body)) for client in pair.clients]
    assert replies == ["Attempt 1", "Attempt 2"]


def test_one_session_too_many_is_refused_by_every_worker(pair: Pair) -> None:
    def load(handle: Handle) -> bool:
        try:
            handle.load({"rules": [RULES[0]]})
        except ServerError:
            return False
        return True

    handles = [pair.several.session(f"full-{number}") for number in range(SESSIONS + 1)]
    loaded = [handle for handle in handles if load(handle)]
    assert len(loaded) <= SESSIONS
    for client in pair.clients:
        refused = client.send("POST", f"/s/more{CHAT}", asks("plain"))
        assert refused.status == 503
        assert refused.json["error"]["code"] == "too_many_sessions"
    for handle in loaded:
        handle.reset()


def test_a_worker_that_is_killed_takes_only_its_own_streams_with_it(capfd: pytest.CaptureFixture[str]) -> None:
    slow = {"name": "slow", "when": {"user": "slow"}, "reply": {"content": "A b"}, "timing": {"first": 0, "gap": 3600}}
    with fakellm.spawn({"rules": [*RULES, STEP, LOADED, slow]}, workers=2) as server, ExitStack() as stack:
        assert server.pid
        killed, other = children(server.pid)
        victim, survivor = stack.enter_context(connected(server, killed, other))
        assert [content(victim.send("POST", CHAT, asks("number"))) for _ in range(3)] == [
            f"Attempt {number}" for number in (1, 2, 3)
        ]
        lost = victim.begin("POST", CHAT, asks("slow", stream=True))
        stepped = survivor.begin("POST", CHAT, asks("step", stream=True))
        assert server.last.rule == "step"  # the journal has all that was sent so far
        under_load(server, killed, other)
        with pytest.raises((HTTPException, OSError)):
            lost.read()
        server.step(None)
        assert stepped.read().endswith(b"data: [DONE]\n\n")
        assert content(survivor.send("POST", CHAT, asks("number"))) == "Attempt 4"
        (new,) = stack.enter_context(connected(server, restarted(server, other)))
        assert content(new.send("POST", CHAT, asks("number"))) == "Attempt 5"
        journal = [(entry.rule, entry.outcome) for entry in server.journal if entry.rule != "plain"]
        sent = ("number", "sent")
        assert journal == [sent, sent, sent, ("slow", "server stopped"), ("step", "sent"), sent, sent]
        workers = [os.pidfd_open(pid) for pid in children(server.pid)]
        os.kill(server.pid, signal.SIGKILL)
        for worker in workers:  # all end with the process that started them
            assert select([worker], [], [], PATIENCE)[0]
            os.close(worker)
    assert "a worker was ended by signal 9; another one is started" in capfd.readouterr().err


def under_load(server: Handle, killed: int, other: int) -> None:
    """Kills a worker while chats are streamed by both: those of the other are whole, each request has a number of its
    own, and the port refuses no connection."""
    over, began, numbers = threading.Event(), threading.Barrier(6), list[int]()

    def chats(client: Client) -> int:
        """How many chats came whole. Raises what breaks one."""
        for whole in count():
            reply = client.begin("POST", f"/s/load{CHAT}", asks("loaded", stream=True))
            if whole == 1:
                began.wait(PATIENCE)
            streamed = reply.read()
            assert streamed.endswith(b"data: [DONE]\n\n")
            text = b"".join(re.findall(rb'"content":"([^"]*)"', streamed))
            numbers.append(int(text.split()[1]))
            if over.is_set():
                return whole
        raise AssertionError

    with connected(server, other, other, other, killed, killed) as clients, ThreadPoolExecutor() as pool:
        loads = [pool.submit(chats, client) for client in clients]
        began.wait(PATIENCE)
        connecting = pool.map(lambda number: attempt(server, number), range(40))
        os.kill(killed, signal.SIGKILL)
        assert set(connecting) <= {"whole", "broken"}
        restarted(server, other)
        over.set()
        assert [isinstance(load.exception(), HTTPException | OSError) for load in loads] == [False] * 3 + [True] * 2
        [load.result() for load in loads[:3]]
    assert len(set(numbers)) == len(numbers)
    assert len(numbers) <= max(numbers) <= len(numbers) + 2  # those whose replies broke off were counted too
    assert {entry.outcome for entry in server.session("load").journal} <= {"sent", "server stopped"}


def content(received: Received) -> str:
    """The text of a whole reply."""
    text: str = received.json["choices"][0]["message"]["content"]
    return text


def attempt(server: Handle, number: int) -> str:
    """How a request over a connection of its own ended."""
    client = Client(server)  # raises ConnectionRefusedError
    try:
        return "whole" if client.send("POST", CHAT, asks(f"plain {number}")).status == 200 else "wrong"
    except (HTTPException, ConnectionError):
        return "broken"
    finally:
        client.close()


def test_a_server_that_is_stopped_finishes_the_streams_of_all_workers() -> None:
    slow = {"reply": {"content": "A b c"}, "timing": {"first": 0, "gap": 0.1}}
    with fakellm.spawn({"rules": [slow]}, workers=2) as server:
        assert server.pid
        with to_each(server) as clients:
            replies = [client.begin("POST", CHAT, asks("Hi", stream=True)) for client in clients]
            started = [reply.read(1) for reply in replies]
            os.kill(server.pid, signal.SIGTERM)
            for first, reply in zip(started, replies, strict=True):
                assert (first + reply.read()).endswith(b"data: [DONE]\n\n")


def test_a_worker_that_does_not_start_ends_the_server() -> None:
    async def start() -> None:
        state = WatchedState(Limits())
        owner = Owner(
            App(state=state), state, WorkerSettings(0, (), Limits(), 1.0, ControlAccess(), Connections(), 5.0)
        )
        with listen("127.0.0.1", 0) as listener:
            await Supervisor(owner, 2, [sys.executable, "-c", "raise SystemExit(3)"]).start(listener)

    with pytest.raises(ServerError, match="a worker ended with exit code 3 before it accepted connections"):
        asyncio.run(start())


@pytest.mark.parametrize("workers", [0, 65, True, "2"])
def test_a_number_of_workers_that_is_not_possible_is_refused(workers: Any) -> None:
    with pytest.raises(ValueError, match="workers must be a whole number from 1 to 64"), fakellm.spawn(workers=workers):
        pass


def restarted(server: Handle, other: int) -> int:
    """The worker that was started in place of one that has ended. `other`: the one that runs on."""
    assert server.pid
    until = monotonic() + PATIENCE
    while not (found := [pid for pid in children(server.pid) if pid != other]):
        assert monotonic() < until
        server.health()  # the owner of the state answers that, and starts the worker meanwhile
    return found[0]


def test_whoever_watches_gets_what_happens_at_every_worker(pair: Pair) -> None:
    session = pair.several.session("watched")
    session.load({"rules": [RULES[0]]})
    with closing(Client(pair.several)) as client:
        events = client.begin("GET", "/s/watched/_fakellm/events")
        lines = islice(events, MOST_LINES)
        assert b"event: live\n" in lines
        for each in pair.clients:
            each.send("POST", f"/s/watched{CHAT}", asks("plain"))
        numbers: set[int] = set()
        while numbers != {1, 2}:
            data = next(lines)
            if data.startswith(b"data: ") and (found := json.loads(data[6:])).get("outcome") == "sent":
                numbers.add(found["number"])
    session.reset()


def test_a_fault_for_the_next_requests_is_for_so_many_of_all_workers(pair: Pair) -> None:
    session = pair.several.session("faulty")
    session.load({"rules": [RULES[0]]})
    fault = {"fault": {"kind": "status", "status": 503}, "requests": 3}
    assert pair.client(0).send("PUT", "/s/faulty/_fakellm/fault", json.dumps(fault).encode()).status == 200
    statuses = [pair.client(number).send("POST", f"/s/faulty{CHAT}", asks("plain")).status for number in range(5)]
    assert statuses == [503, 503, 503, 200, 200]
    assert [(entry.status, entry.outcome) for entry in session.requests] == [(status, "sent") for status in statuses]
    metrics = pair.client(1).send("GET", "/metrics").body
    assert b'{api="chat",outcome="sent",rule="plain",status="503"} 3.0\n' in metrics
    session.reset()


def test_the_speed_is_that_of_all_workers(pair: Pair) -> None:
    session = pair.several.session("fast")
    session.load({"rules": [{"reply": {"content": "A b c"}, "timing": {"gap": 3600}}]})
    assert pair.client(0).send("PUT", "/_fakellm/speed", b'{"speed": 0}').status == 200
    for client in pair.clients:
        assert client.send("POST", f"/s/fast{CHAT}", asks("Hi", stream=True)).status == 200
    pair.client(1).send("PUT", "/_fakellm/speed", b'{"speed": 1}')
    session.reset()


def test_what_the_owner_keeps_of_entries_is_bounded_by_the_journals() -> None:
    """A reply that the worker still has keeps no entry that its session has dropped."""

    async def kept() -> int:
        state = WatchedState(Limits(max_sessions=2))
        settings = WorkerSettings(0, (), Limits(), 1.0, ControlAccess(), Connections(), 5.0)
        owner = Owner(App(state=state), state, settings)
        link = owner.join(asyncio.get_running_loop().create_future())
        for number in range(3_000):
            session = f"{number % 100}" if number else ""  # the first entry stays
            name = SessionName(session, owner.open(session)[0])
            entry = Entry("POST", CHAT, outcome="sent", started=float(number))
            report = EntryReport(number, name, entry, Kept(b"{}"), answered=True)
            data = pickle.dumps((None, "reports", ([report],)))
            link.channel.data_received(len(data).to_bytes(8, "big") + data)
            if number % 50 == 0:
                await owner.staging.flush()
        return sum(isinstance(each, Owned) for each in gc.get_objects())

    assert asyncio.run(kept()) < 300
