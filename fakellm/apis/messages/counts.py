"""Token counts, as the Messages API sends them: the counts of the input at the start, all of them with the finish.

`input_tokens` leaves out what is read from the cache or written to it. The counts in `message_delta` are of the whole
message, and replace those of `message_start`. Owns the way from counts to the wire and back.
https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fakellm.apis.messages.names import NAME
from fakellm.model.blocks import Usage, own_value, with_own

COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
_CONSTANTS = {"service_tier": "standard", "inference_geo": "not_available"}


def whole_usage(usage: Usage) -> dict[str, Any]:
    """Every value of the final counts, by key."""
    own = {key: value for key, value in usage.own.get(NAME, {}).items() if key != "start"}
    values = {
        "input_tokens": max(usage.input - usage.cached - usage.cache_write, 0),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": _created(usage.cache_write),
        "output_tokens": usage.output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        **_CONSTANTS,
    }
    return values | {key: value for key, value in own.items() if not (key in COUNTS and (value or values[key]))}


def _created(tokens: int) -> dict[str, int]:
    return {"ephemeral_5m_input_tokens": tokens, "ephemeral_1h_input_tokens": 0}


def start_usage(usage: Usage, keys: Sequence[str]) -> dict[str, Any]:
    """The `usage` of `message_start`, with these keys."""
    start = own_value(usage.own, NAME, "start")
    values = whole_usage(usage) | (start if isinstance(start, dict) else {})
    return {key: values[key] for key in keys if key in values}


def final_usage(usage: Usage, keys: Sequence[str], before: Sequence[str] = ()) -> dict[str, Any]:
    """The `usage` of a whole message or of `message_delta`: these keys, and those without which a count would be lost.

    before: the keys of `message_start`, whose values are known already.
    """
    values, start = whole_usage(usage), own_value(usage.own, NAME, "start")
    differing = [
        key for key in before if isinstance(start, dict) and start.get(key, values.get(key)) != values.get(key)
    ]
    known = set(before) - set(differing)
    own = usage.own.get(NAME, {})
    needed = [key for key in values if key in own or (key in COUNTS and values[key])]
    if usage.reasoning and "output_tokens_details" not in needed:
        needed.append("output_tokens_details")
    further = [key for key in dict.fromkeys((*differing, *needed)) if key not in keys and key not in known]
    return {key: values[key] for key in (*keys, *further) if key in values}


def started(usage: Usage, keys: Sequence[str], values: Mapping[str, Any]) -> Usage:
    """The counts, with those of `message_start` that differ from the final ones; it has these keys and these values."""
    whole = whole_usage(usage)
    start = {key: values[key] for key in keys if key in values and key in whole}
    return with_start(usage, start, whole)


def with_start(usage: Usage, start: Mapping[str, Any], final: Mapping[str, Any]) -> Usage:
    """The counts, with the values of `message_start` that cannot be derived from the final ones."""
    kept = {key: value for key, value in start.items() if key == "output_tokens" or value != final.get(key)}
    own = {key: value for key, value in usage.own.get(NAME, {}).items() if key != "start"}
    return Usage(
        usage.input,
        usage.output,
        usage.cached,
        usage.cache_write,
        usage.reasoning,
        with_own(usage.own, NAME, {**own, "start": kept} if kept else own),
    )


def read_usage(final: Mapping[str, Any], start: Mapping[str, Any] | None) -> Usage:
    """The counts that these objects state: the last value of each key counts. Raises ValueError for a count that is not
    one.

    start: the `usage` of `message_start`, if that of `message_delta` followed.
    """
    before = start or {}
    merged = {**before, **{key: value for key, value in final.items() if value is not None or key not in before}}
    fresh, written, cached, output = (_count(merged.get(key)) for key in COUNTS)
    details = merged.get("output_tokens_details")
    reasoning = _count(details.get("thinking_tokens")) if isinstance(details, dict) else 0
    usual = {**_CONSTANTS, "cache_creation": _created(written), "output_tokens_details": {"thinking_tokens": reasoning}}
    own: dict[str, Any] = {}
    for key, value in merged.items():
        if value is None if key in COUNTS else key not in usual or value != usual[key]:
            own[key] = value
    usage = Usage(fresh + written + cached, output, cached, written, reasoning, with_own({}, NAME, own))
    return usage if start is None else with_start(usage, before, merged)


def _count(value: Any) -> int:
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise ValueError(f"a token count must be a whole number, got {value!r}")
    return value
