"""Reads from a recorded stream or body how it was spelled: the dialect and the `stream:` block that give it again.

Times differ on each line, so they are kept as they are; durations belong to the usage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.ollama.dialects import DIALECTS, MESSAGE, OllamaDialect, Route
from fakellm.apis.ollama.habits import digits_of
from fakellm.apis.ollama.meaning import METRICS
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Calls, Spelling
from fakellm.base.json_text import JSON, dumps, rearranged
from fakellm.wire.http.transfer import Transfer
from fakellm.wire.sse import Event

_KNOWN = frozenset({*METRICS, *MESSAGE, "model", "created_at", "message", "response", "done", "done_reason", "context"})


class Spelled(Struct, frozen=True):
    """How a recording is spelled. `values`: what is drawn for an answer, by name."""

    dialect: str
    variation: Variation
    route: Route
    values: JSON


def infer_lines(events: Sequence[Event]) -> Spelled:
    """How a stream is spelled. Raises ValueError if it has no line that is a reply's."""
    found = [value for event in events if isinstance(value := _parsed(event.data), dict) and "error" not in value]
    if not found:
        raise ValueError("the stream has no line of a reply")
    return _inferred(found)


def infer_body(body: bytes) -> Spelled:
    """How a whole body is spelled. Raises ValueError if it is not a reply."""
    value = json.loads(body)
    if not isinstance(value, dict):
        raise ValueError("the body is not a JSON object")
    found, text = _inferred([value]), body.decode("utf-8", "replace")
    margins = (text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :])
    if not any(margins):
        return found
    return replace(found, variation=replace(found.variation, transfer=Transfer(margins=margins)))


def _inferred(values: list[JSON]) -> Spelled:
    route: Route = "generate" if any("response" in value for value in values) else "chat"
    calls = [call for value in values for call in _calls(value)]
    dialect = min(DIALECTS.values(), key=lambda each: _distance(each, route, values, calls))
    keys = dialect.keys[route]
    spelling = Spelling(each={"created_at": tuple(value.get("created_at") for value in values)}, extra=_extra(values))
    if _is_sorted(values):  # as some recorders write it
        spelling = replace(spelling, order="sorted")
        keys = tuple(sorted(keys))
    for name, lines in (("keys", values), ("last_keys", [value for value in values if value.get("done")])):
        orders = [tuple(value) for value in lines]
        if any(order != _usual(order, keys) for order in orders) and (order := _order(orders)):
            spelling = replace(spelling, **{name: order})
    messages = [tuple(value["message"]) for value in values if isinstance(value.get("message"), dict)]
    if spelling.order is None and any(order != _usual(order, MESSAGE) for order in messages):
        spelling = replace(spelling, delta_keys=_order(messages))
    variation = Variation(spelling=_with_calls(spelling, calls, dialect), calls=_index(calls, dialect))
    model = values[0].get("model")
    return Spelled(dialect.name, variation, route, {"model": model} if isinstance(model, str) and model else {})


def _distance(dialect: OllamaDialect, route: Route, values: list[JSON], calls: list[JSON]) -> int:
    """How many lines and calls the dialect would spell otherwise."""
    keys = dialect.keys[route]
    wrong = sum(tuple(value) != _usual(tuple(value), keys) for value in values)
    spelled = (dialect.usual.spelling or Spelling()).call_keys or ()
    wrong += sum(("id" in call) != ("id" in spelled) for call in calls)
    digits = max((len(str(value.get("created_at")).rpartition(".")[2]) for value in values), default=0) - 1
    return 10 * wrong + (digits > digits_of(dialect.usual))


def _is_sorted(values: list[JSON]) -> bool:
    """Whether the keys of all objects are in alphabetical order, and those of lines are not in any usual order."""
    plain = all(
        any(tuple(value) == _usual(tuple(value), each.keys["chat"]) for each in DIALECTS.values()) for value in values
    )
    return not plain and all(dumps(rearranged(value)) == dumps(value) for value in values)


def _usual(order: tuple[str, ...], keys: Iterable[str]) -> tuple[str, ...]:
    """These keys in the usual order; those that it does not know come last."""
    known = tuple(key for key in keys if key in order)
    return (*known, *(key for key in order if key not in known))


def _order(orders: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """One order of all keys in which each line has its own: the longest line's, with the keys that it lacks placed
    before what follows them."""
    found: list[str] = []
    for order in sorted(set(orders), key=len, reverse=True):
        for place, key in enumerate(order):
            if key not in found:
                later = [found.index(each) for each in order[place + 1 :] if each in found]
                found.insert(min(later, default=len(found)), key)
    return tuple(found)


def _extra(values: list[JSON]) -> dict[str, Any] | None:
    """Keys that no reply has and that are the same on every line."""
    first = {key: value for key, value in values[0].items() if key not in _KNOWN and key not in ("logprobs", "error")}
    same = {key: each for key, each in first.items() if all(value.get(key) == each for value in values)}
    return same or None


def _calls(value: JSON) -> list[JSON]:
    part = value.get("message") if isinstance(value.get("message"), dict) else value
    found = part.get("tool_calls") if isinstance(part, dict) else None
    return [call for call in found if isinstance(call, dict)] if isinstance(found, list) else []


def _with_calls(spelling: Spelling, calls: list[JSON], dialect: OllamaDialect) -> Spelling:
    usual = (dialect.usual.spelling or Spelling()).call_keys
    if not calls or all(set(call) == set(usual or ()) for call in calls):
        return spelling
    return replace(spelling, call_keys=_order(map(tuple, calls)))


def _index(calls: list[JSON], dialect: OllamaDialect) -> Calls | None:
    """How the calls are numbered, if that is not as usual."""
    numbers = [call["function"].get("index") for call in calls if isinstance(call.get("function"), dict)]
    has = ["index" in call["function"] for call in calls if isinstance(call.get("function"), dict)]
    usual = (dialect.usual.calls or Calls()).index
    found: Any = "given"
    if not any(has):
        found = "absent"
    elif numbers != list(range(len(numbers))):
        found = "zero" if not any(numbers) else "from_one"
    return None if not calls or found == usual else Calls(index=found)


def _parsed(data: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
