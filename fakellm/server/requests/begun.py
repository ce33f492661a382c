"""A request that cannot be answered at once: what is known of it when the connection's task takes it over."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from fakellm.engine.entry import Entry
from fakellm.engine.response import Outcome
from fakellm.server.application import HttpRequest
from fakellm.server.connection import ClientConnection


class Begun(NamedTuple):
    """A request for which something has to wait: for `ready` before it is answered. `started`: when it arrived."""

    client: ClientConnection
    request: HttpRequest
    started: float
    answer: tuple[Outcome, Entry] | None
    ready: asyncio.Future[None] | None = None
