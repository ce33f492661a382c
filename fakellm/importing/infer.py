"""The staircase upwards: what a recorded stream says, and how. Owns the guess of a Variation from frames.

Cuts, silences and ticks are read off the frames; each other habit is the one that makes the rendered frames most like
the recorded ones. Knows no file format and no provider by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.fold import fold
from fakellm.apis.chat.reader import read_chunk
from fakellm.apis.chat.variation import PLAIN, Calls, Padding, Spelling, Variation
from fakellm.base.seed import Source
from fakellm.importing.habit_search import abridged, alike, fitted, standard
from fakellm.importing.read_division import padding, split, ticks, turns
from fakellm.importing.read_habits import observed
from fakellm.importing.read_spelling import ordered_as, rendered, spelt_as
from fakellm.model.completion import Completion


def infer(frames: Sequence[str], dialect: Dialect) -> tuple[Completion, Variation]:
    """What the data of a stream's events says (without `[DONE]`), and how it is divided and spelt.

    Raises StreamError when an event holds no chunk.
    """
    _, completion, starts = _starts(frames, dialect)
    number, habits = fitted(*_starts(abridged(frames), dialect), dialect)
    variation = habits.over(starts[number])
    return completion, _simplest(completion, spelt_as(frames, completion, variation, dialect), dialect)


def _starts(frames: Sequence[str], dialect: Dialect) -> tuple[Sequence[str], Completion, list[Variation]]:
    """The frames, what they say, and how at sight: without the provider's own silences, with none, or with all."""
    completion, variation, silences = _seen(frames, dialect)
    # The keys too: what stands in no chunk would otherwise weigh in every comparison.
    variation = ordered_as(frames, variation)
    return frames, completion, [replace(variation, padding=each) for each in (variation.padding, None, silences)]


def likeness(frames: Sequence[str], dialect: Dialect) -> float:
    """How much a stream is like what the provider sends, at sight: from 0 to 2. Raises StreamError, as `infer`."""
    completion, variation, _ = _seen(frames, dialect)
    made = rendered(completion, variation, dialect)
    return alike([standard(frame) for frame in made], [standard(frame) for frame in frames])


def _seen(frames: Sequence[str], dialect: Dialect) -> tuple[Completion, Variation, Any]:
    """What shows at sight, but for what the provider does anyway: what shows in the same, said plainly. Also all the
    silences: some may be the provider's own."""
    completion = _counted(frames, fold(read_chunk(dialect, frame) for frame in frames), dialect)
    seen = _sight(frames, completion, dialect)
    chunks = [read_chunk(dialect, frame) for frame in frames]
    # Pieces of arguments that are empty may be the provider's own.
    splits = [split(chunks, completion), split(chunks, completion, empty=True)]
    plains = [rendered(completion, Variation(split=cuts), dialect) for cuts in splits]
    wanted = [standard(frame) for frame in frames]
    plain = max(plains, key=lambda made: alike([standard(frame) for frame in made], wanted))
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
    """The variation without what changes nothing here: fields, and those of its calls and its spelling."""
    made = rendered(completion, variation, dialect)
    for without in _fewer(variation):
        candidate = without(variation)
        if candidate != variation and rendered(completion, candidate, dialect) == made:
            variation = candidate
    return variation


def _fewer(variation: Variation) -> Iterator[Callable[[Variation], Variation]]:
    """Ways to leave a field out."""
    for name in variation.__struct_fields__:
        yield partial(replace, **{name: None})
        block = getattr(variation, name)
        if isinstance(block, (Calls, Spelling)):
            yield from (partial(_without, name=name, field=field) for field in block.__struct_fields__)


def _without(variation: Variation, name: str, field: str) -> Variation:
    block = getattr(variation, name)
    return replace(variation, **{name: block and replace(block, **{field: None})})


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
