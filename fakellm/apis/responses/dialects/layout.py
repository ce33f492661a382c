"""The order of keys in each kind of object that the Responses API sends, and the constants in them, as data.

A kind is the type of an event (`response.created`), or the type of an object and, after `@`, where it is sent:
`message@added`, `message@done` and `message@output` (in the whole response), `response@created`, `usage`. What is set
for `message` holds for each of these places. Knows no provider.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from fakellm.base.json_text import JSON

REST = "*"
"""Stands for all keys that an order does not name, in alphabetical order."""


class Layouts(Struct, frozen=True, dict=True):
    """How the objects are laid out.

    orders: the keys of a kind, in order; others are left out unless the order contains `*`.
    events: the order of the keys of all other events.
    constants: values of a kind that it lacks or, in a response object, that replace the usual ones.
    """

    orders: Mapping[str, tuple[str, ...]] = {}
    events: tuple[str, ...] = ("type", REST)
    constants: Mapping[str, Mapping[str, Any]] = {}

    def over(self, usual: Layouts) -> Layouts:
        """These layouts; what they lack is as in `usual`."""
        constants = {
            kind: {**usual.constants.get(kind, {}), **self.constants.get(kind, {})}
            for kind in dict.fromkeys([*usual.constants, *self.constants])
        }
        return Layouts({**usual.orders, **self.orders}, self.events, constants)

    def event(self, value: JSON) -> JSON:
        """An event, laid out."""
        kind = value["type"]
        return _ordered(self._with_constants(kind, value), self.orders.get(kind, self.events))

    def object(self, kind: str, value: JSON) -> JSON:
        """An object of a kind, laid out; in the order of `value` if no order is set."""
        order = next((self.orders[name] for name in names(kind) if name in self.orders), (REST,))
        found = self._with_constants(kind, value)
        return found if order == (REST,) else _ordered(found, order)

    def has(self, kind: str, key: str) -> bool:
        """Whether the order of a kind names a key."""
        return any(key in self.orders.get(name, ()) for name in names(kind))

    def _with_constants(self, kind: str, value: JSON) -> JSON:
        for name in names(kind) if self.constants else ():
            if name in self.constants:
                value = {**self.constants[name], **value}
        return value

    def response(self, at: str, value: JSON, sent: Mapping[str, Any]) -> JSON:
        """The response object at an event, laid out. Its constants replace defaults, and what repeats the request that
        was sent, unless they contradict it."""
        constants = {**self.constants.get("response", {}), **self.constants.get(f"response@{at}", {})}
        changed = {**value, **{key: each for key, each in constants.items() if _agrees(key, each, sent.get(key))}}
        order = self.orders.get(f"response@{at}", self.orders.get("response", (REST,)))
        return _ordered(changed, order)


def names(kind: str) -> Iterator[str]:
    """The kind, and the one that holds wherever such an object is sent."""
    yield kind
    base, at, _ = kind.partition("@")
    if at:
        yield base


def _agrees(key: str, constant: Any, sent: Any) -> bool:
    """Whether a constant can be what a provider makes of this parameter, to which it adds defaults and which it
    rewrites: schemas of tools, for example, become strict."""
    if key == "tools" and isinstance(sent, list):
        return _tools(sent) <= _tools(constant) and bool(sent) == bool(constant)
    if key in _NAMED and sent is not None:
        return bool(_NAMED[key](sent) in (None, _NAMED[key](constant)))
    return bool(sent is None or constant == sent or key == "moderation" or (key == "service_tier" and sent == "auto"))


def _tools(value: Any) -> set[Any]:
    return {str(each.get("name") or each.get("type")) for each in value or () if isinstance(each, dict)}


def _format(value: Any) -> tuple[Any, ...]:
    found = value.get("format") if isinstance(value, dict) else None
    return (found.get("type", "text"), found.get("name")) if isinstance(found, dict) else ("text", None)


def _effort(value: Any) -> Any:
    return value.get("effort") if isinstance(value, dict) else None


def _id(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value


_NAMED: Mapping[str, Callable[[Any], Any]] = {"text": _format, "reasoning": _effort, "prompt": _id, "conversation": _id}
"""What has to be the same in a constant and a parameter, by its name."""


def _ordered(value: JSON, order: tuple[str, ...]) -> JSON:
    named = {key for key in order if key != REST}
    found: JSON = {}
    for key in order:
        if key == REST:
            found.update((other, value[other]) for other in sorted(value) if other not in named)
        elif key in value:
            found[key] = value[key]
    return found
