"""The control route that lets time pass for the quotas of a session, so that no test waits for them."""

from __future__ import annotations

from functools import partial
from inspect import iscoroutinefunction
from math import isfinite
from typing import TYPE_CHECKING

from fakellm.base.errors import RequestError
from fakellm.base.validation import shortened
from fakellm.engine.response import Response, Work
from fakellm.server.application import HttpRequest, json_response

if TYPE_CHECKING:
    from fakellm.server.scenario_app import App

_MOST = 10**9
"""Seconds at a time: thirty years."""


def advance(app: App, request: HttpRequest) -> Response | Work:
    """Lets the time pass that the request states; the reply has that of all such requests to the session."""
    milliseconds = round(1_000 * _seconds(request.target.parameters.get("seconds", "")))
    advance = app.session(request.target.session).advance
    if iscoroutinefunction(advance):
        return Work(partial(advance, milliseconds), lambda result: _advanced(result()))
    passed = advance(milliseconds)
    assert isinstance(passed, int)
    return _advanced(passed)


def _advanced(milliseconds: int) -> Response:
    return json_response({"advanced": milliseconds / 1_000})


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not (isfinite(seconds) and 0 <= seconds <= _MOST):
        message = f"Invalid value for 'seconds': expected a number from 0 to {_MOST:,}, got {shortened(text)}."
        raise RequestError(400, message, "invalid_value", "seconds")
    return seconds
