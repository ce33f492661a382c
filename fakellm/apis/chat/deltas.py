"""What one choice says, as deltas: texts and calls, cut into pieces and put in order. Knows no role and no finish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest
from typing import TypeVar

from fakellm.apis.chat.call_pieces import pieces_of_call, whole_call
from fakellm.apis.chat.chunk import Delta, ToolCallDelta
from fakellm.apis.chat.variation import Calls, Variation
from fakellm.base.seed import Source
from fakellm.model.completion import Choice
from fakellm.streaming.splitting import Cut, cut

Pieces = tuple[ToolCallDelta, ...]
"""The pieces of tool calls in one delta."""
Item = TypeVar("Item")


def deltas(index: int, choice: Choice, variation: Variation, source: Source) -> Iterator[Delta]:
    """Reasoning, then text, then refusal, then calls, or as they take turns; or the parts of each turn in one delta."""

    def pieces(part: str, text: str) -> list[str]:
        return cut(text, _how(index, part, variation), source)

    streams = (
        [Delta(reasoning=piece) for piece in pieces("reasoning", choice.reasoning)],
        [Delta(content=piece) for piece in pieces("content", choice.content)] + _cited(choice),
        [Delta(refusal=piece) for piece in pieces("refusal", choice.refusal)],
        [Delta(tool_calls=piece) for piece in _calls(index, choice, variation, source)],
    )
    if variation.turns or "parts" not in (variation.together or ()):
        return in_turns(dict(zip(PARTS, streams, strict=True)), _turns(streams, variation))
    return (_joined(turn) for turn in zip_longest(*streams, fillvalue=Delta()))


PARTS = ("reasoning", "content", "refusal", "tool_calls")


def _turns(streams: Sequence[Sequence[Delta]], variation: Variation) -> Sequence[tuple[str, int]]:
    """Who speaks when. Where the parts have no turns of their own, calls `before` a piece of the text are those."""
    turns, before = variation.turns or (), (variation.calls or Calls()).before
    if before is None or any(name in PARTS for name, _ in turns):
        return turns
    reasoning, content, _, calls = map(len, streams)
    refusal = max(before - content, 0)
    return (("reasoning", reasoning), ("content", before), ("refusal", refusal), ("tool_calls", calls))


def in_turns(streams: Mapping[str, Iterable[Item]], turns: Iterable[tuple[str, int]]) -> Iterator[Item]:
    """What each of the named streams has, as often as its turns say; then what is left of each, in their order."""
    left = {name: iter(stream) for name, stream in streams.items()}
    for name, count in turns:
        yield from islice(left.get(name, iter(())), count)
    yield from chain.from_iterable(left.values())


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
