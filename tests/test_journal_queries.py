"""Tests ask the journal: `find`, the asserts and `wait_for` use the vocabulary of `when`, and a failure shows what came
nearest."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakellm
from fakellm.base.errors import RequestError
from fakellm.engine import journal
from fakellm.engine.entry import Entry, SentCall
from fakellm.engine.response import Response, Work
from fakellm.engine.state import Limits
from fakellm.scenarios.loader import load
from fakellm.scenarios.matching import When
from fakellm.server.application import HttpRequest
from fakellm.server.connections.listening import listen
from fakellm.server.hosting import Hosted
from fakellm.server.http_server import Server
from fakellm.server.scenario_app import App
from tests.conftest import chat, handled, post
from tests.loop_turns import loop_turns, measured
from tests.test_apis import PATHS, request

RULES = {
    "rules": [
        {"name": "weather", "when": {"user": "weather"}, "reply": {"content": "Sunny."}},
        {"name": "slow", "when": {"user": "slow"}, "reply": {"content": "a b c"}, "timing": {"step": True}},
        {"name": "never", "when": {"user": "weather in Rome"}, "reply": {"content": "Rainy."}},
    ]
}


@pytest.fixture(scope="module")
def shared() -> Iterator[fakellm.Handle]:
    with fakellm.serve(RULES) as running:
        yield running


@pytest.fixture
def server(shared: fakellm.Handle, request: pytest.FixtureRequest) -> fakellm.Handle:
    """A session of its own for each test."""
    return shared.session(request.node.name)


def user(text: str, **fields: Any) -> bytes:
    return chat(messages=[{"role": "user", "content": text}], **fields)


def send(server: fakellm.Handle, *texts: str, authorization: str = "Bearer k", **fields: Any) -> None:
    for text in texts:
        post(server.base_url + "/chat/completions", user(text, **fields), authorization=authorization)


def query(app: App, **fields: Any) -> dict[str, Any]:
    body = json.dumps(fields).encode()
    found: dict[str, Any] = json.loads(handled(app, HttpRequest("POST", "/_fakellm/journal", body))[0].plan.body)
    return found


# A query matches what a rule matches

CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "user": st.sampled_from(["a", "b", ""]),
        "model": st.sampled_from(["m", "gpt-*", "*"]),
        "stream": st.booleans(),
        "turn": st.integers(1, 2),
        "headers": st.just({"x-a": "1"}),
        "body": st.sampled_from([{"seed": 1}, {"seed": None}]),
        "api": st.sampled_from(["chat", "messages"]),
    },
)
REQUESTS = st.lists(
    st.fixed_dictionaries(
        {"messages": st.sampled_from(["a", "b"]).map(lambda text: [{"role": "user", "content": text}])},
        optional={"model": st.just("gpt-4o"), "stream": st.booleans(), "seed": st.just(1)},
    ),
    max_size=4,
)


@given(CONDITIONS, REQUESTS)
def test_a_query_finds_the_requests_that_a_rule_would_match(when: dict[str, Any], bodies: list[dict[str, Any]]) -> None:
    app = App(load({"rules": [{"name": "it", "when": when, "reply": {}}]}))
    for body in bodies:
        handled(app, HttpRequest("POST", "/v1/chat/completions", chat(**body), {"X-A": "1"}))
    found = query(app, when=when)
    answered = [entry.number for entry in app.session("").journal if entry.rule == "it"]
    assert [entry["number"] for entry in found["entries"]] == answered
    others = [entry.number for entry in app.session("").journal if entry.rule != "it"]
    assert found["nearest"]["number"] in others if others else found["nearest"] is None


@pytest.mark.parametrize("name", PATHS)
def test_requests_of_each_api_are_found_with_their_replies(name: str) -> None:
    app = App(load({"rules": [{"reply": {"content": "Hi", "tool_calls": [{"name": "f", "arguments": {"a": 1}}]}}]}))
    for stream in (False, True):
        handled(app, request(name, stream, "Hello"))
    for entry in app.session("").journal:
        entry.frames_sent = entry.frames
    found = query(app, when={"user": "Hello", "api": name})["entries"]
    assert [entry["api"] for entry in found] == [name, name]
    for entry in found:
        calls = [(call["name"], json.loads(call["arguments"])) for call in entry["reply"]["calls"]]
        assert (entry["reply"]["text"], entry["reply"]["whole"]) == ("Hi", True)
        assert calls == ([] if name == "completions" else [("f", {"a": 1})])


def test_a_continued_conversation_is_found_by_what_it_continues() -> None:
    app = App()
    first = json.dumps({"model": "m", "input": "Hello"}).encode()
    reply = handled(app, HttpRequest("POST", "/v1/responses", first))[0].plan.body
    then = {"model": "m", "input": "And then?", "previous_response_id": json.loads(reply)["id"]}
    handled(app, HttpRequest("POST", "/v1/responses", json.dumps(then).encode()))
    assert [entry["number"] for entry in query(app, when={"turn": 2, "message": "Hello"})["entries"]] == [2]


def test_a_deployment_in_the_url_is_the_model() -> None:
    app = App()
    body = b'{"messages": [{"role": "user", "content": "x"}]}'
    handled(app, HttpRequest("POST", "/openai/deployments/mine/chat/completions?api-version=2024-10-21", body))
    assert len(query(app, when={"model": "mine"})["entries"]) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"when": {"usr": "x"}}, "when.usr: unknown key 'usr'; allowed here: model, turn, tools, user"),
        ({"whn": {}}, "unknown key 'whn'; allowed here: when, outcome, matched, count, wait; did you mean 'when'?"),
        ({"when": {"user": {"regex": "("}}}, "when.user.regex: '(' is not a regular expression"),
        ({"outcome": "gone"}, "outcome: "),
        ({"wait": 601}, "wait: "),
        ({"count": 0}, "count: "),
    ],
)
def test_a_query_that_is_not_valid_is_refused(body: dict[str, Any], message: str) -> None:
    response, _ = App().handle(HttpRequest("POST", "/_fakellm/journal", json.dumps(body).encode()))
    assert message in str(getattr(response, "explanation", ""))


def test_a_query_must_be_json() -> None:
    response, _ = App().handle(HttpRequest("POST", "/_fakellm/journal", b"{"))
    assert getattr(response, "explanation", "") == "The query is not valid JSON."


# From a test


def test_the_entry_of_a_request(server: fakellm.Handle) -> None:
    key = "sk-a1b2c3d4e5f6g7h8"
    post(server.base_url + "/chat/completions", user("weather") + b"  ", authorization=f"Bearer {key}", **{"x-a": "1"})
    entry = server.last
    assert (entry.api, entry.rule, entry.dialect, entry.status, entry.outcome) == (
        "chat",
        "weather",
        "openai",
        200,
        "sent",
    )
    assert entry.request["messages"][0]["content"] == "weather"
    assert entry.body == user("weather").decode() + "  "
    assert entry.headers["authorization"] == "Bearer sk-a1b2c*******g7h8"
    assert entry.headers["x-a"] == "1"
    assert entry.started is not None
    assert entry.ended is not None
    assert entry.started <= entry.ended
    assert (entry.reply.text, entry.reply.finish, entry.reply.whole) == ("Sunny.", "stop", True)
    assert entry.reply.headers["content-type"] == "application/json"


def test_the_error_that_was_sent_is_in_the_entry(server: fakellm.Handle) -> None:
    server.load({"rules": [{"reply": {}, "fault": {"kind": "status", "status": 429, "retry_after": 7}}]})
    send(server, "x")
    reply = server.last.reply
    assert (reply.text, reply.whole, reply.error["code"]) == ("", False, "rate_limit_exceeded")
    assert reply.headers["retry-after"] == "7"


@pytest.mark.parametrize("gzip", [False, True])
def test_of_a_reply_that_broke_off_the_entry_has_what_was_sent(server: fakellm.Handle, gzip: bool) -> None:
    rule = {
        "reply": {"content": "one two three"},
        "stream": {"split": "words", "transfer": {"gzip": gzip}},
        "fault": {"kind": "close", "frame": 3},
    }
    server.load({"rules": [rule]})
    with pytest.raises(httpx2.RemoteProtocolError):
        send(server, "x", stream=True)
    reply = server.last.reply
    assert (reply.text, reply.finish, reply.whole) == ("one two", None, False)


def test_a_reply_that_is_too_long_is_not_kept(server: fakellm.Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_REPLY", 10_000)
    server.load({"rules": [{"when": {"user": "long"}, "reply": {"content": "x" * 10_000}}, {"reply": {}}]})
    send(server, "long", "short")
    assert [entry.reply.kept for entry in server.journal] == [False, True]


@pytest.mark.parametrize(("words", "kept"), [(20, True), (400, False)])
def test_what_was_sent_of_a_reply_that_stalls_is_in_the_entry_if_it_is_short(
    server: fakellm.Handle, words: int, kept: bool
) -> None:
    """The server holds no long reply for as long as it stalls."""
    rule = {
        "reply": {"content": "word " * words},
        "stream": {"split": "words"},
        "fault": {"kind": "stall", "frame": -1},
    }
    server.load({"rules": [rule]})
    with httpx2.stream("POST", server.base_url + "/chat/completions", content=user("x", stream=True)):
        (entry,) = server.wait_for(outcome="stalled")
        assert (entry.reply.kept, entry.reply.text.strip()) == (kept, " ".join(["word"] * words) if kept else "")
    assert server.wait_for(outcome="client left")[0].reply == entry.reply


def test_a_tool_call_is_in_the_entry(server: fakellm.Handle) -> None:
    call = {"name": "add", "arguments": {"a": 2}, "id": "call_1"}
    server.load({"rules": [{"reply": {"tool_calls": [call]}}]})
    send(server, "x", stream=True)
    assert server.last.reply.calls == (SentCall("call_1", "add", '{"a":2}'),)


def test_only_requests_to_models_are_requests(server: fakellm.Handle) -> None:
    send(server, "weather")
    httpx2.get(server.base_url + "/models")
    post(server.base_url + "/embeddings", b'{"model": "m", "input": "x"}')
    post(server.base_url + "/nowhere", b"{}")
    assert [entry.api for entry in server.journal] == ["chat", None, None, None]
    assert [entry.number for entry in server.requests] == [1]
    assert server.last.number == 1
    server.assert_called(1)
    assert [entry.number for entry in server.unmatched()[0]] == [4]


def test_before_any_call(server: fakellm.Handle) -> None:
    with pytest.raises(
        IndexError, match=rf"^the journal is empty: no request has reached {server.url}\. Does the app "
    ):
        server.journal[-1]
    with pytest.raises(IndexError, match=r"^the journal is empty: no request to a model has reached "):
        server.last  # noqa: B018 # it raises
    send(server, "weather")
    with pytest.raises(IndexError, match=r"^the journal has 1 entry, and none at 1$"):
        server.journal[1]
    assert len(server.journal[:5]) == 1


def test_asserts_pass(server: fakellm.Handle) -> None:
    send(server, "weather", "hello", "weather")
    server.assert_called(user="weather")
    server.assert_called(times=2, user=fakellm.Pattern(regex="^w"), model="m")
    server.assert_not_called(user="rain")
    server.assert_not_called(tools=("f",))
    server.assert_called(3)
    assert [entry.number for entry in server.journal.find(user="weather")] == [1, 3]


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (
            lambda server: server.assert_called(user="Rome"),
            "expected a request with user='Rome', got none. The nearest is request 2, POST {path}; it differs in user: "
            "expected 'Rome', got 'hello'",
        ),
        (
            lambda server: server.assert_called(times=2, user="weather"),
            "expected 2 requests with user='weather', got 1 (in the journal: 1). The nearest is request 2, POST {path}; "
            "it differs in user: expected 'weather', got 'hello'",
        ),
        (
            lambda server: server.assert_called(model="x", user="weather"),
            "expected a request with model='x', user='weather', got none. The nearest is request 1, POST {path}; it "
            "differs in model: expected 'x', got 'm'",
        ),
        (
            lambda server: server.assert_not_called(model="m"),
            "expected no request with model='m', got 2 (in the journal: 1, 2)",
        ),
        (
            lambda server: server.wait_for(3, timeout=0),
            "expected 3 requests, got 2 (in the journal: 1, 2) within 0 s",
        ),
        (
            lambda server: server.wait_for(outcome="client left", user="hello", timeout=0),
            "expected 1 request with user='hello', with the outcome 'client left', got none within 0 s. The outcomes of "
            "all that match are request 2: sent. The nearest is request 1, POST {path}; it differs in user: expected "
            "'hello', got 'weather'",
        ),
        (
            lambda server: server.assert_all_used(),
            "'slow' has answered no request. The nearest is request 2, POST {path}; it differs in user: expected 'slow', "
            "got 'hello'\n'never' has answered no request. The nearest is request 2, POST {path}; it differs in user: "
            "expected 'weather in Rome', got 'hello'",
        ),
    ],
)
def test_a_failure_shows_what_came_nearest(server: fakellm.Handle, check: Any, message: str) -> None:
    send(server, "weather", "hello")
    with pytest.raises(AssertionError) as caught:
        check(server)
    path = server.base_url.partition("/s/")[2]
    assert str(caught.value) == message.format(path=f"/s/{path}/chat/completions")


def test_an_assert_before_any_call(server: fakellm.Handle) -> None:
    with pytest.raises(AssertionError, match=r"^expected a request, got none\. The journal is empty$"):
        server.assert_called()


def test_a_rule_that_an_earlier_one_hides_is_not_used(server: fakellm.Handle) -> None:
    send(server, "weather in Rome")
    message = "'never' has answered no request. Request 1 matches it, but 'weather' answered that one"
    with pytest.raises(AssertionError) as caught:
        server.assert_all_used()
    assert message in str(caught.value).split("\n")


def test_rules_of_dropped_entries_were_used() -> None:
    with fakellm.serve({"rules": [{"reply": {"content": "x"}}]}, journal_bytes=0) as server:
        send(server, "a")
        httpx2.get(server.base_url + "/models")
        assert [entry.method for entry in server.journal] == ["GET"]
        server.assert_all_used()


def test_recordings_are_queried_as_rules_are(tmp_path: Path) -> None:
    """What a rule sent is recorded; then each recording must have been used."""
    with fakellm.serve(RULES) as api, fakellm.record(api.base_url, tmp_path / "api.jsonl") as recording:
        send(recording, "weather", "hello", authorization="Bearer sk-a1b2c3d4e5f6g7h8")
        assert [(entry.rule, entry.reply.kept) for entry in recording.journal] == [("upstream", False)] * 2
        assert set(recording.last.headers["authorization"]) == set("Bearer *")
    with fakellm.replay(tmp_path / "api.jsonl") as server:
        send(server, "weather")
        server.assert_called(user="weather", turn=1)
        assert server.last.reply.text == "Sunny."
        with pytest.raises(AssertionError, match=r"^'.*api\.jsonl#2' has answered no request$"):
            server.assert_all_used()


def test_a_wrong_condition_is_rejected_where_it_is_written(server: fakellm.Handle) -> None:
    with pytest.raises(fakellm.ScenarioError, match=r"^find\(…\): usr: unknown key 'usr'; .*; did you mean 'user'\?$"):
        server.journal.find(usr="x")  # type: ignore[call-arg] # that is the mistake
    with pytest.raises(
        fakellm.ScenarioError, match=r"^assert_called: expected a number of times, or conditions by name"
    ):
        server.assert_called({"user": "Hi"})  # type: ignore[arg-type] # that is the mistake
    with pytest.raises(fakellm.ScenarioError, match=r"^assert_called\(…\): turn: expected "):
        server.assert_called(turn="x")  # type: ignore[arg-type] # that is the mistake
    with pytest.raises(AttributeError, match=r"^a journal has no 'assert_called': .* fakellm\.assert_called\(…\)$"):
        server.journal.assert_called(user="x")


# Waiting


def test_it_waits_for_a_request_and_for_the_end_of_its_reply(server: fakellm.Handle) -> None:
    """The client leaves while its reply waits for a step."""
    left = threading.Event()

    def leave() -> None:
        with httpx2.stream("POST", server.base_url + "/chat/completions", content=user("slow", stream=True)) as reply:
            next(reply.iter_raw())
            left.wait(10)

    client = threading.Thread(target=leave)
    client.start()
    assert server.wait_for(user="slow")[0].ended is None
    server.step()
    left.set()
    (entry,) = server.wait_for(outcome="client left", user="slow")
    assert (entry.frames_sent, entry.reply.whole) == (1, False)
    assert entry.ended
    client.join()


def test_a_query_that_waits_is_woken() -> None:
    """By the arrival of a request, by a stall, and by the end of a reply."""

    async def main() -> None:
        app = App(load({"rules": [{"reply": {"content": "a b"}, "fault": {"kind": "stall", "frame": 1}}]}))
        server = Server(app)
        port = int((await server.start(listen("127.0.0.1", 0))).rpartition(":")[2])
        body = user("x", stream=True)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        (arrived, stalled, left) = [
            asyncio.ensure_future(waiting(app, {"when": {}, "wait": 60, **more}))
            for more in ({}, {"outcome": "stalled"}, {"outcome": "client left"})
        ]
        while app.changes.waiting < 3:  # noqa: ASYNC110 # there is no event for it
            await asyncio.sleep(0)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + body)
        assert len(await arrived) == len(await stalled) == 1
        while app.changes.waiting < 1:  # noqa: ASYNC110 # there is no event for it
            await asyncio.sleep(0)
        writer.close()
        assert [entry["outcome"] for entry in await left] == ["client left"]
        await server.stop(grace=0)

    asyncio.run(main())


def test_a_query_does_not_outlive_its_client() -> None:
    async def main() -> None:
        app = App()
        server = Server(app)
        port = int((await server.start(listen("127.0.0.1", 0))).rpartition(":")[2])
        body = b'{"when": {}, "wait": 60}'
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /_fakellm/journal HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)
        while app.changes.waiting < 1:  # noqa: ASYNC110 # there is no event for it
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        writer.close()
        await asyncio.sleep(0.2)
        assert app.changes.waiting == 0
        await server.stop(grace=0)

    asyncio.run(main())


def test_a_query_that_waits_compares_each_request_once_and_keeps_none() -> None:
    """Also when the journal drops entries, and when the session starts again in the meantime."""

    async def main() -> None:
        app, parsed = App(limits=Limits(journal_bytes=30_000)), []
        parse = app.parsed
        app.parsed = lambda request: parsed.append(request.body) or parse(request)  # type: ignore[method-assign, func-returns-value]
        waits = asyncio.ensure_future(waiting(app, {"when": {"user": "a"}, "wait": 60, "count": 5}))
        entries: list[Entry] = []
        for number in range(30):
            if number == 10:
                app.forget("")
            response, entry = app.handle(HttpRequest("POST", "/v1/chat/completions", user(f"b{number}" * 1_000)))
            assert isinstance(response, Response)
            entry.outcome = "sent"
            entries.append(entry)
            while app.changes.waiting < 1:  # noqa: ASYNC110 # there is no event for it
                await asyncio.sleep(0)
        assert len(parsed) == len(set(parsed)) == 30
        journal = app.session("").journal
        assert journal.dropped > 10
        gone = entries[15]
        assert gone not in list(journal)
        entries.clear()
        assert sys.getrefcount(gone) == 2  # this variable, and the parameter
        for _ in range(5):
            app.handle(HttpRequest("POST", "/v1/chat/completions", user("a")))
        found = await waits
        assert [entry["number"] for entry in found] == [21, 22, 23, 24, 25]

    asyncio.run(main())


@measured
@pytest.mark.parametrize(("method", "path"), [("GET", "unused"), ("POST", "journal")])
def test_a_search_holds_up_nothing_else(method: str, path: str) -> None:
    rules = [{"name": f"r{number}", "when": {"user": f"x{number}"}, "reply": {}} for number in range(20)]
    app, body = App(load({"rules": rules})), b'{"when": {"user": "x"}}' if method == "POST" else b""
    for number in range(600):
        handled(app, HttpRequest("POST", "/v1/chat/completions", user(f"y{number}")))
    with Hosted(app) as hosted, loop_turns(hosted.loop) as turns:
        assert httpx2.request(method, f"{hosted.url}/_fakellm/{path}", content=body, timeout=30).status_code == 200
    turns.check(0.02)


async def waiting(app: App, fields: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries that a query finds when it has waited."""
    outcome, _ = app.handle(HttpRequest("POST", "/_fakellm/journal", json.dumps(fields).encode()))
    assert isinstance(outcome, Work)
    found: list[dict[str, Any]] = json.loads(b"".join(await outcome.run()))["entries"]
    return found


def test_it_waits_in_a_thread_of_an_async_test(server: fakellm.Handle) -> None:
    async def test() -> None:
        async with httpx2.AsyncClient() as client:
            waiting = asyncio.create_task(asyncio.to_thread(server.wait_for, 2, user="weather"))
            for _ in range(2):
                await client.post(server.base_url + "/chat/completions", content=user("weather"))
            assert [entry.number for entry in await waiting] == [1, 2]

    asyncio.run(test())


def test_a_wait_that_blocks_the_event_loop_is_explained(server: fakellm.Handle) -> None:
    async def test() -> None:
        server.wait_for(timeout=0)

    with pytest.raises(AssertionError, match=r"use await asyncio\.to_thread\(fakellm\.wait_for, …\)$"):
        asyncio.run(test())


@pytest.mark.parametrize("timeout", [601, -1, float("inf"), float("nan")])
def test_such_a_time_cannot_be_waited(server: fakellm.Handle, timeout: float) -> None:
    with pytest.raises(ValueError, match=f"^timeout must be from 0 to 600 seconds, got {timeout}$"):
        server.wait_for(timeout=timeout)


def test_a_wait_ends_with_the_server() -> None:
    app = App()

    def wait() -> None:
        with pytest.raises((AssertionError, fakellm.ServerError)):
            fakellm.Handle(hosted.url).wait_for(timeout=600)

    with Hosted(app, 0, 1.0) as hosted:
        waiting = threading.Thread(target=wait)
        waiting.start()
        while not app.changes.waiting:
            hosted.change(lambda: None)
    waiting.join(20)
    assert not waiting.is_alive()


def test_an_invalid_request_matches_nothing() -> None:
    app = App()
    handled(app, HttpRequest("POST", "/v1/chat/completions", b"{"))
    found = query(app, when={"user": ""})
    assert (found["entries"], found["nearest"], found["total"]) == ([], None, 1)
    assert len(query(app, when={})["entries"]) == 1
    with pytest.raises(RequestError):
        app.parsed(HttpRequest("POST", "/v1/chat/completions", b"{"))


def test_the_conditions_are_those_of_when() -> None:
    from fakellm.testing.entries import Conditions

    assert list(Conditions.__annotations__) == list(When.__struct_fields__)
