"""What the body of an error repeats of its headers: the id of the request, and how long to wait."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from fakellm.apis.route import HOMES
from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App
from fakellm.wire.plan import Plan
from tests.conftest import handled
from tests.test_apis import PATHS, request

DIALECTS = [(api, dialect) for api in PATHS for dialect in HOMES[api].dialects]


def sent(api: str, dialect: str, fault: dict[str, Any], stream: bool = True, **reply: Any) -> Plan:
    rules = [{"dialect": dialect, "reply": {"content": "One two", **reply}, "fault": fault}]
    return handled(App(load({"rules": rules}), seed=3), request(api, stream))[0].plan


def ids(plan: Plan) -> set[str]:
    """The ids of the request in the error of a response."""
    text = plan.body.decode()
    return set(re.findall(r'"request_id": ?"(.*?)"', text[max(text.rfind('"error"'), 0) :]))


def ids_in_head(plan: Plan) -> set[str]:
    return {value for name, value in plan.headers if name.lower() in ("request-id", "x-request-id")}


@pytest.mark.parametrize(("api", "dialect"), DIALECTS)
@pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
def test_an_error_names_the_request_as_its_headers_do(api: str, dialect: str, status: int) -> None:
    plan = sent(api, dialect, {"kind": "status", "status": status})
    assert ids(plan) <= ids_in_head(plan)
    own = sent(api, dialect, {"kind": "status", "status": status, "headers": {"X-Request-Id": "x", "Request-Id": "x"}})
    assert ids(own) <= ids_in_head(own) == {"x"}


@pytest.mark.parametrize(("api", "dialect"), DIALECTS)
def test_so_does_an_error_in_a_stream(api: str, dialect: str) -> None:
    plan = sent(api, dialect, {"kind": "error", "frame": 2})
    assert plan.status == 200
    assert ids(plan) <= ids_in_head(plan)
    own = sent(api, dialect, {"kind": "error", "frame": 2}, headers={"X-Request-Id": "x", "Request-Id": "x"})
    assert ids(own) <= ids_in_head(own) == {"x"}


def test_anthropics_errors_have_such_an_id() -> None:
    for fault in ({"kind": "status", "status": 529}, {"kind": "error", "frame": 2}):
        assert len(ids(sent("messages", "anthropic", fault))) == 1


@pytest.mark.parametrize(
    ("fault", "delay"),
    [
        ({"status": 429}, "30s"),
        ({"status": 429, "retry_after": 7}, "7s"),
        ({"status": 429, "retry_after": 1.5}, "1.5s"),
        ({"status": 503, "retry_after": 2}, "2s"),
        ({"status": 429, "headers": {"Retry-After": "3"}}, "3s"),
        ({"status": 429, "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, "30s"),
        ({"status": 503}, None),
    ],
)
@pytest.mark.parametrize("dialect", HOMES["gemini"].dialects)
def test_gemini_states_how_long_to_wait(dialect: str, fault: dict[str, Any], delay: str | None) -> None:
    details = json.loads(sent("gemini", dialect, {"kind": "status", **fault}, stream=False).body)["error"].get(
        "details"
    )
    assert [each["retryDelay"] for each in details or ()] == ([delay] if delay else [])
