"""How a completion is divided into chunks, with its meaning kept. Owns Variation and `divide`.

Knows no JSON, no bytes and no provider by name: which variation is usual for a provider is the dialect's to say. The
inverse of every division is `fakellm.completion.fold`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, zip_longest
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from fakellm import tokens
from fakellm.completion import Choice, Chunk, ChunkChoice, Completion, Delta, ToolCall, ToolCallDelta
from fakellm.framing import Framing
from fakellm.shape import FieldError, near_miss
from fakellm.transfer import Transfer

Count = Annotated[int, Meta(ge=0)]
Offset = Annotated[int, Meta(ge=0)]

Cut = Literal["whole", "tokens", "characters"] | Annotated[int, Meta(ge=1)] | tuple[Offset, ...]
"""Where a text is cut: not at all, at tokens, at each code point, after every N code points, or at given offsets."""


PARTS = ("content", "reasoning", "refusal", "arguments", "tool_calls[0].arguments", "choices[1].content")
_PART = re.compile(r"(choices\[\d+\]\.)?(content|reasoning|refusal|tool_calls\[\d+\]\.arguments)|arguments")


class Variation(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `stream:` block of a rule. A field that is not given is as the provider usually does it: the plain wire.

    padding: how many empty deltas follow the role, as a provider sends while the model reasons silently.
    split: how texts are cut; one way for all, or by part: `content`, `reasoning`, `refusal`, `arguments` in every
        choice and call, or one of them by its address, `choices[1].content` or `tool_calls[0].arguments` (of choice 0
        where no choice is named). A call whose arguments are not `whole` opens with its id and name alone.
    role: the role in a delta of its own, in the first delta that says something, or there only if that is a tool call.
    interleave: whose chunks take turns: those of parallel choices, those of a choice's parallel tool calls, or both.
    ticks: the numbers of the chunks, counted from 0, before which the provider's clock moved on: `created` is one
        second more from each of them on. The first chunk tells the time that the reply says.
    sse: how the events are framed; the block given stands for the usual one whole.
    transfer: how the bytes leave; the block given stands for the usual one whole.
    """

    padding: Count | None = None
    split: Cut | dict[str, Cut] | None = None
    role: Literal["alone", "first", "call"] | None = None
    interleave: Literal["none", "choices", "calls", "both"] | None = None
    ticks: tuple[Annotated[int, Meta(ge=1)], ...] | None = None
    sse: Framing | None = None
    transfer: Transfer | None = None

    def __post_init__(self) -> None:
        for part in self.split if isinstance(self.split, dict) else ():
            if not _PART.fullmatch(part):
                message = f"{part!r} is no part of a reply; parts are {', '.join(PARTS)}{near_miss(part, PARTS)}"
                raise FieldError(("split", part), message)

    def over(self, usual: Variation) -> Variation:
        """This variation with what it leaves open filled in from `usual`; ways to split are filled in part by part."""
        given = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        if isinstance(self.split, dict) and isinstance(usual.split, dict):
            given["split"] = usual.split | self.split
        return msgspec.structs.replace(usual, **given)


PLAIN = Variation(padding=0, split="whole", role="alone", interleave="none", ticks=())
"""Every field given: one chunk for each thing there is to say."""


def divide(completion: Completion, variation: Variation) -> tuple[Chunk, ...]:
    """The chunks that say `completion`, in the order they are sent; what `variation` leaves open is as in PLAIN.

    ``fold(divide(completion, variation)) == completion`` for every completion and variation.
    """
    variation = variation.over(PLAIN)
    streams = [_choice(index, choice, variation) for index, choice in enumerate(completion.choices)]
    parts: list[ChunkChoice | None] = list(_merge(streams, variation.interleave in ("choices", "both")))
    if completion.usage is not None or not parts:
        parts.append(None)  # the usage frame, or the one chunk of a completion that says nothing
    return tuple(_chunk(completion, part, number, variation) for number, part in enumerate(parts))


def _chunk(completion: Completion, part: ChunkChoice | None, number: int, variation: Variation) -> Chunk:
    return Chunk(
        id=completion.id,
        created=completion.created + sum(tick <= number for tick in variation.ticks or ()),
        model=completion.model,
        choices=() if part is None else (part,),
        usage=completion.usage if part is None else None,
        system_fingerprint=completion.system_fingerprint,
        reports_usage=completion.usage is not None,
    )


def _merge(streams: Iterable[Iterable[Any]], take_turns: bool) -> Iterator[Any]:
    """The streams one after the other, or taking turns."""
    if not take_turns:
        return chain.from_iterable(streams)
    return (item for turn in zip_longest(*streams) for item in turn if item is not None)


def _choice(index: int, choice: Choice, variation: Variation) -> Iterator[ChunkChoice]:
    said = list(_deltas(index, choice, variation))
    with_role = bool(said) and (variation.role == "first" or (variation.role == "call" and bool(said[0].tool_calls)))
    if with_role and not variation.padding:
        said[0] = msgspec.structs.replace(said[0], role="assistant")
    else:
        said = [Delta(role="assistant"), *[Delta()] * (variation.padding or 0), *said]
    yield from (ChunkChoice(index, delta) for delta in said)
    if choice.finish_reason is not None:
        yield ChunkChoice(index, Delta(), choice.finish_reason)


def _deltas(index: int, choice: Choice, variation: Variation) -> Iterator[Delta]:
    """What there is to say, without the role: reasoning, then text, then calls."""
    for piece in _pieces(choice.reasoning, index, "reasoning", variation):
        yield Delta(reasoning=piece)
    for piece in _pieces(choice.content, index, "content", variation):
        yield Delta(content=piece)
    for piece in _pieces(choice.refusal, index, "refusal", variation):
        yield Delta(refusal=piece)
    calls = [_call(index, number, call, variation) for number, call in enumerate(choice.tool_calls)]
    yield from (Delta(tool_calls=(piece,)) for piece in _merge(calls, variation.interleave in ("calls", "both")))


def _call(index: int, number: int, call: ToolCall, variation: Variation) -> Iterator[ToolCallDelta]:
    address = f"tool_calls[{number}].arguments"
    if _cut(index, address, variation) == "whole":
        yield ToolCallDelta(number, call.id, call.name, call.arguments)
        return
    yield ToolCallDelta(number, call.id, call.name, "")
    for piece in _pieces(call.arguments, index, address, variation):
        yield ToolCallDelta(number, arguments=piece)


def _cut(index: int, part: str, variation: Variation) -> Cut:
    """How the part is cut: said of its address, else of its kind, else of all parts."""
    if not isinstance(variation.split, Mapping):
        return variation.split or "whole"
    addresses = [f"choices[{index}].{part}", *([part] if index == 0 else []), part.rpartition(".")[2]]
    return next((variation.split[address] for address in addresses if address in variation.split), "whole")


def _pieces(text: str, index: int, part: str, variation: Variation) -> list[str]:
    return cut(text, _cut(index, part, variation)) if text else []


def cut(text: str, how: Cut) -> list[str]:
    """The pieces of `text`; joined, they are the text. Offsets count code points; those past its end cut nothing.

    Python's strings are sequences of code points, so no surrogate pair is ever cut.
    """
    if how == "tokens":
        return tokens.split(text)
    if how == "characters":
        how = 1
    if isinstance(how, int):
        return [text[start : start + how] for start in range(0, len(text), how)]
    offsets = sorted({offset for offset in how if 0 < offset < len(text)}) if not isinstance(how, str) else []
    return [text[start:end] for start, end in zip([0, *offsets], [*offsets, len(text)], strict=True)]
