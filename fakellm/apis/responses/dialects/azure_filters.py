"""What Azure's content filters report at the end of a response: nothing found, as in the recordings of 2026."""

from __future__ import annotations

from collections.abc import Sequence

from fakellm.base.json_text import JSON

_SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "sexual", "violence", "self_harm")}
_UNSEEN = {"detected": False, "filtered": False}
_RESULTS = {
    "prompt": {**_SAFE, "jailbreak": _UNSEEN},
    "completion": {**_SAFE, "protected_material_code": _UNSEEN, "protected_material_text": _UNSEEN},
}


def filtered(read: Sequence[str], written: Sequence[str]) -> JSON:
    """The keys of the response for the texts of the request and of the answer."""
    return {"content_filters": [_report("prompt", read), _report("completion", written)]}


def _report(source: str, texts: Sequence[str]) -> JSON:
    return {
        "blocked": False,
        "source_type": source,
        "content_filter_raw": [],
        "content_filter_results": _RESULTS[source],
        "content_filter_offsets": {"start_offset": 0, "end_offset": sum(map(len, texts)), "check_offset": 0},
    }
