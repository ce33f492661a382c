"""The frames of a stream, as the server would send them: what two of the pictures show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fakellm.engine.response import Response
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from fakellm.wire.plan import Frame

REQUEST = {"model": "gpt-5", "stream": True, "messages": [{"role": "user", "content": "How cold is it in Oslo?"}]}


def frames(rule: dict[str, Any]) -> Sequence[Frame]:
    """The frames that answer `REQUEST` by this rule."""
    request = HttpRequest("POST", "/v1/chat/completions", json.dumps(REQUEST).encode())
    response, _ = App(load({"rules": [rule]})).handle(request)
    assert isinstance(response, Response)
    return response.plan.frames


def delta(frame: Frame) -> dict[str, Any]:
    """What a frame adds to the answer: its delta, its finish reason; nothing for `[DONE]`."""
    data = frame.data.decode().removeprefix("data: ").strip()
    if data == "[DONE]":
        return {}
    (choice,) = json.loads(data)["choices"]
    return {**choice["delta"], **({"finish_reason": choice["finish_reason"]} if choice["finish_reason"] else {})}
