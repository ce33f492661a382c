"""Servers that share their state in Redis have one journal, whichever of them received a request, and is read from."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from fakellm.engine.entry import Entry, Kept
from fakellm.engine.state import Limits
from fakellm.server.redis_state import redis_state, servers
from fakellm.server.redis_state.backlog import Backlog, Lost, Unwritten
from fakellm.server.redis_state.redis_session import RedisSession
from fakellm.server.scenario_app import App
from fakellm.server.workers.reports import EntryReport, SessionName
from tests.conftest import chat as body_of
from tests.redis_server import Log, RedisProcess, for_all
from tests.test_redis_state import (
    MORE,
    PROMPTS,
    SCENARIO,
    Client,
    Received,
    Steps,
    chat,
    fresh,
    in_loop,
    redis_app,
    served,
)

STEPS = st.lists(
    st.tuples(
        st.sampled_from(range(2)),
        st.one_of(
            st.sampled_from(PROMPTS).map(lambda prompt: ("POST", "/v1/chat/completions", chat(prompt))),
            st.sampled_from(
                [
                    ("GET", "/v1/models", None),
                    ("POST", "/v1/chat/completions", b"{"),
                    ("POST", "/unknown", b"\xff"),
                    ("GET", "/_fakellm/journal", None),
                    ("POST", "/_fakellm/reset", None),
                    ("POST", "/_fakellm/rules?first=true", json.dumps(MORE).encode()),
                ]
            ),
        ),
    ),
    min_size=2,
    max_size=12,
)
TIMES = ("started", "ended", "late_ms")


def without_times(journal: Received) -> Any:
    """A journal, without what depends on clocks and on the port."""
    found = json.loads(journal.body)
    for entry in found.get("entries", ()):
        for name in TIMES:
            del entry[name]
        del entry["headers"]["host"]
    return found


@contextmanager
def process(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its address."""
    command = [sys.executable, "-m", "fakellm", "serve", *options, "--port", "0", "--ready", "json", "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield server, json.loads(server.stdout.readline())["url"]
        finally:
            server.kill()


async def journal_of(client: Client, session: str = "") -> Any:
    return without_times(await client.send("GET", f"{session}/_fakellm/journal"))


async def same_journal(clients: list[Client], session: str, steps: Steps) -> None:
    """The first server has the same journal as each of the others."""
    one, *both = clients
    for server, (method, path, body) in steps:
        expected, actual = [await each.send(method, session + path, body) for each in (one, both[server])]
        assert actual.status == expected.status
        if method == "GET":
            assert without_times(actual) == without_times(expected)
    expected, *journals = [await journal_of(each, session) for each in clients]
    assert journals == [expected, expected]


def test_the_journal_is_that_of_one_server(redis: str) -> None:
    """Read at either of two, whichever of them received each request."""
    for_all(STEPS, served(App(SCENARIO, seed=7, strict=True), redis_app(fresh(redis)), redis_app(redis)), same_journal)


@in_loop
async def test_whoever_waits_gets_a_request_to_another_server_with_its_reply(redis: str) -> None:
    query = json.dumps({"when": {"user": "plain"}, "outcome": "sent", "count": 2, "wait": 60}).encode()
    async with served(redis_app(fresh(redis)), redis_app(redis), redis_app(redis)) as (first, second, third):
        waiting = asyncio.ensure_future(first.send("POST", "/s/a/_fakellm/journal", query))
        await second.chat("plain", "a")
        await third.chat("plain", "a")
        entries = without_times(await waiting)["entries"]
    assert [(entry["number"], entry["reply"]["text"]) for entry in entries] == [(1, "Hello"), (2, "Hello")]


@in_loop
async def test_a_reset_empties_the_journals_of_all_servers(redis: str) -> None:
    async with served(redis_app(fresh(redis)), redis_app(redis)) as (first, second):
        for each in (first, second):
            await each.chat("plain")
        assert len((await journal_of(second))["entries"]) == 2
        await first.send("POST", "/_fakellm/reset")
        await second.chat("number")
        for each in (first, second):
            assert [(entry["number"], entry["rule"]) for entry in (await journal_of(each))["entries"]] == [
                (1, "number")
            ]


@in_loop
async def test_only_so_many_bytes_are_kept_and_the_oldest_are_counted(redis: str) -> None:
    """Of all sessions together; each server has the same of them, whenever it reads."""
    limits = Limits(journal_bytes=110_000)
    long = chat("number " + "x" * 20_000)
    async with served(redis_app(fresh(redis), limits), redis_app(redis, limits)) as clients:
        first, second = clients
        await first.chat("unknown", "a")
        await second.chat("plain", "a")
        assert len((await journal_of(first, "/s/a"))["entries"]) == 2
        for number in range(6):
            await clients[number % 2].send("POST", "/v1/chat/completions", long)
        journals = [await journal_of(each) for each in clients]
        for each in clients:
            other = await journal_of(each, "/s/a")
            assert other == {"entries": [], "dropped": 2, "dropped_unmatched": 1, "dropped_rules": ["plain"]}
        with Redis.from_url(redis) as direct:
            assert 80_000 < int(direct.get("fakellm:journals:size")) <= limits.journal_bytes
            assert all(0 < direct.ttl(key) <= redis_state.SESSION_SECONDS for key in direct.keys("fakellm:journal*"))
    assert journals[0] == journals[1]
    assert [entry["number"] for entry in journals[0]["entries"]] == [3, 4, 5, 6]
    assert (journals[0]["dropped"], journals[0]["dropped_rules"]) == (2, ["number"])


@in_loop
async def test_a_server_holds_no_more_of_what_it_has_read_than_redis_keeps(redis: str) -> None:
    limits = Limits(journal_bytes=110_000)
    apps = [redis_app(fresh(redis), limits), redis_app(redis, limits)]
    long = chat("plain " + "x" * 20_000)
    async with served(*apps) as (first, second):
        for session in ("/s/a", "/s/b"):
            for _ in range(4):
                await second.send("POST", f"{session}/v1/chat/completions", long)
            assert len((await journal_of(first, session))["entries"]) == 4
            assert apps[0].held()["journal_bytes"][0] <= limits.journal_bytes
        again, other = [await journal_of(each, "/s/a") for each in (first, second)]
    assert again == other
    assert again["dropped"] == 4 - len(again["entries"]) > 0


@in_loop
async def test_what_was_answered_while_redis_was_down_is_written_when_it_is_back(
    own_redis: Callable[[bool], RedisProcess], log: Log
) -> None:
    redis = own_redis(True)
    async with served(redis_app(redis.url), redis_app(redis.url)) as (first, second):
        await first.chat("plain")
        await second.chat("number")
        redis.kill()
        assert [(await each.chat("plain")).status for each in (first, second, first)] == [200, 200, 200]
        for path in ("journal", "unused", "requests/1", "sessions"):
            refused = await first.send("GET", f"/_fakellm/{path}")
            assert (refused.status, refused.code) == (503, "state_unavailable")
        redis.start()
        await log.has("can be reached again", 2)
        journals = [await journal_of(each) for each in (first, second)]
    assert journals[0] == journals[1]
    assert [entry["rule"] for entry in journals[0]["entries"]] == ["plain", "number", "plain", "plain", "plain"]


@in_loop
async def test_what_a_server_cannot_keep_while_redis_is_down_is_counted(
    own_redis: Callable[[bool], RedisProcess], log: Log
) -> None:
    redis = own_redis(True)
    async with served(redis_app(redis.url, Limits(journal_bytes=100_000))) as (client,):
        await client.chat("plain")
        await journal_of(client)
        redis.kill()
        await client.chat("plain")
        long = chat("unknown " + "x" * 20_000)
        for _ in range(6):
            assert (await client.send("POST", "/v1/chat/completions", long)).status == 404
        redis.start()
        await log.has("can be reached again")
        journal = await journal_of(client)
    kept = len(journal["entries"])
    assert (journal["dropped"], journal["dropped_unmatched"], journal["dropped_rules"]) == (
        8 - kept,
        6 - kept,
        ["plain"],
    )
    assert 2 < kept < 6
    assert any(line.startswith("journal entries dropped before they were written to Redis: ") for line in log.lines)


@in_loop
async def test_whoever_watches_one_server_sees_what_happens_on_the_others(redis: str) -> None:
    async with served(redis_app(fresh(redis)), redis_app(redis)) as (first, second):
        await second.chat("plain", "before")
        async with first.http.get(first.url + "/_fakellm/events") as events:
            found = []
            async for line in events.content:
                if line == b"event: live\n":
                    await second.chat("number", "after")
                elif b'"outcome":"sent"' in line:
                    entry = json.loads(line.removeprefix(b"data: "))
                    found.append((entry["session"], entry["number"], entry["rule"], entry["user"]))
                    if len(found) == 2:
                        break
        listed = json.loads((await first.send("GET", "/_fakellm/sessions")).body)["sessions"]
    assert found == [("before", 1, "plain", "plain"), ("after", 1, "number", "number")]
    assert {each["session"]: each["requests"] for each in listed} == {"": 0, "before": 1, "after": 1}


@in_loop
async def test_replies_under_way_are_those_of_all_servers_and_end_with_their_server(redis: str, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text("rules: [{reply: {content: a b}, stream: {split: words}, timing: {gap: 3600}}]")
    query = json.dumps({"outcome": "server stopped", "wait": 60}).encode()
    with process(str(file), "--state", fresh(redis)) as (server, address):
        async with (
            served(redis_app(redis)) as (client,),
            client.http.post(
                f"{address}/v1/chat/completions",
                data=body_of(messages=[{"role": "user", "content": "Hi"}], stream=True),
            ) as reply,
        ):
            await reply.content.readany()
            (entry,) = (await journal_of(client))["entries"]
            assert (entry["outcome"], entry["status"]) == ("sending", 200)
            assert 0 < entry["frames_sent"] < entry["frames"]
            waiting = asyncio.ensure_future(client.send("POST", "/_fakellm/journal", query))
            server.kill()
            (entry,) = without_times(await waiting)["entries"]
    assert entry["number"] == 1


@in_loop
async def test_a_server_that_stands_still_is_waited_for_once_and_named(
    redis: str, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(redis_app(fresh(redis))) as (client,):
        with Redis.from_url(redis) as direct, direct.pubsub() as still:
            still.subscribe("fakellm:0:changes:still")
            still.get_message(timeout=5)
            monkeypatch.setattr(servers, "ANSWER_SECONDS", 0.05)
            await client.chat("plain")
            assert len((await journal_of(client))["entries"]) == 1
            assert [line for line in log.lines if line.endswith("received last: still")]
            monkeypatch.setattr(servers, "ANSWER_SECONDS", 3600)
            assert len((await journal_of(client))["entries"]) == 1


@in_loop
async def test_a_reply_that_stalls_is_read_before_its_client_leaves(redis: str) -> None:
    fault = {"kind": "stall", "frame": 1}
    rule = {"reply": {"content": "a b"}, "stream": {"split": "words"}, "fault": fault}
    query = json.dumps({"outcome": "stalled", "wait": 60}).encode()
    body = body_of(messages=[{"role": "user", "content": "Hi"}], stream=True)
    async with served(redis_app(fresh(redis)), redis_app(redis)) as (first, second):
        await first.send("PUT", "/_fakellm/scenario", json.dumps({"rules": [rule]}).encode())
        async with second.http.post(second.url + "/v1/chat/completions", data=body) as reply:
            await reply.content.readany()
            (entry,) = without_times(await first.send("POST", "/_fakellm/journal", query))["entries"]
    assert (entry["reply"]["kept"], entry["reply"]["whole"]) == (True, False)


@in_loop
async def test_an_entry_that_cannot_be_read_is_an_empty_one(redis: str, log: Log) -> None:
    async with served(redis_app(fresh(redis)), redis_app(redis)) as (first, second):
        for prompt in ("plain", "number", "script"):
            await first.chat(prompt)
        await journal_of(first)
        with Redis.from_url(redis) as direct:
            (field,) = [
                name.replace(b"n", b"q", 1)
                for name, value in direct.hgetall("fakellm:journal:entries:").items()
                if name.startswith(b"n") and value == b"2"
            ]
            direct.hset("fakellm:journal:entries:", field, b"?")
        for _ in range(2):
            entries = json.loads((await second.send("GET", "/_fakellm/journal")).body)["entries"]
            assert [(each["number"], each["rule"]) for each in entries] == [(1, "plain"), (2, None), (3, "script")]
    assert sum("an entry that cannot be read" in line for line in log.lines) == 1


@in_loop
async def test_what_is_lost_while_redis_learns_of_other_losses_is_counted(redis: str) -> None:
    app = redis_app(fresh(redis))
    async with served(app) as (client,):
        copy, written = app.copies.find(""), app.copies.journals
        assert isinstance(copy, RedisSession)
        session = SessionName("", copy.serial)
        written._backlog.lose_again(session, Lost(3))
        writing = asyncio.ensure_future(written.write())
        await asyncio.sleep(0)  # until it waits for Redis
        written._backlog.lose_again(session, Lost(5))
        await writing
        assert (await journal_of(client))["dropped"] == 8


@in_loop
async def test_a_session_that_redis_has_lost_starts_anew_everywhere_and_its_entries_count_as_lost(
    redis: str, log: Log
) -> None:
    """Although the connections stay, and no request needs Redis."""
    scenario = {"rules": [{"name": "own", "reply": {"content": "Own"}}]}
    async with served(redis_app(fresh(redis)), redis_app(redis)) as (first, second):
        for lose, dropped in ((b"fakellm:session:a", 5), (None, 2)):
            await first.send("PUT", "/s/a/_fakellm/scenario", json.dumps(scenario).encode())
            assert (await second.chat("plain", "a")).content == "Own"
            assert [(await each.chat("unknown", "a")).content for each in (first, second)] == ["Own", "Own"]
            assert len((await journal_of(first, "/s/a"))["entries"]) == 3
            with Redis.from_url(redis) as direct:
                direct.delete(lose) if lose else direct.flushall()
            before = len(log.lines)
            assert [(await each.chat("plain", "a")).content for each in (first, second)] == ["Own", "Own"]
            journal = await journal_of(first, "/s/a")
            assert (journal["entries"], journal["dropped"], journal["dropped_rules"]) == ([], dropped, ["own"])
            assert (await second.chat("plain", "a")).content == "Hello"
            assert {line for line in log.lines[before:] if "lost" in line} == {
                "Redis has lost the session 'a', which starts anew; its journal counts lost entries"
            }
            assert (await first.send("POST", "/s/a/_fakellm/reset")).status == 200
            journal = await journal_of(second, "/s/a")
            assert (journal["entries"], journal["dropped"], journal["dropped_rules"]) == ([], 0, [])


@in_loop
async def test_replies_under_way_are_written_again_although_others_are_being_written(redis: str) -> None:
    """When Redis can be reached again."""
    app = redis_app(fresh(redis))
    rule = {"reply": {"content": "a b"}, "stream": {"split": "words"}, "timing": {"step": True}}
    body = body_of(messages=[{"role": "user", "content": "Hi"}], stream=True)
    async with served(app) as (client,):
        await client.send("PUT", "/_fakellm/scenario", json.dumps({"rules": [rule]}).encode())
        async with client.http.post(client.url + "/v1/chat/completions", data=body):
            await journal_of(client)
            with Redis.from_url(redis) as direct:
                (state,) = [
                    key for key in direct.hkeys("fakellm:journal:entries:") if key[:2] != b"se" and key[:1] == b"s"
                ]
                direct.hdel("fakellm:journal:entries:", state)
                written = app.copies.journals
                written._write_soon()
                written.connected()
                assert written._write_task
                await written._write_task
                assert direct.hexists("fakellm:journal:entries:", state)


@in_loop
async def test_a_reply_has_ended_although_redis_has_refused_to_learn_it(redis: str, log: Log) -> None:
    """Whoever reads next learns it, at each server."""
    rule = {"reply": {"content": "a b"}, "stream": {"split": "words"}, "timing": {"step": True}}
    body = body_of(messages=[{"role": "user", "content": "Hi"}], stream=True)
    async with served(redis_app(fresh(redis)), redis_app(redis)) as (first, second):
        await first.send("PUT", "/_fakellm/scenario", json.dumps({"rules": [rule]}).encode())
        async with first.http.post(first.url + "/v1/chat/completions", data=body) as reply:
            (entry,) = (await journal_of(second))["entries"]
            assert entry["outcome"] == "sending"
            with Redis.from_url(redis) as direct:
                direct.config_set("maxmemory", 1)
                try:
                    assert (await first.send("POST", "/_fakellm/step?frames=all")).status in (200, 503)
                    await reply.read()
                    await log.has("refuses a command")
                finally:
                    direct.config_set("maxmemory", 0)
        journals = [await journal_of(each) for each in (second, first)]
    assert journals[0] == journals[1]
    assert [(each["outcome"], each["frames_sent"]) for each in journals[0]["entries"]] == [("sent", entry["frames"])]


@given(
    st.lists(st.tuples(st.sampled_from(["put", "refuse", "put and refuse", "write"]), st.integers(1, 3)), max_size=30)
)
def test_redis_has_the_last_of_each_entry_once_it_refuses_no_more(steps: list[tuple[str, int]]) -> None:
    backlog, written, last = Backlog(10**6, lambda: None), dict[int, int](), dict[int, int]()
    session = SessionName("", "1")
    for number in range(1, 4):
        entry = Entry("POST", "/")
        backlog.notify("reports", [EntryReport(number, session, entry, Kept(b""), False)])

    def write(items: list[Unwritten]) -> None:
        written.update((each.number, each.entry.frames_sent) for each in items if each.entry)

    write(backlog.take(10**6, 3))
    for place, (step, number) in enumerate(steps, 1):
        taken = [] if step == "put" else backlog.take(10**6, number)
        if "put" in step:
            entry = Entry("POST", "/", frames_sent=place)
            last[number] = place
            backlog.notify("reports", [EntryReport(number, None, entry, None, False)])
        if "refuse" in step:
            backlog.lose(taken)
        elif step == "write":
            write(taken)
            backlog.restore()
    backlog.restore()
    write(backlog.take(10**6, 9))
    assert last.items() <= written.items()
    assert not backlog
