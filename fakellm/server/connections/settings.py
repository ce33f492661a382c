"""How a server treats its connections, as a value. Opens none."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

KEEP_ALIVE_SECONDS = 3630.0
"""How long an idle connection is kept: longer than proxies keep theirs, which would otherwise send a request on one
that is being closed."""


class Connections(Struct, frozen=True):
    """How a server treats its connections.

    keep_alive: seconds for which an idle one is kept. requests: after so many, one is closed; None: after any number.
    certificate, key: the files for TLS; the key may be in the first of them. None: plain HTTP.
    """

    keep_alive: float = KEEP_ALIVE_SECONDS
    requests: int | None = None
    certificate: Path | None = None
    key: Path | None = None
