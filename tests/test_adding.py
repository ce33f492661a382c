"""Rules that are added to a running server: in order, with the journal and the counts kept; by thread and by process."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fakellm
from fakellm import Reply, Rule, Scenario, ScenarioError, ServerError, When, dump, load, on
from fakellm.faults import Fault
from fakellm.scenarios.scenario import extended
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from fakellm.testing.fault_names import Faults
from fakellm.testing.handle import Handle
from fakellm.testing.vocabulary import Vocabulary
from tests.conftest import chat, handled, post, respond

MODELS = st.lists(st.sampled_from("abcdef"), max_size=6, unique=True)


def rules(models: list[str]) -> tuple[Rule, ...]:
    return tuple(Rule(Reply(content=model), When(model=model)) for model in models)


def added(app: App, scenario: Scenario, query: str = "") -> Any:
    request = HttpRequest("POST", f"/_fakellm/rules{query}", dump(scenario).encode())
    return json.loads(respond(app, request).body)


@settings(max_examples=30)
@given(MODELS, st.integers(0, 6), st.sampled_from("abcdef"))
def test_added_rules_are_those_of_one_scenario(models: list[str], cut: int, replaced: str) -> None:
    whole = Scenario(rules=rules(models))
    app = App()
    assert added(app, Scenario(rules=rules(models[:cut])))["rules"] == len(models[:cut])
    assert added(app, Scenario(rules=rules(models[cut:])))["rules"] == len(models)
    served = json.loads(respond(app, HttpRequest("GET", "/_fakellm/scenario")).body)
    assert load(served) == whole
    for number in range(1, len(models) + 1):
        other = Scenario(rules=(Rule(Reply(content="new"), When(model=f"{replaced}{number}")),))
        assert added(app, other, f"?replace={number}") == {"rules": len(models), "strict": False}
        whole = Scenario(rules=(*whole.rules[: number - 1], *other.rules, *whole.rules[number:]))
    assert load(json.loads(respond(app, HttpRequest("GET", "/_fakellm/scenario")).body)) == whole


@pytest.mark.parametrize("server", [False, True])
@pytest.mark.parametrize("strict", [False, True])
def test_the_session_stays_as_strict_as_it_is(server: bool, strict: bool) -> None:
    app = App(strict=server)
    body = dump(Scenario(rules=rules(["a"]))).encode()
    respond(app, HttpRequest("PUT", f"/_fakellm/scenario?strict={json.dumps(strict)}", body))
    assert added(app, Scenario(rules=rules(["b"])))["strict"] == app.session("").content.strict == strict
    assert added(app, Scenario(rules=rules(["c"])), f"?strict={json.dumps(not strict)}")["strict"] is not strict
    assert app.session("").content.strict is not strict


def test_names_and_dialects_of_a_file_stay() -> None:
    base, more = (
        load("rules:\n- {when: {model: a}, reply: {}}\n"),
        load("scenario: more\ndialect: xai\nrules: [{reply: {}}]\n"),
    )
    assert extended(None, more) == more
    assert [(rule.name, rule.dialect) for rule in extended(base, more).named_rules()] == [
        ("scenario#1", "openai"),
        ("more#1", "xai"),
    ]
    assert extended(more, base).named_rules()[1].dialect == "xai"  # it sets none


def test_the_journal_and_the_attempts_stay() -> None:
    app = App(load("rules: [{when: {model: m}, script: [{reply: {content: one}}, {reply: {content: two}}]}]\n"))
    ask = HttpRequest("POST", "/v1/chat/completions", chat())
    handled(app, ask)
    added(app, Scenario(rules=rules(["x"])))
    assert "two" in handled(app, ask)[0].body.decode()
    assert len(app.session("").journal) == 2


@pytest.mark.parametrize(
    ("query", "scenario", "problem"),
    [
        (
            "?replace=2",
            "rules: [{reply: {}}]",
            "Invalid value for 'replace': the session has 1 rule, got 2.",
        ),
        ("?replace=x", "rules: [{reply: {}}]", "Invalid value for 'replace': expected the number of a rule, from 1"),
        ("?strict=yes", "rules: [{reply: {}}]", "Invalid value for 'strict'"),
        ("", "rules: [{reply: {}}]", "no request reaches this rule"),
        ("", "rules: [{repl: {}}]", "did you mean 'reply'?"),
    ],
)
def test_what_cannot_be_added_is_refused(query: str, scenario: str, problem: str) -> None:
    with fakellm.serve("rules: [{reply: {content: Hi}}]") as server:
        refused = post(f"{server.url}/_fakellm/rules{query}", scenario.encode())
        assert refused.status_code == 400
        assert problem in refused.json()["error"]["message"]
        assert server.health()["scenario"] == "scenario"


Start = Callable[..., AbstractContextManager[Handle]]


@pytest.mark.parametrize("start", [fakellm.serve, fakellm.spawn])
def test_both_kinds_of_server_take_rules(start: Start) -> None:
    with start({"rules": [{"when": {"model": "a"}, "reply": {}}]}, strict=True) as server:
        rule = server.on(model="m").fail(429, times=1).reply("Hi")
        assert server.unsent() == []
        server.add(on(model="s").script("one", "two"))
        assert [post(server.base_url + "/chat/completions", chat()).status_code for _ in range(2)] == [429, 200]
        assert rule.number == 2
        assert server.unsent() == ["the script of 'scenario#3' has replies for 2 requests, got 0"]
        with server.expect_unmatched() as refused:
            post(server.base_url + "/chat/completions", chat(model="unknown"))
        assert [entry.status for entry in refused] == [404]
        function = pytest.raises(ScenarioError, match="Python function") if start is fakellm.spawn else None
        if function:
            with function:
                server.on(model="f").reply(lambda request: "Hi")
        else:
            server.on(model="f").reply(lambda request: "Hi")
            assert "Hi" in post(server.base_url + "/chat/completions", chat(model="f")).text


def test_a_chain_does_not_change_a_rule_that_was_loaded_after_it() -> None:
    with fakellm.serve() as server:
        loaded = "rules: [{when: {user: d}, reply: {}}]"
        for replace in (partial(server.load, loaded), server.reset):
            rule, begun = server.on(user="a").reply("one"), server.on(user="b")
            replace()
            with pytest.raises(ScenarioError, match=r"^test_adding\.py:\d+: the rule of this on\(…\) is not served "):
                rule.timing(first=0.1)
            assert server.on(user="c").reply("two").timing(first=0.1).number is not None
        assert begun.reply("three").number == 2


def test_a_call_is_placed_in_a_package_with_a_longer_name() -> None:
    with fakellm.serve() as server:
        file = f"{Path(fakellm.__file__).parent}_app/app.py"
        names: dict[str, Any] = {"on": server.on}
        exec(compile("\nrule = on(user='a')", file, "exec"), names)
        assert names["rule"].start.place == "app.py:2"


def test_a_thread_of_its_own_compiles_what_has_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server goes on meanwhile; and what somebody else adds then stays."""
    threads: list[threading.Thread] = []
    compiled = App.compiled

    def compile_beside_another(app: App, *args: Any) -> Any:
        threads.append(threading.current_thread())
        if len(threads) == 1:
            server.on(user="b").reply("from a file")
        return compiled(app, *args)

    with fakellm.serve() as server:
        server.load("rules: [{when: {user: a}, reply: {}}]")
        monkeypatch.setattr(App, "compiled", compile_beside_another)
        rule = server.on(user="c").reply(lambda request: "computed")
        assert rule.number == 3
        own = [each is threading.current_thread() for each in threads]
        assert own == [True, False, True]  # another thread compiled the rule that was added over HTTP
        threads.clear()
        threads.append(threading.current_thread())
        server.load(on().reply(lambda request: "loaded"))
        assert threads[1:] == [threading.current_thread()]


def test_a_server_that_replays_takes_none() -> None:
    with fakellm.replay() as server, pytest.raises(ServerError, match="Unknown request URL: POST /_fakellm/rules"):
        server.reply("Hi")


def test_a_handle_has_the_names_of_the_module() -> None:
    names = [name for name in vars(Vocabulary) if not name.startswith("_") and name != "faults"]
    assert all(getattr(Vocabulary, name) is getattr(fakellm, name) for name in names)
    assert {kind.__name__ for kind in get_args(Fault)} == {name for name in vars(Faults) if name[0] != "_"} - {"Times"}
