"""Checks the token of requests to control routes, on a server that has one. Owns the cookie that stands for the token.

A client sends the token with each request. A page cannot, since its EventSource sends no headers of its own: it sends
the token once, and gets a cookie that no script reads and that no other site can make a browser send.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping

from fakellm.base.errors import RequestError

VARIABLE = "FAKELLM_CONTROL_TOKEN"
"""The environment variable from which servers and their clients take the token."""

_PURPOSE = b"the cookie of fakellm's page"


def checked_token(token: str) -> str:
    """The token, if a header can hold it. Raises ValueError, whose message does not contain the token."""
    if not re.fullmatch(r"[!-~]+", token):
        raise ValueError("a control token must be visible ASCII without spaces, and not empty")
    return token


def sent_token(headers: Mapping[str, str]) -> str | None:
    """The token that a client sends: `Authorization: Bearer TOKEN`."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def check_token(headers: Mapping[str, str], token: str) -> None:
    """Raises RequestError, status 401, unless a request has the token or the cookie that stands for it. How long this
    takes depends on neither."""
    found = sent_token(headers)
    if found is not None and _equal(found, token):
        return
    if any(_equal(cookie, cookie_of(token)) for cookie in _cookies(headers)):
        return
    message = "The control routes of this server need its control token: " + (
        f"send it as 'Authorization: Bearer TOKEN'. fakellm's own clients take it from {VARIABLE}."
        if found is None
        else "the one that was sent is another. It is the one that the server was started with."
    )
    code = "control_token_required" if found is None else "invalid_control_token"
    raise RequestError(401, message, code, headers={"WWW-Authenticate": 'Bearer realm="fakellm"'})


def cookie_of(token: str) -> str:
    """The cookie that stands for a token, `name=value`. The token cannot be computed from it: a browser sends the
    cookies of a host to all servers there, whatever their port. Its name depends on the token, so that those of two
    servers on one host do not replace each other."""
    digest = hmac.digest(token.encode("utf-8", "surrogatepass"), _PURPOSE, "sha256").hex()
    return f"fakellm-{digest[:8]}={digest[8:]}"


def set_cookie(token: str) -> tuple[str, str]:
    """The header that makes a browser keep the cookie until it is closed."""
    return "Set-Cookie", f"{cookie_of(token)}; Path=/; HttpOnly; SameSite=Strict"


def _cookies(headers: Mapping[str, str]) -> Iterator[str]:
    return (each.strip() for each in headers.get("Cookie", "").split(";"))


def _equal(sent: str, expected: str) -> bool:
    return hmac.compare_digest(sent.encode("utf-8", "surrogatepass"), expected.encode())
