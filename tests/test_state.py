"""What a server keeps is bounded, and nothing that had to make way gives a wrong answer in silence."""

from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakellm
from fakellm import Reply, Rule, Step
from fakellm.base.errors import RequestError
from fakellm.engine.entry import Entry
from fakellm.engine.memo import Cache
from fakellm.engine.render import render
from fakellm.engine.response import Response, Work
from fakellm.engine.state import Limits, MemoryState
from fakellm.quotas.recent import Recent
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.offload import Threads, offload
from fakellm.server.replay_app import Replay
from fakellm.server.scenario_app import App
from fakellm.wire.plan import Frame, Plan
from tests.conftest import chat, handled, post

ONCE = {"rules": [{"reply": {"content": "Hi"}, "fault": {"kind": "status", "status": 500, "times": 1}}]}
NAMES = st.sampled_from(["", "a", "b", "c", "d", "e"])


def sent(app: App | Replay, path: str = "", body: bytes | None = None) -> Entry:
    return handled(app, HttpRequest("POST", f"{path}/v1/chat/completions", body or chat()))[1]


@given(st.lists(st.tuples(st.sampled_from(["open", "load", "forget", "reply"]), NAMES), max_size=40))
def test_sessions_are_bounded_and_only_idle_ones_without_a_scenario_are_dropped(steps: list[tuple[str, str]]) -> None:
    state: MemoryState[str] = MemoryState(Limits(max_sessions=3))
    for step, name in steps:
        before = state.sessions()
        held = [each.own or each.replies or not other for other, each in before.items()]
        refused = pytest.raises(RequestError, match="This server keeps 3 sessions, and none can make way")
        full = name not in before and len(held) == 3 and all(held)
        with refused if full and step in ("open", "load") else nullcontext():
            if step == "open":
                assert state.open(name, "shared").content in ("shared", f"own {name}")
            elif step == "load":
                assert state.load(name, f"own {name}").content == f"own {name}"
            elif step == "forget":
                state.forget(name)
            elif found := state.find(name):
                found.reply().__enter__()  # and it never ends
        gone = [other for other in before if other not in state.sessions() and other != name]
        assert all(not before[other].own and not before[other].replies and other for other in gone)
        assert len(gone) <= 1
        assert len(state.sessions()) <= 3


def test_the_session_idle_for_longest_is_dropped_with_its_journal() -> None:
    app = App(limits=Limits(max_sessions=3))
    for name in ("/s/a", "/s/b", "", "/s/a", "/s/c"):
        sent(app, name)
    assert sorted(app.sessions()) == ["", "a", "c"]
    assert len(app.session("a").journal) == 2


def test_one_session_too_many_gets_a_remedy() -> None:
    app = App(limits=Limits(max_sessions=2))
    for name in ("a", "b"):
        app.load(name, load(ONCE), False)
    response, _ = handled(app, HttpRequest("POST", "/s/c/v1/chat/completions", chat()))
    assert response.plan.status == 503
    assert ("x-should-retry", "false") in response.plan.headers
    assert "End a session with POST /s/<name>/_fakellm/reset" in (response.explanation or "")
    assert "each is the one at the root, has a scenario of its own or has a reply" in (response.explanation or "")
    app.load("b", load(ONCE), False)  # in place of the one there
    handled(app, HttpRequest("POST", "/s/a/_fakellm/reset"))
    assert sent(app, "/s/c").status == 200


def test_a_dropped_count_is_recorded_if_it_could_have_mattered() -> None:
    app = App(load(ONCE), limits=Limits(max_attempts=2))
    entries = [sent(app, body=chat(seed=seed)) for seed in (1, 2, 1, 3, 2, 2)]
    assert [(entry.status, entry.attempts_forgotten) for entry in entries] == [
        (500, False),
        (500, False),
        (200, False),
        (500, False),  # 2 makes way
        (500, True),  # which it should not have been
        (200, True),  # which may be the third
    ]
    assert [entry.attempts_forgotten for entry in app.session("").journal][-2:] == [True, True]
    assert not sent(app, "/s/other").attempts_forgotten


def test_attempts_after_a_forgotten_one_are_marked_until_it_is_dropped_again() -> None:
    """The second reply after a forgotten count may be the wrong one as well."""
    steps = tuple(Step(reply=Reply(content=text)) for text in "BC")
    app = App(load(Rule(reply=Reply(content="A"), then=steps, after="cycle")), limits=Limits(max_attempts=2))
    entries = [sent(app, body=chat(seed=seed)) for seed in (1, 1, 2, 3, 1, 1, 1, 3)]
    assert [entry.attempts_forgotten for entry in entries] == [False] * 4 + [True] * 3 + [False]


def test_a_dropped_session_loses_its_counts() -> None:
    app = App(load(ONCE), limits=Limits(max_sessions=2))
    entries = [sent(app, name) for name in ("/s/a", "", "/s/b", "/s/a")]
    assert [(entry.status, entry.attempts_forgotten) for entry in entries] == [
        (500, False),
        (500, False),
        (500, True),  # who knows whether it is new
        (500, True),
    ]


def test_the_counts_of_ended_sessions_push_out_none_of_the_others() -> None:
    app = App(load(ONCE), limits=Limits(max_attempts=2))
    assert sent(app, "/s/long").status == 500
    for number in range(10):
        assert sent(app, f"/s/{number}").status == 500
        assert app.held()["max_attempts"] == (2, 2)
        handled(app, HttpRequest("POST", f"/s/{number}/_fakellm/reset"))
        assert app.held()["max_attempts"] == (1, 2)
    entry = sent(app, "/s/long")
    assert (entry.status, entry.attempts_forgotten) == (200, False)


@given(st.lists(st.tuples(st.sampled_from(["set", "end"]), st.integers(0, 3), st.integers(0, 3)), max_size=60))
def test_of_recent_values_only_those_of_owners_that_have_not_ended_count(steps: list[tuple[str, int, int]]) -> None:
    """Each owner ends once, and has another number after that, as sessions do."""
    values, model, lives = Recent[int](4), dict[tuple[Any, ...], int](), dict.fromkeys(range(4), 0)
    for number, (step, name, key) in enumerate(steps):
        owner = (name, lives[name])
        if step == "end":
            values.end(owner)
            model = {place: value for place, value in model.items() if place[0] != owner}
            lives[name] += 1
        else:
            model.pop((owner, key), None)
            model[owner, key] = number
            oldest = next(iter(model)) if len(model) > 4 else (None,)
            model.pop(oldest, None)
            assert values.set((owner, key), number) == oldest[0]
        assert {place: values.get(place) for place in model} == model
        assert len(values) == len(model) <= 4
        assert len(values._values) <= 8


def test_a_replay_records_what_it_forgot() -> None:
    def recorded(text: bytes) -> Interaction:
        request = RecordedRequest("POST", "https://x/v1/chat/completions", (), text)
        return Interaction(request, Plan(200, (), (Frame(text),)))

    cassette = Cassette("r", (recorded(b"1"), recorded(b"1"), recorded(b"2")))
    app = Replay([cassette], limits=Limits(max_attempts=1))
    entries = [sent(app, body=body) for body in (b"1", b"2", b"1")]
    assert [(entry.rule, entry.attempts_forgotten) for entry in entries] == [
        ("r#1", False),
        ("r#3", False),
        ("r#1", True),
    ]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60)), max_size=40))
def test_the_cache_is_bounded_in_bytes(kept: list[tuple[int, int]]) -> None:
    cache = Cache(100)
    for key, size in kept:
        cache.keep(key, size, size)
        assert cache.find(key) == size
        assert sum(cache.find(each) or 0 for each in range(6)) <= 100
    cache.keep(7, "too large", 101)
    assert cache.find(7) is None


@pytest.mark.parametrize("where", ["url", "header"])
def test_the_cache_counts_the_keys_of_what_it_keeps(where: str) -> None:
    """That of the rule that matches, and that of the reply."""
    sizes = []
    for length in (10, 20_010):
        app = App(load({"rules": [{"when": {"headers": {"x-run": {"regex": "."}}}, "reply": {"content": "Hi"}}]}))
        path, headers = "/v1/chat/completions", {"x-run": "x"}
        if where == "url":
            path += "?run=" + "x" * length
        else:
            headers["x-run"] *= length
        assert handled(app, HttpRequest("POST", path, chat(), headers))[1].matched
        sizes.append(app.held()["cache_bytes"][0])
    assert sizes[1] - sizes[0] == 2 * 20_000


def test_a_reply_is_the_same_whether_it_is_cached_or_not() -> None:
    bodies = [chat(seed=seed, stream=stream) for seed in range(3) for stream in (False, True)] * 2
    plans = [
        [handled(app, HttpRequest("POST", "/v1/chat/completions", body))[0].plan for body in bodies]
        for app in (
            App(load(ONCE)),
            App(load(ONCE), limits=Limits(cache_bytes=0)),
            App(load(ONCE), limits=Limits(cache_bytes=9_000)),
        )
    ]
    assert plans[0] == plans[1] == plans[2]


def test_a_reply_is_rendered_once_for_each_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str | None] = []

    def counted(rule: fakellm.Rule, *rest: Any) -> Plan:
        rendered.append(rule.fault.kind if rule.fault else None)
        return render(rule, *rest)

    monkeypatch.setattr("fakellm.engine.engine.render", counted)
    app = App(load(ONCE))
    assert [sent(app).status for _ in range(4)] == [500, 200, 200, 200]
    assert rendered == ["status", None]


def test_sessions_share_one_ruleset_and_the_cache() -> None:
    app = App(load(ONCE))
    one, other = app.session("one").content, app.session("other").content
    assert one is other
    app.load("own", load(ONCE), True)
    assert app.session("own").content is not one


def test_the_journal_is_encoded_a_little_at_a_time() -> None:
    app = App()
    journal = app.session("").journal
    for _ in range(5_000):
        journal.add(Entry("POST", "/v1/chat/completions"))
    outcome, _ = app.handle(HttpRequest("GET", "/_fakellm/journal"))
    assert isinstance(outcome, Work)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main(work: Work) -> Response:
        counting = asyncio.ensure_future(count())
        result = await offload(work.run)
        counting.cancel()
        return work.then(result)

    response = asyncio.run(main(outcome))
    assert response.plan.body.count(b"\n") == 5_001
    assert turns >= 20


@pytest.mark.parametrize("start", [fakellm.serve, fakellm.spawn])
def test_each_bound_is_an_option(start: Any) -> None:
    limits = {"cache_bytes": 0, "journal_bytes": 5_000, "stored_bytes": 5_000, "max_sessions": 2, "max_attempts": 1}
    with start(ONCE, **limits) as server:
        for seed in (1, 2, 1):
            post(server.base_url + "/chat/completions", chat(seed=seed))
        assert [entry.attempts_forgotten for entry in server.journal][-1:] == [True]
        for number in range(5):
            post(server.session("other").base_url + "/chat/completions", chat(seed=number))
        assert server.journal == []
        assert [entry.number for entry in server.session("other").journal][-1:] == [5]


@pytest.mark.parametrize(
    "limits",
    [
        {"cache_bytes": -1},
        {"max_sessions": 0},
        {"max_attempts": 0},
        {"cache_bytes": 1.5},
        {"journal_bytes": None},
        {"max_sessions": True},
        {"cache_bytes": float("nan")},
    ],
)
@pytest.mark.parametrize("start", [fakellm.serve, fakellm.spawn])
def test_a_bound_that_keeps_nothing_is_reported(start: Any, limits: dict[str, Any]) -> None:
    ((name, value),) = limits.items()
    with pytest.raises(ValueError, match=f"{name} must be a whole number, [01] or more, got {value}"):
        start(**limits).__enter__()


def test_a_thread_that_cannot_be_started_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads, calls = Threads(most=1), queue.SimpleQueue[str]()
    with monkeypatch.context() as changed:
        changed.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError):
            threads.add(lambda: calls.put("lost"))
    threads.add(lambda: calls.put("done"))
    assert calls.get(timeout=30) == "done"
