"""Decides which requests to control routes a server takes: those of this machine's own programs and of its own page.

Owns what a server requires of them all; `browsers` and `control_token` check one thing each. Knows no handler.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from msgspec import Struct

from fakellm.base.errors import RequestError
from fakellm.server.page.paths import is_page
from fakellm.server.requests.browsers import check_browser, checked_hosts
from fakellm.server.requests.control_token import VARIABLE, check_token, checked_token
from fakellm.server.requests.log import logger

HEALTH, LIVE, READY = OPEN = ("/_fakellm/health", "/_fakellm/health/live", "/_fakellm/health/ready")
"""The control routes for everyone: probes of containers and load balancers send all kinds of `Host`, and no token."""


class ControlAccess(Struct, frozen=True):
    """What a server requires of requests to its control routes.

    hosts: its names besides `localhost`. token: what clients must send; None: nothing. page: whether it has the page.
    """

    hosts: frozenset[str] = frozenset()
    token: str | None = None
    page: bool = True

    @classmethod
    def of(cls, hosts: str | Iterable[str] = (), token: str | None = None, page: bool = True) -> ControlAccess:
        """Such a value. Raises ValueError if a host is not a name, or no header can hold the token."""
        return cls(checked_hosts(hosts), None if token is None else checked_token(token), page)

    def check(self, method: str, operation: str, headers: Mapping[str, str]) -> None:
        """Raises RequestError if a request is refused: status 403 for one that a page of another site may have sent,
        401 without the token, 404 for the page where there is none. The page's files need no token: they contain
        nothing of tests, and the page asks for it."""
        if operation in OPEN:
            return
        check_browser(method, headers, self.hosts)
        if is_page(operation):
            if not self.page:
                raise RequestError(404, "This server was started without the page (--no-page).", "no_page")
        elif self.token is not None:
            check_token(headers, self.token)

    def warn_if_open(self, listener: socket.socket) -> None:
        """Warns if others than this machine can reach the control routes."""
        host = listener.getsockname()[0]
        of_internet = listener.family in (socket.AF_INET, socket.AF_INET6)
        if self.token is None and of_internet and not ip_address(host).is_loopback:
            logger().warning(_WITHOUT_TOKEN, host)


_WITHOUT_TOKEN = (
    "Whoever reaches this server at %s can read what it received and change its rules: start it with --control-token, "
    f"or with {VARIABLE} set, to require a token for this. The API itself stays open."
)
