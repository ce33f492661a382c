"""Habits: how a message is spelled, whatever it means. Owns them, and the way from the `stream:` block and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.messages.dialect import MessagesDialect
from fakellm.apis.messages.stream_keys import MessagesKeys
from fakellm.apis.protocol import Settings
from fakellm.apis.variation import PLAIN, Variation, division_of
from fakellm.apis.variation_blocks import Calls, Spelling
from fakellm.wire.framing import Framing
from fakellm.wire.http.transfer import Transfer

Keys = Mapping[str, tuple[str, ...]]

KEYS: Keys = {
    "message": ("model", "id", "type", "role", "content", "stop_reason", "stop_sequence", "stop_details", "usage"),
    "usage": (
        *("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation"),
        *("output_tokens", "service_tier", "inference_geo"),
    ),
    "delta": ("stop_reason", "stop_sequence", "stop_details"),
    "delta_usage": ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"),
    "text": ("citations", "type", "text"),
    "thinking": ("type", "thinking", "signature"),
    "tool_use": ("type", "id", "name", "input"),
    "server_tool_use": ("type", "id", "name", "input"),
}
"""The keys of each object, in their order, as Anthropic sends them in 2026."""

STREAM_KEYS = (
    *("padding", "split", "usage", "done", "calls.opening", "obfuscation", "sse", "transfer", "score", "messages"),
    *(f"spelling.{key}" for key in ("ascii", "html", "spaces", "floats", "escapes", "order")),
)
"""The keys of a `stream:` block that have an effect."""

ONLY_OUTPUT: Keys = {"delta_usage": ("output_tokens",)}


class MessagesHabits(Struct, frozen=True):
    """How a message is spelled.

    keys: the keys of objects, in their order, by object: `message`, its `usage`, the `delta` and the `delta_usage` of
        `message_delta`, and blocks by their type.
    pads: the spaces before the last brace of each event, as hex digits; those of further events are drawn, if any are
        sent (`padded`).
    start: the counts in `message_start`: see MessagesDialect.
    input_at_start: whether calls open with their input.
    done: whether `[DONE]` follows the stream.
    indent, margins: how a whole body is indented, and the white space around it.
    """

    dialect: MessagesDialect
    keys: Keys
    spelling: Spelling = Spelling()
    padded: bool = False
    pads: str = ""
    start: str = "input"
    input_at_start: bool = False
    done: bool = False
    indent: int | None = None
    margins: tuple[str, str] = ("", "")

    def ordered(self, kind: str, values: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Any:
        """An object with these values: the keys of its kind in their order, then the others.

        defaults: the values of keys of the kind that have none; a key without one is left out.
        """
        known = {**(defaults or {}), **values}
        return {key: known[key] for key in (*self.keys.get(kind, ()), *values) if key in known}


def settings(stream: Variation, dialect: MessagesDialect) -> Settings[MessagesHabits]:
    """The variation in its parts. What it does not set is as the dialect usually does it, else as in PLAIN."""
    full = stream.over(dialect.usual).over(PLAIN)
    transfer, own = full.transfer or Transfer(), full.messages or MessagesKeys()
    keys = {**KEYS, **((dialect.usual.messages or MessagesKeys()).key_order or {})}
    if stream.usage == "own":
        keys |= ONLY_OUTPUT
    elif stream.usage in ("finish", "both"):
        keys["delta_usage"] = KEYS["delta_usage"]
    habits = MessagesHabits(
        dialect=dialect,
        keys=keys | ((stream.messages or MessagesKeys()).key_order or {}),
        spelling=full.spelling or Spelling(),
        padded=bool(full.obfuscation) or bool(own.pads),
        pads=own.pads or "",
        start="zeros" if stream.usage == "finish" else dialect.start,
        input_at_start=(full.calls or Calls()).opening == "piece",
        done=full.done is True,
        indent=own.indent,
        margins=transfer.margins or ("", ""),
    )
    division = replace(division_of(full), usage="finish")
    return Settings(division, habits, full.sse or Framing(), transfer, full.score)


def variation(habits: MessagesHabits) -> Variation:
    """The `stream:` block that gives these habits: the inverse of `settings`, as short as it can be."""
    usual = settings(Variation(), habits.dialect).habits
    keys = {kind: order for kind, order in habits.keys.items() if order != usual.keys.get(kind)}
    spelling = {
        name: value
        for name, value in _fields(habits.spelling)
        if value is not None and value != getattr(usual.spelling, name)
    }
    own = MessagesKeys(key_order=keys or None, pads=habits.pads or None, indent=habits.indent)
    return Variation(
        obfuscation=False if usual.padded and not habits.padded else None,
        done=None if habits.done == usual.done else habits.done,
        usage="finish" if habits.start == "zeros" and usual.start != "zeros" else None,
        spelling=Spelling(**spelling) if spelling else None,
        transfer=None if habits.margins == usual.margins else Transfer(margins=habits.margins),
        messages=None if own == MessagesKeys() else own,
    )


def _fields(spelling: Spelling) -> Sequence[tuple[str, Any]]:
    return [(name, getattr(spelling, name)) for name in spelling.__struct_fields__]
