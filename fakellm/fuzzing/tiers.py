"""How far a stream departs from the plain wire, step by step. Owns the names of steps; `tier_table` has their tiers.

The tiers, from what every client must read the same way to what two sane clients may read differently:

T0 bytes: any cut of the body, compression, the case of header names.
T1 events: everything that the standard for server-sent events allows.
T2 JSON: escapes, order of keys, white space, unknown keys, null for an absent value.
T3 deltas: everything that OpenAI's schema allows.
T4 habits: outside the schema, but sent by real providers and unambiguous.
T5 contested: sent by real providers, and two sane clients may differ. A client must only not corrupt anything silently.
fault: broken on purpose; the client must report it.

Knows no provider and draws nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec import UNSET, Struct

from fakellm.apis.variation import PLAIN, Variation
from fakellm.apis.variation_blocks import Padding
from fakellm.faults import Error, Fault
from fakellm.fuzzing.tier_table import ELSEWHERE, FAULTS, FAULTS_ELSEWHERE, TIERS, Tier
from fakellm.streaming.score import Score
from fakellm.wire.framing import Insert


class WireStep(Struct, frozen=True):
    """One difference from the plain wire.

    name: its key in the `stream:` block, with its value if the key has a few named ones: `padding`, `role: every`,
        `calls.id: repeated`, `sse.insert: comment`, `split.content: characters`. rows: of the list of client bugs.
    """

    name: str
    tier: Tier
    rows: tuple[str, ...] = ()


def steps(variation: Variation, plain: Variation = PLAIN, api: str = "chat") -> list[WireStep]:
    """Every step of `variation` away from the plain wire, each name once. Fields that it leaves open are not steps.
    `api`: the name of the API whose tiers and rows they have.

    plain: the wire to compare with, every field set. The usual wire of a dialect is ``dialect.usual.over(PLAIN)``; to
        compare a whole stream of that dialect with PLAIN, pass ``variation.over(dialect.usual)``.
    """
    return [named(name, api) for name in dict.fromkeys(_names(variation, plain))]


def contested(variation: Variation, plain: Variation = PLAIN, api: str = "chat") -> list[WireStep]:
    """The steps away from the plain wire that two sane clients may read differently (T5)."""
    return [step for step in steps(variation, plain, api) if step.tier == "T5"]


def step_of(fault: Fault, api: str = "chat") -> WireStep:
    """The fault as a step, named after its kind; an error in the stream also after its shape: `error: chunk`."""
    name = f"error: {fault.shape}" if isinstance(fault, Error) and fault.shape else fault.kind
    rows = FAULTS.get(name, FAULTS[fault.kind]).split()
    if api != "chat":
        own = FAULTS_ELSEWHERE.get(api, {}).get(fault.kind, "").split()
        rows = [*own, *(row for row in rows if row.startswith("F") or row in ("E7", "E8"))]
    return WireStep(name, "fault", tuple(rows))


def named(name: str, api: str = "chat") -> WireStep:
    """The step with this name. A name as in `steps`, or without its value: `split.content` is any cut of the content.
    Raises ValueError if there is no such step."""
    key, _, value = name.partition(": ")
    first, _, last = key.partition(".")
    last = last.rpartition(".")[2]  # the last part of a path such as split.choices[1].content
    general = [f"{first}.{last}", first] if first in ("split", "fill") else [key]
    known = [f"{place}: {value}" for place in general] + general
    listed = next((each for each in known if each in TIERS), None)
    if listed is None and not _is_own(first):
        raise ValueError(f"there is no step {name!r}")
    tier, rows = TIERS[listed] if listed else ("T4", "")
    if api != "chat":
        own = ELSEWHERE.get(api, {})
        common = [row for row in rows.split() if row.startswith("A") or key.startswith(api)]
        tier, rows = next((own[each] for each in known if each in own), (tier, " ".join(common)))
    return WireStep(name, tier, tuple(rows.split()))


def _is_own(field: str) -> bool:
    """Whether a field of a `stream:` block is of an API that has no steps in the table: they are habits of it."""
    return field in Variation.__struct_fields__ and not any(re.match(rf"{field}(\W|$)", name) for name in TIERS)


def _names(variation: Variation, plain: Variation) -> Iterator[str]:
    for field in variation.__struct_fields__:
        value, usual = getattr(variation, field), getattr(plain, field)
        if value is None or value == usual:
            continue
        if field == "padding":
            yield from _paddings(value)
        elif isinstance(value, Struct) and not isinstance(value, Score):
            yield from _block(field, value, usual or type(value)())
        elif field == "split" and isinstance(value, dict):
            yield from (f"split.{part}: {_way(cut)}" for part, cut in value.items() if cut != usual_cut(part, usual))
        elif field == "fill":
            yield from _fills(value, usual)
        elif field == "together":
            yield from (f"together: {each}" for each in value)
        else:
            yield from _value(field, value)


def _block(field: str, block: Struct, plain: Struct) -> Iterator[str]:
    for name in block.__struct_fields__:
        value = getattr(block, name)
        if name == "insert":
            yield from (f"sse.insert: {_inserted(each)}" for each in value)
        elif name == "alone":
            yield from ("sse.alone: comment" if each.startswith(":") else "sse.alone" for each in value)
        elif name == "separate_reads":  # the client gets the same cuts; it only sees them
            continue
        elif value not in (getattr(plain, name), UNSET) and (value is not None or name == "content_type"):
            yield from _value(f"{field}.{name}", value)


def _value(name: str, value: Any) -> Iterator[str]:
    if name in ("split", "transfer.cut"):
        yield f"{name}: {_way(value)}"
    elif isinstance(value, str) and name not in ("transfer.content_type", "messages.pads"):
        yield f"{name}: {value}"
    else:
        yield name


def _way(cut: Any) -> str:
    return cut if isinstance(cut, str) else "size" if isinstance(cut, int) else "offsets"


def usual_cut(part: str, usual: Any) -> Any:
    """How the plain wire cuts the part at this path."""
    ways = usual if isinstance(usual, dict) else {part: usual}
    return ways.get(part, ways.get(part.rpartition(".")[2], "whole"))


def _fills(value: dict[Any, dict[Any, Any]], usual: dict[Any, dict[Any, Any]]) -> Iterator[str]:
    for kind, fields in value.items():
        plain = usual.get(kind, {})
        yield from (f"fill.{kind}.{field}: {how}" for field, how in fields.items() if plain.get(field) != how)


def _paddings(value: Any) -> Iterator[str]:
    if not isinstance(value, tuple):
        yield "padding: reasoning" if value == "reasoning" else "padding"
        return
    for each in value:
        assert isinstance(each, Padding)
        if each.before == "end":
            yield "padding: end"
        elif isinstance(each.choices, str):
            yield f"padding: {each.choices}_choices"
        elif each.chunk is not None:
            yield _padding_of(each.chunk)
        elif not each.choices:
            yield "padding: no_choices"
        elif each.delta is not None and each.delta:
            yield from (f"padding: {key}" for key in each.delta)
        else:
            yield "padding"


def _padding_of(chunk: dict[str, Any]) -> str:
    """The step of padding that sets a whole chunk: what is null or absent in it."""
    choices = chunk.get("choices", ())
    if choices is None:
        return "padding: null_choices"
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {"delta": {}}
    if choice.get("delta") is not None:
        return "padding"
    return "padding: null_delta" if "delta" in choice else "padding: no_delta"


def _inserted(block: Insert) -> str:
    if block.event is not None:
        return "event"
    if block.data is not None:
        return "heartbeat"
    named = [name for name in ("id", "retry", "comment") if getattr(block, name) is not None]
    return named[0] if named else "blank_line"
