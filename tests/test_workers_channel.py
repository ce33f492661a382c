"""Messages between the processes of a server arrive as they were sent, in order, and long ones hold up neither end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakellm.engine.entry import Entry, Kept
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from fakellm.server.workers import reports as reports_module
from fakellm.server.workers.channel import Channel, long
from fakellm.server.workers.reports import Reports, SessionName
from tests.conftest import chat, respond
from tests.loop_turns import loop_turns, measured
from tests.test_workers_owner import CHAT, link_of, served
from tests.test_workers_owner import joined as worker_of

MOST = 0.02
"""CPU seconds that the event loop may spend in one callback."""
LENGTHS = st.sampled_from([0, 1, 65_536, 65_537, 262_144, 262_145, 700_000])
LONG = 15_000_000
MANY = 3_000


@asynccontextmanager
async def joined(first: Channel, second: Channel) -> AsyncIterator[None]:
    """Two ends of a channel, until both have closed."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    await loop.create_unix_connection(lambda: first, sock=ours)
    await loop.create_unix_connection(lambda: second, sock=theirs)
    yield
    await first.close()
    await second.ended.wait()


@given(st.lists(st.tuples(LENGTHS, LENGTHS), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_messages_arrive_in_order_and_as_they_were_sent(lengths: list[tuple[int, int]]) -> None:
    """All that was sent before the channel was closed."""

    async def exchange() -> list[Any]:
        received: list[Any] = []
        one = Channel({}, lambda: None)
        async with joined(one, Channel({"pair": lambda *pair: received.append(pair)}, lambda: None)):
            for first, second in sent:
                one.notify("pair", long(first), long(second))
        return received

    sent = [(bytes([number]) * first, b"x" * second) for number, (first, second) in enumerate(lengths)]
    assert asyncio.run(exchange()) == sent


def test_while_a_long_message_waits_the_channel_is_full_and_then_has_room() -> None:
    async def example() -> None:
        one = Channel({}, lambda: None)
        async with joined(one, Channel({"echo": lambda data: long(data)}, lambda: None)):
            echo = one.call("echo", long(b"x" * LONG))
            assert one.full
            await one.has_room()
            assert not one.full
            assert await echo == b"x" * LONG
        assert one.call("echo", b"").exception()

    asyncio.run(example())


@measured
def test_a_long_body_holds_up_neither_its_worker_nor_the_owner() -> None:
    """Neither when the owner answers the request, nor when its entry is reported."""

    async def example() -> None:
        server, sent = served(), b" " * LONG
        link, name = link_of(server.owner), SessionName("", server.owner.open("")[0])
        with loop_turns(asyncio.get_running_loop()) as turns:
            async with worker_of(link) as worker:
                response, _ = await worker.call("answer", 0, ("POST", "/v1/nowhere", long(sent), {}))
                reports = Reports(worker, 0)
                reports.add(name, Entry("POST", CHAT, Kept(sent), started=1.0))
                await reports.send(0, replies=True)
                await worker.call("joined")
                await server.owner.staging.flush()
                journal, _ = await worker.call("answer", 0, ("GET", "/_fakellm/journal", b"", {}))
        assert response.head.status == 404
        assert len(journal.body) > LONG
        assert [entry.request.body == sent for entry in server.app.session("").journal] == [True, True]
        turns.check(MOST)

    asyncio.run(example())


@measured
def test_very_many_entries_hold_up_neither_their_worker_nor_the_owner() -> None:
    async def example() -> None:
        server = served()
        link, name = link_of(server.owner), SessionName("", server.owner.open("")[0])
        async with worker_of(link) as worker:
            reports = Reports(worker, 0)
            for number in range(MANY):
                reports.add(name, Entry("POST", CHAT, Kept(b"{}"), started=float(number)))
            with loop_turns(asyncio.get_running_loop()) as turns:
                await worker.call("joined")  # from now on, what this example does is measured too
                await reports.send(MANY, replies=True)
                await worker.call("joined")
            await server.owner.staging.flush()
        assert [entry.started for entry in server.app.session("").journal] == [*range(MANY)]
        turns.check(MOST)

    asyncio.run(example())


def test_a_reply_that_is_sent_over_time_stays_with_its_worker_until_a_journal_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would have to be made a second time, for nobody."""
    monkeypatch.setattr(reports_module, "SENT_SECONDS", 0.0)
    rules = "rules: [{when: {user: slow}, reply: {content: A b}, timing: {gap: 1}}, {reply: {content: Hi}}]"

    async def example() -> None:
        received = asyncio.Queue[list[int]]()
        handlers = {
            "reports": lambda _: None,
            "replies": lambda replies: received.put_nowait([number for number, _ in replies]),
        }
        app, worker = App(load(rules)), Channel({}, lambda: None)
        async with joined(worker, Channel(handlers, lambda: None)):
            reports = Reports(worker, 10**6)
            for text in ("slow", "a", "slow", "b"):
                sent = chat(messages=[{"role": "user", "content": text}], stream=True)
                response = respond(app, HttpRequest("POST", CHAT, sent))
                reports.add(SessionName("", 1), Entry("POST", CHAT, Kept(sent, response=response)))
            assert await received.get() == [4, 2]
            await reports.send(0, replies=True)
            assert [await received.get(), await received.get()] == [[3], [1]]

    asyncio.run(example())
