"""Quotas that servers share in Redis: the same arithmetic, the same replies as from one server, and nothing held for
ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from itertools import count
from math import inf
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from redis import Redis

import fakellm
from fakellm.engine.response import Work
from fakellm.engine.state import Admission, Limits, still
from fakellm.quotas.buckets import Quotas
from fakellm.quotas.quota import Demand, Standing
from fakellm.quotas.rate_limits import MOST_UNITS, Allowance, RateLimit
from fakellm.server.application import HttpRequest
from fakellm.server.redis_state import journals, redis_state
from fakellm.server.redis_state.journal_scripts import ASK
from fakellm.server.redis_state.link import RedisLink
from fakellm.server.redis_state.quotas import shared_quotas
from fakellm.server.redis_state.quotas.holdings import LEASE_SECONDS
from fakellm.server.redis_state.quotas.quota_scripts import GIVE_BACK
from fakellm.server.redis_state.quotas.shared_quotas import Case, SharedQuotas, keys
from fakellm.server.redis_state.redis_app import RedisApp
from fakellm.server.redis_state.redis_session import RedisSession
from fakellm.server.redis_state.scripts import OPEN
from fakellm.server.scenario_app import App
from tests.conftest import chat as body_of
from tests.redis_server import RedisProcess, for_all, logged
from tests.test_redis_state import Client, chat, fresh, in_loop, same, served

SCENARIO = fakellm.load(
    {
        "limits": [
            {"per_minute": {"requests": 6, "tokens": 90}, "per_day": {"output_tokens": 90}},
            {"by": "model", "concurrent": 1},
        ],
        "rules": [
            {"when": {"user": "plain"}, "reply": {"content": "Hello"}},
            {"when": {"user": "stepped"}, "reply": {"content": "Hello"}, "timing": {"step": True}},
            {"when": {"user": "number"}, "reply": {"content": "Attempt {{attempt}}", "template": True}},
            {
                "when": {"user": "script"},
                "script": [{"reply": {"content": "One"}}, {"reply": {"content": "One more reply"}}],
            },
            {
                "when": {"user": "flaky"},
                "reply": {"content": "Fine"},
                "fault": {"kind": "status", "status": 500, "times": 2},
            },
        ],
    }
)
CHAT = ("POST", "/v1/chat/completions")


def redis_app(url: str, scenario: fakellm.Scenario = SCENARIO, real_time: bool = False) -> RedisApp:
    return RedisApp(scenario, seed=7, strict=True, api_keys=(), limits=Limits(), url=url, real_time=real_time)


class Pair:
    """Quotas in Redis, and those of one server."""

    def __init__(self, quotas: SharedQuotas, link: RedisLink, name: str, serial: str) -> None:
        self._shared = quotas
        self._link = link
        self._name = name
        self._serial = serial
        self._one = Quotas(most=3)
        self._passed = 0
        self._held: list[tuple[Admission, Sequence[Demand]]] = []

    async def take(self, demands: Sequence[Demand]) -> None:
        attempted = await self._shared.take(self._name, self._serial, None, [Case(1, inf, demands)])
        assert attempted
        admission, now = attempted.admission, still() + self._passed
        assert admission
        assert admission.standing == Standing(self._one.take("", demands, now), now)
        if admission.give_back:
            self._held.append((admission, demands))

    async def give_back(self) -> None:
        for admission, demands in self._held:
            assert admission.give_back
            admission.give_back()
            self._one.give_back("", demands)
        self._held.clear()

    async def advance(self, milliseconds: int) -> None:
        await self._shared.holdings.settled()  # or the next take brings what has been given back
        self._passed += milliseconds
        assert await self._shared.advance(self._name, self._serial, milliseconds) == self._passed


PERIODS = st.sampled_from([0, 1, 7, 60_000, 86_399_999, 86_400_000])
LIMITS = st.one_of(st.integers(1, 9), st.integers(1, MOST_UNITS), st.just(MOST_UNITS))


@st.composite
def demanded(draw: st.DrawFn) -> list[Demand]:
    """Of some quotas, which differ in their periods; one may have another limit later."""
    found = []
    for period in draw(st.lists(PERIODS, min_size=1, max_size=4, unique=True)):
        limit = draw(LIMITS)
        if period:
            near = st.sampled_from((0, 1, limit - 1, limit))
            amount = draw(st.one_of(near, st.integers(0, limit), st.integers(0, 10**20)))
            found.append(Demand((str(period),), "tokens", limit, period, amount))
        else:
            found.append(Demand((), "concurrent", limit, 0, draw(st.integers(1, 2))))
    return found


PASSED = st.one_of(*(st.integers(0, most) for most in (100, 86_400_000, 10**12, 3 * 10**14)))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), demanded()), st.tuples(st.just("advance"), PASSED), st.tuples(st.just("give_back"))
    ),
    max_size=12,
)


def test_redis_computes_as_one_server_does(redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_quotas, "MOST_QUOTAS", 3)
    names = map(str, count())

    async def nothing(*_content: object) -> None:
        pass

    link = RedisLink(fresh(redis), nothing, nothing)
    quotas = SharedQuotas(link, 100, Limits(), False)

    async def compared(steps: list[tuple[Any, ...]]) -> None:
        name = next(names)
        serial = (await link.call(OPEN, [keys(name)[0], "serials"], 100))[0]
        pair = Pair(quotas, link, name, serial)
        for step, *content in steps:
            await getattr(pair, step)(*content)
        await pair.give_back()
        await quotas.holdings.settled()

    with asyncio.Runner() as runner:

        @given(STEPS)
        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        def law(steps: list[tuple[Any, ...]]) -> None:
            runner.run(compared(steps))

        runner.run(link.start())
        try:
            law()
        finally:
            runner.run(link.stop())


REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(range(2)),
        st.one_of(
            st.sampled_from(("plain", "number", "script", "flaky", "unknown")).map(
                lambda prompt: (*CHAT, chat(prompt))
            ),
            st.sampled_from(
                [
                    ("POST", "/_fakellm/advance?seconds=7.5", None),
                    ("POST", "/_fakellm/advance?seconds=3600", None),
                    ("POST", "/_fakellm/reset", None),
                    ("GET", "/_fakellm/scripts", None),
                ]
            ),
        ),
    ),
    min_size=4,
    max_size=20,
)


def test_two_servers_behave_like_one(redis: str) -> None:
    """Whichever of them receives each request: also one request at a time where only one may be under way."""
    scenario = replace(SCENARIO, limits=(*SCENARIO.limits, RateLimit(per_minute=Allowance(requests=2))))
    apps = (redis_app(url, scenario) for url in (fresh(redis), redis))
    for_all(REQUESTS, served(App(scenario, seed=7, strict=True), *apps), same)


def calls(url: str) -> int:
    """How often Redis has run a script."""
    with Redis.from_url(url) as direct:
        stats = direct.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))


@in_loop
async def test_a_request_that_counts_and_is_limited_takes_one_round_trip(
    redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the other server has counted some in the meantime. Here, journals are written once in a year."""
    monkeypatch.setattr(journals, "BATCH_MILLISECONDS", 365 * 86_400_000)
    scenario = replace(SCENARIO, limits=(RateLimit(per_day=Allowance(tokens=10_000)),))
    async with served(redis_app(fresh(redis), scenario), redis_app(redis, scenario)) as (first, second):
        for client in (first, second):  # Redis gets the scripts
            await client.chat("plain")
            await client.send("GET", "/_fakellm/journal")
        for prompt in ("plain", "number", "script", "flaky"):
            before = calls(redis)
            for client in (first, first, second, second, first, second, first):
                await client.chat(prompt)
            assert calls(redis) == before + 7, prompt
        replies = await asyncio.gather(*(client.chat("number") for client in (first, second) for _ in range(20)))
    assert sorted(each.content for each in replies) == sorted(f"Attempt {number}" for number in range(8, 48))


@in_loop
async def test_time_passes_for_all_servers(redis: str) -> None:
    async with served(redis_app(fresh(redis)), redis_app(redis)) as (first, second):
        for _ in range(6):
            assert (await first.chat("plain")).status == 200
        assert (await second.chat("plain")).status == 429
        passed = await first.send("POST", "/_fakellm/advance?seconds=10")
        assert json.loads(passed.body) == {"advanced": 10.0}
        assert [(await second.chat("plain")).status for _ in range(2)] == [200, 429]
        passed = await second.send("POST", "/_fakellm/advance?seconds=0.5")
        assert json.loads(passed.body) == {"advanced": 10.5}
        await first.chat("plain")
        journal = json.loads((await second.send("GET", "/_fakellm/journal")).body)
        assert [entry["advanced"] for entry in journal["entries"]] == [0.0] * 7 + [10.0] * 2 + [10.5]


@in_loop
async def test_a_request_that_quotas_refuse_leaves_a_fault_to_the_next(redis: str) -> None:
    async with served(redis_app(fresh(redis)), redis_app(redis)) as (first, second):
        assert await statuses(*[first] * 6) == [200] * 6
        await first.send("PUT", "/_fakellm/fault", b'{"fault": {"kind": "status", "status": 418}}')
        assert await statuses(second) == [429]
        await second.send("POST", "/_fakellm/advance?seconds=60")
        assert await statuses(first, second) == [418, 200]


@in_loop
async def test_so_much_time_that_numbers_would_not_be_exact_does_not_pass(
    redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_quotas, "_MOST_PASSED", 1_000_000)
    async with served(redis_app(fresh(redis))) as (client,):
        statuses = [(await client.send("POST", "/_fakellm/advance?seconds=600")).status for _ in range(2)]
    assert statuses == [200, 400]


@in_loop
async def test_real_time_is_that_of_redis(redis: str) -> None:
    async with served(redis_app(fresh(redis), real_time=True)) as (client,):
        await client.send("POST", "/_fakellm/advance?seconds=3600")
        body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "plain"}]}).encode()
        reply = await client.send("POST", "/v1/messages", body, **{"anthropic-version": "2023-06-01"})
        with Redis.from_url(redis) as direct:
            now = direct.time()[0] + 3600
    reset = datetime.fromisoformat(dict(reply.headers)["anthropic-ratelimit-requests-reset"]).timestamp()
    assert now <= reset <= now + 60 + 3600


@asynccontextmanager
async def under_way(client: Client, model: str = "m") -> AsyncIterator[aiohttp.ClientResponse]:
    """A reply that waits for a step."""
    body = body_of(model=model, messages=[{"role": "user", "content": "stepped"}], stream=True)
    async with client.http.post(client.url + "/v1/chat/completions", data=body) as response:
        assert response.status == 200
        yield response


async def statuses(*clients: Client, model: str = "m") -> list[int]:
    body = body_of(model=model, messages=[{"role": "user", "content": "plain"}])
    return [(await client.send(*CHAT, body)).status for client in clients]


@in_loop
async def test_what_a_reply_holds_comes_back_however_it_ends(redis: str) -> None:
    async with served(redis_app(fresh(redis)), redis_app(redis)) as (first, second):
        async with under_way(first) as response:
            assert await statuses(first, second) == [429, 429]
            await first.send("POST", "/_fakellm/step?frames=all")
            await response.read()
        assert await statuses(second) == [200]
        async with under_way(second) as response:
            assert await statuses(first) == [429]
            response.close()  # the client leaves
            body = b'{"outcome": "client left", "wait": 30}'
            assert (await second.send("POST", "/_fakellm/journal", body)).status == 200
        assert await statuses(first) == [200]


@in_loop
async def test_a_request_is_refused_only_after_all_servers_have_given_back_what_has_ended(
    redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here, what gives it back leaves a server only when the other one has found out that it does not fit."""
    found_out = asyncio.Event()
    first, second = redis_app(fresh(redis)), redis_app(redis)
    for app in (first, second):
        link: RedisLink = app.copies._link
        monkeypatch.setattr(link, "call", partial(delayed, link.call, found_out))
    async with served(first, second) as clients:
        found = await statuses(*clients)
        found_out.set()
    assert found == [200, 200]


async def delayed(
    call: Callable[..., Awaitable[Any]], found_out: asyncio.Event, script: str, *content: Any, **options: Any
) -> Any:
    if script is ASK:
        found_out.set()
    elif script is GIVE_BACK:
        await found_out.wait()
    return await call(script, *content, **options)


@in_loop
async def test_what_a_request_gives_back_for_others_is_not_lost_with_its_client(redis: str) -> None:
    app = redis_app(fresh(redis))
    async with served(app):
        session = app.copies.find("")
        assert isinstance(session, RedisSession)
        held = Demand(("held",), "concurrent", 2, 0, 1)
        first, second = [await session.take([held]) for _ in range(2)]
        for admission in (first, second):
            assert admission.give_back
            admission.give_back()
            await asyncio.sleep(0)  # Redis is being informed of the first
        taking = asyncio.ensure_future(session.take([Demand(("used",), "requests", 9, 60_000, 1)]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # it informs Redis of the second
        taking.cancel()
        await asyncio.wait([taking, *app.copies._tasks])
        await app.copies.quotas.holdings.settled()
        left = (await session.take([replace(held, amount=2)])).standing.left
    assert [each.wait for each in left] == [0]


@in_loop
async def test_a_server_that_is_gone_holds_nothing_for_long(redis: str) -> None:
    first, second = redis_app(fresh(redis)), redis_app(redis)
    async with served(first, second) as clients:
        with Redis.from_url(redis) as direct:
            async with under_way(clients[0]):
                (held,) = direct.keys("fakellm:held:*")
                assert 0 < direct.ttl(held) <= LEASE_SECONDS
                direct.expire(held, 1)
                await first.copies.quotas.holdings.renew()
                assert direct.ttl(held) > 1
                direct.delete(held)  # as if its time were over
                assert await statuses(clients[1]) == [200]
                await first.copies.quotas.holdings.renew()  # it is not gone after all
                assert await statuses(clients[1]) == [429]
                kept = direct.keys("fakellm:[cqoh]*")
                assert all(0 < direct.ttl(key) <= redis_state.SESSION_SECONDS for key in kept)


@in_loop
async def test_while_redis_is_down_limited_requests_are_refused_and_what_ends_is_given_back(
    own_redis: Callable[[bool], RedisProcess],
) -> None:
    redis = own_redis(True)
    apps = [redis_app(redis.url) for _ in range(2)]
    with logged() as log:
        async with served(*apps) as (first, second):
            async with under_way(first, "a") as ending, under_way(second, "b") as going_on:
                redis.kill()
                for each in (first, second):
                    assert (await each.chat("plain")).code == "state_unavailable"
                assert (await first.send("POST", "/_fakellm/advance?seconds=1")).code == "state_unavailable"
                await first.send("POST", "/_fakellm/step?frames=all")
                await ending.read()
                redis.start()
                await log.has("can be reached again", 2)
                assert await statuses(first, second, model="a") == [200, 200]
                assert await statuses(first, second, model="b") == [429, 429]
                await second.send("POST", "/_fakellm/step?frames=all")
                await going_on.read()
            assert await statuses(first, second, model="b") == [200, 200]


@in_loop
async def test_no_time_passes_for_a_request_whose_work_is_not_done(
    redis: str, recwarn: pytest.WarningsRecorder
) -> None:
    app = redis_app(fresh(redis))
    async with served(app) as (client,):
        outcome, _ = app.handle(HttpRequest("POST", "/_fakellm/advance?seconds=5"))
        assert isinstance(outcome, Work)
        del outcome
        passed = await client.send("POST", "/_fakellm/advance?seconds=1")
    assert json.loads(passed.body) == {"advanced": 1.0}
    assert not [each for each in recwarn if "never awaited" in str(each.message)]
