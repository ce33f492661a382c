"""Refuses requests to control routes that a web page of another site may have sent, from a browser on this machine.

A page can send requests to any address. It cannot read the replies of control routes, which no other origin is allowed
to read, unless its own name is made to lead to this machine (DNS rebinding): its requests then carry that name as
`Host`. And it can send a request without reading the reply: a browser adds its `Origin` to each that may change
something. Knows no routes but those that anyone may read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from fakellm.base.errors import RequestError
from fakellm.base.validation import shortened

HEALTH = ("/_fakellm/health", "/_fakellm/health/live", "/_fakellm/health/ready")
"""The control routes that are for everyone: probes of containers and load balancers send all kinds of `Host`."""

_READING = ("GET", "HEAD", "OPTIONS")
"""The methods that change nothing."""


def checked_host(name: str) -> str:
    """The name of a host, in lower case. Raises ValueError if it is not a name alone: it has a scheme, port or path."""
    name = name.strip().lower().rstrip(".")
    if not name or name != _name(name):
        expected = "the name of a host without a scheme, port or path, such as fakellm.test"
        raise ValueError(f"expected {expected}, got {name!r}")
    return name


def checked_hosts(names: str | Iterable[str]) -> frozenset[str]:
    """The names of hosts, or a single one, in lower case. Raises ValueError as `checked_host` does."""
    return frozenset(map(checked_host, (names,) if isinstance(names, str) else names))


def check(method: str, operation: str, headers: Mapping[str, str], allowed: frozenset[str]) -> None:
    """Checks a request to a control route. `allowed`: names of this server besides `localhost`.

    Raises RequestError, status 403, if its `Host` is neither an IP address nor a name of this server or, for a method
    that may change something, if it has an `Origin` that is not this server's.
    """
    if operation in HEALTH:
        return
    host = headers.get("Host")
    if host is not None and not _is_ours(host, allowed):
        raise RequestError(
            403,
            f"The control routes of this server are not available under the host {shortened(host)}: any page in a "
            "browser could reach them under a name of its own. Use localhost or an IP address, or start the server "
            f"with --allow-host {_name(host) or 'NAME'} (allow_hosts in Python).",
            "host_not_allowed",
        )
    origin = headers.get("Origin")
    if method not in _READING and origin is not None and not _is_same(origin, host):
        raise RequestError(
            403,
            f"A page of another origin, {shortened(origin)}, may not {method} the control routes of this server. Call "
            "them from the test's own code, without the header Origin.",
            "origin_not_allowed",
        )


def _is_ours(host: str, allowed: frozenset[str]) -> bool:
    name = _name(host)
    if name == "localhost" or name in allowed:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_same(origin: str, host: str | None) -> bool:
    scheme, _, authority = origin.lower().partition("://")
    return scheme in ("http", "https") and host is not None and authority == host.strip().lower()


def _name(host: str) -> str:
    """The name or address in a `Host`, without the port; empty if it is not valid."""
    if not host.isascii() or not host.isprintable() or " " in host.strip():
        return ""
    try:
        found = urlsplit(f"//{host.strip()}")
        return (found.hostname or "").rstrip(".") if found.netloc == host.strip() and not found.username else ""
    except ValueError:
        return ""
