"""The headers of a response, as Anthropic sends them: an id, an organization, and limits, which only a scenario with
`limits:` enforces."""

from __future__ import annotations

from collections.abc import Sequence

from fakellm.apis.messages.dialect import BASE58
from fakellm.base.seed import Source
from fakellm.model.rfc3339 import rfc3339
from fakellm.quotas.quota import TOKENS, Standing, Unit, seconds

Headers = tuple[tuple[str, str], ...]

_REQUESTS, _INPUT, _OUTPUT = 4_000, 2_000_000, 400_000
"""The limits per minute."""
_RESET = "2026-01-01T00:00:00Z"
"""When the limits are reset: no clock decides what is sent."""


def usual(seed: int, requested: str, status: int | None) -> Headers:
    """The headers of a reply with this status; `requested` identifies the request. After a 429, nothing remains."""
    source = Source(seed, "messages headers", requested, status or 0)
    used = source.draw("tokens", lambda each: each.between(20, 2000))
    limits = (
        ("requests", _REQUESTS, 1),
        ("input-tokens", _INPUT, used),
        ("output-tokens", _OUTPUT, used),
        ("tokens", _INPUT + _OUTPUT, 2 * used),
    )
    found = [("request-id", "req_011C" + source.draw("request-id", lambda each: each.text(BASE58, 20)))]
    found.append(("anthropic-organization-id", Source(seed, "organization").uuid()))
    for name, limit, spent in limits:
        left = 0 if status == 429 else limit - spent
        prefix = f"anthropic-ratelimit-{name}"
        found += [(f"{prefix}-limit", str(limit)), (f"{prefix}-remaining", str(left)), (f"{prefix}-reset", _RESET)]
    found.append(("access-control-allow-origin", "*"))
    found.append(("access-control-expose-headers", "*"))
    return tuple(found)


def quotas(standing: Standing) -> Headers:
    """What is left of a scenario's quotas, and after a refusal when to try again. Of several quotas for the same, the
    one with the least left is shown."""
    found: list[tuple[str, str]] = []
    kinds: tuple[tuple[str, Sequence[Unit]], ...] = (
        ("requests", ("requests",)),
        ("input-tokens", ("input_tokens",)),
        ("output-tokens", ("output_tokens",)),
        ("tokens", TOKENS),
    )
    for name, units in kinds:
        if left := standing.scarcest(units):
            reset = rfc3339(seconds(standing.now + left.reset) * 10**9, 0)
            prefix = f"anthropic-ratelimit-{name}"
            found += [(f"{prefix}-limit", str(left.limit)), (f"{prefix}-remaining", str(left.remaining))]
            found.append((f"{prefix}-reset", reset))
    if wait := standing.wait:
        found.append(("retry-after", str(seconds(wait))))
    return tuple(found)
