"""Shrinks a failing rule: fewer steps, then a shorter answer. Owns the ways to shrink a rule, and their order.

Pure except for the call that finds out whether a smaller rule still fails, which costs a case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from fakellm.apis.route import CHAT, Route
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Padding
from fakellm.faults import Fault
from fakellm.fuzzing.shrinking.shrink_answer import bare, replies
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule
from fakellm.streaming.splitting import Cut
from fakellm.wire.framing import Insert
from fakellm.wire.http.transfer import Transfer
from fakellm.wire.timing import Timing

replace = msgspec.structs.replace

_FIRST = (1,)
_MAX_CUT = 4096
"""Up to which byte of a body a single cut is searched for."""


def shrink(rule: Rule, fails: Callable[[Rule], bool], most: int = 300, api: Route = CHAT) -> Rule:
    """The smallest rule found that still fails in this API. `fails` is called at most `most` times, and never twice for
    the same rule, since two ways to shrink a rule may undo each other."""
    tried = {repr(rule)}
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(rule, api):
            if len(tried) > most:
                return rule
            if repr(smaller) in tried:
                continue
            tried.add(repr(smaller))
            if fails(smaller):
                rule, progress = smaller, True
                break
    return rule


def _smaller(rule: Rule, api: Route) -> Iterator[Rule]:
    """Rules that are a little smaller; first those with a step less."""
    if rule.dialect not in (None, "openai"):
        plain = "openai" if api is CHAT else None
        yield replace(rule, dialect=plain)
        # its habits as steps on the plain wire, from which the irrelevant ones are then dropped one by one
        yield replace(rule, dialect=plain, stream=rule.stream.over(api.usual(rule.dialect)))
    if rule.timing != Timing():
        yield replace(rule, timing=Timing())
    if rule.stream != Variation():
        yield replace(rule, stream=Variation())
        # a step moves what is at the place of a fault
        yield from (replace(rule, stream=Variation(), fault=fault) for fault in _placed(rule.fault))
    yield from (replace(rule, fault=fault) for fault in _earlier(rule.fault))
    yield from (replace(rule, stream=stream) for stream in _without(rule.stream))
    yield from (replace(rule, reply=reply) for reply in replies(rule.reply) if _is_applicable(rule, reply))
    yield from (replace(rule, stream=stream) for stream in _plainer(rule.stream))
    least = replace(rule, reply=bare(rule.reply), dialect=None if rule.dialect == "openai" else rule.dialect)
    if least != rule:
        yield least


def _earlier(fault: Fault | None) -> Iterator[Fault]:
    """The fault on every attempt, and in one of the first places: a later one would shift as the rule shrinks."""
    if fault is not None and fault.times is not None:
        yield replace(fault, times=None)
    places = [name for name in ("frame", "byte") if getattr(fault, name, None) is not None]
    if fault is not None and places and getattr(fault, places[0]) not in range(3):
        yield from (replace(fault, **{places[0]: place}) for place in range(3))


def _placed(fault: Fault | None) -> Iterator[Fault]:
    """The fault in each of the first frames, if it is in a frame or where the seed draws."""
    if fault is not None and hasattr(fault, "frame") and not (getattr(fault, "at", None) or getattr(fault, "byte", 0)):
        yield from (replace(fault, frame=place) for place in range(6))


def _without(block: Any) -> Iterator[Any]:
    """The block with one field reset to its default, or with one item less in it."""
    plain = type(block)()
    for field in block.__struct_fields__:
        value, usual = getattr(block, field), getattr(plain, field)
        if value == usual:
            continue
        yield from _changed(block, field, usual)
        if isinstance(value, msgspec.Struct):
            for inner in _without(value):
                yield from _changed(block, field, inner)
        elif isinstance(value, dict):
            for fewer in _members(value):
                yield from _changed(block, field, fewer)
        elif isinstance(value, tuple) and 1 < len(value) < 9:
            for number in range(len(value)):
                yield from _changed(block, field, value[:number] + value[number + 1 :])


def _members(value: dict[Any, Any]) -> Iterator[dict[Any, Any]]:
    """The mapping without one of its members, or of a member's members; never empty."""
    for key, member in value.items():
        if len(value) > 1:
            yield {other: value[other] for other in value if other != key}
        if isinstance(member, dict):
            yield from (value | {key: fewer} for fewer in _members(member))


def _changed(block: Any, field: str, value: Any) -> Iterator[Any]:
    """The block with another value in a field; nothing if that would be invalid."""
    try:
        yield type(block)(**{name: getattr(block, name) for name in block.__struct_fields__} | {field: value})
    except ValueError:
        return


def _plainer(stream: Variation) -> Iterator[Variation]:
    """The same steps in a plainer form."""
    sse, padding = stream.sse, stream.padding
    if stream.transfer is not None:
        yield from (replace(stream, transfer=each) for each in _transfers(stream.transfer))
    if sse is not None and any(isinstance(each, Insert) and each.before != (1,) for each in sse.insert):
        yield replace(stream, sse=replace(sse, insert=tuple(replace(each, before=(1,)) for each in sse.insert)))
    if isinstance(padding, int) and padding > 1:
        yield replace(stream, padding=1)
    if isinstance(padding, tuple) and any(each.count > 1 for each in padding):
        yield replace(stream, padding=tuple(_single(each) for each in padding))
    split = stream.split if isinstance(stream.split, dict) else {}
    for part, cut in split.items():
        yield from (replace(stream, split=split | {part: each}) for each in _splits(cut))


def _transfers(transfer: Transfer) -> Iterator[Transfer]:
    cut = transfer.cut
    if not isinstance(cut, (int, tuple)):
        return
    ways: list[Any] = [_FIRST, "inside_characters"] if cut != _FIRST else []  # other steps shift what is at an offset
    offsets = tuple(range(cut, _MAX_CUT, cut)) if isinstance(cut, int) else cut
    yield from (replace(transfer, cut=way) for way in [*ways, *_halves(offsets)])


def _splits(cut: Cut) -> Iterator[Cut]:
    if cut not in ("whole", 1, _FIRST):
        yield _FIRST
    yield from _halves(cut if isinstance(cut, tuple) else ())


def _halves(offsets: tuple[int, ...]) -> list[tuple[int, ...]]:
    half = len(offsets) // 2
    return [offsets[:half], offsets[half:]] if half else []


def _single(padding: Padding) -> Padding:
    return replace(padding, count=1)


def _is_applicable(rule: Rule, reply: Reply) -> bool:
    """Whether the reply still has what the rule's fault needs."""
    most = max(choice.calls for choice in reply.choices or (reply,))
    return rule.fault is None or rule.fault.calls <= most
