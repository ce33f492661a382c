"""How a server treats its connections, as a value. Opens none, and imports nothing that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from ssl import SSLContext
else:
    SSLContext = object

KEEP_ALIVE_SECONDS = 3630.0
"""How long an idle connection is kept: longer than proxies keep theirs, which would otherwise send a request on one
that is being closed."""


class Connections(Struct, frozen=True):
    """How a server treats its connections.

    keep_alive: seconds for which an idle one is kept. requests: after so many, one is closed; None: after any number.
    tls: None for plain HTTP.
    """

    keep_alive: float = KEEP_ALIVE_SECONDS
    requests: int | None = None
    tls: SSLContext | None = None
