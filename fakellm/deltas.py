"""What one choice says, as deltas: texts and calls, cut into pieces and put in order. Knows no role and no finish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, zip_longest

from fakellm.callpieces import pieces_of_call, whole_call
from fakellm.completion import Choice, Delta, ToolCallDelta
from fakellm.cuts import Cut, cut
from fakellm.seed import Source
from fakellm.variation import Calls, Variation

Pieces = tuple[ToolCallDelta, ...]
"""The pieces of tool calls in one delta."""


def deltas(index: int, choice: Choice, variation: Variation, source: Source) -> Iterator[Delta]:
    """Reasoning, then text, then refusal, then calls or these in between; or the parts of each turn in one delta."""

    def pieces(part: str, text: str) -> list[str]:
        return cut(text, _how(index, part, variation), source)

    streams = (
        [Delta(reasoning=piece) for piece in pieces("reasoning", choice.reasoning)],
        [Delta(content=piece) for piece in pieces("content", choice.content)] + _cited(choice),
        [Delta(refusal=piece) for piece in pieces("refusal", choice.refusal)],
        [Delta(tool_calls=piece) for piece in _calls(index, choice, variation, source)],
    )
    if "parts" not in (variation.together or ()):
        reasoning, content, refusal, calls = streams
        texts, before = [*content, *refusal], (variation.calls or Calls()).before
        place = len(texts) if before is None else before
        return chain(reasoning, texts[:place], calls, texts[place:])
    return (_joined(turn) for turn in zip_longest(*streams, fillvalue=Delta()))


def _joined(turn: Iterable[Delta]) -> Delta:
    reasoning, content, refusal, calls = turn
    said = (content.content, reasoning.reasoning, refusal.refusal, calls.tool_calls)
    return Delta(None, *said, annotations=content.annotations)


def _cited(choice: Choice) -> list[Delta]:
    """What the content cites, in a delta after it, as OpenAI's search models send it."""
    return [Delta(annotations=choice.annotations)] if choice.annotations else []


def _calls(index: int, choice: Choice, variation: Variation, source: Source) -> Iterator[Pieces]:
    how = variation.calls or Calls()
    streams: list[Iterator[Pieces]] = []
    for number, call in enumerate(choice.tool_calls):
        part = f"tool_calls[{number}].arguments"
        way = _how(index, part, variation)
        if way == "whole":
            streams.append(whole_call(number, call, how))
        else:
            pieces = cut(call.arguments, way, source)
            streams.append(pieces_of_call(number, call, pieces, how))
    if how.order == "reversed":
        streams.reverse()
    if "calls" in (variation.together or ()):
        return (tuple(chain.from_iterable(turn)) for turn in zip_longest(*streams, fillvalue=()))
    if variation.interleave in ("calls", "both"):
        return (pieces for turn in zip_longest(*streams) for pieces in turn if pieces is not None)
    return chain.from_iterable(streams)


def _how(index: int, part: str, variation: Variation) -> Cut:
    """How the part is cut: said of its address, else of its kind, else of all parts."""
    if not isinstance(variation.split, Mapping):
        return variation.split or "whole"
    addresses = [f"choices[{index}].{part}", *([part] if index == 0 else []), part.rpartition(".")[2]]
    return next((variation.split[address] for address in addresses if address in variation.split), "whole")
