"""The order of keys in each kind of object that the Responses API sends, and the constants in them, as data.

A kind is the type of an event (`response.created`), or the type of an object and, after `@`, where it is sent:
`message@added`, `message@done` and `message@output` (in the whole response), `response@created`, `usage`. What is set
for `message` holds for each of these places. Knows no provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

    def response(self, at: str, value: JSON) -> JSON:
        """The response object at an event, laid out; its constants replace what the request and the provider set."""
        changed = {**value, **self.constants.get("response", {}), **self.constants.get(f"response@{at}", {})}
        order = self.orders.get(f"response@{at}", self.orders.get("response", (REST,)))
        return _ordered(changed, order)


def names(kind: str) -> Iterator[str]:
    """The kind, and the one that holds wherever such an object is sent."""
    yield kind
    base, at, _ = kind.partition("@")
    if at:
        yield base


def _ordered(value: JSON, order: tuple[str, ...]) -> JSON:
    named = {key for key in order if key != REST}
    found: JSON = {}
    for key in order:
        if key == REST:
            found.update((other, value[other]) for other in sorted(value) if other not in named)
        elif key in value:
            found[key] = value[key]
    return found
