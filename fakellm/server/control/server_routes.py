"""The control routes of the server as a whole: its sessions, and its speed."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from fakellm.base.errors import RequestError
from fakellm.base.validation import shortened
from fakellm.engine.response import Pace, Response
from fakellm.server.application import Application, HttpRequest, Routes, json_response
from fakellm.wire.timing import checked_speed


class _Speed(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request that sets the speed."""

    speed: float


def _sessions(app: Application, request: HttpRequest) -> Response:
    """All sessions, the one at the root under an empty name."""
    found = [
        {
            "session": name,
            "own": session.own,
            "requests": session.journal.count,
            "entries": len(session.journal),
            "dropped": session.journal.dropped,
            **app.served(name),
        }
        for name, session in app.sessions().items()
    ]
    return json_response({"sessions": found})


def _speed(app: Application, request: HttpRequest) -> Pace:
    return Pace()


def _set_speed(app: Application, request: HttpRequest) -> Pace:
    """Divides the delays of all replies by another number, from the next frame of each on."""
    try:
        return Pace(checked_speed(msgspec.json.decode(request.body, type=_Speed).speed))
    except (ValueError, RecursionError):
        message = (
            'Invalid speed: expected {"speed": 2}, with a number from 0 on; 2 halves all delays and 0 removes them, '
            f"got {shortened(request.body.decode('utf-8', 'replace'))}."
        )
        raise RequestError(400, message, "invalid_value", "speed") from None


SERVER: Routes[Application] = {
    "/_fakellm/sessions": {"GET": _sessions},
    "/_fakellm/speed": {"GET": _speed, "PUT": _set_speed},
}
