"""How far from the plain wire a variation leads, step by step. Owns the table of steps: a tier, and the bugs it met.

Tiers, from what any client must read the same to what two sane clients read differently:

T0 bytes: any cut of the body, compression, the case of headers.
T1 events: all that the standard of server-sent events allows.
T2 JSON: escapes, order of keys, white space, unknown keys, null for absent.
T3 deltas: all that OpenAI's schema allows.
T4 habits: outside the schema, but real providers send it and it has one meaning.
T5 contested: real, and two sane clients may differ. Ask of a client only that it corrupts nothing in silence.
fault: broken on purpose; the client must say so.

Rows are those of `fakellm.fuzzing.known_bugs`. Knows no provider and draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import UNSET, Struct

from fakellm.apis.chat.variation import PLAIN, Calls, Padding, Spelling, Variation
from fakellm.faults import Error, Fault
from fakellm.wire.framing import Framing, Insert
from fakellm.wire.transfer import Transfer

Tier = Literal["T0", "T1", "T2", "T3", "T4", "T5", "fault"]


class Step(Struct, frozen=True):
    """One thing that is not as on the plain wire. `name`: its key in the `stream:` block, with its value where that is
    one of a few: `padding`, `role: every`, `calls.id: repeated`, `sse.insert: comment`, `split.content: characters`."""

    name: str
    tier: Tier
    rows: tuple[str, ...] = ()


TIERS: dict[str, tuple[Tier, str]] = {
    "transfer.cut": ("T0", "A2"),
    "transfer.cut: size": ("T0", "A2"),
    "transfer.cut: inside_characters": ("T0", "A1"),
    "transfer.cut: inside_line_ends": ("T0", "A3"),
    "transfer.coalesce": ("T0", "A2"),
    "transfer.body": ("T0", ""),
    "transfer.gzip": ("T0", "A18"),
    "transfer.header_case": ("T0", ""),
    "transfer.content_type": ("T0", "A17"),
    "transfer.margins": ("T2", "A15"),
    "sse.line_end": ("T1", "A3"),
    "sse.space": ("T1", "A4"),
    "sse.bom": ("T1", "A10"),
    "sse.ids": ("T1", "A6"),
    "sse.event": ("T1", ""),
    "sse.fields": ("T1", ""),
    "sse.multiline": ("T1", "A9"),
    "sse.insert: blank_line": ("T1", ""),
    "sse.insert: comment": ("T1", "A5 A6"),
    "sse.insert: id": ("T1", "A6 A7"),
    "sse.insert: retry": ("T1", "A7"),
    "sse.insert: heartbeat": ("T1", "A8"),
    "sse.insert: event": ("T1", "A12"),
    "sse.after": ("T1", ""),
    "sse.ends_with": ("T5", "A13"),
    "spelling.ascii": ("T2", "A15"),
    "spelling.spaces": ("T2", "A15"),
    "spelling.order": ("T2", "A15"),
    "spelling.extra": ("T2", "A15"),
    "spelling.html": ("T2", "A15"),
    "spelling.floats": ("T2", "A15"),
    "spelling.details": ("T5", "B14"),
    # Word for word: these can say, or leave out, anything.
    "spelling.keys": ("T5", ""),
    "spelling.choice_keys": ("T5", ""),
    "spelling.delta_keys": ("T5", ""),
    "spelling.last_keys": ("T5", ""),
    "spelling.usage_keys": ("T5", ""),
    "spelling.call_keys": ("T5", ""),
    "spelling.piece_keys": ("T5", ""),
    "spelling.each": ("T5", "B2 B3 B16 B20 C8 C18 D3 D4"),
    "obfuscation": ("T2", "A15"),
    "unfinished": ("T2", ""),
    "unfinished: empty": ("T4", "B7"),
    "usage_before": ("T2", "D3"),
    "fill": ("T3", "B6"),
    "fill.tool_calls": ("T3", "C19"),
    "padding": ("T3", "B6"),
    "padding: no_choices": ("T3", "B1"),
    "split": ("T3", "B15 C1"),
    "split.content": ("T3", "B15"),
    "split.reasoning": ("T3", ""),
    "split.refusal": ("T3", "B17"),
    "split.arguments": ("T3", "C1"),
    "split: surrogates": ("T5", "A16"),
    "together: choices": ("T3", "B19"),
    "together: calls": ("T3", "C2"),
    "together: parts": ("T3", "B10 C19"),
    "turns": ("T3", ""),
    "interleave": ("T3", ""),
    "interleave: choices": ("T3", "B19"),
    "interleave: calls": ("T3", "C3"),
    "interleave: both": ("T3", "B19 C3"),
    "role": ("T3", ""),
    "role: every": ("T4", "B4"),
    "role: texts": ("T4", "B4"),
    "role: repeated": ("T4", "B4"),
    "role: never": ("T4", "B5"),
    "finish": ("T3", "B8"),
    "finish: twice": ("T4", "B9"),
    "finish: early": ("T4", "B10"),
    "calls.opening": ("T3", "C2"),
    "calls.opening: pair": ("T3", "C4"),
    "calls.arguments": ("T4", "C14"),
    "calls.id: once": ("T3", ""),
    "calls.id: repeated": ("T4", "C9"),
    "calls.id: empty": ("T4", "C10"),
    "calls.id: null": ("T4", "C11"),
    "calls.name: once": ("T3", ""),
    "calls.name: repeated": ("T5", "C12"),
    "calls.name: empty": ("T4", "C10"),
    "calls.name: null": ("T4", "C11"),
    "calls.name: late": ("T4", "C13"),
    "calls.type: once": ("T3", ""),
    "calls.type: repeated": ("T4", ""),
    "calls.type: empty": ("T4", "C10"),
    "calls.type: null": ("T4", "C11"),
    "calls.index": ("T4", "C6"),
    "calls.index: given": ("T3", ""),
    "calls.index: from_one": ("T4", "C5"),
    "calls.index: zero": ("T5", "C7"),
    "calls.order": ("T4", "C5"),
    "calls.before": ("T3", ""),
    "reasoning": ("T4", "B14"),
    "reasoning: thinking": ("T5", "B16"),
    "reasoning: think": ("T5", "B15"),
    "usage": ("T4", "D2"),
    "usage: own": ("T3", ""),
    "usage: both": ("T4", "D2"),
    "usage: after": ("T4", "B10"),
    "usage: running": ("T5", "D1"),
    "usage: none": ("T4", "D5"),
    "done": ("T4", "B11"),
    "id: constant": ("T3", ""),
    "id: first_empty": ("T4", "B1 B13"),
    "id: changing": ("T4", "B13"),
    "ticks": ("T4", "B13"),
}
"""By name; a name that is not here has the tier of its key alone."""

FAULTS: dict[str, str] = {
    "status": "F6 F7 F11",
    "html": "F7 F8 F9",
    "empty": "E8 F9",
    "whole": "F8",
    "stream": "F9",
    "content_filter": "E9",
    "length": "E2",
    "bad_arguments": "E2",
    "unknown_tool": "",
    "same_id": "",
    "no_call": "C20",
    "refusal": "B17",
    "finish_reason": "E9",
    "no_choices": "F9",
    "no_finish": "E1 E3",
    "repeat": "",
    "swap": "",
    "error": "E4",
    "error: data": "E4",
    "error: event": "E4",
    "error: line": "E4",
    "error: chunk": "E5",
    "error: message": "E6",
    "error: text": "E6",
    "malformed": "E7",
    "truncated": "E7",
    "glued": "E7",
    "unterminated": "A13",
    "only_comments": "E8",
    "only_done": "E8",
    "close": "F1 F2 F3 F10",
    "reset": "F1 F2 F10",
    "stall": "B12 F4",
    "drip": "F5",
    "eof": "E1 E2 F9",
    "hang_up": "F10",
    "slow": "F4",
    "content_type": "F8",
    "content_length": "F9",
}


def steps(variation: Variation, plain: Variation = PLAIN) -> list[Step]:
    """Every step of `variation` away from the plain wire, each name once; what it leaves open is no step.

    plain: with every field given: the usual wire of a dialect is ``dialect.usual.over(PLAIN)``. For a whole stream
    against PLAIN ask after ``variation.over(dialect.usual)``.
    """
    return [named(name) for name in dict.fromkeys(_names(variation, plain))]


def contested(variation: Variation) -> list[Step]:
    """The steps that two sane clients may read differently (T5)."""
    return [step for step in steps(variation) if step.tier == "T5"]


def step_of(fault: Fault) -> Step:
    """The fault as a step, by its kind, and an error in a stream by its shape too: `error: chunk`."""
    name = f"error: {fault.shape}" if isinstance(fault, Error) and fault.shape else fault.kind
    return Step(name, "fault", tuple(FAULTS.get(name, FAULTS[fault.kind]).split()))


def named(name: str) -> Step:
    """The step of this name, as `steps` gives it, or the kind of step: `split.content` for any cut of the content."""
    key, _, value = name.partition(": ")
    first, _, last = key.partition(".")
    last = last.rpartition(".")[2]  # of an address as split.choices[1].content
    general = [f"{first}.{last}", first] if first in ("split", "fill") else [key]
    known = [f"{place}: {value}" for place in general] + general
    tier, rows = next(TIERS[each] for each in known if each in TIERS)
    return Step(name, tier, tuple(rows.split()))


def _names(variation: Variation, plain: Variation) -> Iterator[str]:
    for field in variation.__struct_fields__:
        value, usual = getattr(variation, field), getattr(plain, field)
        if value is None or value == usual:
            continue
        if field == "padding":
            yield from _paddings(value)
        elif isinstance(value, (Calls, Spelling)):
            yield from _block(field, value, usual)
        elif isinstance(value, Framing):
            yield from _block("sse", value, usual or Framing())
        elif isinstance(value, Transfer):
            yield from _block("transfer", value, usual or Transfer())
        elif field == "split" and isinstance(value, dict):
            yield from (f"split.{part}: {_way(cut)}" for part, cut in value.items() if cut != _usual_cut(part, usual))
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
        elif value not in (getattr(plain, name), UNSET) and (value is not None or name == "content_type"):
            yield from _value(f"{field}.{name}", value)


def _value(name: str, value: Any) -> Iterator[str]:
    if name in ("split", "transfer.cut"):
        yield f"{name}: {_way(value)}"
    elif isinstance(value, str) and name != "transfer.content_type":
        yield f"{name}: {value}"
    else:
        yield name


def _way(cut: Any) -> str:
    return cut if isinstance(cut, str) else "size" if isinstance(cut, int) else "offsets"


def _usual_cut(part: str, usual: Any) -> Any:
    """How the plain wire cuts the part at this address."""
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
        if not each.choices:
            yield "padding: no_choices"
        elif each.delta is not None and each.delta:
            yield from (f"padding: {key}" for key in each.delta)
        else:
            yield "padding"


def _inserted(block: Insert) -> str:
    if block.event is not None:
        return "event"
    if block.data is not None:
        return "heartbeat"
    named = [name for name in ("id", "retry", "comment") if getattr(block, name) is not None]
    return named[0] if named else "blank_line"
