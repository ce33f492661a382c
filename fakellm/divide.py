"""A completion to the chunks that say it. Owns the order of things; `fold` undoes it.

Knows no JSON, no bytes and no provider by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, chain, zip_longest

from msgspec.structs import replace

from fakellm.completion import NULL, Choice, Chunk, ChunkChoice, Completion, Delta, Text, Usage
from fakellm.deltas import deltas
from fakellm.seed import Source
from fakellm.variation import PLAIN, Filler, Padding, Variation

Parts = tuple[ChunkChoice, ...]
"""The choices of one chunk."""

_UNFINISHED: dict[str | None, Text] = {"null": NULL, "empty": ""}


def divide(completion: Completion, variation: Variation, source: Source) -> tuple[Chunk, ...]:
    """The chunks that say `completion`, in the order they are sent; what `variation` leaves open is as in PLAIN.

    ``fold(divide(completion, variation)) == completion``, but for the usage where that is `none`. `source` draws
    the cuts that are random.
    """
    variation = variation.over(PLAIN)
    paddings = _paddings(completion, variation)
    streams = [_choice(index, choice, variation, paddings, source) for index, choice in enumerate(completion.choices)]
    parts = list(_merge(streams, variation))
    places = [(place, each) for each in paddings if isinstance(each.before, tuple) for place in each.before]
    for place, padding in sorted(places, key=lambda pair: -pair[0]):
        parts[place:place] = [_silence(0, padding)] * padding.count
    chunks = [Chunk(completion.id, completion.created, completion.model, part) for part in parts]
    chunks = _with_usage(chunks, completion, variation) or [Chunk(completion.id, completion.created, completion.model)]
    names = _names(completion.id, len(chunks), variation)
    return tuple(
        replace(
            chunk,
            id=name,
            created=completion.created + sum(tick <= number for tick in variation.ticks or ()),
            system_fingerprint=completion.system_fingerprint,
        )
        for number, (chunk, name) in enumerate(zip(chunks, names, strict=True))
    )


def _names(name: str, count: int, variation: Variation) -> list[str]:
    """The ids of the chunks. A stream of one chunk has no first that differs from the rest."""
    if variation.id == "first_empty" and count > 1:
        return ["", *[name] * (count - 1)]
    if variation.id == "changing":
        return [name, *(f"{name}-{number}" for number in range(1, count))]
    return [name] * count


def _merge(streams: list[list[Parts]], variation: Variation) -> Iterator[Parts]:
    """The chunks of parallel choices: sharing chunks, taking turns, or one choice after the other."""
    if "choices" in (variation.together or ()):
        return (tuple(chain.from_iterable(turn)) for turn in zip_longest(*streams, fillvalue=()))
    if variation.interleave in ("choices", "both"):
        return (part for turn in zip_longest(*streams) for part in turn if part is not None)
    return chain.from_iterable(streams)


def _paddings(completion: Completion, variation: Variation) -> tuple[Padding, ...]:
    count = variation.padding
    if count == "reasoning":
        count = max(completion.usage.reasoning - 1, 0) if completion.usage else 0
    if isinstance(count, int):
        return (Padding(count=count),) if count else ()
    return count or ()


def _silence(index: int, padding: Padding) -> Parts:
    return (ChunkChoice(index, Delta(extra=padding.delta)),) if padding.choices else ()


def _choice(
    index: int, choice: Choice, variation: Variation, paddings: tuple[Padding, ...], source: Source
) -> list[Parts]:
    """The chunks of one choice: its role, what it says, its finish, and the silences between."""

    def silences(before: str) -> list[Delta | Padding]:
        return [each for padding in paddings if padding.before == before for each in [padding] * padding.count]

    said = list(deltas(index, choice, variation, source))
    steps: list[Delta | Padding] = []
    if _opens_alone(said, variation, bool(silences("content"))):
        steps.append(Delta(role="assistant"))
    elif said and variation.role in ("first", "call"):
        said[0] = replace(said[0], role="assistant")
    steps += silences("content")
    for number, delta in enumerate(said):
        steps += [*(silences("delta") if number else []), delta]
    steps += silences("finish") if choice.finish_reason is not None else []
    parts = [_silence(index, step) if isinstance(step, Padding) else (ChunkChoice(index, step),) for step in steps]
    if said and variation.finish == "last":
        last = max(number for number, step in enumerate(steps) if isinstance(step, Delta))
        parts[last] = (ChunkChoice(index, said[-1], choice.finish_reason),)
    elif choice.finish_reason is not None:
        parts += [(ChunkChoice(index, Delta(), choice.finish_reason),)] * (2 if variation.finish == "twice" else 1)
    if not any(parts):
        parts.append((ChunkChoice(index),))  # a choice that says nothing at all is still there
    return [tuple(_dressed(choice, not number, variation) for choice in part) for number, part in enumerate(parts)]


def _opens_alone(said: list[Delta], variation: Variation, silent: bool) -> bool:
    """Whether the role comes in a delta of its own."""
    if variation.role in ("never", "every"):
        return False
    joins = said and not silent and (variation.role == "first" or (variation.role == "call" and said[0].tool_calls))
    return not joins


def _dressed(part: ChunkChoice, first: bool, variation: Variation) -> ChunkChoice:
    """The part with the role, and with what it says of the things it has nothing to say about."""
    fill = variation.fill or {}
    delta = replace(part.delta, role="assistant") if variation.role == "every" else part.delta
    habits = fill.get("delta", {})
    if part.finish_reason and part.delta == Delta():
        habits = fill.get("finish", habits)
    elif first and delta.role:
        habits = fill.get("opening", habits)
    for field, how in habits.items():
        if not getattr(delta, field) and field not in delta.extra:
            delta = _filled(delta, field, how)
    finish = part.finish_reason or _UNFINISHED.get(variation.unfinished)
    return replace(part, delta=delta, finish_reason=finish)


def _filled(delta: Delta, field: str, how: Filler) -> Delta:
    null = how == "null" or (how == "text" and bool(delta.tool_calls))
    if field == "tool_calls" and not null:
        return replace(delta, extra=delta.extra | {"tool_calls": []})
    return replace(delta, **{field: NULL if null else ""})


def _says(delta: Delta) -> bool:
    return bool(delta.content or delta.reasoning or delta.refusal or delta.tool_calls)


def _with_usage(chunks: list[Chunk], completion: Completion, variation: Variation) -> list[Chunk]:
    usage, where = completion.usage, variation.usage
    if usage is None or where == "none":
        return chunks
    if where == "running":
        counted = accumulate(int(any(_says(part.delta) for part in chunk.choices)) for chunk in chunks[:-1])
        counts = [Usage(usage.prompt, min(count, usage.completion)) for count in counted]
        return [replace(chunk, usage=count) for chunk, count in zip(chunks, [*counts, usage], strict=True)]
    if where == "every":
        return [replace(chunk, usage=usage) for chunk in chunks]
    if variation.usage_before == "null":
        chunks = [replace(chunk, usage=NULL) for chunk in chunks]
    if where in ("finish", "both") and chunks:
        chunks[-1] = replace(chunks[-1], usage=usage)
    if where == "finish" and chunks:
        return chunks
    choices: Parts = ()
    if where == "after":
        choices = (_dressed(ChunkChoice(0), False, variation),)
    return [*chunks, Chunk(completion.id, completion.created, completion.model, choices, usage)]
