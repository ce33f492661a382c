"""How chat completions spell a divided completion, and how the flat `stream:` block is split among its four owners.

A Variation is what a test author writes. Its Division belongs to every API, its Framing and Transfer to the wire; the
rest are the habits of chat.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.chat.chunk import NoChoices
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.protocol import Settings
from fakellm.apis.variation import PLAIN, Variation, division_of
from fakellm.apis.variation_blocks import Calls, Field, Filler, Reasoning, Spelling
from fakellm.wire.framing import Framing
from fakellm.wire.http.transfer import Transfer


class ChatHabits(Struct, frozen=True):
    """The habits that `Variation` describes under the same names, with a value for each.

    role: whether the role is sent `once`, with the start of a choice, in `every` delta, in all but those of tool calls
        (`texts`), or `never`.
    one_call: whether the reply has at most one call per choice, sent under the legacy key `function_call`.
    """

    dialect: Dialect
    role: Literal["once", "every", "texts", "never"] = "once"
    calls: Calls = Calls()
    reasoning: Reasoning = "reasoning_content"
    fill: dict[Literal["opening", "delta", "finish"], dict[Field, Filler]] = {}
    unfinished: Literal["null", "absent", "empty"] = "absent"
    usage_before: Literal["absent", "null", "empty", "zeros"] = "absent"
    usage_choices: NoChoices = "empty"
    done: bool | str = True
    id: Literal["constant", "first_empty", "changing"] = "constant"
    ticks: tuple[int, ...] = ()
    spelling: Spelling = Spelling()
    obfuscation: bool = False
    one_call: bool = False
    margins: tuple[str, str] | None = None
    """The white space around a whole body, if it is not the provider's."""
    own_spelling: Spelling | None = None
    own_reasoning: Reasoning | None = None
    """What the rule itself sets: a provider spells a whole body in another way than its usual stream."""


def block_of(habits: ChatHabits) -> tuple[str, Variation]:
    """The dialect and the `stream:` block of which `split` makes these habits; a role that is sent once is not set."""
    names = ("calls", "fill", "unfinished", "usage_before", "usage_choices", "done", "id", "ticks")
    fields = {name: getattr(habits, name) for name in names}
    fields |= {"spelling": habits.own_spelling, "reasoning": habits.own_reasoning}
    role = None if habits.role == "once" else habits.role
    return habits.dialect.name, Variation(role=role, obfuscation=habits.obfuscation, **fields)


_ROLE: dict[str | None, Literal["once", "every", "texts", "never"]] = {
    "every": "every",
    "repeated": "every",
    "texts": "texts",
    "never": "never",
}


def split(variation: Variation, dialect: Dialect, one_call: bool = False) -> Settings[ChatHabits]:
    """The variation in its parts. What it does not set is as the dialect usually does it, else as in PLAIN."""
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
        usage_choices=full.usage_choices or "empty",
        done=True if full.done is None else full.done,
        id=full.id or "constant",
        ticks=tuple(sorted(full.ticks or ())),
        spelling=full.spelling or Spelling(),
        obfuscation=bool(full.obfuscation),
        one_call=one_call,
        margins=transfer.margins,
        own_spelling=variation.spelling,
        own_reasoning=variation.reasoning,
    )
    return Settings(division, habits, full.sse or Framing(), transfer, full.score)
