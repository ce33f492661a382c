"""Prepares an answer: draws what its completion lacks, and makes the objects that its events and its body contain.

Owns the state of the response object from its creation to its end. Knows no events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.protocol import Answer, Values
from fakellm.apis.responses.habits import Habits
from fakellm.apis.responses.items.forms import Forms, Maker, kind_of
from fakellm.apis.responses.meaning import INCOMPLETE, places
from fakellm.apis.responses.writing.response_object import repeated
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, Source
from fakellm.model.blocks import Block, Completion, Opaque, Refusal, Text, Thinking, ToolCall, Usage
from fakellm.model.request import Request

_CREATED = 1_780_000_000
_YEAR = 31_536_000
_TIERS = {"auto", None}


class Prepared(Struct, frozen=True):
    """What the events of an answer contain. states: the response object at each event before the items. final: at the
    end, without its usage. padding: recorded padding, by the number of its event.
    """

    states: Mapping[str, JSON]
    final: JSON
    items: tuple[Forms, ...]
    padding: Mapping[int, str]


def answer(completion: Completion, request: Request, habits: Habits, seed: int, values: Values) -> Answer[Habits]:
    """The answer for an expressible completion."""
    source = Source(seed, request.digest)
    created = values.get("created") or source.draw("created", lambda each: _CREATED + each.below(_YEAR))
    name = values.get("id") or source.draw("id", lambda each: habits.dialect.ids.response(each, created))
    blocks = completion.choices[0].blocks if completion.choices else ()
    encrypted = "reasoning.encrypted_content" in (request.body.get("include") or ())
    filled = tuple(_filled(blocks, habits, source, encrypted))
    word = completion.choices[0].finish_reason if completion.choices else None
    kinds = [kind_of(group[0]) for group in grouped(filled)]
    maker = Maker(habits, source, name, created, word in INCOMPLETE, kinds)
    filled = _with_ids(filled, maker)
    choices = tuple(replace(each, blocks=filled) for each in completion.choices[:1])
    completion = replace(completion, choices=choices)
    forms = maker.forms(grouped(filled))
    model = values.get("model") or habits.dialect.model(request.model)
    base = {
        "id": name,
        "object": "response",
        "created_at": created,
        "completed_at": None,
        "model": model,
        **repeated(request.body, habits.dialect, model),
    }
    drawn = {
        "id": name,
        "created": created,
        "model": model,
        "response": _prepared(base, request, filled, forms, word, habits, source),
    }
    return Answer(completion, habits, drawn, Source(seed, request.digest, "provider"))


def grouped(blocks: Sequence[Block]) -> list[list[Block]]:
    """The blocks of each item."""
    found: list[list[Block]] = []
    for block, place in zip(blocks, places(blocks), strict=True):
        if place.first:
            found.append([])
        found[-1].append(block)
    return found


def _filled(blocks: Sequence[Block], habits: Habits, source: Source, encrypted: bool) -> list[Block]:
    """The blocks with call ids, and with the ciphertexts of reasoning if they are requested."""
    found: list[Block] = []
    calls = 0
    for number, block in enumerate(blocks):
        if isinstance(block, ToolCall):
            if block.id is None:
                block = replace(block, id=source.draw(("call", 0, calls), habits.call_id))
            calls += 1
        elif isinstance(block, Thinking) and encrypted and not block.signature:
            signature = source.draw(("signature", number), lambda each: "gAAAAA" + each.text(ALNUM + "-_", 394))
            block = replace(block, signature=signature)
        found.append(block)
    return found


def _with_ids(blocks: Sequence[Block], maker: Maker) -> tuple[Block, ...]:
    """The blocks; items of server tools have ids."""
    found = []
    for block, place in zip(blocks, places(blocks), strict=True):
        if isinstance(block, Opaque) and "id" not in block.value:
            block = replace(block, value={"id": maker.id_of(place.item, kind_of(block)), **block.value})
        found.append(block)
    return tuple(found)


def _prepared(
    base: JSON,
    request: Request,
    blocks: Sequence[Block],
    forms: tuple[Forms, ...],
    word: str | None,
    habits: Habits,
    source: Source,
) -> Prepared:
    recorded, sent = habits.recorded, request.body
    requested_tier = base.get("service_tier")
    states = {
        step: habits.layouts.response(
            step,
            {**base, "status": "queued" if step == "queued" else "in_progress", "output": [], "usage": None},
            sent,
        )
        for step in ("created", "queued", "in_progress")
    }
    reason = INCOMPLETE.get(word or "")
    status = "incomplete" if reason else "completed"
    end = {
        "status": status,
        "completed_at": None
        if reason
        else recorded.completed_at or base["created_at"] + 1 + source.draw("took", lambda each: each.below(9)),
        "incomplete_details": {"reason": reason} if reason else None,
        "output": [each.output for each in forms] if habits.output else [],
        "service_tier": habits.dialect.tier if requested_tier in _TIERS else requested_tier,
        "usage": None,
        **habits.dialect.at_end(request.texts, [block.text for block in blocks if isinstance(block, (Text, Refusal))]),
    }
    final = habits.layouts.response(status, {**base, **end}, sent)
    return Prepared(states, final, forms, recorded.obfuscation)


def usage_json(usage: Usage | None, habits: Habits) -> JSON | None:
    """The token counts as they are sent."""
    if usage is None:
        return None
    layouts = habits.layouts
    read = {"cache_write_tokens": usage.cache_write, "cached_tokens": usage.cached}
    if not usage.cache_write and not habits.dialect.counts_writes:
        del read["cache_write_tokens"]
    found: JSON = {
        "input_tokens": usage.input,
        "input_tokens_details": layouts.object("input_tokens_details", read),
        "output_tokens": usage.output,
        "output_tokens_details": layouts.object("output_tokens_details", {"reasoning_tokens": usage.reasoning}),
        "total_tokens": habits.total(usage),
        **habits.dialect.usage_extras(usage),
    }
    return layouts.object("usage", found)


def whole_object(answer: Answer[Habits]) -> JSON:
    """The response object as a whole body has it: with its items as they were done, which appear nowhere else."""
    prepared: Any = answer.drawn["response"]
    output = [
        {key: each.done.get(key, value) if key == "encrypted_content" else value for key, value in each.output.items()}
        for each in prepared.items
    ]
    final = {**prepared.final, "output": output} if "output" in prepared.final else prepared.final
    return with_usage(final, answer.completion.usage, answer.habits)


def with_usage(final: JSON, usage: Usage | None, habits: Habits) -> JSON:
    """The response object with these token counts, if it has the key at all."""
    return {**final, "usage": usage_json(usage, habits)} if "usage" in final else final
