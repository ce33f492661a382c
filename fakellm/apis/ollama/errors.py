"""How Ollama reports a failure: ``{"error": "…"}``, before the stream with a status, or as a line in it.

Recorded: 404 for an unknown model. The other texts are those of
https://github.com/ollama/ollama/blob/main/server/routes.go
"""

from __future__ import annotations

from typing import Any

from fakellm.apis.protocol import Failure
from fakellm.base.errors import RequestError
from fakellm.base.json_text import JSON, dumps
from fakellm.wire.plan import Frame, Plan

JSON_TYPE = "application/json; charset=utf-8"

_USUAL = {
    400: "model is required",
    401: "unauthorized",
    403: "remote model is unavailable",
    404: "model 'fakellm' not found",
    429: "too many requests",
    499: "request canceled",
    500: "llama runner process has terminated: exit status 2",
    503: "server busy, please try again.  maximum pending requests exceeded",
}


def text_of(failure: Failure) -> str:
    """The text of an error: that of the failure, or Ollama's for its status."""
    if failure.message is not None:
        return failure.message
    return _USUAL.get(failure.status, _USUAL[500] if failure.status >= 500 else _USUAL[400])


def error_value(error: Any) -> JSON:
    """The JSON of an error with which a stream ends."""
    if isinstance(error, Failure):
        return {"error": text_of(error)}
    return {"error": error if isinstance(error, str) else dumps(error)}


def refusal(error: RequestError) -> Plan:
    """The response to a request that is refused."""
    body = dumps({"error": error.message}).encode()
    return Plan(error.status, (("Content-Type", JSON_TYPE), *error.headers.items()), (Frame(body),))
