"""What a dialect is: how one provider spells what a model says, as data. Knows no provider by name.

`write` and `read` beside this file do the spelling, for all dialects alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from fakellm.completion import Choice, Delta, Usage
from fakellm.seed import Source
from fakellm.variation import Variation

JSON = dict[str, Any]


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
    opening: Callable[[Delta], JSON]
    """What the delta with the role says besides what it has to say."""
    empty_content: Callable[[Choice], str | None]
    """The `content` of a whole message without text."""
    usage_details: Callable[[Usage], JSON]
    """What follows the three sums in a usage object."""
    reasoning_apart: bool
    """Whether `completion_tokens` leaves the reasoning tokens out, so that `total_tokens` adds them."""
    completion_id: Callable[[Source], str]
    call_id: Callable[[Source], str]
    indent: int | None = None
    """Of a whole body; None for a compact one."""

    def total(self, usage: Usage) -> int:
        """The provider's usual `total_tokens`."""
        return usage.prompt + usage.completion + (usage.reasoning if self.reasoning_apart else 0)


def dumps(value: Any, indent: int | None = None) -> str:
    """Compact JSON, or with an indent; raw characters, but for lone surrogates, which UTF-8 cannot say."""
    separators = (",", ": " if indent else ":")
    text = json.dumps(value, ensure_ascii=False, separators=separators, indent=indent)
    return text.encode("utf-8", "backslashreplace").decode()
