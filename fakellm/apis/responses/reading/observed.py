"""What the objects of a recorded response look like: the keys of each kind, their order, and their constants.

Collects them by kind, and finds the shortest layouts that give them. Knows no habits but the usual layouts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from fakellm.apis.responses.dialects.layout import REST, names
from fakellm.apis.responses.dialects.providers import OPENAI
from fakellm.apis.responses.names import ADDED, DONE, OUTPUT
from fakellm.base.json_text import JSON

_LIFECYCLE = {f"response.{name}" for name in ("created", "queued", "in_progress", "completed", "incomplete", "failed")}
_KINDS = ("message", "reasoning", "function_call", "custom_tool_call")
_PARTS = ("output_text", "refusal", "reasoning_text", "summary_text")
_FIXED = {
    "output_text": {"type", "annotations", "logprobs", "text"},
    "refusal": {"type", "refusal"},
    "reasoning_text": {"type", "text"},
    "summary_text": {"type", "text"},
    "token": {"token", "bytes", "logprob", "top_logprobs"},
    "top_token": {"token", "bytes", "logprob"},
}
"""The keys that a kind of object always has; others are constants."""
_ITEM_KEYS = {"content", "encrypted_content", "summary"}


class Observed:
    """The objects of a recording. items: by number and place. responses: by event. objects: by kind."""

    def __init__(self) -> None:
        self.items: dict[str, JSON] = {}
        self.responses: dict[str, JSON] = {}
        self.objects: dict[str, list[JSON]] = {}
        self.events: dict[str, list[JSON]] = {}

    def orders(self) -> dict[str, tuple[str, ...]]:
        """The order of the keys of each kind, if it is not the usual one."""
        found: dict[str, tuple[str, ...]] = {}
        for kind, values in self.events.items():
            usual = OPENAI.layouts.orders.get(kind, OPENAI.layouts.events)
            if order := _order(values, usual):
                found[kind] = order
        for kind, values in self.objects.items():
            usual = next((OPENAI.layouts.orders[name] for name in names(kind) if name in OPENAI.layouts.orders), ())
            if order := _order(values, usual):
                found[kind] = order
        return _merged(found, self.objects)

    def constants(self) -> dict[str, JSON]:
        """What kinds of objects have beside the keys that a rendered one has, if it is always the same."""
        found: dict[str, JSON] = {}
        for kind, values in self.objects.items():
            base = kind.partition("@")[0]
            if base == "reasoning":
                extra = _always(values, lambda key, value: key in _ITEM_KEYS and value in ([], None))
            elif base in _FIXED:
                extra = _always(values, partial(_unusual, _FIXED[base]))
            else:
                continue
            if extra:
                found[kind] = extra
        return found

    def ids(self) -> list[Any]:
        """The ids of the items, by number."""
        numbers = [int(place.partition("@")[0]) for place in self.items]
        found = []
        for number in range(max(numbers, default=-1) + 1):
            item = next(
                (self.items[place] for at in (DONE, OUTPUT, ADDED) if (place := f"{number}@{at}") in self.items), {}
            )
            found.append(item.get("id") if isinstance(item.get("id"), str) else "")
        return found


def observed(values: Iterable[JSON]) -> Observed:
    """What these events show."""
    objects = Observed()
    for value in values:
        kind = str(value.get("type"))
        if kind:
            objects.events.setdefault(kind, []).append(value)
        if isinstance(value.get("response"), dict) and (kind in _LIFECYCLE or not kind):
            _response(objects, kind.rpartition(".")[2], value["response"])
        if isinstance(value.get("item"), dict) and kind.startswith("response.output_item."):
            _item(objects, value.get("output_index"), kind.rpartition(".")[2], value["item"])
        if isinstance(value.get("part"), dict):
            _part(objects, ADDED if kind.endswith("added") else DONE, value["part"])
        _tokens(objects, value.get("logprobs"))
    return objects


def _response(objects: Observed, at: str, value: JSON) -> None:
    objects.responses[at] = value
    status = at or str(value.get("status"))
    objects.objects.setdefault(f"response@{status}", []).append(value)
    for number, item in enumerate(value.get("output") or ()):
        if isinstance(item, dict):
            _item(objects, number, OUTPUT, item)
    usage = value.get("usage")
    if isinstance(usage, dict):
        objects.objects.setdefault("usage", []).append(usage)
        for name in ("input_tokens_details", "output_tokens_details"):
            if isinstance(usage.get(name), dict):
                objects.objects.setdefault(name, []).append(usage[name])


def _item(objects: Observed, number: Any, at: str, item: JSON) -> None:
    objects.items[f"{number}@{at}"] = item
    kind = item.get("type")
    if kind not in _KINDS:
        return
    objects.objects.setdefault(f"{kind}@{at}", []).append(item)
    for key in ("content", "summary"):
        for part in item.get(key) or ():
            if isinstance(part, dict):
                _part(objects, at, part)


def _part(objects: Observed, at: str, part: JSON) -> None:
    if part.get("type") in _PARTS:
        objects.objects.setdefault(f"{part['type']}@{at}", []).append(part)
        _tokens(objects, part.get("logprobs"))


def _tokens(objects: Observed, tokens: Any) -> None:
    for token in tokens if isinstance(tokens, list) else ():
        if isinstance(token, dict):
            objects.objects.setdefault("token", []).append(token)
            for top in token.get("top_logprobs") or ():
                if isinstance(top, dict):
                    objects.objects.setdefault("top_token", []).append(top)


def _order(values: Sequence[JSON], usual: tuple[str, ...]) -> tuple[str, ...] | None:
    """The order of the keys; None if the usual one gives it."""
    if all(_as_usual(tuple(value), usual) for value in values):
        return None
    orders = list(dict.fromkeys(map(tuple, values)))
    found = list(orders[0])
    for order in orders[1:]:
        place = 0
        for key in order:
            if key in found:
                place = found.index(key) + 1
            else:
                found.insert(place, key)
                place += 1
    return tuple(found)


def _as_usual(keys: tuple[str, ...], usual: tuple[str, ...]) -> bool:
    if REST in usual:
        place = usual.index(REST)
        rest = sorted(set(keys) - set(usual))
        made = [key for key in (*usual[:place], *rest, *usual[place + 1 :]) if key in keys]
        return tuple(made) == keys
    return False


def _merged(orders: dict[str, tuple[str, ...]], objects: dict[str, list[JSON]]) -> dict[str, tuple[str, ...]]:
    """The orders; one that is the same wherever such an object was sent is kept once."""
    found: dict[str, tuple[str, ...]] = {}
    for kind, order in orders.items():
        base, at, _ = kind.partition("@")
        everywhere = {orders.get(other) for other in objects if other.partition("@")[0] == base}
        found[base if at and everywhere == {order} else kind] = order
    return found


def _unusual(known: set[str], key: str, value: Any) -> bool:
    return key not in known


def _always(values: Sequence[JSON], chosen: Callable[[str, Any], bool]) -> JSON:
    """The values that all objects have in common under the same key."""
    return {
        key: value
        for key, value in values[0].items()
        if chosen(key, value) and all(key in other and same(other[key], value) for other in values)
    }


def same(one: Any, other: Any) -> bool:
    """Whether two values are written alike: also in the order of their keys, and 1 is not 1.0."""
    return json.dumps(one) == json.dumps(other)
