"""Several servers that share their state in Redis behave like one: the same bytes, the same counts, the same scenario."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from click.testing import CliRunner
from hypothesis import strategies as st
from redis import Redis

import fakellm
from fakellm.base.errors import RequestError, ServerError
from fakellm.cli.serve_command import command
from fakellm.engine.engine import Engine
from fakellm.engine.response import Response
from fakellm.engine.state import Limits
from fakellm.server.connections.listening import listen
from fakellm.server.control.next_fault import read_fault
from fakellm.server.http_server import Server
from fakellm.server.offload import offload
from fakellm.server.redis_state import journals, link, redis_state, servers
from fakellm.server.redis_state.redis_app import RedisApp
from fakellm.server.redis_state.redis_server import RedisServer
from fakellm.server.redis_state.shared_fault import SharedFault
from fakellm.server.scenario_app import App
from tests.conftest import chat as body_of
from tests.redis_server import Log, RedisProcess, for_all

RULES: list[dict[str, Any]] = [
    {"name": "plain", "when": {"user": "plain"}, "reply": {"content": "Hello"}},
    {"name": "number", "when": {"user": "number"}, "reply": {"content": "Attempt {{attempt}}", "template": True}},
    {
        "name": "script",
        "when": {"user": "script"},
        "script": [{"reply": {"content": "One"}}, {"reply": {"content": "Two"}}],
    },
    {
        "name": "flaky",
        "when": {"user": "flaky"},
        "reply": {"content": "Fine"},
        "fault": {"kind": "status", "status": 429, "times": {"count": 2, "by": "session"}},
    },
    {
        "name": "then",
        "when": {"user": "then"},
        "reply": {"content": "Wait"},
        "then": [{"reply": {"content": "Done"}}],
    },
]
SCENARIO = fakellm.load({"scenario": "shared", "rules": RULES})
OTHER = {
    "scenario": "other",
    "rules": [{"when": {"user": "number"}, "reply": {"content": "Other {{attempt}}", "template": True}}],
}
MORE = {"rules": [{"when": {"user": "more"}, "reply": {"content": "More {{attempt}}", "template": True}}]}
FAULT = b'{"fault": {"kind": "status", "status": 418}, "requests": 2}'
PROMPTS = ("plain", "more", "number", "number 2", "script", "flaky", "then", "unknown")


def chat(prompt: str) -> bytes:
    return body_of(messages=[{"role": "user", "content": prompt}])


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test, run in an event loop."""

    @wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


class Received(NamedTuple):
    """What a client received."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def content(self) -> str:
        return str(json.loads(self.body)["choices"][0]["message"]["content"])

    @property
    def left(self) -> dict[str, str]:
        """What the headers state of quotas."""
        return {name: value for name, value in self.headers if name.startswith(("x-ratelimit-", "retry-"))}

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["error"]["code"])


class Client:
    """A client of one server."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url

    async def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Received:
        async with self.http.request(method, self.url + path, data=body, headers=headers) as response:
            return Received(response.status, tuple(response.headers.items()), await response.read())

    async def chat(self, prompt: str, session: str = "") -> Received:
        return await self.send("POST", f"{session and '/s/'}{session}/v1/chat/completions", chat(prompt))


def redis_app(url: str, limits: Limits = Limits()) -> RedisApp:  # noqa: B008 # it is frozen
    return RedisApp(SCENARIO, seed=7, strict=True, api_keys=(), limits=limits, url=url)


@asynccontextmanager
async def served(*apps: App) -> AsyncIterator[list[Client]]:
    servers = [RedisServer(app) if isinstance(app, RedisApp) else Server(app) for app in apps]
    async with aiohttp.ClientSession() as http:
        try:
            yield [Client(http, await server.start(listen("127.0.0.1", 0))) for server in servers]
        finally:
            for server in servers:
                await server.stop(0)


def fresh(url: str) -> str:
    """The URL, after its database was emptied."""
    with Redis.from_url(url) as redis:
        redis.flushall()
    return url


STEPS = st.lists(
    st.tuples(
        st.sampled_from(range(2)),
        st.one_of(
            st.sampled_from(PROMPTS).map(lambda prompt: ("POST", "/v1/chat/completions", chat(prompt))),
            st.sampled_from(
                [
                    ("GET", "/_fakellm/scripts", None),
                    ("GET", "/_fakellm/scenario", None),
                    ("POST", "/_fakellm/reset", None),
                    ("PUT", "/_fakellm/scenario?strict=true", json.dumps(OTHER).encode()),
                    ("POST", "/_fakellm/rules?first=true", json.dumps(MORE).encode()),
                    ("PUT", "/_fakellm/fault", FAULT),
                    ("GET", "/_fakellm/fault", None),
                    ("DELETE", "/_fakellm/fault", None),
                ]
            ),
        ),
    ),
    min_size=4,
    max_size=16,
)


Steps = list[tuple[int, tuple[str, str, bytes | None]]]
"""Each with the server that receives the request."""


async def same(clients: list[Client], session: str, steps: Steps) -> None:
    """The first server sends the same as the others together."""
    one, *both = clients
    for server, (method, path, body) in steps:
        expected = await one.send(method, session + path, body)
        assert await both[server].send(method, session + path, body) == expected, (server, path, body)


def test_two_servers_behave_like_one(redis: str) -> None:
    """Whichever of them receives each request."""
    single = App(SCENARIO, seed=7, strict=True)
    for_all(STEPS, served(single, redis_app(fresh(redis)), redis_app(redis)), same)


@in_loop
async def test_every_request_has_a_number_of_its_own(redis: str) -> None:
    async with served(redis_app(fresh(redis)), redis_app(redis)) as clients:
        replies = await asyncio.gather(*(clients[number % 2].chat("number") for number in range(60)))
    assert sorted(reply.content for reply in replies) == sorted(f"Attempt {number}" for number in range(1, 61))


@in_loop
async def test_a_change_holds_for_all_servers_before_it_is_confirmed(redis: str) -> None:
    async with served(*(redis_app(fresh(redis)) for _ in range(3))) as (first, second, third):
        assert (await second.chat("number", "a")).content == "Attempt 1"
        assert (await first.send("PUT", "/s/a/_fakellm/scenario", json.dumps(OTHER).encode())).status == 200
        assert (await second.chat("number", "a")).content == "Other 1"
        assert (await third.send("POST", "/s/a/_fakellm/reset")).status == 200
        assert [(await each.chat("number", "a")).content for each in (first, second)] == ["Attempt 1", "Attempt 2"]
        assert (await first.chat("number")).content == "Attempt 1"  # the session at the root is another one


@in_loop
async def test_the_speed_is_that_of_all_servers_and_of_those_that_join(redis: str) -> None:
    async with served(redis_app(fresh(redis)), redis_app(redis)) as (first, second):
        assert (await first.send("PUT", "/_fakellm/speed", b'{"speed": 4}')).status == 200
        async with served(redis_app(redis)) as (third,):
            found = [json.loads((await each.send("GET", "/_fakellm/speed")).body) for each in (first, second, third)]
    assert found == [{"speed": 4}] * 3


@in_loop
async def test_a_speed_that_cannot_be_is_ignored(redis: str, log: Log) -> None:
    """Whatever program has set it, by a message or for servers that join."""
    with Redis.from_url(fresh(redis)) as direct:
        direct.set("fakellm:speed", "fast")
        async with served(redis_app(redis)) as (client,):
            await log.has("the speed in Redis is ignored")
            for number, speed in enumerate(('"fast"', "-1", "null", "[]", "1e-9"), 2):
                direct.publish("fakellm:0:changes", f'["speed", "1", {speed}]')
                await log.has("the speed in Redis is ignored", number)
            assert json.loads((await client.send("GET", "/_fakellm/speed")).body) == {"speed": 1}
            assert (await client.send("PUT", "/_fakellm/speed", b'{"speed": 4}')).status == 200
            assert json.loads((await client.send("GET", "/_fakellm/speed")).body) == {"speed": 4}


@in_loop
async def test_of_two_changes_at_once_none_is_lost(redis: str) -> None:
    body = json.dumps(MORE).encode()
    async with served(redis_app(fresh(redis)), redis_app(redis)) as (first, second):
        sent = await asyncio.gather(*(each.send("POST", "/_fakellm/rules", body) for each in (first, second)))
        refused = [each for each in sent if each.status != 200]
        assert [(each.status, each.code) for each in refused] in (
            [(400, "invalid_scenario")],
            [(409, "session_changed")],
        )
        scenarios = [await each.send("GET", "/_fakellm/scenario") for each in (first, second)]
    assert [len(json.loads(each.body)["rules"]) for each in scenarios] == 2 * [
        len(RULES) + 1
    ]  # the other has the same rule


@in_loop
async def test_redis_is_asked_once_for_what_counts_and_never_for_anything_else(
    redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless journals are written, for which no request waits: here, that is done once in a year."""
    monkeypatch.setattr(journals, "BATCH_MILLISECONDS", 365 * 86_400_000)

    def calls() -> int:
        with Redis.from_url(redis) as direct:
            stats = direct.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha", "publish"))

    async with served(redis_app(fresh(redis))) as (client,):
        await client.chat("number")
        await client.send("GET", "/_fakellm/journal")
        before = calls()
        for _ in range(5):
            await client.chat("plain")
            await client.chat("unknown")
        assert calls() == before
        for _ in range(5):
            await client.chat("number")
        assert calls() == before + 5


@in_loop
async def test_while_redis_is_down_only_what_needs_it_is_refused(
    own_redis: Callable[[bool], RedisProcess], log: Log
) -> None:
    redis = own_redis(True)
    async with served(redis_app(redis.url), redis_app(redis.url)) as clients:
        first, second = clients
        assert (await first.send("PUT", "/s/a/_fakellm/scenario", json.dumps(OTHER).encode())).status == 200
        for each in clients:
            await each.chat("number")
            await each.chat("number", "a")
        redis.kill()
        for _ in range(3):
            refused = await first.chat("number")
            assert (refused.status, refused.code) == (503, "state_unavailable")
            assert (await first.chat("plain")).content == "Hello"
        body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "number"}]}).encode()
        refused = await second.send("POST", "/v1/messages", body, **{"anthropic-version": "2023-06-01"})
        assert (refused.status, json.loads(refused.body)["type"]) == (503, "error")
        assert (await second.send("POST", "/_fakellm/reset")).code == "state_unavailable"
        assert (await second.chat("plain", "new")).code == "state_unavailable"
        await log.has("cannot be reached", 2)
        redis.start()
        await log.has("can be reached again", 2)
        assert sum("cannot be reached" in line for line in log.lines) == 2  # one of each server
        assert [(await each.chat("number")).content for each in clients] == ["Attempt 3", "Attempt 4"]
        assert [(await each.chat("number", "a")).content for each in clients] == ["Other 3", "Other 4"]


@in_loop
async def test_after_redis_has_lost_its_data_all_servers_are_in_the_initial_state(
    own_redis: Callable[[bool], RedisProcess], log: Log
) -> None:
    redis = own_redis(False)
    async with served(redis_app(redis.url), redis_app(redis.url)) as clients:
        assert (await clients[0].send("PUT", "/_fakellm/scenario", json.dumps(OTHER).encode())).status == 200
        redis.kill()
        assert (await clients[0].chat("number")).status == 503
        redis.start()
        await log.has("can be reached again", 2)
        assert [(await each.chat("number")).content for each in clients] == ["Attempt 1", "Attempt 2"]
        fresh(redis.url)  # which no server notices by itself
        assert [(await each.chat("number")).content for each in clients] == ["Attempt 1", "Attempt 2"]


@in_loop
async def test_a_change_is_refused_once_after_redis_has_lost_the_session(redis: str) -> None:
    async with served(redis_app(fresh(redis))) as (client,):
        assert (await client.send("GET", "/_fakellm/scenario")).status == 200  # which no journal has
        fresh(redis)
        sent = [await client.send("POST", "/_fakellm/rules", json.dumps(MORE).encode()) for _ in range(2)]
        assert [each.status for each in sent] == [409, 200]


@in_loop
async def test_a_redis_that_does_not_answer_holds_up_nothing(
    own_redis: Callable[[bool], RedisProcess], log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "PATIENCE", 0.1)
    redis = own_redis(False)
    async with served(redis_app(redis.url)) as (client,):
        redis.process.send_signal(signal.SIGSTOP)
        refused = await asyncio.gather(*(client.chat("number") for _ in range(5)))
        assert {each.code for each in refused} == {"state_unavailable"}
        assert (await client.chat("plain")).status == 200
        redis.process.send_signal(signal.SIGCONT)
        await log.has("can be reached again")
        assert (await client.chat("number")).status == 200


@in_loop
async def test_a_server_that_does_not_confirm_a_change_is_reported(redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And waited for once."""
    changes = [
        ("POST", "/_fakellm/reset", None),
        ("PUT", "/_fakellm/scenario", json.dumps(OTHER).encode()),
        ("PUT", "/_fakellm/fault", FAULT),
        ("DELETE", "/_fakellm/fault", None),
        ("POST", "/_fakellm/advance?seconds=1", None),
        ("PUT", "/_fakellm/speed", b'{"speed": 4}'),
    ]
    monkeypatch.setattr(servers, "ANSWER_SECONDS", 0.05)
    app = redis_app(fresh(redis))
    async with served(app) as (client,):
        with Redis.from_url(redis) as direct, direct.pubsub() as silent:
            silent.subscribe("fakellm:0:changes:still")
            silent.get_message(timeout=5)
            for change in changes:
                response = await client.send(*change)
                assert (response.status, response.code) == (503, "not_confirmed"), change
                monkeypatch.setattr(servers, "ANSWER_SECONDS", 3600)
            assert (await client.chat("number")).content == "Other 1"
        assert (await client.send("POST", "/_fakellm/reset")).status == 200
        assert not app.copies._servers._silent


@in_loop
async def test_only_so_many_counts_are_kept_in_a_session(redis: str) -> None:
    app = redis_app(fresh(redis), Limits(max_attempts=2))
    async with served(app) as (client,):
        for prompt in ("number 1", "number 2", "number 3", "number 4"):
            assert (await client.chat(prompt)).content == "Attempt 1"
        journal = json.loads((await client.send("GET", "/_fakellm/journal")).body)
    forgotten = [bool(entry.get("attempts_forgotten")) for entry in journal["entries"]]
    assert forgotten == [False, False, False, True]


@in_loop
async def test_redis_keeps_a_session_for_a_day_after_its_last_use(redis: str) -> None:
    app = redis_app(fresh(redis))
    async with served(app) as (client,):
        with Redis.from_url(redis) as direct:
            await client.chat("number", "a")
            names = ["fakellm:session:", "fakellm:session:a", "fakellm:counts:a"]
            assert all(0 < direct.ttl(name) <= redis_state.SESSION_SECONDS for name in names)
            for name in names:
                direct.expire(name, 60)
            await app.copies.renew()
            assert all(direct.ttl(name) > 60 for name in names)
            await app.copies.renew()  # nobody has used it since
        assert list(app.sessions()) == [""]
        assert (await client.chat("number", "a")).content == "Attempt 2"


@in_loop
@pytest.mark.parametrize("when", ["counted", "put back"])
async def test_a_client_that_leaves_while_redis_counts_leaves_the_fault_to_the_next(when: str) -> None:
    """While its fault is counted, or while that of a request that is refused is put back."""
    app, left, step, told = App(SCENARIO, strict=True), 1, asyncio.Event(), asyncio.Event()
    going = asyncio.Event()

    async def count(change: int) -> int:
        nonlocal left
        if change == (-1 if when == "counted" else 1):
            going.set()
            await step.wait()
        left += change
        return left

    async def put_back() -> None:
        told.set()

    def refused(engine: Engine) -> Response:
        raise RequestError(400, "No.", "refused")

    session = app.session("")
    fault = SharedFault(session, session.content, read_fault(FAULT), "1", count, put_back)
    answering = asyncio.ensure_future(offload(fault.applied(session.content, refused).run))
    await going.wait()
    answering.cancel()
    await asyncio.wait([answering])
    step.set()
    async with asyncio.timeout(10):
        await told.wait()
    assert (left, answering.cancelled()) == (1, True)


@in_loop
async def test_nothing_stays_in_redis_for_ever(redis: str) -> None:
    async with served(redis_app(fresh(redis)), redis_app(redis)) as clients:
        for client in clients:
            await client.send("PUT", "/_fakellm/speed", b'{"speed": 4}')
            await client.send("PUT", "/_fakellm/scenario", json.dumps(OTHER).encode())
            await client.send("PUT", "/_fakellm/fault", FAULT)
            await client.chat("number")
            await client.send("GET", "/_fakellm/journal")
    with Redis.from_url(redis) as direct:
        names = direct.keys()
        assert {b"fakellm:serials", b"fakellm:servers", b"fakellm:session:"} < set(names)
        assert [name for name in names if not 0 < direct.ttl(name) <= redis_state.SESSION_SECONDS] == []


@in_loop
async def test_a_fault_for_the_next_requests_is_that_of_all_servers(redis: str) -> None:
    async with served(redis_app(fresh(redis)), redis_app(redis)) as clients:
        first, second = clients
        await first.send("PUT", "/_fakellm/fault", FAULT)
        assert (await second.send("POST", "/v1/chat/completions", b"{}")).status == 400  # which leaves it to the next
        replies = await asyncio.gather(*(client.chat("then") for client in (first, second) * 5))
        assert sorted(each.status for each in replies) == [200] * 8 + [418] * 2
        assert sorted(each.content for each in replies if each.status == 200) == ["Done"] * 7 + ["Wait"]
        shown = [json.loads((await each.send("GET", "/_fakellm/fault")).body) for each in clients]
        assert shown == [{"fault": None, "requests": 0}] * 2
        await first.send("PUT", "/_fakellm/fault", FAULT)
        await second.send("DELETE", "/_fakellm/fault")
        assert (await first.chat("plain")).status == 200


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--state", "localhost"], 2, "such as redis://localhost:6379/0, got 'localhost'"),
        (["--state", "redis://localhost", "--workers", "2"], 2, "--state cannot be combined with --workers"),
        (["--state", "redis://h", "--edit", "FILE"], 2, "--state cannot be combined with --edit"),
        (
            ["--state", "redis://:secret@127.0.0.1:1/3", "--port", "0"],
            1,
            "cannot reach Redis at redis://127.0.0.1:1/3: Error 111",
        ),
    ],
)
def test_what_cannot_be_started_is_refused(options: list[str], code: int, message: str, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text("rules: [{reply: {content: Hi}}]\n")
    result = CliRunner().invoke(command, [str(file) if each == "FILE" else each for each in options])
    assert (result.exit_code, message in result.output, "secret" in result.output) == (code, True, False), result.output


def test_it_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("fakellm.server.redis_state.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    result = CliRunner().invoke(command, ["--state", "redis://localhost"])
    assert (result.exit_code, "pip install 'fakellm-server[redis]'" in result.output) == (1, True), result.output


NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    upstream servers {{ server {first}; server {second}; }}
    proxy_buffering off; proxy_set_header Host $host;
    server {{ listen unix:{folder}/http.sock; location / {{ proxy_pass http://servers; }} }}
}}
"""


@contextmanager
def started(command: list[str], folder: Path) -> Iterator[str]:
    """A server of `fakellm serve`; its address."""
    program = [sys.executable, "-m", "fakellm", "serve", *command, "--port", "0", "--ready", "json", "-q"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=folder) as server:
        assert server.stdout
        try:
            yield str(json.loads(server.stdout.readline())["url"]).removeprefix("http://")
        finally:
            server.terminate()
            server.wait()


@contextmanager
def behind_nginx(first: str, second: str, folder: Path) -> Iterator[str]:
    """The socket of an nginx that passes requests on to each of two servers in turn."""
    program = shutil.which("nginx") or pytest.skip("there is no nginx: apt-get install nginx-light")
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, first=first, second=second))
    with subprocess.Popen([program, "-c", str(file)], stderr=subprocess.DEVNULL) as nginx:
        try:
            while not (folder / "http.sock").exists():
                assert nginx.poll() is None
            yield str(folder / "http.sock")
        finally:
            nginx.terminate()
            nginx.wait()


@in_loop
async def test_two_servers_behind_nginx_behave_like_one(redis: str, tmp_path: Path) -> None:
    """Streams too: the same bytes, and as much is left of quotas."""
    limits = [{"per_minute": {"requests": 12, "tokens": 900}}, {"by": "key", "concurrent": 1}]
    file = tmp_path / "scenario.yaml"
    file.write_text(fakellm.dump(fakellm.load({"scenario": "shared", "limits": limits, "rules": RULES})))
    options = [str(file), "--seed", "7", "--strict"]
    state = ["--state", fresh(redis)]
    requests = [body_of(messages=[{"role": "user", "content": each}], stream=True) for each in (*PROMPTS, *PROMPTS)]
    with (
        started(options, tmp_path) as single,
        started(options + state, tmp_path) as first,
        started(options + state, tmp_path) as second,
        behind_nginx(first, second, tmp_path) as path,
    ):
        connector = aiohttp.UnixConnector(path)
        async with aiohttp.ClientSession() as direct, aiohttp.ClientSession(connector=connector) as balanced:
            one, both = Client(direct, f"http://{single}"), Client(balanced, "http://localhost")
            for body in requests:
                expected, received = [await each.send("POST", "/v1/chat/completions", body) for each in (one, both)]
                assert (received.status, received.body) == (expected.status, expected.body)
                assert received.left == expected.left
            found = [json.loads((await each.send("GET", "/_fakellm/journal")).body) for each in (one, both)]
    rules, shared = [
        [(entry["number"], entry["rule"], entry["reply"]["text"]) for entry in each["entries"]] for each in found
    ]
    assert shared == rules
    assert len(rules) == len(requests)


@in_loop
async def test_a_scenario_of_another_version_is_refused(redis: str) -> None:
    async with served(redis_app(fresh(redis))) as (client,):
        assert (await client.send("PUT", "/s/a/_fakellm/scenario", json.dumps(OTHER).encode())).status == 200
        with Redis.from_url(redis) as direct:
            direct.hset("fakellm:session:a", mapping={"scenario": '{"rules": 1}', "version": "2"})
        async with served(redis_app(redis)) as (newer,):
            refused = await newer.chat("number", "a")
            assert (refused.status, refused.code) == (503, "invalid_scenario")
            assert (await newer.chat("number")).content == "Attempt 1"


@in_loop
async def test_what_this_version_does_not_know_is_refused_until_it_is_gone(redis: str, log: Log) -> None:
    async with served(redis_app(fresh(redis))) as (client,):
        await client.chat("number", "a")
        with Redis.from_url(redis) as direct:
            fault = {"fault": '{"kind": "newer"}', "fault_number": "1", "fault_left": "2"}
            direct.hset("fakellm:session:a", mapping=fault)
            direct.client_kill_filter(_type="pubsub")
            await log.has("can be reached again")
            assert any("the session 'a' cannot be served" in line and "'newer'" in line for line in log.lines)
            refused = [await client.chat("number", "a") for _ in range(2)]
            assert [(each.status, each.code) for each in refused] == [(503, "invalid_fault")] * 2
            assert (await client.chat("number")).content == "Attempt 1"
            direct.hdel("fakellm:session:a", *fault)
            direct.hset("fakellm:session:", mapping=fault)
            with (
                listen("127.0.0.1", 0) as listener,
                pytest.raises(ServerError, match=r"^cannot share sessions in Redis at unix.*'newer'"),
            ):
                await RedisServer(redis_app(redis)).start(listener)
        assert (await client.chat("number", "a")).content == "Attempt 2"


@in_loop
async def test_whatever_goes_wrong_a_server_goes_on_to_listen(redis: str, log: Log) -> None:
    """Here, something is wrong with a message, and with a copy at first."""
    app = redis_app(fresh(redis))
    async with served(app) as (client,):
        await client.chat("number", "a")
        with Redis.from_url(redis) as direct:
            direct.publish("fakellm:0:changes", "not JSON")
            await log.has("a message of another server is lost")
            direct.hset("fakellm:session:a", "advanced", "no number")
            direct.client_kill_filter(_type="pubsub")
            await log.has("sessions in Redis")
            direct.hdel("fakellm:session:a", "advanced")
            await log.has("can be reached again")
        assert (await client.send("POST", "/s/a/_fakellm/reset")).status == 200


@in_loop
async def test_a_message_that_is_not_valid_is_lost_alone(redis: str, log: Log) -> None:
    invalid = (b"garbage", b"[]", b'{"a": 1}', b'["answer", {}, []]', b"[" * 100_000, b"\xff")
    async with served(redis_app(fresh(redis)), redis_app(redis)) as (first, second):
        assert (await second.chat("number", "a")).content == "Attempt 1"
        with Redis.from_url(redis) as direct:
            for message in invalid:
                direct.publish("fakellm:0:changes", message)
        assert (await first.send("PUT", "/s/a/_fakellm/scenario", json.dumps(OTHER).encode())).status == 200
        assert (await second.chat("number", "a")).content == "Other 1"
    lost = [line for line in log.lines if line.startswith("a message of another server is lost: ")]
    assert (len(lost), len(log.lines)) == (2 * len(invalid), 2 * len(invalid))
    assert "a message of another server is lost: b'garbage'" in lost
    assert max(map(len, lost)) < 300


@in_loop
async def test_a_redis_without_memory_refuses_only_what_it_would_store(redis: str, log: Log) -> None:
    async with served(redis_app(fresh(redis))) as (client,):
        assert (await client.chat("number")).content == "Attempt 1"
        with Redis.from_url(redis) as direct:
            direct.config_set("maxmemory", 1)
            try:
                refused = await client.chat("number")
                assert (refused.status, refused.code) == (503, "state_refused")
                assert (await client.chat("plain")).content == "Hello"
                await log.has("refuses a command: command not allowed when used memory", 3)  # also journals
            finally:
                direct.config_set("maxmemory", 0)
        assert (await client.chat("number")).content == "Attempt 2"
        journal = json.loads((await client.send("GET", "/_fakellm/journal")).body)
    assert journal["dropped"] + len(journal["entries"]) == 4
    assert journal["dropped"] > 0
    assert not any("cannot be reached" in line for line in log.lines)


@in_loop
async def test_nothing_else_waits_while_a_scenario_is_compiled(redis: str) -> None:
    """Here, that of one session takes until the others have been used."""
    app, other = redis_app(fresh(redis)), redis_app(redis)
    used, compile_it = asyncio.Event(), app.copies.engine

    async def compiled(own: Any) -> Any:
        if own is not None:
            await used.wait()
        return await compile_it(own)

    app.copies.engine = compiled
    async with served(app, other) as (first, second):
        await first.chat("number", "a")
        changing = asyncio.ensure_future(second.send("PUT", "/s/a/_fakellm/scenario", json.dumps(OTHER).encode()))
        while (await second.chat("number", "a")).content != "Other 1":  # Redis does not have it yet
            pass
        assert (await first.chat("number", "b")).content == "Attempt 1"
        assert (await second.send("GET", "/_fakellm/journal")).status == 200  # the first has answered
        used.set()
        assert (await changing).status == 200
        assert (await first.chat("number", "a")).content == "Other 2"
