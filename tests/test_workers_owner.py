"""Whatever a worker does not do, be it to start, to answer or to wait, the owner of the state answers the others."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fakellm.base.errors import ServerError
from fakellm.engine.entry import Entry, Kept
from fakellm.engine.response import Response, Watch, respond
from fakellm.engine.state import Limits
from fakellm.scenarios.loader import load
from fakellm.server.connections.listening import listen
from fakellm.server.connections.settings import Connections
from fakellm.server.requests.control_access import ControlAccess
from fakellm.server.scenario_app import App
from fakellm.server.workers import link as link_module
from fakellm.server.workers import supervisor as supervisor_module
from fakellm.server.workers.channel import Channel
from fakellm.server.workers.link import FarWatcher, Link
from fakellm.server.workers.owned import Owned
from fakellm.server.workers.owner import Owner
from fakellm.server.workers.reports import EntryReport, SessionName
from fakellm.server.workers.supervisor import Supervisor
from fakellm.server.workers.watched_state import WatchedState
from fakellm.server.workers.worker_app import WorkerSettings
from fakellm.server.workers.worker_feed import WorkerFeed
from fakellm.wire.plan import Frame, Plan
from tests.conftest import chat

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
FAULT = "/_fakellm/fault"
SPEED = "/_fakellm/speed"
SETTINGS = WorkerSettings(0, (), Limits(), 1.0, ControlAccess(), Connections(), 5.0)
READY_ONCE = """
import os, pickle, socket, sys
os.unlink(sys.argv[0])
end = socket.socket(fileno=int(sys.argv[-1]))
end.recv(65536)
ready = pickle.dumps((None, "ready", ()))
end.sendall(len(ready).to_bytes(8, "big") + ready)
"""
"""A worker that ends as soon as it is ready, and whose program is then gone."""


class Served(NamedTuple):
    """An owner, with its state."""

    owner: Owner
    state: WatchedState
    app: App

    async def answered(self, method: str, path: str, body: bytes = b"") -> int | None:
        """The status of the response to a request."""
        response, owned = await self.owner.answer(method, path, body, {})
        owned.end()
        return response.head.status


def served(scenario: str = "rules: [{reply: {content: Hello.}}]") -> Served:
    state = WatchedState(Limits())
    app = App(load(scenario), state=state)
    return Served(Owner(app, state, SETTINGS), state, app)


@asynccontextmanager
async def joined(link: Link, **handlers: Callable[..., Any]) -> AsyncIterator[Channel]:
    """The other end of a link, as a worker that has joined and answers all calls."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    nothing = dict.fromkeys(("flush", "forget", "speed"), lambda *content: None)
    worker = Channel({**nothing, **handlers}, lambda: None)
    await loop.create_unix_connection(lambda: link.channel, sock=ours)
    await loop.create_unix_connection(lambda: worker, sock=theirs)
    await worker.call("joined")
    try:
        yield worker
    finally:
        await worker.close()
        await link.channel.ended.wait()


def run(example: Callable[[], Awaitable[None]]) -> None:
    """Runs an example, which fails if it waits for what never comes."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await example()

    asyncio.run(bounded())


def link_of(owner: Owner) -> Link:
    return owner.join(asyncio.get_running_loop().create_future())


def fault(requests: int) -> bytes:
    return json.dumps({"fault": {"kind": "status", "status": 503}, "requests": requests}).encode()


def test_a_worker_that_stands_still_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def example() -> None:
        server, goes_on = served(), asyncio.Event()
        link = link_of(server.owner)
        async with joined(link, flush=lambda *_: goes_on.wait(), speed=lambda _: goes_on.wait()) as worker:
            monkeypatch.setattr(link_module, "SILENT_SECONDS", 0.05)
            assert await server.answered("GET", "/_fakellm/journal") == 200
            assert link.silent
            monkeypatch.setattr(link_module, "SILENT_SECONDS", 3600)
            assert await server.answered("GET", "/_fakellm/journal") == 200
            assert await server.answered("PUT", SPEED, b'{"speed": 0}') == 200
            goes_on.set()
            while link.silent:
                await worker.call("joined")
            assert await server.answered("GET", "/_fakellm/journal") == 200
            assert not link.calls

    run(example)


def test_a_worker_that_joins_late_gets_the_speed_of_the_server() -> None:
    async def example() -> None:
        server = served()
        link, speeds = link_of(server.owner), list[float]()
        assert await server.answered("PUT", SPEED, b'{"speed": 7}') == 200
        async with joined(link, speed=speeds.append):
            assert speeds == [7]

    run(example)


def test_only_what_depends_on_the_reports_of_workers_waits_for_them() -> None:
    async def example() -> None:
        server, flushes = served(), list[Any]()
        async with joined(link_of(server.owner), flush=lambda *content: flushes.append(content)):
            assert await server.answered("PUT", FAULT, fault(2)) == 200
            before = len(flushes)
            assert [await server.answered("POST", CHAT, chat()) for _ in range(3)] == [503, 503, 200]
            assert len(flushes) == before
            assert await server.answered("GET", "/v1/responses/resp_1") == 404
            assert await server.answered("GET", "/_fakellm/journal") == 200
            assert len(flushes) == before + 2

    run(example)


def test_a_client_that_leaves_while_workers_change_holds_nothing_and_its_reply_has_ended() -> None:
    async def example() -> None:
        server = served("limits: [{concurrent: 1}]\nrules: [{reply: {content: Hello.}}]")
        changing, goes_on = asyncio.Event(), asyncio.Event()
        goes_on.set()

        async def forget(_name: str) -> None:
            changing.set()
            await goes_on.wait()

        async with joined(link_of(server.owner), forget=forget):
            assert await server.answered("PUT", FAULT, fault(1)) == 200
            server.owner.open("")
            changing.clear()
            goes_on.clear()
            leaving = asyncio.ensure_future(server.answered("POST", CHAT, chat()))
            await changing.wait()  # the last fault is used up, and the workers are informed
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            goes_on.set()
            assert await server.answered("POST", CHAT, chat()) == 200
            session = server.app.session("")
            assert [entry.outcome for entry in session.journal][:1] == ["client left"]

    run(example)


def test_an_entry_of_a_session_that_has_been_replaced_does_not_keep_the_new_one() -> None:
    async def example() -> None:
        server = served()
        long = chat(messages=[{"role": "user", "content": "x" * 100_000}])  # another process reads it
        answering = asyncio.ensure_future(server.owner.answer("POST", f"/s/a{CHAT}", long, {}))
        await asyncio.sleep(0)  # in which it arrives
        before = server.state.find("a")
        assert before
        assert await server.answered("POST", "/s/a/_fakellm/reset") == 200
        server.owner.open("a")
        _, owned = await answering
        after = server.state.find("a")
        assert after
        assert after is not before
        assert after.replies == 0
        assert owned.dropped

    run(example)


def test_the_names_of_sessions_that_have_ended_are_not_kept() -> None:
    async def example() -> None:
        server = served()
        for number in range(3):
            path = f"/s/{number}"
            assert await server.answered("PUT", path + FAULT, fault(1)) == 200
            assert server.owner.open(str(number))[2]
            assert await server.answered("POST", f"{path}/_fakellm/reset") == 200
        assert not server.owner._answered_here

    run(example)


def test_whoever_watches_sees_what_comes_after_an_entry_that_is_damaged(caplog: pytest.LogCaptureFixture) -> None:
    async def example() -> None:
        server, flushes = served(), asyncio.Queue[Any]()
        link, name = link_of(server.owner), SessionName("", server.owner.open("")[0])
        async with joined(link, flush=lambda *content: flushes.put_nowait(content), watched=lambda *_: None):
            damaged: Any = None
            for path in (damaged, RESPONSES):
                server.owner.staging.stage(Owned(name, Entry("POST", path)), 0)
            watching = asyncio.ensure_future(server.owner.watch(Watch(None), FarWatcher(link.channel, 1, False)))
            await flushes.get()
            await flushes.get()
            count = server.app.changes.count
            server.owner.staging.stage(Owned(name, Entry("POST", CHAT)), 0)
            await server.app.changes.after(count, 60)
            assert {RESPONSES, CHAT} <= {entry.path for entry in server.app.session("").journal}
            server.owner.server.end_waits()
            watching.cancel()

    run(example)
    assert caplog.text.count("an entry is lost") == 1


def test_whoever_waits_gets_no_entry_without_its_reply_although_another_worker_is_asked_meanwhile() -> None:
    """Here, a reply ends after its worker has answered, and before the other worker has."""
    name = SessionName("", 0)

    def report(path: str, answered: bool) -> EntryReport:
        entry = Entry("POST", path, started=1.0, outcome="sent", status=200)
        return EntryReport(1, name, entry, Kept(b"{}"), answered)

    async def example() -> None:
        nonlocal name
        server, answered, goes_on = served(), asyncio.Event(), asyncio.Event()
        name = SessionName("", server.owner.open("")[0])
        unread = list[tuple[int, Response]]()

        def flush(*_: Any) -> None:
            worker.notify("replies", unread.copy())
            unread.clear()
            answered.set()

        goes_on.set()
        async with (
            joined(link_of(server.owner), flush=lambda *_: goes_on.wait()) as other,
            joined(link_of(server.owner), flush=flush) as worker,
        ):
            query = b'{"outcome": "sent", "count": 2, "wait": 30}'
            waiting = asyncio.ensure_future(server.owner.answer("POST", "/_fakellm/journal", query, {}))
            await answered.wait()
            await other.call("joined")
            answered.clear()
            goes_on.clear()
            other.notify("reports", [report(RESPONSES, False)])
            await answered.wait()
            unread.append((1, respond(Plan(200, (), (Frame(b"{}"),)))))
            worker.notify("reports", [report(CHAT, True)])
            await worker.call("joined")
            goes_on.set()
            response, _ = await waiting
            entries = json.loads(response.body)["entries"]
            assert {each["path"]: each["reply"]["kept"] for each in entries} == {RESPONSES: False, CHAT: True}

    run(example)


@pytest.mark.parametrize("gone", [False, True])
def test_an_entry_whose_reply_never_comes_is_in_the_journal(gone: bool) -> None:
    """Its worker has dropped it, or is gone."""

    async def example() -> None:
        server = served()
        name = SessionName("", server.owner.open("")[0])
        entry = Entry("POST", CHAT, started=1.0, outcome="sent", status=200)
        link = link_of(server.owner)
        async with joined(link) as worker:
            worker.notify("reports", [EntryReport(1, name, entry, Kept(b"{}"), True)])
            await worker.call("joined")
            if gone:
                await worker.close()
                await link.channel.ended.wait()
            response, _ = await server.owner.answer("GET", "/_fakellm/journal", b"", {})
            assert [each["path"] for each in json.loads(response.body)["entries"]] == [CHAT]

    run(example)


class Gone:
    """A client that watches. Implements `Watcher`."""

    head_only = False

    def write(self, data: bytes) -> None:
        raise AssertionError(data)

    async def drain(self) -> None:
        raise AssertionError

    def waiting(self) -> AbstractContextManager[None]:
        return nullcontext()


def test_what_is_sent_to_those_who_watch_ends_with_the_owner() -> None:
    async def example() -> None:
        feed = WorkerFeed(Channel({}, lambda: None))
        assert (await feed.serve(Gone(), Watch(None))).keep_alive is False

    run(example)


@contextmanager
def logged() -> Iterator[asyncio.Queue[tuple[float, str]]]:
    """What is logged, with its times on the clock of the event loop."""
    lines: asyncio.Queue[tuple[float, str]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.put_nowait((loop.time(), record.getMessage()))

    handler = Lines(logging.ERROR)
    logging.getLogger("fakellm").addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger("fakellm").removeHandler(handler)


def test_a_worker_that_cannot_be_started_ends_the_server() -> None:
    async def example() -> None:
        server = served()
        with closing(listen("127.0.0.1", 0)) as listener:
            await Supervisor(server.owner, 2, ["/no/such/program"]).start(listener)

    with pytest.raises(ServerError, match=r"a worker could not be started: .* No such file"):
        run(example)


def test_a_worker_is_started_again_after_a_pause_until_that_is_possible(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(supervisor_module, "RETRY_SECONDS", pause := 0.3)
    program = tmp_path / "worker"

    def write() -> None:
        program.write_text(f"#!{sys.executable} -S\n{READY_ONCE}")
        program.chmod(0o700)

    async def example() -> None:
        server = served()
        supervisor = Supervisor(server.owner, 1, [str(program)])
        with logged() as lines, closing(listen("127.0.0.1", 0)) as listener:
            write()
            await supervisor.start(listener)
            ended, line = await lines.get()
            assert line == "a worker ended with exit code 0; another one is started"
            failed, line = await lines.get()
            assert line.startswith("a worker could not be started: ")
            assert failed - ended >= pause
            assert not server.owner.links
            write()
            while "ended with exit code 0" not in line:
                _, line = await lines.get()
            await supervisor.stop(0)

    run(example)
