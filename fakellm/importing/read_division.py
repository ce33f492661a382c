"""Reads from a stream's chunks where its clock ticked, which chunks are padding, and how texts were cut.

Knows no dialect.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby
from typing import Any

from msgspec.structs import replace

from fakellm.apis.chat.chunk import Chunk, ChunkChoice, Delta, Text, ToolCallDelta, text_or_empty
from fakellm.apis.variation import Turn
from fakellm.apis.variation_blocks import Padding
from fakellm.base import tokenizer
from fakellm.model.blocks import Completion
from fakellm.streaming.division import PARTS
from fakellm.streaming.splitting import Cut


def ticks(chunks: Sequence[Chunk]) -> tuple[int, ...] | None:
    """The numbers of the chunks at which `created` advances, once per second; None if it jumps by more than an hour."""
    first = next((chunk.created for chunk in chunks if chunk.created), 0)
    found: list[int] = []
    for number, chunk in list(enumerate(chunks))[1:]:
        if chunk.created - first > _MOST_TICKS:
            return None
        found += [number] * (chunk.created - first - len(found))
    return tuple(found) or None


_MOST_TICKS = 3_600


def padding(
    frames: Sequence[str], chunks: Sequence[Chunk], silent: dict[str, Any] | None, habits: dict[str, Any]
) -> int | tuple[Padding, ...] | None:
    """The chunks without content: their number if all follow the first chunk, else each run with its place and delta.

    A chunk that only carries the role is not padding.
    """
    alone = habits.get("role") in ("alone", "call", "repeated")
    counting = habits.get("usage") in ("every", "running")
    runs: list[tuple[int, Padding]] = []
    kept = 0
    opened: set[int] = set()
    for number, chunk in enumerate(chunks):
        opening = {part.index for part in chunk.choices} - opened
        opened |= opening
        if (opening and alone) or not _silent(chunk, counting):
            kept += 1
            continue
        found = replace(_looks(json.loads(frames[number]), chunks[0].id), before=(kept,))
        if runs and runs[-1][1] == found:
            runs[-1] = (runs[-1][0] + 1, found)
        else:
            runs.append((1, found))
    if len(runs) == 1 and runs[0][1] == Padding(before=(1,), delta=silent):
        return runs[0][0]
    if habits.get("usage") in ("own", "both", "after"):  # what no number of a chunk can stand for
        runs = [(count, replace(run, before="end") if run.before == (kept,) else run) for count, run in runs]
    return tuple(replace(found, count=count) for count, found in runs) or None


def _looks(frame: dict[str, Any], name: str) -> Padding:
    """A chunk without content as padding: its delta or, if it has none or another id than the reply, all of it."""
    if name and frame.get("id") == "":
        return Padding(chunk=frame, choices=True if "choices" in frame else "absent")
    if not frame.get("choices"):
        return Padding(choices="absent" if "choices" not in frame else "null" if frame["choices"] is None else False)
    if "delta" not in frame["choices"][0]:
        return Padding(chunk={"choices": frame["choices"]})
    return Padding(delta=frame["choices"][0]["delta"] or {})


def _silent(chunk: Chunk, counting: bool) -> bool:
    """Whether a chunk of one choice, or of none, has no content; with `counting`, usage is in every chunk and does not
    count as content."""
    if len(chunk.choices) > 1 or (chunk.usage and not counting):
        return False
    if not chunk.choices:
        return not chunk.usage or counting
    delta = chunk.choices[0].delta
    content = (
        text_or_empty(delta.content)
        or text_or_empty(delta.reasoning)
        or text_or_empty(delta.refusal)
        or delta.tool_calls
        or delta.fragments
    )
    return not content and not chunk.choices[0].finish_reason


def turns(chunks: Sequence[Chunk]) -> tuple[Turn, ...] | None:
    """Which part or choice is sent when; None if they are sent one after the other."""
    who = [part for chunk in chunks for part in chunk.choices]
    indices = sorted({part.index for part in who})
    if len(indices) > 1:
        return _turns([f"choices[{indices.index(part.index)}]" for part in who])
    return _turns([name for part in who for name in _parts(part.delta)])


def _parts(delta: Delta) -> list[str]:
    """The parts of an answer that a delta has content of."""
    values = (delta.reasoning, delta.content, delta.refusal, delta.tool_calls, delta.fragments)
    return [name for name, value in zip((*PARTS, "opaque"), values, strict=True) if value]


def _turns(who: list[str]) -> tuple[Turn, ...] | None:
    found = tuple((name, len(list(run))) for name, run in groupby(who))
    usual = iter(_USUAL if set(who) <= set(_USUAL) else sorted(set(who)))
    return None if all(name in usual for name, _ in found) else found


_USUAL = ("reasoning", "opaque", "content", "refusal", "opaque", "tool_calls")
"""The order in which the parts of an answer are sent without turns."""


def split(chunks: Sequence[Chunk], completion: Completion, empty: bool = False) -> dict[str, Cut]:
    """How each text was cut, by its address: the name of a cut if one matches, else offsets. `empty`: whether empty
    pieces of arguments count."""
    found: dict[str, Cut] = {}
    for index, choice in enumerate(completion.choices):
        parts = [part for chunk in chunks for part in chunk.choices if part.index == index]
        place = f"choices[{index}]." if index else ""
        for name in ("content", "reasoning", "refusal"):
            pieces = [text_or_empty(getattr(part.delta, name)) for part in parts]
            found |= _named_cut(f"{place}{name}", pieces)
        indices = sorted({call.index for call in _calls(parts) if isinstance(call.index, int)})
        for number in range(len(choice.tool_calls)):
            known: list[int | None] = [*indices[number : number + 1]] or [None]  # some count from 1, some do not count
            calls = [call for call in _calls(parts) if call.index in known]
            calls = [call for place, call in enumerate(calls) if empty or call.arguments or not place]
            found |= _call_cut(f"{place}tool_calls[{number}].arguments", [call.arguments for call in calls])
    return found


def _calls(parts: Iterable[ChunkChoice]) -> list[ToolCallDelta]:
    return [call for part in parts if isinstance(part.delta.tool_calls, tuple) for call in part.delta.tool_calls]


def _named_cut(address: str, pieces: list[str]) -> dict[str, Cut]:
    pieces = [piece for piece in pieces if piece]
    if not pieces:
        return {}
    if pieces == tokenizer.split("".join(pieces)):
        return {address: "tokens"}
    return {address: "whole" if len(pieces) == 1 else _offsets(pieces)}


def _call_cut(address: str, pieces: list[Text]) -> dict[str, Cut]:
    """A call in one piece is whole, unless that piece has no arguments; a call that opens without arguments is cut."""
    if len(pieces) < 2:
        return {address: "tokens" if pieces and pieces[0] is None else "whole"}
    content = [text_or_empty(piece) for piece in (pieces if pieces[0] else pieces[1:])]
    return {address: "tokens" if content == tokenizer.split("".join(content)) else _offsets(content)}


def _offsets(pieces: list[str]) -> Cut:
    """Where the pieces meet. For a single piece, its length: `whole` would mean that the call opens with it."""
    ends = list(accumulate(len(piece) for piece in pieces))
    return tuple(ends[:-1]) or max(ends[0], 1)
