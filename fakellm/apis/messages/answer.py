"""Fills in what a completion leaves open: ids of calls, signatures, the counts at the start. Owns the draws.

A drawn id depends only on the number of its call, and a signature only on the thinking that it signs.
"""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.messages.counts import COUNTS, started, whole_usage
from fakellm.apis.messages.habits import MessagesHabits
from fakellm.apis.messages.names import NAME
from fakellm.apis.protocol import Answer, Values
from fakellm.base.seed import Source
from fakellm.model.blocks import Block, Completion, Thinking, ToolCall, Usage, own_value, with_own
from fakellm.model.request import Request

_FIRST = 8
"""The most output tokens that are counted when a message starts."""


def answered(
    completion: Completion, request: Request, habits: MessagesHabits, seed: int, values: Values
) -> Answer[MessagesHabits]:
    """The answer for an expressible completion."""
    source = Source(seed, request.digest)
    drawn = {
        "id": values.get("id") or source.draw("id", lambda each: habits.dialect.id_of("message", each)),
        "model": values.get("model") or habits.dialect.model(request.model),
    }
    blocks: list[Block] = []
    calls = 0
    for block in completion.choices[0].blocks:
        if isinstance(block, ToolCall):
            if block.id is None:
                block = replace(block, id=_call_id(block, calls, habits, source))
            calls += 1
        elif isinstance(block, Thinking) and not block.signature and "signature" in habits.keys.get("thinking", ()):
            block = _signed(block, habits, seed)
        blocks.append(block)
    usage = completion.usage and _started(completion.usage, habits, source)
    completion = replace(completion, choices=(replace(completion.choices[0], blocks=tuple(blocks)),), usage=usage)
    return Answer(completion, habits, drawn, Source(seed, request.digest, "provider"))


def _signed(block: Thinking, habits: MessagesHabits, seed: int) -> Thinking:
    """The block with its signature; in a dialect without signatures, an empty one. A reply can set that too."""
    found = habits.dialect.signed("".join(block.parts), seed)
    if not found:
        return replace(block, own=with_own(block.own, NAME, {**block.own.get(NAME, {}), "signature": ""}))
    return block if own_value(block.own, NAME, "signature") == "" else replace(block, signature=found)


def _call_id(call: ToolCall, number: int, habits: MessagesHabits, source: Source) -> str:
    kind = "tool_use" if call.kind == "function" else call.kind
    return source.draw(("call", 0, number), lambda each: habits.dialect.id_of(kind, each))


def _started(usage: Usage, habits: MessagesHabits, source: Source) -> Usage:
    """The counts with those of `message_start`: of the output, the first few tokens."""
    whole = whole_usage(usage)
    first = min(usage.output, source.draw("first tokens", lambda each: each.between(1, _FIRST)))
    start = {**whole, "output_tokens": first}
    if habits.start == "zeros":
        start |= dict.fromkeys(COUNTS, 0)
    elif habits.start == "all":
        start["input_tokens"] = usage.input
    recorded = own_value(usage.own, NAME, "start")
    return started(usage, habits.keys["usage"], {**start, **(recorded if isinstance(recorded, dict) else {})})
