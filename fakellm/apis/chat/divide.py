"""A completion to the chunks that say it. Owns the order of things; `fold` undoes it.

Knows no JSON, no bytes and no provider by name.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, chain, zip_longest

from msgspec.structs import replace

from fakellm.apis.chat.chunk import NULL, Chunk, ChunkChoice, Delta, Text
from fakellm.apis.chat.chunk_logprobs import dealt
from fakellm.apis.chat.deltas import deltas, in_turns
from fakellm.apis.chat.variation import PLAIN, Filler, Padding, Variation
from fakellm.base.seed import Source
from fakellm.model.completion import Choice, Completion, Usage
from fakellm.model.think_tags import aloud

Parts = tuple[ChunkChoice, ...]
"""The choices of one chunk."""

_UNFINISHED: dict[str | None, Text] = {"null": NULL, "empty": ""}


def divide(completion: Completion, variation: Variation, source: Source) -> tuple[Chunk, ...]:
    """The chunks that say `completion`, in the order they are sent; what `variation` leaves open is as in PLAIN.

    ``fold(divide(completion, variation)) == completion``, but for the usage where that is `none`, and for reasoning
    said as `think`, which is content then. `source` draws the cuts that are random.
    """
    variation = variation.over(PLAIN)
    completion = aloud(completion) if variation.reasoning == "think" else completion
    paddings = _paddings(completion, variation)
    streams = [_choice(index, choice, variation, paddings, source) for index, choice in enumerate(completion.choices)]
    parts = list(_merge(streams, variation))
    places = [(place, each) for each in paddings if isinstance(each.before, tuple) for place in each.before]
    # From the end, so that no place moves; those at the same place stay in the order they were given.
    for place, padding in sorted(places, key=lambda pair: pair[0])[::-1]:
        parts[place:place] = [_silence(0, padding, variation)] * padding.count
    chunks = [Chunk(completion.id, completion.created, completion.model, part) for part in parts]
    chunks = _with_usage(chunks, completion, variation) or [Chunk(completion.id, completion.created, completion.model)]
    names, ticks = _names(completion.id, len(chunks), variation), sorted(variation.ticks or ())
    return tuple(
        replace(
            chunk,
            id=name,
            created=completion.created + (bisect_right(ticks, number) if ticks else 0),
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
    turns = variation.turns or ()
    if any(name.startswith("choices") for name, _ in turns):
        return in_turns({f"choices[{number}]": stream for number, stream in enumerate(streams)}, turns)
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


def _silence(index: int, padding: Padding, variation: Variation) -> Parts:
    if not padding.choices:
        return ()
    if padding.delta is None:
        return (_dressed(ChunkChoice(index), variation),)
    return (ChunkChoice(index, Delta(extra=padding.delta), _UNFINISHED.get(variation.unfinished)),)


def _choice(
    index: int, choice: Choice, variation: Variation, paddings: tuple[Padding, ...], source: Source
) -> list[Parts]:
    """The chunks of one choice: its role, what it says, its finish, and the silences between."""

    def silences(before: str) -> list[Delta | Padding]:
        return [each for padding in paddings if padding.before == before for each in [padding] * padding.count]

    said = list(deltas(index, choice, variation, source))
    steps: list[Delta | Padding] = []
    if _opens_alone(choice, said, variation, bool(silences("content"))):
        steps.append(Delta(role="assistant"))
    elif said and variation.role in ("first", "call"):
        said[0] = replace(said[0], role="assistant")
    steps += silences("content")
    for number, delta in enumerate(said):
        steps += [*(silences("delta") if number else []), delta]
    joins = bool(said) and (variation.finish == "last" or (variation.finish == "call" and bool(said[-1].tool_calls)))
    if choice.finish_reason is not None:
        place = len(steps) - joins
        steps[place:place] = silences("finish")
    finish = choice.finish_reason
    calls = bool(said and said[0].tool_calls)
    spoken = [step for step in steps if isinstance(step, Delta)]
    parts: list[Parts] = []
    for step in steps:
        if isinstance(step, Padding):
            parts.append(_silence(index, step, variation))
        else:
            ends = finish if joins and step is spoken[-1] else None
            parts.append((_dressed(ChunkChoice(index, step, ends), variation, not parts, calls),))
    if finish is not None and not joins:
        end = _dressed(ChunkChoice(index, Delta(), finish), variation, not parts, calls)
        place = len(parts) - (variation.finish == "early" and len(said) > 1)
        parts[place:place] = [(end,)] * (2 if variation.finish == "twice" else 1)
    parts = parts if any(parts) else [(_dressed(ChunkChoice(index), variation, True),)]
    return _with_logprobs(parts, choice) if choice.logprobs or choice.refusal_logprobs else parts


def _with_logprobs(parts: list[Parts], choice: Choice) -> list[Parts]:
    told = iter(dealt([part for each in parts for part in each], choice))
    return [tuple(next(told) for _ in each) for each in parts]


def _opens_alone(choice: Choice, said: list[Delta], variation: Variation, silent: bool) -> bool:
    """Whether the role comes in a delta of its own."""
    if variation.role in ("never", "every", "texts"):
        return False
    if silent or not said:
        return True
    one_call = said[0].tool_calls and len(choice.tool_calls) == 1
    return not (variation.role == "first" or (variation.role == "call" and one_call))


def _dressed(part: ChunkChoice, variation: Variation, first: bool = False, calls: bool = False) -> ChunkChoice:
    """The part with the role, and with what it says of the things it has nothing to say about.

    `first`: of its choice; `calls`: which starts with tool calls.
    """
    fill = variation.fill or {}
    role = variation.role
    everywhere = role in ("every", "repeated") or (role == "texts" and not part.delta.tool_calls)
    delta = replace(part.delta, role="assistant") if everywhere else part.delta
    calling = bool(delta.tool_calls)
    habits = fill.get("delta", {})
    if part.finish_reason and part.delta == Delta():
        habits = fill.get("finish", habits)
    elif first and delta.role:
        habits = fill.get("opening", habits)
        calling = calls
    for field, how in habits.items():
        if not getattr(delta, field) and field not in delta.extra:
            delta = _filled(delta, field, how, calling)
    finish = part.finish_reason or _UNFINISHED.get(variation.unfinished)
    return replace(part, delta=delta, finish_reason=finish)


def _filled(delta: Delta, field: str, how: Filler, calling: bool) -> Delta:
    null = how == "null" or (how == "text" and calling)
    if field == "tool_calls" and not null:
        return replace(delta, extra=delta.extra | {"tool_calls": []})
    return replace(delta, **{field: NULL if null else ""})


def _says(delta: Delta) -> bool:
    return bool(delta.content or delta.reasoning or delta.refusal or delta.tool_calls)


def _with_usage(chunks: list[Chunk], completion: Completion, variation: Variation) -> list[Chunk]:
    usage, where = completion.usage, variation.usage
    if usage is None or where == "none":
        return chunks
    if where == "running" and chunks:
        counted = accumulate(int(any(_says(part.delta) for part in chunk.choices)) for chunk in chunks[:-1])
        counts = [Usage(usage.prompt, min(count, usage.completion)) for count in counted]
        return [replace(chunk, usage=count) for chunk, count in zip(chunks, [*counts, usage], strict=True)]
    if where == "every":
        return [replace(chunk, usage=usage) for chunk in chunks]
    if variation.usage_before == "null":
        chunks = [replace(chunk, usage=NULL) for chunk in chunks]
    if where in ("finish", "both") and chunks:
        ends = [number for number, chunk in enumerate(chunks) if any(part.finish_reason for part in chunk.choices)]
        last = ends[-1] if ends else len(chunks) - 1
        chunks[last] = replace(chunks[last], usage=usage)
    if where == "finish" and chunks:
        return chunks
    choices: Parts = ()
    if where == "after":
        choices = (_dressed(ChunkChoice(0), variation),)
    return [*chunks, Chunk(completion.id, completion.created, completion.model, choices, usage)]
