"""Infers the spelling of recorded chunks: the order of their keys, and the values that no habit explains.

Owns the rendering of a completion for comparison, and the inference of a Spelling. Knows no provider by name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from msgspec.structs import replace

from fakellm.apis.chat.api import CHAT
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.habits import ChatHabits, split
from fakellm.apis.chat.writer import CONTENT_KEYS, DETAILS
from fakellm.apis.events import events_of
from fakellm.apis.protocol import Answer, Values
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.seed import Source
from fakellm.model.blocks import Block, Completion, ToolCall
from fakellm.model.deltas import Batch
from fakellm.streaming.divide import divide


def rendered(completion: Completion, variation: Variation, dialect: Dialect, drawn: Values) -> list[str]:
    """The data of the events for this completion."""
    return data_of(*divided(completion, variation, dialect, drawn))


def divided(
    completion: Completion, variation: Variation, dialect: Dialect, drawn: Values
) -> tuple[Sequence[Batch], Answer[ChatHabits]]:
    """The batches of this completion, and the answer that they belong to."""
    settings = split(variation, dialect)
    meant = identified(CHAT.expressible(completion, settings.habits))
    habits = settings.habits if completion.usage else replace(settings.habits, usage_before="absent")
    answer = Answer(meant, replace(habits, done=False), drawn, Source(0))
    return divide(meant, settings.division, CHAT.grammar(habits), Source(0)), answer


def data_of(batches: Sequence[Batch], answer: Answer[ChatHabits]) -> list[str]:
    """The data of the events of these batches."""
    return [event.data for events in events_of(CHAT, batches, answer) for event in events]


def identified(completion: Completion) -> Completion:
    """The completion with an id for each call, as no reply has an empty one."""

    def named(block: Block) -> Block:
        return replace(block, id="x") if isinstance(block, ToolCall) and not block.id else block

    choices = (replace(choice, blocks=tuple(map(named, choice.blocks))) for choice in completion.choices)
    return replace(completion, choices=tuple(choices))


def ordered_as(frames: Sequence[str], variation: Variation) -> Variation:
    """The variation with the recorded chunks' keys, in their order."""
    recorded = [json.loads(frame) for frame in frames]
    orders: dict[str, Any] = {}
    for place, name in _PLACES.items():
        orders[name] = merged([item for items in _objects(recorded, place).values() for item in items])
    if orders["keys"] is None:
        orders["keys"] = merged([frame for frame in recorded if not _ends(frame)])
        orders["last_keys"] = merged([frame for frame in recorded if _ends(frame)])
    return Variation(
        spelling=Spelling(
            **orders, details=details_of([delta for items in _objects(recorded, "delta.").values() for delta in items])
        )
    ).over(variation)


def spelled_like(
    frames: Sequence[str], completion: Completion, variation: Variation, dialect: Dialect, drawn: Values
) -> Variation:
    """The variation with those values of the recorded chunks that nothing else explains."""
    made = rendered(completion, variation, dialect, drawn)
    if made == list(frames):
        return variation
    recorded, found = [json.loads(frame) for frame in frames], [json.loads(frame) for frame in made]
    extra: dict[str, Any] = {}
    each: dict[str, Any] = {}
    for place in ("", "choice.", "delta."):
        own, often = _own_keys(_objects(recorded, place), _objects(found, place))
        extra |= {place + key: value for key, value in own.items()}
        each |= {place + key: value for key, value in often.items()}
    for place in ("call.", "piece."):
        constant = _constant_keys(_objects(recorded, place), _objects(found, place))
        extra |= {place + key: value for key, value in constant.items()}
    return Variation(spelling=Spelling(extra=extra or None, each=each or None)).over(variation)


def _constant_keys(recorded: Objects, made: Objects) -> dict[str, Any]:
    """The keys that are not rendered anywhere, and an id that is empty or null, with one value in all recorded
    objects."""
    objects = [item for items in recorded.values() for item in items]
    known = {key for items in made.values() for item in items for key in item}
    known -= {"id"} if not any(item.get("id") for item in objects) else set()
    keys = dict.fromkeys(key for item in objects for key in item if key not in known)
    return {
        key: objects[0][key]
        for key in keys
        if all(key in item and json.dumps(item[key]) == json.dumps(objects[0].get(key)) for item in objects)
    }


_PLACES = {
    "": "keys",
    "choice.": "choice_keys",
    "delta.": "delta_keys",
    "usage.": "usage_keys",
    "call.": "call_keys",
    "piece.": "piece_keys",
    "function.": "function_keys",
}
"""The objects in a chunk, and the field of a spelling that orders the keys of each."""

Objects = dict[int, list[dict[str, Any]]]
"""The objects at one place in each chunk that has any there, by the number of the chunk."""


def _objects(frames: Sequence[dict[str, Any]], place: str) -> Objects:
    if not place:
        return {number: [frame] for number, frame in enumerate(frames)}
    if place == "usage.":
        return {number: [frame["usage"]] for number, frame in enumerate(frames) if frame.get("usage")}
    choices = {number: frame["choices"] for number, frame in enumerate(frames) if frame.get("choices")}
    if place == "choice.":
        return choices
    deltas = {number: [item.get("delta") or {} for item in items] for number, items in choices.items()}
    if place == "delta.":
        return deltas
    calls = {
        number: [call for item in items for call in item.get("tool_calls") or ()] for number, items in deltas.items()
    }
    if place == "function.":
        return {number: [call["function"] for call in items if call.get("function")] for number, items in calls.items()}
    named = place == "call."
    return {
        number: [call for call in items if bool((call.get("function") or {}).get("name")) == named]
        for number, items in calls.items()
    }


def _own_keys(recorded: Objects, made: Objects) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys that are not as rendered: those with one value in every object, and others with their value in each."""
    extra: dict[str, Any] = {}
    each: dict[str, Any] = {}
    for key in dict.fromkeys(key for items in recorded.values() for item in items for key in item):
        values = _values(recorded, key)
        ours = _values(made, key)
        if not values or json.dumps(values) == json.dumps(ours) or key in _STRUCTURE:
            continue
        if key in CONTENT_KEYS:
            silent = {number: value for number, value in values.items() if _is_filler(key, value)}
            silent |= _restated(key, values, ours)
            filled = {number: value for number, value in ours.items() if _is_filler(key, value)}
            each |= {key: silent} if silent != filled else {}
        else:
            texts = Counter(json.dumps(value) for value in values.values()).most_common(1)
            often, count = texts[0]
            if len(values) == len(recorded) and count * 2 > len(values):
                extra[key] = json.loads(often)
                values = {number: value for number, value in values.items() if json.dumps(value) != often}
            if values:
                each[key] = tuple(values.values()) if [*values] == [*range(len(recorded))] else values
    return extra, each


def _restated(key: str, recorded: dict[int, Any], made: dict[int, Any]) -> dict[int, Any]:
    """The values that are not the content but say it before or again: all but the last usage, and a finish reason or
    a role where none is rendered."""
    if key == "usage":
        numbers = [number for number, value in recorded.items() if value]
        return {number: recorded[number] for number in numbers[:-1] if recorded[number] != made.get(number)}
    if key == "finish_reason":
        reasons = {value for value in made.values() if value}
        return {number: value for number, value in recorded.items() if value in reasons and not made.get(number)}
    if key == "role":
        return {number: value for number, value in recorded.items() if value and not made.get(number)}
    return {}


def _is_filler(key: str, value: Any) -> bool:
    """Whether a value is a filler. `reasoning_details` without a text, such as a signature, count as one too."""
    if key == "reasoning_details" and isinstance(value, list):
        return not any(item.get("text") or item.get("summary") for item in value if isinstance(item, dict))
    return not value


def details_of(deltas: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """What the items of `reasoning_details` carry besides their text, if that is not the usual."""
    items = [
        item for delta in deltas for item in delta.get("reasoning_details") or () if "text" in item or "summary" in item
    ]
    besides = [{key: value for key, value in item.items() if key not in ("text", "summary")} for item in items]
    usual = Counter(json.dumps(each) for each in besides).most_common(1)
    if not usual:
        return None
    found: dict[str, Any] = json.loads(usual[0][0])
    if found.get("type") == "reasoning.text":
        del found["type"]
    return None if json.dumps(found) == json.dumps(DETAILS) else found


def _values(objects: Objects, key: str) -> dict[int, Any]:
    return {number: item[key] for number, items in objects.items() for item in items[:1] if key in item}


_STRUCTURE = ("choices", "delta", "index")


def _ends(frame: dict[str, Any]) -> bool:
    return bool(frame.get("usage")) or any(choice.get("finish_reason") for choice in frame.get("choices") or ())


def merged(frames: Sequence[dict[str, Any]]) -> tuple[str, ...] | None:
    """All keys in one order that is the order in every frame; None if there is no such order."""
    before: dict[str, set[str]] = {}
    for frame in frames:
        keys = list(frame)
        for place, key in enumerate(keys):
            before.setdefault(key, set()).update(keys[:place])
    try:
        return tuple(TopologicalSorter(before).static_order())
    except CycleError:
        return None
