"""Control routes ignore nothing: what they do not know in a query or a body is refused by its name."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.base.errors import RequestError
from fakellm.scenarios.loader import dump_json, load
from fakellm.scenarios.reply import Computed
from fakellm.scenarios.scenario import Rule
from fakellm.server.application import Application, HttpRequest
from fakellm.server.replay_app import Replay
from fakellm.server.scenario_app import App
from tests.conftest import chat, handled

KNOWN = {
    ("GET", "health"): (),
    ("GET", "journal"): (),
    ("POST", "reset"): (),
    ("POST", "step"): ("frames", "request", "timeout"),
    ("POST", "advance"): ("seconds",),
    ("GET", "health/ready"): (),
    ("PUT", "scenario"): ("strict",),
    ("GET", "scenario"): (),
}
ROUTES = st.sampled_from(sorted(KNOWN))
SESSIONS = st.sampled_from(["", "/s/mine"])


def refusal(app: Application, method: str, path: str, body: bytes = b"") -> tuple[int, str]:
    response, _ = handled(app, HttpRequest(method, path, body))
    assert response.head.status is not None
    return response.head.status, json.loads(response.plan.body)["error"]["message"]


@given(ROUTES, SESSIONS, st.text(min_size=1, max_size=20), st.text(max_size=5))
def test_an_unknown_parameter_is_refused_by_its_name(
    route: tuple[str, str], session: str, name: str, value: str
) -> None:
    if name in KNOWN[route]:
        return
    method, operation = route
    app = App(load({"rules": [{"reply": {"content": "a"}}]}))
    handled(app, HttpRequest("POST", f"{session}/v1/chat/completions", chat()))
    query = f"{quote(name, safe='', errors='replace')}={quote(value, safe='', errors='replace')}"
    status, message = refusal(app, method, f"{session}/_fakellm/{operation}?{query}")
    assert status == 400
    assert message.startswith(f"{method} /_fakellm/{operation} has no query parameter ")
    assert message.endswith(("?", "."))
    assert not message.endswith("?.")
    assert all(known in message for known in KNOWN[route])
    if name.isalnum():
        assert repr(name) in message
    assert len(app.session(session[3:]).journal) == 1, "a refused request changes nothing"


@given(ROUTES.filter(lambda route: route[0] != "PUT"), st.binary(min_size=1, max_size=20))
def test_a_body_is_refused_where_there_is_none(route: tuple[str, str], body: bytes) -> None:
    method, operation = route
    path = f"/_fakellm/{operation}" + ("?timeout=0" if operation == "step" else "")
    status, message = refusal(App(), method, path, body if body.strip() not in (b"", b"{}", b"null") else b"[]")
    assert (status, message.partition(";")[0].rstrip(".")) == (400, f"{method} /_fakellm/{operation} has no body")


@pytest.mark.parametrize("body", [b"", b"{}", b" {}\n", b"null"])
def test_clients_that_always_send_json_may_send_nothing_in_it(body: bytes) -> None:
    assert handled(App(), HttpRequest("POST", "/_fakellm/reset", body))[0].head.status == 200


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("PUT /_fakellm/scenario?strict=yes", "Invalid value for 'strict': expected true or false, got 'yes'"),
        ("PUT /_fakellm/scenario?strict=", "Invalid value for 'strict': expected true or false, got ''"),
        ("PUT /_fakellm/scenario?strcit=true", "its query parameters are strict; did you mean 'strict'?"),
        ("POST /_fakellm/step?frames=1&frames=2", "The query parameter 'frames' is there twice"),
        ("POST /_fakellm/step?frames=", "Invalid value for 'frames'"),
        ("POST /_fakellm/step?" + "frames&" * 1_000, "has no more than 100 query parameters"),
        ("GET /_fakellm/journal?key=a-secret-key", "has no query parameter 'key'"),
    ],
)
def test_a_refusal_names_what_is_wrong(path: str, part: str) -> None:
    method, _, target = path.partition(" ")
    for app in (App(), Replay([])):
        if not (isinstance(app, Replay) and "scenario" in target):
            status, message = refusal(app, method, target, b"rules: []\n" if method == "PUT" else b"")
            assert status == 400
            assert part in message
            assert "a-secret-key" not in message


def shown(app: App, session: str) -> dict[str, Any]:
    plan = handled(app, HttpRequest("GET", f"{session}/_fakellm/scenario"))[0].plan
    return {"status": plan.status, **json.loads(plan.body)}


@pytest.mark.parametrize("session", ["", "/s/mine"])
def test_the_scenario_that_is_served_is_shown_and_can_be_loaded_again(session: str) -> None:
    scenario = load({"scenario": "x", "rules": [{"when": {"user": "é"}, "reply": {"content": "a"}}]})
    app = App(scenario)
    assert shown(app, session) == {"status": 200, **json.loads(dump_json(scenario))}
    own = {"rules": [{"reply": {"content": "b"}}]}
    handled(app, HttpRequest("PUT", f"{session}/_fakellm/scenario", json.dumps(own).encode()))
    body = handled(app, HttpRequest("GET", f"{session}/_fakellm/scenario"))[0].plan.body
    assert load(json.loads(body)) == load(own)
    other = "/s/other"
    assert shown(app, other)["scenario"] == "x"
    assert shown(App(), session) == {"status": 200, "version": 1, "rules": []}


def test_a_scenario_with_functions_cannot_be_shown() -> None:
    app = App(load([Rule(reply=Computed(function=lambda request: "a"))]))
    with pytest.raises(RequestError, match="a reply that is a Python function cannot be written") as caught:
        shown(app, "")
    assert caught.value.status == 409


def test_a_browsers_own_request_is_not_in_the_journal() -> None:
    for app in (App(strict=True), Replay([])):
        for session in ("", "/s/mine"):
            response, _ = handled(app, HttpRequest("GET", f"{session}/favicon.ico"))
            assert response.head.status == 404
            assert len(app.session(session[3:]).journal) == 0
