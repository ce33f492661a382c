"""The staircase upwards: what a recorded stream says, and how. Owns the guess of a Variation from frames.

Cuts, silences and ticks are read off the frames; each other habit is the one that makes the rendered frames most like
the recorded ones. Knows no file format and no provider by name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

import msgspec
from msgspec.structs import replace

from fakellm.completion import Chunk, ChunkChoice, Completion
from fakellm.dialects.dialect import Dialect
from fakellm.dialects.read import read_chunk
from fakellm.dialects.write import DETAILS, SAID, write_chunk
from fakellm.divide import divide
from fakellm.fold import fold
from fakellm.observe import observed
from fakellm.seed import Source
from fakellm.sight import padding, split, ticks, turns
from fakellm.variation import PLAIN, Padding, Spelling, Variation

# Habits to try, each as a `stream:` block; what makes no more frames equal is not taken.
_HABITS: dict[str, Sequence[Any]] = {
    "calls": tuple(
        {key: value}
        for key, values in {
            "opening": ("alone", "piece"),
            "arguments": ("empty", "null", "absent"),
            "id": ("once", "repeated", "empty", "null"),
            "name": ("once", "repeated", "empty", "null"),
            "type": ("once", "repeated", "empty", "null"),
            "index": ("given", "absent", "null"),
        }.items()
        for value in values
    ),
    "role": ("alone", "first", "call", "every", "texts", "repeated"),
    "finish": ("alone", "last", "call", "twice"),
    "usage": ("own", "finish", "both", "after"),
    "unfinished": ("null", "absent", "empty"),
    "usage_before": ("absent", "null"),
    "reasoning": ("reasoning_content", "reasoning", "both", "reasoning_details"),
    "id": ("constant", "first_empty", "changing"),
    "fill": tuple(
        {kind: {field: how}}
        for kind in ("opening", "delta", "finish")
        for field in ("content", "reasoning", "refusal", "tool_calls")
        for how in ("empty", "null", "text")
    ),
    "spelling": ({"order": "sorted"}, {"order": "usual"}),
}


def infer(frames: Sequence[str], dialect: Dialect) -> tuple[Completion, Variation]:
    """What the data of a stream's events says (without `[DONE]`), and how it is divided and spelt.

    Raises StreamError when an event holds no chunk.
    """
    completion, variation, silences = _seen(frames, dialect)
    # The keys first: what stands in no chunk would otherwise weigh in every comparison.
    variation = _spelt(frames, completion, variation, dialect, unknown=True)
    starts = [variation, *(replace(variation, padding=each) for each in (None, silences) if each != variation.padding)]
    variation = _fitted(frames, completion, starts, dialect)
    return completion, _simplest(completion, _spelt(frames, completion, variation, dialect), dialect)


def likeness(frames: Sequence[str], dialect: Dialect) -> float:
    """How much a stream is like what the provider sends, at sight: from 0 to 2. Raises StreamError, as `infer`."""
    completion, variation, _ = _seen(frames, dialect)
    made = rendered(completion, variation, dialect)
    return _likeness([_standard(frame) for frame in made], [_standard(frame) for frame in frames])


def _seen(frames: Sequence[str], dialect: Dialect) -> tuple[Completion, Variation, Any]:
    """What shows at sight, but for what the provider does anyway: what shows in the same, said plainly. Also all the
    silences: some may be the provider's own."""
    completion = _counted(frames, fold(read_chunk(dialect, frame) for frame in frames), dialect)
    seen = _sight(frames, completion, dialect)
    chunks = [read_chunk(dialect, frame) for frame in frames]
    # Pieces of arguments that are empty may be the provider's own.
    splits = [split(chunks, completion), split(chunks, completion, empty=True)]
    plains = [rendered(completion, Variation(split=cuts), dialect) for cuts in splits]
    wanted = [_standard(frame) for frame in frames]
    plain = max(plains, key=lambda made: _likeness([_standard(frame) for frame in made], wanted))
    seen["split"] = splits[plains.index(plain)]
    usual = _sight(plain, completion, dialect)
    different = {name: value for name, value in seen.items() if value != usual.get(name)}
    habits = dialect.usual.over(PLAIN).split
    if isinstance(habits, dict):
        kept = {address: cut for address, cut in seen["split"].items() if cut != habits.get(address.rpartition(".")[2])}
        different["split"] = kept or None
    else:
        different["split"] = seen["split"]
    if isinstance(seen["padding"], tuple) and isinstance(usual["padding"], tuple):
        own = list(usual["padding"])
        different["padding"] = tuple(each for each in seen["padding"] if not _taken(each, own)) or None
    return completion, _written(frames).over(msgspec.convert(different, Variation)), seen["padding"]


def _taken(padding: Padding, own: list[Padding]) -> bool:
    """Whether a silence is one of the provider's own; each of them accounts for one."""
    if padding not in own:
        return False
    own.remove(padding)
    return True


def _sight(frames: Sequence[str], completion: Completion, dialect: Dialect) -> dict[str, Any]:
    chunks = [read_chunk(dialect, frame) for frame in frames]
    if chunks and not chunks[0].choices and _opens_with_its_own(dialect):
        chunks, frames = chunks[1:], frames[1:]
    silent: dict[str, Any] | None = {} if not dialect.usual.fill and dialect.usual.role != "every" else None
    habits = observed(chunks)
    return {
        "padding": padding(frames, chunks, silent, habits),
        "ticks": ticks(chunks),
        "turns": turns(chunks),
        **habits,
    }


def _opens_with_its_own(dialect: Dialect) -> bool:
    """Whether the provider sends a chunk of its own before those that say something."""
    return not dialect.decorate((Chunk("", 0, "", (ChunkChoice(0),)),), Source(0))[0].choices


def _written(frames: Sequence[str]) -> Variation:
    """What shows in the text of the JSON alone."""
    said = [json.dumps(json.loads(frame), ensure_ascii=False) for frame in frames]
    spelling = Spelling(
        ascii=(all(frame.isascii() for frame in frames) and not all(frame.isascii() for frame in said)) or None,
        html=any(escape in frame for frame in frames for escape in ("\\u003c", "\\u003e", "\\u0026")) or None,
        floats="decimal" if any(_SMALL.search(frame) for frame in frames) else None,
        spaces=sum(frame.partition(":")[2].startswith(" ") for frame in frames) * 2 > len(frames) or None,
    )
    return Variation(spelling=None if spelling == Spelling() else spelling)


_SMALL = re.compile(r"[:, \[]-?0\.0000\d+[,}\]]")


def _simplest(completion: Completion, variation: Variation, dialect: Dialect) -> Variation:
    """The variation without the fields that change nothing here."""
    made = rendered(completion, variation, dialect)
    for name in variation.__struct_fields__:
        without = replace(variation, **{name: None})
        if without != variation and rendered(completion, without, dialect) == made:
            variation = without
    return variation


def _counted(frames: Sequence[str], completion: Completion, dialect: Dialect) -> Completion:
    """The completion with the details of its usage word for word, where the dialect would make others."""
    sent = [usage for frame in frames if (usage := json.loads(frame).get("usage"))]
    if completion.usage is None or not sent:
        return completion
    details = {key: value for key, value in sent[-1].items() if key not in _SUMS}
    made = dialect.usage_details(completion.usage)
    if json.dumps(details) == json.dumps(made):
        return completion
    return replace(completion, usage=replace(completion.usage, details=details))


_SUMS = ("prompt_tokens", "completion_tokens", "total_tokens")


def rendered(completion: Completion, variation: Variation, dialect: Dialect) -> list[str]:
    """The data of the events that say this."""
    full = variation.over(dialect.usual)
    chunks = dialect.decorate(divide(completion, full, Source(0)), Source(0))
    return [write_chunk(dialect, chunk, full, number) for number, chunk in enumerate(chunks)]


def _spelt(
    frames: Sequence[str], completion: Completion, variation: Variation, dialect: Dialect, unknown: bool = False
) -> Variation:
    """The variation with the keys of the recorded chunks, and the values of those that nothing else accounts for; or
    only of those `unknown` to whatever it renders."""
    made = rendered(completion, variation, dialect)
    if made == list(frames):
        return variation
    wanted, found = [json.loads(frame) for frame in frames], [json.loads(frame) for frame in made]
    extra: dict[str, Any] = {}
    each: dict[str, Any] = {}
    orders: dict[str, Any] = {}
    for place, name in _PLACES.items():
        objects, ours = _objects(wanted, place), _objects(found, place)
        orders[name] = _merged([item for items in objects.values() for item in items])
        if orders[name] is None and not place:
            orders["keys"] = _merged([frame for frame in wanted if not _ends(frame)])
            orders["last_keys"] = _merged([frame for frame in wanted if _ends(frame)])
        if place not in ("", "choice.", "delta."):
            continue
        known = {key for items in ours.values() for item in items for key in item} if unknown else set()
        own, often = _own_keys(objects, ours, known | {*_STRUCTURE})
        extra |= {place + key: value for key, value in own.items()}
        each |= {place + key: value for key, value in often.items()}
    spelling = Spelling(**orders, extra=extra or None, each=each or None, details=_details(wanted))
    return Variation(spelling=spelling).over(variation)


_PLACES = {
    "": "keys",
    "choice.": "choice_keys",
    "delta.": "delta_keys",
    "usage.": "usage_keys",
    "call.": "call_keys",
    "piece.": "piece_keys",
}
"""The objects of a chunk, and the fields of a spelling that order their keys."""

Objects = dict[int, list[dict[str, Any]]]
"""The objects at one place of each chunk that has any, by the chunk's number."""


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
    named = place == "call."
    return {
        number: [call for call in items if bool((call.get("function") or {}).get("name")) == named]
        for number, items in calls.items()
    }


def _own_keys(wanted: Objects, made: Objects, known: set[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys that are not as rendered: those of every object with one value, and others with their value in each."""
    extra: dict[str, Any] = {}
    each: dict[str, Any] = {}
    for key in dict.fromkeys(key for items in wanted.values() for item in items for key in item):
        values = _values(wanted, key)
        ours = _values(made, key)
        if json.dumps(values) == json.dumps(ours) or key in known:
            continue
        if key in SAID:
            silent = {number: value for number, value in values.items() if _says_nothing(key, value)}
            filled = {number: value for number, value in ours.items() if _says_nothing(key, value)}
            each |= {key: silent} if silent != filled else {}
        elif len(values) == len(wanted) and len({json.dumps(value) for value in values.values()}) == 1:
            extra[key] = next(iter(values.values()))
        else:
            each[key] = tuple(values.values()) if [*values] == [*range(len(values))] else values
    return extra, each


def _says_nothing(key: str, value: Any) -> bool:
    """Whether a value is a filler. Details of reasoning may be there without a text: a signature, or encrypted."""
    if key == "reasoning_details" and isinstance(value, list):
        return not any(item.get("text") or item.get("summary") for item in value if isinstance(item, dict))
    return not value


def _details(frames: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """What the items of `reasoning_details` carry besides their text, if it is not what they usually do."""
    deltas = [delta for items in _objects(frames, "delta.").values() for delta in items]
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


def _merged(frames: Sequence[dict[str, Any]]) -> tuple[str, ...] | None:
    """All keys in one order that each of the frames keeps to; None where there is no such order."""
    before: dict[str, set[str]] = {}
    for frame in frames:
        keys = list(frame)
        for place, key in enumerate(keys):
            before.setdefault(key, set()).update(keys[:place])
    try:
        return tuple(TopologicalSorter(before).static_order())
    except CycleError:
        return None


def _fitted(frames: Sequence[str], completion: Completion, starts: Sequence[Variation], dialect: Dialect) -> Variation:
    """The best of the variations with each habit that makes what is rendered more like the frames."""
    leaves = cache(_standard)  # most frames of two candidates are the same
    wanted = [leaves(frame) for frame in frames]

    def score(candidate: Variation) -> float:
        return _likeness([leaves(frame) for frame in rendered(completion, candidate, dialect)], wanted)

    found: list[tuple[float, Variation]] = []
    for start in starts:
        found.append(_climbed(score, score(start), start))
        if found[-1][0] >= _ALIKE:
            break
    return max(found, key=lambda scored: scored[0])[1]


def _climbed(score: Callable[[Variation], float], best: float, variation: Variation) -> tuple[float, Variation]:
    """Every habit is tried twice: one may hide another."""
    for field, habits in [*_HABITS.items()] * 2:
        for habit in habits if best < _ALIKE else ():
            candidate = msgspec.convert({field: habit}, Variation).over(variation)
            if candidate != variation and (likely := score(candidate)) > best:
                best, variation = likely, candidate
    return best, variation


_ALIKE = 2.0  # the likeness of frames that are all the same


def _likeness(found: list[tuple[str, ...]], wanted: list[tuple[str, ...]]) -> float:
    """How much of the frames agrees, compared from the start and from the end: a frame too many shifts but one half."""
    agreed = sum(_agreement(a, b) for a, b in zip(found, wanted, strict=False))
    agreed += sum(_agreement(a, b) for a, b in zip(reversed(found), reversed(wanted), strict=False))
    return agreed / max(len(found), len(wanted), 1)


def _agreement(found: tuple[str, ...], wanted: tuple[str, ...]) -> float:
    if found == wanted:
        return 1.0
    common = len(set(found) & set(wanted))
    return 0.9 * common / max(len(found), len(wanted))


def _standard(frame: str) -> tuple[str, ...]:
    """The leaves of a frame that carry what is said: whatever else a provider adds is not a habit's to explain."""
    chunk = json.loads(frame)
    choices = [
        {key: value for key, value in choice.items() if key in SAID}
        | {"delta": {key: value for key, value in (choice.get("delta") or {}).items() if key in SAID}}
        for choice in chunk.get("choices") or ()
    ]
    envelope = {key: chunk[key] for key in ("id", "created", "model", "usage") if key in chunk}
    return tuple(_leaves(envelope | {"choices": choices}))


def _leaves(value: Any, path: str = "") -> list[str]:
    """Every value of a frame with its path, in the order they stand."""
    if isinstance(value, dict) and value:
        return [leaf for key, item in value.items() for leaf in _leaves(item, f"{path}.{key}")]
    if isinstance(value, list) and value:
        return [leaf for number, item in enumerate(value) for leaf in _leaves(item, f"{path}[{number}]")]
    return [f"{path}={value!r}"]
