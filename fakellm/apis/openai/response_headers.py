"""The headers that OpenAI adds to every reply, and the reply to a browser's preflight request.

A pure function of the seed and the request: the same request gets the same `x-request-id`, in any process.
https://platform.openai.com/docs/api-reference/debugging-requests, https://platform.openai.com/docs/guides/rate-limits
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fakellm.base.seed import HEX, Source
from fakellm.quotas.quota import TOKENS, Standing, Unit, seconds
from fakellm.wire.plan import Plan

_REQUESTS, _TOKENS = 10_000, 2_000_000
"""The limits per minute of a scenario that has none: they are never enforced."""

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
        *_LIMITS,
        _NONE_LEFT if status == 429 else _LEFT,
        ("x-ratelimit-remaining-tokens", str(_TOKENS - used)),
        _RESET,
        ("x-ratelimit-reset-tokens", f"{-(-used * 60_000 // _TOKENS)}ms"),
        *ANY_PAGE,
    )


_LIMITS = ("x-ratelimit-limit-requests", str(_REQUESTS)), ("x-ratelimit-limit-tokens", str(_TOKENS))
_LEFT = ("x-ratelimit-remaining-requests", str(_REQUESTS - 1))
_NONE_LEFT = ("x-ratelimit-remaining-requests", "0")
_RESET = ("x-ratelimit-reset-requests", f"{60_000 // _REQUESTS}ms")
"""What many replies have is one object in the journal, where all are kept."""


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


def quotas(standing: Standing) -> Headers:
    """What is left of a scenario's quotas, and after a refusal when to try again. Of several quotas for the same, the
    one with the least left is shown. `retry-after-ms` is Azure's and read by OpenAI's SDKs."""
    found: list[tuple[str, str]] = []
    kinds: tuple[tuple[str, Sequence[Unit]], ...] = (("requests", ("requests",)), ("tokens", TOKENS))
    for name, units in kinds:
        if left := standing.scarcest(units):
            found.append((f"x-ratelimit-limit-{name}", str(left.limit)))
            found.append((f"x-ratelimit-remaining-{name}", str(left.remaining)))
            found.append((f"x-ratelimit-reset-{name}", _duration(left.reset)))
    if wait := standing.wait:
        found += [("retry-after", str(seconds(wait))), ("retry-after-ms", str(wait))]
    return tuple(found)


def _duration(milliseconds: int) -> str:
    """A time as Go writes it: `0s`, `6ms`, `8.64s`, `1m30s`, `24h0m0s`."""
    if 0 < milliseconds < 1_000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    shown = f"{rest // 1_000}.{rest % 1_000:03d}".rstrip("0").rstrip(".") + "s"
    return f"{hours}h{minutes}m{shown}" if hours else f"{minutes}m{shown}" if minutes else shown
