"""Checks the URL of the server behind the recorder before anything is sent to it. Sends nothing."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

from yarl import URL

from fakellm.apis.base_paths import ANTHROPIC, OPENAI, RESPONSES, pattern

_ROUTES = (
    *("/chat/completions", "/completions", "/responses", "/embeddings", "/models", "/v1/messages", "/messages"),
    *("/api/chat", "/api/generate"),
)
"""What clients add to a base URL."""
_BASES = pattern(*OPENAI, *RESPONSES, *ANTHROPIC)
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
"""A part of a host name (RFC 1123, 2.1), with the underscores that some private networks use."""


def checked_upstream(url: str) -> str:
    """The base URL of an API, without a slash at its end. Raises ValueError, with a message of one line, if it is not
    one."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(_not_a_url(url, str(error))) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(_not_a_url(url))
    if parts.username is not None:
        raise ValueError(
            "leave user and password out of the URL: what the client sends to authorize itself is passed on"
        )
    if problem := _problem(url, parts.hostname):
        raise ValueError(_not_a_url(url, problem))
    return url.rstrip("/")


def ending_in_a_route(url: str) -> str | None:
    """The base URL of a URL that ends in a route of an API, which clients add themselves; None if it does not."""
    path = urlsplit(url).path
    if re.fullmatch(_BASES, path):
        return None
    route = next((route for route in _ROUTES if path.endswith(route)), None)
    return None if route is None else url[: len(url) - len(route)]


def _not_a_url(url: str, problem: str = "") -> str:
    reason = f" ({' '.join(problem.split())})" if problem else ""
    return f"{url!r} is not the base URL of an API{reason}: write it as https://api.example.com/v1"


def _problem(url: str, host: str) -> str | None:
    """Why no request could be sent to the URL; None if one could."""
    if re.search(r"[\x00-\x20\x7f\\]", url):
        return "it contains a space, a backslash or a control character"
    try:
        if urlsplit(url).port == 0:
            return "a port is a number from 1 to 65535"
        if ":" not in host:
            labels = host.removesuffix(".").encode("idna").decode().split(".")
            if wrong := next((label for label in labels if not _LABEL.fullmatch(label)), None):
                return f"{wrong!r} cannot be part of a host name"
        URL(url + "/", encoded=True)
    except UnicodeError:
        return f"{host!r} is not a host name"
    except ValueError as error:
        return str(error)
    return None


def is_own(upstream: str, host: str, port: int) -> bool:
    """Whether a server that listens at `host` and `port` is the upstream itself."""
    parts = urlsplit(upstream)
    if (parts.port or (443 if parts.scheme == "https" else 80)) != port:
        return False
    addresses, own = _addresses(parts.hostname or "", port), _addresses(host, port)
    everywhere = own <= {"0.0.0.0", "::"}
    loopback = all(address.startswith("127.") or address == "::1" for address in addresses)
    return bool(addresses & own) or bool(everywhere and addresses and loopback)


def _addresses(host: str, port: int) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()
