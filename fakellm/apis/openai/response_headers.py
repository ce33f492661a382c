"""The headers that OpenAI adds to every reply, and the reply to a browser's preflight request.

A pure function of the seed and the request: the same request gets the same `x-request-id`, in any process.
https://platform.openai.com/docs/api-reference/debugging-requests, https://platform.openai.com/docs/guides/rate-limits
"""

from __future__ import annotations

from collections.abc import Mapping

from fakellm.base.seed import HEX, Source
from fakellm.wire.plan import Plan

_REQUESTS, _TOKENS = 10_000, 2_000_000
"""The limits per minute. They are never enforced."""

Headers = tuple[tuple[str, str], ...]

# Any page may read a reply. Control routes lack this header, so no page can read what a test sent or load a scenario.
_ORIGIN = ("access-control-allow-origin", "*")
ANY_PAGE: Headers = (_ORIGIN, ("access-control-expose-headers", "*"))
"""The headers with which any page may read a reply."""


def usual(seed: int, name: str, status: int | None) -> Headers:
    """OpenAI's headers of a reply with this status; `name` identifies the request. After a 429, no requests remain."""
    source = Source(seed, "headers", name, status or 0)
    used = source.draw("tokens", lambda each: each.between(20, 2000))
    return (
        ("x-request-id", "req_" + source.draw("x-request-id", lambda each: each.text(HEX, 32))),
        ("openai-version", "2020-10-01"),
        ("openai-processing-ms", str(source.draw("openai-processing-ms", lambda each: each.between(50, 900)))),
        ("x-ratelimit-limit-requests", str(_REQUESTS)),
        ("x-ratelimit-limit-tokens", str(_TOKENS)),
        ("x-ratelimit-remaining-requests", "0" if status == 429 else str(_REQUESTS - 1)),
        ("x-ratelimit-remaining-tokens", str(_TOKENS - used)),
        ("x-ratelimit-reset-requests", f"{60_000 // _REQUESTS}ms"),
        ("x-ratelimit-reset-tokens", f"{-(-used * 60_000 // _TOKENS)}ms"),
        *ANY_PAGE,
    )


def preflight(headers: Mapping[str, str]) -> Plan:
    """The reply to `OPTIONS`: any page may send any request. https://fetch.spec.whatwg.org/#http-cors-protocol

    The allowed headers are listed one by one, because `*` does not cover `Authorization`.
    """
    requested = {name.lower(): value for name, value in headers.items()}.get("access-control-request-headers")
    listable = requested and requested.isascii() and requested.isprintable()
    names = requested if requested and listable else "authorization, content-type"
    allowed = (
        ("access-control-allow-methods", "GET, POST, OPTIONS"),
        ("access-control-allow-headers", names),
        ("access-control-max-age", "86400"),
    )
    return Plan(200, (_ORIGIN, *allowed), ())
