"""Infers from a recorded stream its completion and the Variation with which it was sent: the inverse of rendering.

Cuts, padding and ticks are read from the frames; every other habit is the one that makes the rendered frames most like
the recorded ones. Knows no file format and no provider by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from operator import eq
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.chat.chunk import ZEROS, Chunk, ChunkChoice
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.meaning import NAME
from fakellm.apis.chat.reader import read_chunk, read_chunks
from fakellm.apis.protocol import Values
from fakellm.apis.variation import PLAIN, Variation
from fakellm.apis.variation_blocks import Padding, Spelling
from fakellm.base.json_text import JSON
from fakellm.importing.fewest_fields import simplest_stream
from fakellm.importing.habit_search import abridged, alike, best_habits
from fakellm.importing.read_division import padding, split, ticks, turns
from fakellm.importing.read_habits import observed
from fakellm.importing.read_spelling import ordered_as, rendered, spelled_like
from fakellm.model.blocks import Completion, Opaque, Usage


class Inferred(Struct, frozen=True):
    """A recorded stream's completion, how it is divided and spelled, and the values that were drawn for it."""

    completion: Completion
    variation: Variation
    drawn: Values


def infer(frames: Sequence[str], dialect: Dialect) -> Inferred:
    """The completion and the variation of a stream, from the data of its events (without `[DONE]`).

    Raises StreamError if an event contains no chunk.
    """
    return simplest(infer_roughly(frames, dialect), dialect)


def infer_roughly(frames: Sequence[str], dialect: Dialect) -> Inferred:
    """As `infer`, but the variation may have fields without an effect. Each of them takes a rendering to find, which is
    in vain for a dialect that is not chosen. Raises StreamError as `infer` does."""
    found, equal = _inferred(frames, dialect)
    blocks = (block for choice in found.completion.choices for block in choice.blocks)
    if equal < len(frames) and any(isinstance(block, Opaque) for block in blocks):
        without, more = _inferred(frames, dialect, fragments=False)
        return without if more > equal else found
    return found


def _inferred(frames: Sequence[str], dialect: Dialect, fragments: bool = True) -> tuple[Inferred, int]:
    """What is inferred, and how many frames it renders as recorded. `fragments`: whether those are opaque blocks of the
    completion, each in a chunk of its own; otherwise the spelling has them."""
    _, completion, starts, drawn = _starts(frames, dialect, fragments)
    short, few, candidates, values = _starts(abridged(frames), dialect, fragments)
    number, habits = best_habits(short, few, candidates, dialect, values)
    usual = habits.over(starts[number])
    best, equal = usual, -1
    # Where no habit puts the roles as recorded, they are spelled chunk by chunk.
    for candidate in (usual, replace(usual, role="never")):
        found = spelled_like(frames, completion, candidate, dialect, drawn)
        made = rendered(completion, found, dialect, drawn)
        if (alike := sum(map(eq, made, frames))) > equal:
            best, equal = found, alike
        if made == list(frames):
            break
    return Inferred(completion, best, drawn), equal


def simplest(inferred: Inferred, dialect: Dialect) -> Inferred:
    """What was inferred without fields that have no effect here, including those of its calls and its spelling."""
    completion, variation, drawn = inferred.completion, inferred.variation, inferred.drawn
    return replace(inferred, variation=simplest_stream(completion, variation, dialect, drawn))


def _starts(
    frames: Sequence[str], dialect: Dialect, fragments: bool
) -> tuple[Sequence[str], Completion, list[Variation], Values]:
    """The frames, their completion, three variations to start from (with the padding that the provider does not add by
    itself, with none, or with all of it), and the drawn values."""
    completion, variation, silences, drawn = _read(frames, dialect, fragments)
    # The order of keys is set too: otherwise a key that no chunk has would count in every comparison.
    variation = ordered_as(frames, variation)
    return frames, completion, [replace(variation, padding=each) for each in (variation.padding, None, silences)], drawn


def likeness(frames: Sequence[str], dialect: Dialect) -> float:
    """How much a stream is like what the provider sends, without a habit search: from 0 to 2. Raises StreamError."""
    completion, variation, _, drawn = _read(frames, dialect)
    return alike(rendered(completion, variation, dialect, drawn), frames)


def _read(frames: Sequence[str], dialect: Dialect, fragments: bool = True) -> tuple[Completion, Variation, Any, Values]:
    """The completion, the variation that can be read from the frames directly, all padding, and the drawn values.
    The variation leaves out what can also be read from the plainly rendered completion: the provider does it anyway."""
    chunks = _chunks(frames, dialect, fragments)
    completion, drawn = read_chunks(chunks)
    completion = counted([json.loads(frame) for frame in frames], completion, dialect)
    observations = _observations(frames, chunks, dialect)
    # Empty pieces of arguments may be a habit of the provider.
    splits = [split(chunks, completion), split(chunks, completion, empty=True)]
    if splits[0] == splits[1]:
        del splits[1]
    plains = [rendered(completion, Variation(split=cuts), dialect, drawn) for cuts in splits]
    plain = max(plains, key=lambda made: alike(made, frames)) if len(plains) > 1 else plains[0]
    observations["split"] = splits[plains.index(plain)]
    usual = _observations(plain, _chunks(plain, dialect, fragments), dialect)
    different = {name: value for name, value in observations.items() if value != usual.get(name)}
    habits = dialect.usual.over(PLAIN).split
    if isinstance(habits, dict):
        kept = {
            address: cut
            for address, cut in observations["split"].items()
            if cut != habits.get(address.rpartition(".")[2])
        }
        different["split"] = kept or None
    else:
        different["split"] = observations["split"]
    if isinstance(observations["padding"], tuple) and isinstance(usual["padding"], tuple):
        different["padding"] = _added(observations["padding"], list(usual["padding"])) or None
    return completion, _written(frames).over(msgspec.convert(different, Variation)), observations["padding"], drawn


def _added(found: tuple[Padding, ...], own: list[Padding]) -> tuple[Padding, ...]:
    """The padding that the provider does not add by itself, at its places among the provider's own."""
    passed = 0
    added: list[Padding] = []
    for each in found:
        if _is_own(each, own):
            passed += each.count
        else:
            added += _moved((each,), passed)
    return tuple(added)


def _is_own(padding: Padding, own: list[Padding]) -> bool:
    """Whether a padding is one of the provider's own; each of these is used up once."""
    if padding not in own:
        return False
    own.remove(padding)
    return True


def _chunks(frames: Sequence[str], dialect: Dialect, fragments: bool) -> list[Chunk]:
    """The chunks in the data of these events, with or without the fragments in them. Counts of 0 beside others are
    those before the real ones."""
    chunks = [read_chunk(dialect, frame) for frame in frames]
    if any(chunk.usage and chunk.usage != Usage() for chunk in chunks):
        chunks = [replace(chunk, usage=ZEROS) if chunk.usage == Usage() else chunk for chunk in chunks]
    return chunks if fragments else [replace(chunk, choices=_without_fragments(chunk.choices)) for chunk in chunks]


def _without_fragments(choices: Sequence[ChunkChoice]) -> tuple[ChunkChoice, ...]:
    return tuple(replace(each, delta=replace(each.delta, fragments={})) for each in choices)


def _observations(frames: Sequence[str], chunks: Sequence[Chunk], dialect: Dialect) -> dict[str, Any]:
    ticked = ticks(chunks)
    own = _opening(dialect) if chunks and not chunks[0].choices else 0
    chunks, frames = chunks[own:], frames[own:]
    silent: dict[str, Any] | None = {} if not dialect.usual.fill and dialect.usual.role != "every" else None
    habits = observed(chunks)
    padded = padding(frames, chunks, silent, habits)
    return {
        "padding": _moved(padded, own) if isinstance(padded, tuple) else padded,
        "ticks": ticked,
        "turns": turns(chunks),
        **habits,
    }


def _opening(dialect: Dialect) -> int:
    """How many chunks the provider sends before the reply's first."""
    return sum(each.count for each in dialect.silences if each.before == "stream" and isinstance(each.count, int))


def _moved(found: tuple[Padding, ...], by: int) -> tuple[Padding, ...]:
    """The padding at later places."""
    return tuple(
        replace(each, before=tuple(place + by for place in each.before)) if isinstance(each.before, tuple) else each
        for each in found
    )


def _written(frames: Sequence[str]) -> Variation:
    """What only the text of the JSON shows: escapes, spaces, floats."""
    texts = [json.dumps(json.loads(frame), ensure_ascii=False) for frame in frames]
    spelling = Spelling(
        ascii=(all(frame.isascii() for frame in frames) and not all(frame.isascii() for frame in texts)) or None,
        html=any(escape in frame for frame in frames for escape in ("\\u003c", "\\u003e", "\\u0026")) or None,
        floats=_floats(frames),
        spaces=sum(frame.partition(":")[2].startswith(" ") for frame in frames) * 2 > len(frames) or None,
    )
    return Variation(spelling=None if spelling == Spelling() else spelling)


def _floats(frames: Sequence[str]) -> Literal["decimal", "shortest"] | None:
    if any(_SHORT.search(frame) for frame in frames):
        return "shortest"
    return "decimal" if any(_SMALL.search(frame) for frame in frames) else None


_SHORT = re.compile(r"\de-6[,}\]]")
"""A number that other styles write without an exponent, or with a zero in it."""
_SMALL = re.compile(r"[:, \[]-?0\.0000\d+[,}\]]")


def counted(frames: Sequence[JSON], completion: Completion, dialect: Dialect) -> Completion:
    """The completion with the literal details of its usage, if the dialect would make others."""
    sent = [usage for frame in frames if (usage := frame.get("usage"))]
    if completion.usage is None or not sent:
        return completion
    details = {key: value for key, value in sent[-1].items() if key not in _SUMS}
    made = dialect.usage_details(completion.usage)
    if json.dumps(details) == json.dumps(made):
        return completion
    own = completion.usage.own.get(NAME, {}) | {"details": details}
    return replace(completion, usage=replace(completion.usage, own={NAME: own}))


_SUMS = ("prompt_tokens", "completion_tokens", "total_tokens")
