"""How chat completions spell a divided completion, and the split of the flat `stream:` block into its four owners.

A Variation is what a test author writes. Its Division belongs to every API, its Framing and Transfer to the wire; the
rest are the habits of chat.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.variation import PLAIN, Calls, Field, Filler, Padding, Spelling, Variation
from fakellm.apis.protocol import Settings
from fakellm.streaming.division import Division, Silences
from fakellm.wire.framing import Framing
from fakellm.wire.transfer import Transfer


class ChatHabits(Struct, frozen=True):
    """What `Variation` describes under the same names, with a value for each.

    role: whether the role is sent `once`, with the start of a choice, in `every` delta, in all but those of tool calls
        (`texts`), or `never`.
    one_call: whether the reply has at most one call per choice, spelled as the `function_call` of old.
    """

    dialect: Dialect
    role: Literal["once", "every", "texts", "never"] = "once"
    calls: Calls = Calls()
    reasoning: str = "reasoning_content"
    fill: dict[Literal["opening", "delta", "finish"], dict[Field, Filler]] = {}
    unfinished: Literal["null", "absent", "empty"] = "absent"
    usage_before: Literal["absent", "null"] = "absent"
    done: bool = True
    id: Literal["constant", "first_empty", "changing"] = "constant"
    ticks: tuple[int, ...] = ()
    spelling: Spelling = Spelling()
    obfuscation: bool = False
    one_call: bool = False
    margins: tuple[str, str] | None = None
    """The white space around a whole body, where it is not the provider's."""


_START: dict[str | None, Literal["alone", "first", "call", "joined"]] = {
    "alone": "alone",
    "repeated": "alone",
    "first": "first",
    "call": "call",
}
_ROLE: dict[str | None, Literal["once", "every", "texts", "never"]] = {
    "every": "every",
    "repeated": "every",
    "texts": "texts",
    "never": "never",
}


def split(variation: Variation, dialect: Dialect, one_call: bool = False) -> Settings[ChatHabits]:
    """The variation in its parts; what it leaves open is as the dialect usually does it, else as in PLAIN."""
    full = variation.over(dialect.usual).over(PLAIN)
    transfer = full.transfer or Transfer()
    division = division_of(full)
    division = replace(division, silences=(*dialect.silences, *division.silences))

    habits = ChatHabits(
        dialect=dialect,
        role=_ROLE.get(full.role, "once"),
        calls=full.calls or Calls(),
        reasoning=full.reasoning or "reasoning_content",
        fill=full.fill or {},
        unfinished=full.unfinished or "absent",
        usage_before="absent" if full.usage in ("none", "every", "running") else full.usage_before or "absent",
        done=full.done is not False,
        id=full.id or "constant",
        ticks=tuple(sorted(full.ticks or ())),
        spelling=full.spelling or Spelling(),
        obfuscation=bool(full.obfuscation),
        one_call=one_call,
        margins=transfer.margins,
    )
    return Settings(division, habits, full.sse or Framing(), transfer, full.score)


def division_of(full: Variation) -> Division:
    """The part of a variation, with every field given, that belongs to every API."""
    calls = full.calls or Calls()
    return Division(
        split=full.split or "whole",
        start=_START.get(full.role, "joined"),
        opening=calls.opening or "alone",
        late=calls.name == "late",
        together=full.together or (),
        turns=full.turns or (),
        interleave=full.interleave or "none",
        order=calls.order or "given",
        before=calls.before,
        silences=_silences(full.padding),
        finish=full.finish or "alone",
        usage=full.usage or "own",
    )


def _silences(padding: int | str | tuple[Padding, ...] | None) -> tuple[Silences, ...]:
    """The padding of a Variation as silences of a Division."""
    if padding == "reasoning":
        return (Silences("reasoning"),)
    if isinstance(padding, int):
        return (Silences(padding),) if padding else ()
    return tuple(Silences(each.count, each.before, _look(each)) for each in padding or () if isinstance(each, Padding))


def _look(padding: Padding) -> Any:
    """How chat shows a silence: its delta, or a chunk without choices."""
    if not padding.choices:
        return {"chunk": {}}
    return None if padding.delta is None else {"delta": padding.delta}
