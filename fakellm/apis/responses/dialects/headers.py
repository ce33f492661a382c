"""The headers of providers of the Responses API, for those that were recorded with theirs in 2025 and 2026.

A pure function of the seed and the request, as OpenAI's are. Left out is what depends on the reply, such as
OpenRouter's `x-generation-id`, on the model or on the time, and what only a proxy of the provider adds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fakellm.apis.openai import response_headers
from fakellm.apis.openai.response_headers import ANY_PAGE, Headers
from fakellm.base.seed import HEX, Source

_TRANSPORT = ("strict-transport-security", "max-age=31536000; includeSubDomains; preload")
_NO_SNIFF = ("x-content-type-options", "nosniff")


def usual(dialect: str | None, seed: int, name: str, status: int | None) -> Headers:
    """The headers of a reply with this status; `name` identifies the request. Those of a provider that was not recorded
    with its own are OpenAI's."""
    if dialect is None or dialect not in _OWN:
        return response_headers.usual(seed, name, status)
    own = _OWN[dialect]
    return (*own(Source(seed, "headers", dialect, name, status or 0), status), *ANY_PAGE)


def _azure(source: Source, status: int | None) -> Headers:
    used = source.draw("tokens", lambda each: each.between(2, 200))
    return (
        ("x-request-id", source.draw("x-request-id", lambda each: each.uuid())),
        ("apim-request-id", source.draw("apim-request-id", lambda each: each.uuid())),
        ("x-ms-region", "East US 2"),
        ("x-ms-is-spilled-over", "false"),
        ("azureai-fe-offer-type", "paygo"),
        *_limits(50, 50_000, used, status),
        ("x-ratelimit-reset-requests", "1"),
        ("x-ratelimit-reset-tokens", "0"),
        ("x-ratelimit-renewalperiod-requests", "60"),
        ("x-ratelimit-renewalperiod-tokens", "60"),
        _TRANSPORT,
        _NO_SNIFF,
    )


def _xai(source: Source, status: int | None) -> Headers:
    used = source.draw("tokens", lambda each: each.between(20, 20_000))
    return (
        ("x-request-id", source.draw("x-request-id", lambda each: each.uuid())),
        *_limits(1_800, 10_000_000, used, status),
        ("x-zero-data-retention", "false"),
        ("x-data-retention", "general"),
        ("strict-transport-security", "max-age=31536000"),
        ("server", "cloudflare"),
    )


def _openrouter(source: Source, status: int | None) -> Headers:
    ray = source.draw("cf-ray", lambda each: each.text(HEX, 16))
    return (("cf-ray", f"{ray}-SJC"), ("server", "cloudflare"), ("referrer-policy", "no-referrer"), _NO_SNIFF)


def _deepseek(source: Source, status: int | None) -> Headers:
    trace = source.draw("x-ds-trace-id", lambda each: each.text(HEX, 32))
    return (("x-ds-trace-id", trace), ("server", "elb"), ("access-control-allow-credentials", "true"), _TRANSPORT)


def _bedrock(source: Source, status: int | None) -> Headers:
    known = source.draw("x-request-id", lambda each: each.uuid())
    return (("x-amzn-requestid", known), ("x-request-id", known))


def _limits(requests: int, tokens: int, used: int, status: int | None) -> Headers:
    """The limits per minute, which are never enforced. After a 429, no requests remain."""
    return (
        ("x-ratelimit-limit-requests", str(requests)),
        ("x-ratelimit-remaining-requests", "0" if status == 429 else str(requests - 1)),
        ("x-ratelimit-limit-tokens", str(tokens)),
        ("x-ratelimit-remaining-tokens", str(tokens - used)),
    )


_OWN: Mapping[str, Callable[[Source, int | None], Headers]] = {
    "azure": _azure,
    "xai": _xai,
    "openrouter": _openrouter,
    "deepseek": _deepseek,
    "bedrock-mantle": _bedrock,
}
