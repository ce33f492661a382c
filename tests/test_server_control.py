"""Control routes that change a running server: rules in front, a fault for the next requests, the speed, the files."""

from __future__ import annotations

import gc
import re
import threading
from errno import ENOSPC
from pathlib import Path
from typing import Any
from urllib.parse import quote
from weakref import ref

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakellm
from fakellm.base.errors import MOST_PROBLEMS
from fakellm.cli.beside.reload import Files
from fakellm.engine.response import Pace
from fakellm.engine.state import Limits
from fakellm.scenarios.loader import load, read
from fakellm.scenarios.scenario import Scenario, extended
from fakellm.server.application import HttpRequest
from fakellm.server.control import file_routes, next_fault
from fakellm.server.control.next_fault import with_fault
from fakellm.server.scenario_app import ROUTES, App
from tests.conftest import ROOT, chat, handled, post
from tests.controls import called
from tests.test_apis import BOTH, request


def ask(app: App, text: str = "Hello", session: str = "", **fields: Any) -> Any:
    body = chat(messages=[{"role": "user", "content": text}], **fields)
    _, entry = handled(app, HttpRequest("POST", f"{session}/v1/chat/completions", body))
    return entry


# Rules in front

TWICE = {"when": {"user": "b"}, "reply": {"content": "1"}, "then": [{"reply": {"content": "2"}}]}


def test_rules_in_front_answer_first_and_leave_names_and_attempts() -> None:
    app = App(load({"rules": [TWICE, {"name": "last", "reply": {"content": "3"}}]}))
    assert [ask(app, "b").rule, ask(app, "c").rule] == ["scenario#1", "last"]
    new = "rules:\n- {when: {user: a}, reply: {content: '0'}}\n"
    assert called(app, "POST", "/_fakellm/rules?first=true", new) == {"rules": 3, "strict": False}
    assert [ask(app, "a").rule, ask(app, "b").rule] == ["scenario#3", "scenario#1"]
    contents = [entry.request.response.body for entry in app.session("").journal]
    assert b'"content":"2"' in contents[-1].replace(b" ", b"")  # the second attempt
    called(app, "POST", "/_fakellm/rules?first=true", new.replace("user: a", "user: a, model: m"))
    assert ask(app, "a").rule == "scenario#4"
    assert len(app.session("").journal) == 5


@given(st.lists(st.booleans(), max_size=6))
def test_names_stay_whatever_is_put_where(places: list[bool]) -> None:
    scenario: Scenario | None = Scenario(rules=load({"rules": [{"when": {"user": "x"}, "reply": {}}]}).rules)
    known: list[str] = ["scenario#1"]
    for number, first in enumerate(places):
        added = load({"rules": [{"when": {"user": f"u{number}"}, "reply": {}}]})
        scenario = extended(scenario, added, first=first)
        names = [str(rule.name) for rule in scenario.named_rules()]
        assert [name for name in names if name in known] == known
        assert len(set(names)) == len(names)
        known = names


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("first=yes", "Invalid value for 'first': expected true or false, got 'yes'"),
        ("first=true&replace=1", "'first' and 'replace' exclude each other"),
    ],
)
def test_rules_cannot_be_put_in_two_places(query: str, part: str) -> None:
    app = App(load({"rules": [{"reply": {}}]}))
    assert part in called(app, "POST", f"/_fakellm/rules?{query}", "rules: []")["error"]["message"]


def test_a_rule_in_front_that_hides_another_is_refused() -> None:
    app = App(load({"rules": [{"when": {"user": "a"}, "reply": {}}]}))
    error = called(app, "POST", "/_fakellm/rules?first=true", "rules:\n- reply: {content: a}\n")["error"]
    assert error["code"] == "invalid_scenario"
    assert "no request reaches this rule" in error["message"]


# A fault for the next requests


@pytest.mark.parametrize(("name", "stream"), BOTH)
def test_the_next_requests_get_a_fault_and_no_others(name: str, stream: bool) -> None:
    app = App(load({"rules": [{"name": "one", "when": {"user": "Hello"}, "reply": {"content": "Hi"}}]}), strict=True)
    fault = {"kind": "status", "status": 429}
    assert called(app, "PUT", "/_fakellm/fault", {"fault": fault, "requests": 3}) == {"fault": fault, "requests": 3}
    handled(app, request(name, stream))
    handled(app, request(name, stream, "something that no rule matches"))
    handled(app, HttpRequest("GET", "/v1/models"))
    assert called(app, "GET", "/_fakellm/fault") == {"fault": fault, "requests": 1}
    handled(app, request(name, stream))
    assert called(app, "GET", "/_fakellm/fault") == {"fault": None, "requests": 0}
    handled(app, request(name, stream))
    entries = [entry for entry in app.session("").journal if entry.api]
    assert [(entry.fault, entry.status) for entry in entries] == [("status", 429)] * 3 + [(None, 200)]
    assert [entry.rule for entry in entries] == ["one", "generated", "one", "one"]


def test_a_fault_that_breaks_nothing_is_not_taken_for_that_of_the_rule() -> None:
    app = App(load({"rules": [{"name": "one", "reply": {"content": "Hi"}}]}))
    called(app, "PUT", "/_fakellm/fault", {"fault": {"kind": "reset", "frame": 3}})
    assert ask(app).explanation == (
        "The fault of /_fakellm/fault broke nothing: 'frame' of 'reset' needs a stream, and this request is not for one: "
        "leave 'frame' out."
    )
    (idle,) = called(app, "GET", "/_fakellm/unused")["faults"]
    assert idle["reason"].startswith("The fault of /_fakellm/fault broke nothing: ")


def test_a_long_request_gets_the_fault_too() -> None:
    with fakellm.serve({"rules": [{"reply": {"content": "Hi"}}]}) as server:
        httpx2.put(f"{server.url}/_fakellm/fault", json={"fault": {"kind": "status", "status": 503}})
        long = chat(messages=[{"role": "user", "content": "x" * 100_000}])
        assert [post(f"{server.base_url}/chat/completions", long).status_code for _ in range(2)] == [503, 200]


def test_the_attempts_at_rules_are_as_if_there_were_no_fault() -> None:
    app = App(load({"rules": [{"script": [{"reply": {"content": "1"}}, {"reply": {"content": "2"}}]}]}))
    called(app, "PUT", "/_fakellm/fault", {"fault": {"kind": "status", "status": 500}})
    assert [ask(app).status, ask(app, "x").status, ask(app, "y").status] == [500, 200, 200]


@pytest.mark.parametrize("padding", ["", " " * 100_000], ids=["short", "long"])
@pytest.mark.parametrize("fault", [False, True])
def test_rules_in_front_leave_the_attempts_of_whatever_engine_answers(fault: bool, padding: str) -> None:
    """Another one answers those that get a fault, and another process those that are long."""
    steps: list[Any] = [{"reply": {"content": number}} for number in "123"]
    rule: dict[str, Any] = {"reply": {"content": "{{attempt}}", "template": True}} if fault else {"script": steps}
    with fakellm.serve({"rules": [rule]}) as server:
        httpx2.post(f"{server.url}/_fakellm/rules?first=true", json={"rules": [{"when": {"user": "x"}, "reply": {}}]})

        def asked(text: str) -> Any:
            sent = chat(messages=[{"role": "user", "content": text}])
            found = post(f"{server.base_url}/chat/completions", sent)
            return found.json()["choices"][0]["message"]["content"] if found.status_code == 200 else found.status_code

        if fault:
            assert asked("Hi" + padding) == "1"
            httpx2.put(f"{server.url}/_fakellm/fault", json={"fault": {"kind": "status", "status": 503}})
            assert [asked("Hi" + padding) for _ in range(2)] == [503, "3"]
        else:
            assert [asked("Hi"), asked("Hi" + padding), asked("Hi")] == ["1", "2", "3"]


def test_a_fault_is_for_one_session_and_ends_with_it() -> None:
    app = App()
    for path in ("", "/s/a", "/s/b"):
        called(app, "PUT", f"{path}/_fakellm/fault", {"fault": {"kind": "empty"}, "requests": 9})
    called(app, "POST", "/s/a/_fakellm/reset")
    assert called(app, "DELETE", "/s/b/_fakellm/fault") == {"fault": None, "requests": 0}
    assert [ask(app, session=path).fault for path in ("", "/s/a", "/s/b", "/s/c")] == ["empty", None, None, None]


def test_a_fault_that_is_left_goes_with_the_rules_that_a_session_gets() -> None:
    app = App(load({"rules": [{"name": "old", "reply": {}}]}), strict=True)
    called(app, "PUT", "/_fakellm/fault", {"fault": {"kind": "status", "status": 500}, "requests": 3})
    assert ask(app, "new").rule == "old"
    called(
        app, "POST", "/_fakellm/rules?first=true", {"rules": [{"name": "new", "when": {"user": "new"}, "reply": {}}]}
    )
    assert [(entry.rule, entry.fault) for entry in (ask(app, "new"), ask(app))] == [
        ("new", "status"),
        ("old", "status"),
    ]


INVALID = b'{"model": "m", "messages": 3}'
QUOTA = {"limits": [{"per_minute": {"requests": 1}}], "rules": [{"reply": {}}]}


@pytest.mark.parametrize("offloads", [True, False])
@pytest.mark.parametrize("padding", [b"", b" " * 100_000], ids=["short", "long"])
def test_a_request_that_is_refused_leaves_the_fault_to_the_next(padding: bytes, offloads: bool) -> None:
    app = App(load(QUOTA))
    app.offloads = offloads
    called(app, "PUT", "/_fakellm/fault", {"fault": {"kind": "status", "status": 500}, "requests": 2})
    for body, status, left in ((INVALID, 400, 2), (chat(), 500, 1), (chat(), 429, 1), (INVALID, 400, 1)):
        _, entry = handled(app, HttpRequest("POST", "/v1/chat/completions", body + padding))
        assert (entry.status, called(app, "GET", "/_fakellm/fault")["requests"]) == (status, left)


def test_nothing_is_kept_of_the_faults_of_sessions_that_have_ended() -> None:
    app = App(limits=Limits(max_sessions=2))
    for name in "abcd":  # the first two must make way
        called(app, "PUT", f"/s/{name}/_fakellm/fault", {"fault": {"kind": "empty"}})
    assert list(app.next_faults) == ["c", "d"]
    called(app, "POST", "/s/d/_fakellm/reset")
    assert list(app.next_faults) == ["c"]
    evicted = ref(app.session("c"))
    for name in "ef":
        app.session(name)
    gc.collect()
    assert evicted() is None


def test_the_rules_with_a_fault_are_compiled_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    app = App(load({"rules": [{"reply": {}}]}))
    compiled = next_fault.with_fault

    def noted(*arguments: Any) -> Scenario:
        threads.append(threading.current_thread())
        return compiled(*arguments)

    monkeypatch.setattr(next_fault, "with_fault", noted)
    called(app, "PUT", "/_fakellm/fault", {"fault": {"kind": "empty"}})
    assert [thread is threading.main_thread() for thread in threads] == [False]


def test_a_reply_that_a_fault_cannot_break_is_as_it_is() -> None:
    scenario = load(
        {"rules": [{"when": {"user": "a"}, "reply": {"content": "a"}}, {"reply": {"tool_calls": [{"name": "f"}]}}]}
    )
    changed = with_fault(scenario, fakellm.faults.BadArguments())
    assert [rule.fault for rule in changed.rules] == [None, fakellm.faults.BadArguments()]


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ("", "The fault is not valid JSON; send {"),
        ({}, "'fault' is missing"),
        ({"fault": {"kind": "clos"}}, "did you mean 'close'?"),
        ({"fault": {"kind": "close"}, "requests": 0}, "requests"),
        ({"fault": {"kind": "close", "times": 2}}, "'requests' beside the fault sets how many requests get it"),
        ({"fault": {"kind": "close"}, "times": 2}, "times"),
    ],
)
def test_a_wrong_fault_is_refused(body: object, part: str) -> None:
    error = called(App(), "PUT", "/_fakellm/fault", body)["error"]
    assert error["code"] == "invalid_fault"
    assert part in error["message"]


# The server


def test_the_speed_is_shown_and_changed() -> None:
    app = App()
    assert app.handle(HttpRequest("GET", "/_fakellm/speed"))[0] == Pace()
    assert app.handle(HttpRequest("PUT", "/_fakellm/speed", b'{"speed": 2}'))[0] == Pace(2)
    rule = {"reply": {"content": "One two three"}, "timing": {"gap": 3600}}
    with fakellm.serve({"rules": [rule]}) as server:
        import httpx2

        assert httpx2.get(f"{server.url}/_fakellm/speed").json() == {"speed": 1}
        assert httpx2.put(f"{server.url}/_fakellm/speed", json={"speed": 0}).json() == {"speed": 0}
        assert post(f"{server.base_url}/chat/completions", chat(stream=True)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        "",
        "2",
        "{}",
        '{"speed": -1}',
        '{"speed": "fast"}',
        '{"speed": true}',
        '{"speed": 1e999}',
        '{"sped": 3, "speed": 2}',
    ],
)
def test_a_wrong_speed_is_refused(body: str) -> None:
    error = called(App(), "PUT", "/_fakellm/speed", body)["error"]
    assert error["message"].startswith('Invalid speed: expected {"speed": 2}')


@pytest.mark.parametrize("speed", ["9" * 400, "1e7", "5e-324"])
def test_a_speed_at_which_a_delay_has_no_sense_is_refused(speed: str) -> None:
    assert called(App(), "PUT", "/_fakellm/speed", f'{{"speed": {speed}}}')["error"]["code"] == "invalid_value"


@pytest.mark.parametrize("name", [".", "..", "%2e%2e"])
def test_a_session_whose_name_a_url_leaves_out_is_refused(name: str) -> None:
    """A browser reads `/s/../_fakellm/reset` as `/_fakellm/reset`, which is another session's."""
    app = App()
    assert called(app, "POST", f"/s/{name}/v1/chat/completions", "{}")["error"]["code"] == "invalid_session"
    assert list(app.sessions()) == []


def test_an_error_names_the_first_problems_and_counts_the_others() -> None:
    message = called(App(), "PUT", "/_fakellm/scenario", "rules:\n" + "- {replly: {}}\n" * 1_000)["error"]["message"]
    assert len(message.splitlines()) == MOST_PROBLEMS + 1
    assert message.splitlines()[-1].endswith("more problems")


def test_all_sessions_are_listed() -> None:
    app = App(load({"scenario": "mine", "rules": [{"reply": {}}]}))
    ask(app)
    called(app, "PUT", "/s/é/_fakellm/scenario", "rules: []")
    root = {"session": "", "own": False, "requests": 1, "entries": 1, "dropped": 0}
    other = {"session": "é", "own": True, "requests": 0, "entries": 0, "dropped": 0}
    assert called(app, "GET", "/_fakellm/sessions")["sessions"] == [
        {**root, "scenario": "mine", "rules": 1, "strict": False},
        {**other, "scenario": "scenario", "rules": 0, "strict": False},
    ]


# Files

TEXT = "rules:\n- reply: {content: one}  # a comment\n"


@pytest.fixture
def edited(tmp_path: Path) -> tuple[App, Path]:
    file = tmp_path / "a b.yaml"
    file.write_text(TEXT, encoding="utf-8")
    reading = read([file])
    app = App(reading.scenario)
    app.edited = Files([file], reading)
    return app, file


def put(app: App, name: object, version: str, text: str) -> Any:
    return called(app, "PUT", f"/_fakellm/file?name={quote(str(name))}&version={version}", text)


def test_a_file_is_shown_and_written(edited: tuple[App, Path]) -> None:
    app, file = edited
    found = called(app, "GET", "/_fakellm/file")
    (shown,) = found["files"]
    assert (found["edit"], shown["name"], shown["text"]) == (True, str(file), TEXT)
    new = TEXT.replace("one", "two é")
    written = put(app, file, shown["version"], new)
    assert file.read_text(encoding="utf-8") == new
    assert written == {"name": str(file), "version": called(app, "GET", "/_fakellm/file")["files"][0]["version"]}
    assert app.edited is not None
    assert isinstance(app.edited, Files)
    assert app.edited.changed() is not None  # it is loaded again


def test_a_file_that_has_changed_meanwhile_is_left(edited: tuple[App, Path]) -> None:
    app, file = edited
    version = called(app, "GET", "/_fakellm/file")["files"][0]["version"]
    file.write_text("rules: []\n", encoding="utf-8")
    assert put(app, file, version, TEXT)["error"]["code"] == "file_changed"
    assert file.read_text(encoding="utf-8") == "rules: []\n"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("rules: [", ":2:1: did not find expected node content"),
        ("rules:\n- repy: {}\n", "did you mean 'reply'?"),
        ("", "is empty"),
    ],
)
def test_what_is_not_a_scenario_is_not_written(edited: tuple[App, Path], text: str, part: str) -> None:
    app, file = edited
    version = called(app, "GET", "/_fakellm/file")["files"][0]["version"]
    error = put(app, file, version, text)["error"]
    assert error["code"] == "invalid_scenario"
    assert str(file) in error["message"]
    assert file.read_text(encoding="utf-8") == TEXT


def test_a_file_that_cannot_be_written_is_named(edited: tuple[App, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    app, file = edited
    version = called(app, "GET", "/_fakellm/file")["files"][0]["version"]

    def full(file: Path, data: bytes) -> None:
        raise OSError(ENOSPC, "No space left on device", str(file))

    monkeypatch.setattr(file_routes, "write_whole", full)
    error = put(app, file, version, TEXT)["error"]
    assert (error["code"], str(file) in error["message"]) == ("file_error", True)
    assert error["message"].startswith("A file of the scenario cannot be written: ")


def test_no_other_file_is_written(edited: tuple[App, Path], tmp_path: Path) -> None:
    app, file = edited
    for name in (tmp_path / "other.yaml", "/etc/passwd", "", f"{tmp_path}/../{tmp_path.name}/a b.yaml", tmp_path):
        assert put(app, name, "x", TEXT)["error"]["code"] == "no_such_file"
    assert [each.name for each in tmp_path.iterdir()] == ["a b.yaml"]
    assert called(app, "PUT", f"/_fakellm/file?name={quote(str(file))}", TEXT)["error"]["code"] == "missing_parameter"


def test_large_files_are_not_shown(edited: tuple[App, Path]) -> None:
    app, file = edited
    file.write_text(f"{TEXT}#{'x' * 2**20}\n", encoding="utf-8")
    error = called(app, "GET", "/_fakellm/file")["error"]
    assert (error["code"], "with an editor" in error["message"]) == ("files_too_large", True)


def test_a_server_that_does_not_edit_writes_nothing() -> None:
    app = App(load(TEXT))
    assert called(app, "GET", "/_fakellm/file") == {"edit": False, "files": []}
    error = put(app, "a.yaml", "x", TEXT)["error"]
    assert (error["code"], "--edit" in error["message"]) == ("not_editable", True)


@pytest.mark.parametrize("path", ["/etc/passwd", "../other.yaml", "."])
def test_a_client_cannot_add_files_to_those_that_it_may_write(tmp_path: Path, path: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("include: [b.yaml]\nrules: []", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("rules: []", encoding="utf-8")
    app = App(load(TEXT))
    app.edited = Files([file], read([file]))
    [shown, _] = called(app, "GET", "/_fakellm/file")["files"]
    error = put(app, file, shown["version"], f"include: [b.yaml, {path}]\nrules: []")["error"]
    assert error["message"] == f"{file}: include: '{path}' can be added only in the file itself."
    assert "version" in put(app, file, shown["version"], "include: [b.yaml]\nrules: [{reply: {}}]")


# The documentation


def test_every_control_route_is_documented() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))
    named = re.sub(r"/requests/3\b", "/requests/{number}", pages)
    for path, methods in ROUTES.items():
        if path.startswith("/_fakellm/") and not re.match("/_fakellm/(?:page/|$)", path):  # the page and its files
            for method in methods:
                assert re.search(rf"{method}(?:`?, `?[A-Z]+)* {re.escape(path)}(?![\w/])", named), f"{method} {path}"
