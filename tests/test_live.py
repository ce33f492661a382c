"""What happens on a server, as events: nothing is lost between two looks, a reader that comes back goes on where it was,
and one that was away for too long or reads too slowly is informed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakellm.cli.beside import reload
from fakellm.cli.beside.reload import Files, follow
from fakellm.engine.entry import Entry
from fakellm.engine.state import Limits, MemoryState
from fakellm.scenarios.loader import load, read
from fakellm.server.application import HttpRequest, parsed_entry
from fakellm.server.control import entry_matches
from fakellm.server.http_server import Server
from fakellm.server.live import feed, observer, present
from fakellm.server.live.observer import EntryChanged, Observer, ScenarioChanged, SessionBegan, SessionEnded
from fakellm.server.live.present import Presents
from fakellm.server.live.ring import Ring
from fakellm.server.live.summary import facts_of
from fakellm.server.scenario_app import App
from fakellm.wire.sse import Decoder, Event
from tests import controls
from tests.conftest import chat, handled
from tests.virtual_time import Listening, loop, run

RULES = {
    "rules": [
        {"name": "slow", "when": {"user": "slow"}, "reply": {"content": "One two three"}, "timing": {"gap": 0.055}},
        {"name": "stepped", "when": {"user": "step"}, "reply": {"content": "One two"}, "timing": {"step": True}},
        {"name": "late", "when": {"user": "late"}, "reply": {"content": "Hi"}, "fault": {"kind": "stall", "frame": 1}},
        {"name": "quick", "when": {"user": "quick"}, "reply": {"content": "Hi"}},
    ]
}


# The ring


@given(st.lists(st.integers(0, 300)), st.integers(0, 40), st.integers(0, 2_000))
def test_a_ring_has_all_that_came_after_an_event_or_none(sizes: list[int], number: int, most: int) -> None:
    ring = Ring("a", most)
    for size in sizes:
        ring.add("entry", "", b"x" * size)
    number = min(number, len(sizes))
    found = ring.after(number, 1_000)
    kept = ring.after(ring.last - len(list(kept_numbers(ring))), 1_000)
    assert kept is not None
    assert sum(len(each.data) for each in kept) <= max(most, len(kept[-1].data) if kept else 0)
    if found is None:
        assert number + 1 < kept[0].number
    else:
        assert [each.number for each in found] == list(range(number + 1, len(sizes) + 1))
        assert [each.number for each in ring.after(number, 2) or ()] == [each.number for each in found[:2]]


def kept_numbers(ring: Ring) -> list[int]:
    return [number for number in range(1, ring.last + 1) if ring.after(number - 1, 1)]


@pytest.mark.parametrize("name", ["", "b-1", "a-", "a-3", "a-x", "a--1", "a-²", "1", f"a-{'9' * 30}"])
def test_an_id_of_another_server_or_of_no_event_has_no_number(name: str) -> None:
    ring = Ring("a")
    ring.add("entry", "", b"{}")
    assert (ring.number_of(name), ring.number_of(ring.id_of(1)), ring.number_of(ring.id_of(0))) == (None, 1, 0)


def test_what_was_lost_is_not_resumed() -> None:
    ring = Ring("a")
    ring.add("entry", "", b"{}")
    ring.lose()
    assert ring.after(1, 9) is None
    assert ring.after(ring.last, 9) == []


# The observer

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["request", "end", "send", "forget", "load", "change"]), st.sampled_from("ab")),
        st.just(("look", "")),
    ),
    max_size=60,
)


class Picture:
    """What somebody knows who has only the changes."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[int, tuple[Any, ...]]] = {}
        self.scenarios: dict[str, int] = {}

    def add(self, change: observer.Change) -> None:
        match change:
            case SessionBegan(name):
                assert name not in self.sessions
                self.sessions[name] = {}
            case SessionEnded(name):
                del self.sessions[name], self.scenarios[name]
            case ScenarioChanged(name):
                self.scenarios[name] = self.scenarios.get(name, 0) + 1
            case EntryChanged(name, observed):
                entry = observed.entry
                self.sessions[name][entry.number] = (entry.outcome, entry.frames_sent)


@given(STEPS, st.integers(1, 3))
def test_whoever_has_all_changes_knows_what_there_is(steps: list[tuple[str, str]], most: int) -> None:
    before, observer.MOST_CHANGES = observer.MOST_CHANGES, most
    try:
        state: MemoryState[Any] = MemoryState(Limits(max_sessions=9))
        observing, picture = Observer({}), Picture()
        for number, (step, name) in enumerate([*steps, ("look", ""), *[("look", "")] * len(steps)]):
            if step == "look":
                for change in observing.look(state.sessions()):
                    picture.add(change)
                continue
            if step == "forget":
                state.forget(name)
                continue
            if step == "load":
                state.load(name, object())
                continue
            if step == "change":
                state.change(name, object())
                continue
            journal = state.open(name, number).journal
            under_way = [entry for entry in journal if entry.under_way]
            if step == "request":
                journal.add(Entry("POST", "/"))
            elif under_way and step == "send":
                under_way[0].frames_sent += 1
            elif under_way:
                under_way[-1].outcome = "sent"
        assert picture.sessions == {
            name: {entry.number: (entry.outcome, entry.frames_sent) for entry in session.journal}
            for name, session in state.sessions().items()
        }
        assert picture.scenarios.keys() == state.sessions().keys()
    finally:
        observer.MOST_CHANGES = before


def test_what_changes_several_times_between_two_looks_is_found_once() -> None:
    app = App(load(RULES))
    observing = Observer(app.sessions())
    _, entry = handled(app, HttpRequest("POST", "/v1/chat/completions", chat()))
    entry.frames_sent = 1
    found = observing.look(app.sessions())
    assert [type(change) for change in found] == [SessionBegan, ScenarioChanged, EntryChanged]
    assert observing.look(app.sessions()) == []
    entry.frames_sent, entry.outcome = 3, "sent"
    assert [type(change) for change in observing.look(app.sessions())] == [EntryChanged]
    entry.late_ms = 3  # nothing changes after the end
    assert observing.look(app.sessions()) == []


# What there is now


@given(
    st.lists(st.sampled_from(["", "a", "b"]), max_size=350),
    st.lists(st.tuples(st.sampled_from([None, "", "a"]), st.integers(0, 9)), min_size=1, max_size=20),
    st.sets(st.integers(0, 19)),
)
@settings(max_examples=20)
def test_readers_that_begin_at_once_share_what_is_encoded(
    requests: list[str], readers: list[tuple[str | None, int]], leaving: set[int]
) -> None:
    """Each gets what it would get alone, even if others leave in the middle; and between two turns of other work, no
    more is encoded than for one."""
    app = App(load(RULES))
    for name in requests:
        handled(app, HttpRequest("POST", f"/s/{name}/v1/chat/completions" if name else "/v1/chat/completions", chat()))
    encoded: list[int] = []

    def counted(*arguments: Any) -> Any:
        encoded.append(1)
        return facts_of(*arguments)

    async def read(presents: Presents, session: str | None) -> bytes:
        found, pieces = presents.after(1, session), list[bytes]()
        while (piece := await found.piece(len(pieces))) is not None:
            pieces.append(piece)
        return b"".join(pieces)

    async def everything() -> None:
        parse = partial(parsed_entry, app)
        alone = {name: await read(Presents(app, parse), name) for name in (None, "", "a")}
        encoded.clear()
        presents = Presents(app, parse)
        tasks = [asyncio.ensure_future(read(presents, name)) for name, _ in readers]
        turns = 0
        while not all(task.done() for task in tasks):
            before = len(encoded)
            await asyncio.sleep(0)
            turns += 1
            assert len(encoded) - before <= entry_matches._AT_ONCE
            for number in leaving & set(range(len(readers))):
                if readers[number][1] == turns:
                    tasks[number].cancel()
        for task, (name, _) in zip(tasks, readers, strict=True):
            assert task.cancelled() or task.result() == alone[name]
        most = sum(
            requests.count(name) if name is not None else len(requests) for name in {name for name, _ in readers}
        )
        left = len(leaving & set(range(len(readers))))
        assert len(encoded) <= most + left * present._AT_ONCE

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(present, "facts_of", counted)
        asyncio.run(everything())


# The feed


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[App]:
    app = App(load(RULES), **options)
    app.offloads = False  # virtual time does not wait for another process
    server = Server(app)
    await server.start(Listening("socket"))
    try:
        yield app
    finally:
        await server.stop(grace=0)


class Reader:
    """Reads the events of a server. `last`: the id of the last of them."""

    def __init__(self) -> None:
        self.last = ""
        self.comments = 0

    @asynccontextmanager
    async def reading(
        self, path: str = "/_fakellm/events", after: str = "", limit: int = 2**17
    ) -> AsyncIterator[Reader]:
        """Within this block, it is connected."""
        self._reader, writer = await asyncio.open_unix_connection("socket", limit=limit)
        try:
            known = f"Last-Event-ID: {after}\r\n" if after else ""
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{known}\r\n".encode())
            self.head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            self._decoder, self._events = Decoder(), list[Event]()
            yield self
        finally:
            writer.close()
            await asyncio.sleep(0)

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The type and the data of the next event."""
        while not self._events:
            data = await self._reader.read(2**16)
            assert data, "the stream has ended"
            self.comments += data.count(b": keep-alive")
            assert self.comments < 100, "no event comes"
            self._events += self._decoder.feed(data)
        event = self._events.pop(0)
        self.last = event.id or self.last
        return event.event, json.loads(event.data)

    async def until(self, kind: str, **values: Any) -> list[tuple[str, dict[str, Any]]]:
        """The events up to the first of this type whose data has these values."""
        found = []
        while True:
            found.append(await self.next())
            name, data = found[-1]
            if name == kind and all(data.get(key) == value for key, value in values.items()):
                return found

    async def ends(self) -> bool:
        return not await self._reader.read(1)


async def ask(user: str, path: str = "/v1/chat/completions", **fields: Any) -> bytes:
    """The response to a chat request, read to its end."""
    body = chat(stream=True, messages=[{"role": "user", "content": user}], **fields)
    reader, writer = await asyncio.open_unix_connection("socket")
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    received = await reader.read()
    writer.close()
    return received


def entries(events: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [data for kind, data in events if kind == "entry"]


def test_a_reader_gets_what_there_is_and_then_what_happens() -> None:
    async def everything() -> None:
        async with serving() as app, Reader().reading() as events:
            assert "Content-Type: text/event-stream" in events.head
            first = await events.until("live")
            assert [kind for kind, _ in first] == ["start", "live"]
            await ask("quick")
            found = await events.until("entry", outcome="sent")
            assert [kind for kind, _ in found] == ["session", "scenario", "entry"]
            assert found[0][1] == {"session": "", "state": "new"}
            assert found[1][1] == {"session": "", "scenario": "scenario", "rules": 4, "strict": False}
            entry = found[2][1]
            assert entry["duration"] == 0
            assert entry["started"] == loop().now - feed._TICK
            expected = {
                "session": "",
                "number": 1,
                "api": "chat",
                "model": "m",
                "stream": True,
                "turn": 1,
                "user": "quick",
            }
            assert entry | expected == entry
            expected = {"rule": "quick", "matched": True, "status": 200, "fault": None, "frames": 4, "frames_sent": 4}
            assert entry | expected == entry
            async with Reader().reading() as other:
                again = await other.until("live")
                assert [kind for kind, _ in again] == ["start", "session", "scenario", "entry", "live"]
                assert again[3][1] == entry
            app.forget("")
            assert await events.next() == ("session", {"session": "", "state": "gone"})

    run(everything())


def test_a_reply_that_grows_is_sent_ten_times_a_second() -> None:
    async def everything() -> None:
        async with serving(), Reader().reading() as events:
            await events.until("live")
            asked = asyncio.create_task(ask("slow"))
            found = entries(await events.until("entry", outcome="sent"))
            assert [each["frames_sent"] for each in found] == [2, 4, 6]
            assert found[-1]["duration"] == pytest.approx(0.275)
            await asked

    run(everything())


def test_a_reader_that_comes_back_misses_nothing_and_gets_nothing_twice() -> None:
    async def everything() -> None:
        async with serving() as app:
            async with Reader().reading() as staying, Reader().reading() as first:
                await staying.until("live")
                await first.until("live")
                await ask("quick")
                seen = await first.until("entry", outcome="sent")
                app.session("other")
                await ask("slow", "/s/other/v1/chat/completions")
                whole = await staying.until("entry", session="other", outcome="sent")
                async with Reader().reading(after=first.last) as again:
                    rest = await again.until("entry", session="other", outcome="sent")
                    assert seen + rest == whole
                    assert again.last == staying.last
            async with Reader().reading(after=staying.last) as nobody_was_there:
                await ask("quick")
                assert entries([await nobody_was_there.next()])[0]["number"] == 2

    run(everything())


def test_events_are_kept_for_a_while_and_then_a_gap_is_reported() -> None:
    async def everything() -> None:
        async with serving():
            async with Reader().reading() as first:
                await first.until("live")
            await asyncio.sleep(feed.LINGER_SECONDS + 1)
            await ask("quick")
            async with Reader().reading(after=first.last) as again:
                found = await again.until("live")
                assert [kind for kind, _ in found] == ["gap", "session", "scenario", "entry", "live"]
                assert found[0][1]["reason"] == "old"
            async with Reader().reading(after="of-another-server-7") as other:
                assert (await other.next())[1]["reason"] == "old"

    run(everything())


def test_a_reader_that_is_too_slow_gets_a_gap_and_the_present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fakellm.server.live.ring.MOST_BYTES", 2_000)
    monkeypatch.setattr("fakellm.server.live.ring.Ring.__init__.__defaults__", (2_000,))

    async def everything() -> None:
        async with serving(), Reader().reading(limit=2**10) as slow:
            await slow.until("live")
            for _ in range(700):  # more than the buffers on the way take
                await ask("quick " + "x" * 300)
            await asyncio.sleep(1)
            found = await slow.until("live")
            (gap,) = [data for kind, data in found if kind == "gap"]
            assert (gap["reason"], gap["shown"]) == ("slow", 700)
            assert [each["number"] for each in entries(found)][-1] == 700

    run(everything())


def test_a_request_that_cannot_be_shown_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def failing(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise RuntimeError("a bug")
        return facts_of(*arguments)

    async def everything() -> None:
        async with serving(), Reader().reading() as events:
            await events.until("live")
            monkeypatch.setattr(feed, "facts_of", failing)
            await ask("quick")
            assert [data["number"] for data in entries(await events.until("live"))] == [1]
            await ask("quick")
            assert (await events.until("entry"))[-1][1]["number"] == 2

    run(everything())
    assert "events are lost" in caplog.text


def test_a_session_has_its_own_events() -> None:
    async def everything() -> None:
        async with serving(), Reader().reading("/s/mine/_fakellm/events") as events:
            await events.until("live")
            await ask("quick")
            await ask("quick", "/s/mine/v1/chat/completions")
            found = await events.until("entry")
            assert {data["session"] for _, data in found} == {"mine"}

    run(everything())


def test_a_connection_without_events_is_kept_alive_and_ends_with_the_server() -> None:
    async def everything() -> None:
        async with serving():
            reader = Reader()
            async with reader.reading() as events:
                await events.until("live")
                asked = asyncio.create_task(events.until("entry"))
                await asyncio.sleep(2.5 * feed.KEEP_ALIVE_SECONDS)
                await ask("quick")
                await asked
                assert reader.comments == 2
            opened = Reader().reading()
            events = await opened.__aenter__()
            await events.until("live")
        assert await events.ends()
        await opened.__aexit__(None, None, None)

    run(everything())


def test_there_is_room_for_so_many_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST_WATCHING", 1)

    async def everything() -> None:
        async with serving():
            async with Reader().reading() as events:
                await events.until("live")
                async with Reader().reading() as other:
                    assert other.head.startswith("HTTP/1.1 503")
            async with Reader().reading() as events:
                await events.until("live")

    run(everything())


def test_secrets_are_not_in_events() -> None:
    async def everything() -> None:
        async with serving(), Reader().reading() as events:
            await events.until("live")
            key = "sk-proj-abcdefghijklmnop1234567890"
            await ask(f"quick: my key is {key}", f"/v1/chat/completions?key={key}")
            found = entries(await events.until("entry", outcome="sent"))
            assert key not in json.dumps(found)
            assert found[0]["user"].startswith("quick: my key is REDACTED")

    run(everything())


def test_a_file_that_is_saved_is_served_and_whoever_watches_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "POLL", 0.01)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.yaml"
    file.write_text("rules:\n- reply: {content: one}\n", encoding="utf-8")

    async def everything() -> None:
        reading = read([file])
        app = App(reading.scenario)
        app.edited = files = Files([file], reading)
        server = Server(app)
        await server.start(Listening("socket"))
        following = asyncio.create_task(follow(server, app, files))
        try:
            assert b"one" in await ask("Hi")
            async with Reader().reading() as events:
                await events.until("live")
                (shown,) = (await asyncio.to_thread(controls.called, app, "GET", "/_fakellm/file"))["files"]
                path = "/_fakellm/file?" + urlencode({"name": shown["name"], "version": shown["version"]})
                await asyncio.to_thread(
                    controls.called, app, "PUT", path, shown["text"].replace("one", "two and three")
                )
                await events.until("session", state="gone")
                assert b"two" in await ask("Hi")
                assert (await events.until("scenario"))[-1][1]["rules"] == 1
        finally:
            following.cancel()
            await server.stop(grace=0)

    asyncio.run(everything())  # threads read and write the file, for which virtual time does not wait


def test_nothing_is_observed_while_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(feed, "Observer", made.append)

    async def everything() -> None:
        async with serving():
            await ask("quick")
            await asyncio.sleep(5)

    run(everything())
    assert made == []
