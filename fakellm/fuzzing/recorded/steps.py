"""Who sends a step: providers that were recorded, or any network. Owns how that weighs in draws and reads in reports.

The counts are in `recorded.table`. A step that is not there may still be sent, by a provider or a release that was not
recorded.
"""

from __future__ import annotations

from fakellm.fuzzing.recorded.table import RECORDED

NETWORK = (
    *(
        "transfer.cut: offsets",
        "transfer.cut: size",
        "transfer.cut: inside_characters",
        "transfer.cut: inside_line_ends",
        "transfer.cut: inside_framing",
    ),
    *("transfer.coalesce", "transfer.coalesce: all", "transfer.body: length", "transfer.body: close", "transfer.gzip"),
    *("transfer.header_case: lower", "transfer.header_case: upper", "transfer.header_case: title"),
)
"""What networks and proxies do to any stream, whoever sends it."""


def total(api: str) -> int:
    """How many recorded streams of an API were counted."""
    return RECORDED[api][0] if api in RECORDED else 0


def is_recorded(step: str, api: str = "chat") -> bool:
    """Whether a provider has been recorded to send a step in an API, or a network does it to any stream."""
    return step in NETWORK or step in _steps(api)


def weight(family: str, api: str = "chat") -> int:
    """How often to draw a family of steps: once, and once more for each doubling of the streams that have it."""
    found = _steps(api).items()
    streams = sum(count for step, (count, _) in found if step == family or step.startswith(f"{family}: "))
    return 1 + streams.bit_length()


def provenance(step: str, tier: str, api: str = "chat") -> str:
    """Who sends a step in an API, for a report."""
    if step in _steps(api):
        count, providers = _steps(api)[step]
        return f"sent by {providers.replace(' ', ', ')}: {count} of {total(api)} recorded streams"
    if step in NETWORK:
        return "any network or proxy does it"
    if tier == "fault":
        return "a fault, made to break the answer"
    unsent = "in no recorded stream" if total(api) else f"no stream of {api} was recorded"
    return f"{unsent}; {_ALLOWED.get(tier, 'only the schema of the API allows it')}"


def _steps(api: str) -> dict[str, tuple[int, str]]:
    return RECORDED[api][1] if api in RECORDED else {}


_ALLOWED = {
    "T0": "only HTTP allows it",
    "T1": "only the standard for server-sent events allows it",
    "T2": "only JSON allows it",
    "T4": "others are reported to send it",
    "T5": "others are reported to send it",
}
"""What allows a step that is in no recorded stream, by its tier; for T3, the schema of its API."""
