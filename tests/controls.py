"""Calls control routes of an application, with no server between."""

from __future__ import annotations

import json
from typing import Any

from fakellm.base.errors import RequestError
from fakellm.server.application import Application, HttpRequest
from tests.conftest import handled


def called(app: Application, method: str, path: str, body: object = "") -> Any:
    """The JSON that a control route answers, refusals included. `body`: text, or a value that is sent as JSON."""
    data = body if isinstance(body, str) else json.dumps(body)
    request = HttpRequest(method, path, data.encode())
    try:
        response, _ = handled(app, request)
    except RequestError as error:  # of some work
        response, _ = app.refuse(request, error)
    return json.loads(response.body)
