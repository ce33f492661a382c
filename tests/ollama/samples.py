"""What the tests of Ollama's API share: replies and the requests for them."""

from __future__ import annotations

import json
from typing import Any

from fakellm.apis.ollama.api import OLLAMA
from fakellm.model.request import Request
from fakellm.scenarios.loader import load
from fakellm.scenarios.scenario import Scenario
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from fakellm.wire.plan import Plan
from tests.conftest import respond

PATHS = {"chat": "/api/chat", "generate": "/api/generate"}


def body(route: str = "chat", user: str = "Hi", **fields: Any) -> dict[str, Any]:
    """A request with a user's message, and these fields."""
    content = {"messages": [{"role": "user", "content": user}]} if route == "chat" else {"prompt": user}
    return {"model": "m", **content, **fields}


def request(route: str = "chat", **fields: Any) -> Request:
    return OLLAMA.parse(json.dumps(body(route, **fields)).encode(), {}, PATHS[route])


def scenario(reply: dict[str, Any], **rule: Any) -> Scenario:
    return load({"rules": [{"reply": reply, **rule}]})


def sent(
    reply: dict[str, Any] | Scenario, route: str = "chat", rule: dict[str, Any] | None = None, **fields: Any
) -> Plan:
    """The response to a request to a route."""
    served = scenario(reply, **(rule or {})) if isinstance(reply, dict) else reply
    target = HttpRequest("POST", PATHS[route], json.dumps(body(route, **fields)).encode())
    return respond(App(served, strict=True), target).plan


def lines(plan: Plan) -> list[dict[str, Any]]:
    """The lines of a stream."""
    return [json.loads(line) for line in plan.body.split(b"\n") if line.strip()]
