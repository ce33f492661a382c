"""Servers that share their state in Redis have one journal, whichever of them received a request, and is read from."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakellm.server.scenario_app import App
from tests.redis_server import redis_server
from tests.test_redis_state import MORE, PROMPTS, SCENARIO, Client, Received, chat, fresh, in_loop, redis_app, served

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


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


async def journal_of(client: Client, session: str = "") -> Any:
    return without_times(await client.send("GET", f"{session}/_fakellm/journal"))


def test_the_journal_is_that_of_one_server(redis: str) -> None:
    """Read at either of two, whichever of them received each request."""
    sessions = count(1)
    with asyncio.Runner() as runner:

        @given(STEPS)
        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
        def law(steps: list[tuple[int, tuple[str, str, bytes | None]]]) -> None:
            runner.run(compared(f"/s/{next(sessions)}", steps))

        async def compared(session: str, steps: list[tuple[int, tuple[str, str, bytes | None]]]) -> None:
            for server, (method, path, body) in steps:
                expected, actual = [await each.send(method, session + path, body) for each in (one, both[server])]
                assert actual.status == expected.status
                if method == "GET":
                    assert without_times(actual) == without_times(expected)
            expected, *journals = [await journal_of(each, session) for each in (one, *both)]
            assert journals == [expected, expected]

        running = served(App(SCENARIO, seed=7, strict=True), redis_app(fresh(redis)), redis_app(redis))
        one, *both = runner.run(running.__aenter__())
        try:
            law()
        finally:
            runner.run(running.__aexit__(None, None, None))


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
