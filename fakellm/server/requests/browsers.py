"""Refuses requests to control routes that a web page of another site may have sent, from a browser on this machine.

A page can send requests to any address. It cannot read the replies of control routes, which no other origin is allowed
to read, unless its own name is made to lead to this machine (DNS rebinding): its requests then carry that name as
`Host`. And it can send a request without reading the reply: a browser adds its `Origin` to each that may change
something, and to most others `Sec-Fetch-Site`. Knows no route.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from fakellm.base.errors import RequestError
from fakellm.base.validation import shortened


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


def check_browser(method: str, headers: Mapping[str, str], allowed: frozenset[str]) -> None:
    """Checks a request to a control route. `allowed`: names of this server besides `localhost`.

    Raises RequestError, status 403, if its `Host` is neither an IP address nor a name of this server, if it has an
    `Origin` that is not this server's, or if a browser states that a page of another origin sent it. A person may
    follow a link: what is shown in the browser's own tab, the other page does not see.
    """
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
    if origin is not None and not _is_same(origin, host):
        raise _of_another_origin(method, f", {shortened(origin)},")
    if headers.get("Sec-Fetch-Site") in _OTHER_SITES and not _follows_a_link(method, headers):
        raise _of_another_origin(method, "")


_OTHER_SITES = ("cross-site", "same-site")
"""A server on another port of this machine is of the same site, but not of the same origin."""


def _follows_a_link(method: str, headers: Mapping[str, str]) -> bool:
    shown = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    return method == "GET" and shown


def _of_another_origin(method: str, origin: str) -> RequestError:
    message = (
        f"A page of another origin{origin} may not {method} the control routes of this server. Call them from the "
        "test's own code, without the header Origin."
    )
    return RequestError(403, message, "origin_not_allowed")


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
