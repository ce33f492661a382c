"""What a dialect is: how one provider spells what a model says, as data. Knows no provider by name.

`write` and `read` beside this file do the spelling, for all dialects alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct

from fakellm.completion import Choice, Chunk, Usage
from fakellm.dialects.errors import Errors
from fakellm.seed import HEX, Source
from fakellm.variation import Spelling, Variation

JSON = dict[str, Any]

# `created` lies between 2023-11-14 and 2026-12-31: a plausible past, and no clock is read.
CREATED = (1_700_000_000, 1_798_675_200)


class Dialect(Struct, frozen=True):
    """A provider's habits.

    Objects are built with every key there is and then brought into the order given here: a key that stands in no order
    is not sent, and one with nothing to say is sent as null if it is among `nulls`, else left out.
    """

    name: str
    usual: Variation
    """How the provider divides a completion."""
    stream_type: str
    """The Content-Type of a stream."""
    chunk_keys: tuple[str, ...]
    body_keys: tuple[str, ...]
    choice_keys: tuple[str, ...]
    delta_keys: tuple[str, ...]
    message_keys: tuple[str, ...]
    call_keys: tuple[str, ...]
    """Of a tool call, whole or a piece."""
    nulls: frozenset[str]
    constants: Mapping[str, Any]
    """What chunks and bodies carry whatever is said."""
    empty_content: Callable[[Choice], str | None]
    """The `content` of a whole message without text."""
    usage_details: Callable[[Usage], JSON]
    """What a usage object says besides its three sums."""
    reasoning_apart: bool
    """Whether `completion_tokens` leaves the reasoning tokens out, so that `total_tokens` adds them."""
    completion_id: Callable[[Source], str]
    call_id: Callable[[Source], str]
    fingerprint: Callable[[Source], str | None] = lambda source: "fp_" + source.text(HEX, 10)
    """The `system_fingerprint` of a model; None where the provider sends none."""
    created: Callable[[Source], int] = lambda source: source.between(*CREATED)
    finishes: bool = True
    """Whether a `finish_reason` is sent where the reply says nothing of it."""
    named_call_finish: str = "tool_calls"
    """The `finish_reason` of a call that `tool_choice` named."""
    hides_reasoning: bool = False
    """Whether what the model thought before it answered is counted, but not sent."""
    echoes: bool = False
    """Whether a choice of a chunk says its delta once more, as `message`."""
    legacy: bool = False
    """Whether it says `text_completion` objects, whose choices have a text and neither message nor delta."""
    obfuscates: bool = False
    """Whether it heeds `stream_options.include_obfuscation`."""
    usage_keys: tuple[str, ...] = ("prompt_tokens", "completion_tokens", "total_tokens")
    """The keys that open a usage object."""
    calls_indexed: bool = False
    """Whether the tool calls of a whole body have an index, as those of a stream do."""
    indent: int | None = None
    """Of a whole body; None for a compact one."""
    margins: tuple[str, str] = ("", "")
    """What stands before and after the JSON of a whole body."""
    body_type: str = "application/json"
    """The Content-Type of a whole body."""
    usage_unasked: Literal["never", "finish", "usual"] = "never"
    """Whether a stream has usage although none was asked for: with the finish alone, or as if it had been."""
    decorate: Callable[[tuple[Chunk, ...], Source], tuple[Chunk, ...]] = lambda chunks, source: chunks
    """What the provider adds to the chunks of a stream, as `extra` keys or chunks of its own; it changes no meaning."""
    decorate_body: Callable[[JSON, Source], JSON] = lambda body, source: body
    """What it adds to a whole body."""
    errors: Errors = Errors()
    """How it says that it failed."""

    def total(self, usage: Usage) -> int:
        """The provider's usual `total_tokens`."""
        return usage.prompt + usage.completion + (usage.reasoning if self.reasoning_apart else 0)


def dumps(value: Any, indent: int | None = None) -> str:
    """Compact JSON, or with an indent; raw characters, but for lone surrogates, which UTF-8 cannot say."""
    if indent is None:
        text = _COMPACT(value)
    else:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ": "), indent=indent)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Made once: json.dumps would make another for each frame."""


def spelt(value: JSON, spelling: Spelling) -> str:
    """The JSON of a chunk as `spelling` wants it."""
    if spelling.order in ("sorted", "reversed"):
        value = rearranged(value, spelling.order == "sorted")
    text = dumps(value)
    if spelling.spaces:
        text = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    if spelling.floats == "decimal" and "e-0" in text:
        text = _NUMBER.sub(_decimal, text)
    if spelling.html:
        text = text.translate(_HTML)
    return _ascii(text) if spelling.ascii else text


_NUMBER = re.compile(r'"(?:[^"\\\\]|\\\\.)*"|[-\d.]+e-\d+')
"""A string, to be passed over, or a number with an exponent."""


def _decimal(found: re.Match[str]) -> str:
    """A number as JavaScript writes it: no exponent down to a millionth, and then one without a zero before it."""
    number, _, exponent = found[0].partition("e-")
    if number.startswith('"'):
        return found[0]
    return format(Decimal(found[0]), "f") if int(exponent) < 7 else f"{number}e-{int(exponent)}"


_HTML = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}


class WordForWord(Struct, frozen=True):
    """JSON whose keys keep their order, wherever it stands."""

    value: Any


def rearranged(value: Any, in_order: bool = True) -> Any:
    """JSON with the keys of every object in alphabetical order, or each in the reverse of its own."""
    if isinstance(value, WordForWord):
        return value.value
    if isinstance(value, list):
        return [rearranged(item, in_order) for item in value]
    if not isinstance(value, dict):
        return value
    keys = sorted(value) if in_order else reversed(value)
    return {key: rearranged(value[key], in_order) for key in keys}


def _ascii(text: str) -> str:
    """Outside ASCII there are only texts in JSON, where any UTF-16 unit may be written as an escape."""
    return text if text.isascii() else "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    return character if character.isascii() else json.dumps(character)[1:-1]
