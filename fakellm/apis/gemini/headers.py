"""The headers that Google adds to a reply. A pure function of the seed and the request.

As recorded in 2025 and 2026: no rate limits, three `vary` headers, and the time that the model took.
"""

from __future__ import annotations

from fakellm.base.seed import Source

Headers = tuple[tuple[str, str], ...]

_ORIGIN = ("access-control-allow-origin", "*")


def usual(seed: int, name: str, status: int | None) -> Headers:
    """The headers of a reply with this status; `name` identifies the request."""
    source = Source(seed, "headers", name, status or 0)
    took = source.draw("server-timing", lambda each: each.between(150, 4000))
    return (
        ("vary", "Origin"),
        ("vary", "X-Origin"),
        ("vary", "Referer"),
        ("server", "scaffolding on HTTPServer2"),
        ("x-xss-protection", "0"),
        ("x-frame-options", "SAMEORIGIN"),
        ("x-content-type-options", "nosniff"),
        ("server-timing", f"gfet4t7; dur={took}"),
        _ORIGIN,
        ("access-control-expose-headers", "*"),
    )
