"""The values that are drawn for an answer: its times, its durations, ids of calls, and the ids of tokens."""

from __future__ import annotations

from msgspec.structs import replace

from fakellm.apis.chat.dialect import CREATED
from fakellm.apis.ollama.habits import OllamaHabits
from fakellm.apis.ollama.meaning import own_of, with_values
from fakellm.apis.protocol import Values
from fakellm.base.json_text import JSON
from fakellm.base.seed import Source
from fakellm.model.blocks import Completion, ToolCall, Usage

_MILLISECOND = 1_000_000
_MOST_IDS = 4_096
"""The most ids of tokens in `context`: the usual size of a model's context."""


def drawn_values(model: str, values: Values, source: Source) -> JSON:
    """The model's name, when the first line left, and the nanoseconds between two lines."""
    created = values.get("created") or source.draw("created", lambda each: each.between(*CREATED))
    return {
        "model": values.get("model") or model,
        "started": created * 10**9 + source.draw("fraction", lambda each: each.below(10**9)),
        "step": source.draw("step", lambda each: each.between(5 * _MILLISECOND, 60 * _MILLISECOND)),
    }


def with_durations(usage: Usage, step: int, habits: OllamaHabits, source: Source) -> Usage:
    """The usage with durations, unless it has any: those of its tokens at this pace, and the total of all."""
    if own_of(usage):
        return usage
    load = source.draw("load", lambda each: each.between(5 * _MILLISECOND, 3_000 * _MILLISECOND))
    prompt = (
        source.draw("prompt", lambda each: usage.input * each.between(100_000, 4 * _MILLISECOND)) + 20 * _MILLISECOND
    )
    output = usage.output * step
    rest = source.draw("rest", lambda each: each.between(100_000, 90 * _MILLISECOND))
    own: JSON = {"context": _ids(usage.input + usage.output, source)} if habits.context else {}
    own |= {"total_duration": load + prompt + output + rest, "load_duration": load}
    own |= {"prompt_eval_duration": prompt, "eval_duration": output}
    return with_values(usage, {key: value for key, value in own.items() if value})


def with_ids(completion: Completion, habits: OllamaHabits, source: Source) -> Completion:
    """The completion with an id for every call that lacks one. It depends only on the number of the call."""
    choices = []
    for choice in completion.choices:
        number, blocks = 0, []
        for block in choice.blocks:
            if isinstance(block, ToolCall):
                if block.id is None:
                    block = replace(block, id=source.draw(("call", 0, number), habits.dialect.call_id))
                number += 1
            blocks.append(block)
        choices.append(replace(choice, blocks=tuple(blocks)))
    return replace(completion, choices=tuple(choices))


def _ids(count: int, source: Source) -> list[int]:
    """Ids of tokens, from a vocabulary of 128,000."""
    numbers = source.draw("context", lambda each: each.numbers(min(count, _MOST_IDS)))
    return [number % 128_000 for number in numbers]
