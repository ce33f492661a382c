"""Decides which requests to control routes a server takes: those of programs, not of other pages.

Owns what a server requires of them all; `browsers` and `control_token` check one thing each. Knows no handler.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from fakellm.server.requests.browsers import check_browser, checked_hosts
from fakellm.server.requests.control_token import check_token, checked_token

HEALTH, LIVE, READY = OPEN = ("/_fakellm/health", "/_fakellm/health/live", "/_fakellm/health/ready")
"""The control routes for everyone: probes of containers and load balancers send all kinds of `Host`, and no token."""


class ControlAccess(Struct, frozen=True):
    """What a server requires of requests to its control routes.

    hosts: its names besides `localhost`. token: what clients must send; None: nothing.
    """

    hosts: frozenset[str] = frozenset()
    token: str | None = None

    @classmethod
    def of(cls, hosts: str | Iterable[str] = (), token: str | None = None) -> ControlAccess:
        """Such a value. Raises ValueError if a host is not a name, or no header can hold the token."""
        return cls(checked_hosts(hosts), None if token is None else checked_token(token))

    def check(self, method: str, operation: str, headers: Mapping[str, str]) -> None:
        """Raises RequestError if a request is refused: status 403 for one that a page of another site may have sent,
        401 without the token."""
        if operation in OPEN:
            return
        check_browser(method, headers, self.hosts)
        if self.token is not None:
            check_token(headers, self.token)
