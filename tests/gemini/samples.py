"""Requests to the Gemini API, and what it answers, for the tests."""

from __future__ import annotations

import json
from typing import Any

from fakellm.scenarios.loader import load
from fakellm.scenarios.scenario import Scenario
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.kinds import ARRAY, SSE
from fakellm.wire.plan import Plan
from tests.conftest import respond

AI_STUDIO = "/v1beta/models/gemini-2.5-flash"
VERTEX = "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-flash"
HI: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def plan(
    scenario: Scenario | dict[str, Any] | None, url: str, body: Any = None, strict: bool = True, method: str = "POST"
) -> Plan:
    """The response of a server to a request."""
    scenario = load(scenario) if isinstance(scenario, dict) else scenario
    data = body if isinstance(body, bytes) else json.dumps(HI if body is None else body).encode()
    return respond(App(scenario, strict=strict), HttpRequest(method, url, data if method == "POST" else b"")).plan


def reply(reply: dict[str, Any], method: str, base: str = AI_STUDIO, body: Any = None, **rule: Any) -> Plan:
    """The response of a server with one rule."""
    return plan({"rules": [{"reply": reply, **rule}]}, f"{base}:{method}", body)


def frames(plan: Plan) -> list[dict[str, Any]]:
    """The frames of a stream, whichever framing it has."""
    kind = ARRAY if plan.body.startswith(b"[") else SSE
    return [json.loads(event.data) for event in kind.events(plan.body)]


STREAM, ARRAY_STREAM, WHOLE = "streamGenerateContent?alt=sse", "streamGenerateContent", "generateContent"
