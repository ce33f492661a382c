"""The headers that every reply of the API has besides its own, and what a browser asks first.

A pure function of the seed and what was asked: the same request has the same `x-request-id`, in any process.
https://platform.openai.com/docs/api-reference/debugging-requests, https://platform.openai.com/docs/guides/rate-limits
"""

from __future__ import annotations

from collections.abc import Mapping

from fakellm.base.seed import HEX, Source
from fakellm.wire.plan import Plan

_REQUESTS, _TOKENS = 10_000, 2_000_000
"""The limits of a minute. Nobody is ever held to them."""

Headers = tuple[tuple[str, str], ...]

# Any page may read a reply. The control routes do without: no page reads what a test sent, or loads another scenario.
_ORIGIN = ("access-control-allow-origin", "*")


def usual(seed: int, asked: str, status: int | None) -> Headers:
    """OpenAI's headers on a reply with this status to what `asked` names; one that is 429 has no requests left."""
    source = Source(seed, "headers", asked, status or 0)
    used = source.between(20, 2000)
    return (
        ("x-request-id", "req_" + source.text(HEX, 32)),
        ("openai-version", "2020-10-01"),
        ("openai-processing-ms", str(source.between(50, 900))),
        ("x-ratelimit-limit-requests", str(_REQUESTS)),
        ("x-ratelimit-limit-tokens", str(_TOKENS)),
        ("x-ratelimit-remaining-requests", "0" if status == 429 else str(_REQUESTS - 1)),
        ("x-ratelimit-remaining-tokens", str(_TOKENS - used)),
        ("x-ratelimit-reset-requests", f"{60_000 // _REQUESTS}ms"),
        ("x-ratelimit-reset-tokens", f"{-(-used * 60_000 // _TOKENS)}ms"),
        _ORIGIN,
        ("access-control-expose-headers", "*"),
    )


def preflight(headers: Mapping[str, str]) -> Plan:
    """The reply to `OPTIONS`: any page may send any request. https://fetch.spec.whatwg.org/#http-cors-protocol

    The headers wanted are named one by one, because `*` does not stand for `Authorization`.
    """
    asked = {name.lower(): value for name, value in headers.items()}.get("access-control-request-headers")
    wanted = asked if asked and asked.isascii() and asked.isprintable() else "authorization, content-type"
    allowed = (
        ("access-control-allow-methods", "GET, POST, OPTIONS"),
        ("access-control-allow-headers", wanted),
        ("access-control-max-age", "86400"),
    )
    return Plan(200, (_ORIGIN, *allowed), ())
