"""Calls the control routes of a server, and turns what they refuse into exceptions. Knows no session and no handle."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from fakellm.base.errors import ScenarioError, ServerError


def control(
    url: str,
    method: str,
    route: str,
    key: str,
    body: bytes | None = None,
    patience: int = 0,
    token: str | None = None,
    ca: Path | None = None,
) -> dict[str, Any]:
    """The response of a control route under a URL, which has this key. `token`: its control token. `ca`: the file with
    the certificate to trust. Raises ScenarioError if the server refuses a scenario, else ServerError if there is no
    such response."""
    address = urlsplit(url)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    connection = _connection(address, 30 + patience, ca)
    try:
        connection.request(method, address.path + route, body, headers)
        response = connection.getresponse()
        received = response.read()
    except OSError as error:
        raise ServerError(f"no fake server answers at {url}: {error}") from None
    except http.client.HTTPException as error:
        raise ServerError(f"the server at {url} does not answer in HTTP: {error!r}") from None
    finally:
        connection.close()
    try:
        reply: dict[str, Any] = json.loads(received)
        if response.status == 200:
            reply[key]
            return reply
        message, code = str(reply["error"]["message"]), reply["error"]["code"]
    except (ValueError, TypeError, KeyError):
        start = f"{received[:80]!r}{'…' if len(received) > 80 else ''}"
        raise ServerError(
            f"the server at {url} is not fakellm: {method} {route} got status {response.status} and {start}"
        ) from None
    raise ScenarioError(message.split("\n")) if code == "invalid_scenario" else ServerError(message)


def _connection(address: SplitResult, timeout: float, ca: Path | None) -> http.client.HTTPConnection:
    if address.scheme != "https":
        return http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout)
    import ssl

    context = ssl.create_default_context(cafile=ca)
    return http.client.HTTPSConnection(address.hostname or "", address.port, timeout=timeout, context=context)
