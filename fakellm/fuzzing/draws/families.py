"""The families of steps that apply to a completion. Owns their order and the cuts of texts.

The options of a family are variations that take just this step, the plainest or most revealing first, so that whoever
chooses among them shrinks by choosing an earlier one. Knows nothing about hypothesis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

from fakellm.apis.variation import Variation
from fakellm.fuzzing.draws.family_table import (
    ANY,
    CALLS,
    CHOICES,
    ELSEWHERE,
    PARALLEL,
    REASONING,
    USAGE,
    Options,
)
from fakellm.model.blocks import Completion


def options(completion: Completion) -> Mapping[str, Options]:
    """The families that apply to this completion, each with its options."""
    choices = completion.choices
    calls = [call for choice in choices for call in choice.tool_calls]
    found = ANY | ELSEWHERE
    if any(call.arguments for call in calls):
        found |= CALLS
    if any(len(choice.tool_calls) > 1 for choice in choices):
        found |= PARALLEL
    if any(len({call.id for call in choice.tool_calls}) < len(choice.tool_calls) for choice in choices):
        for unnumbered in ("calls.index", "calls.index: zero"):  # nothing would distinguish such calls
            found.pop(unnumbered, None)
    if len(choices) > 1:
        found |= CHOICES
    if any(choice.reasoning for choice in choices):
        found |= REASONING
    if any(sum(map(bool, (each.content, each.reasoning, each.refusal, each.tool_calls))) > 1 for each in choices):
        found["together: parts"] = (Variation(together=("parts",)),)
        found["turns"] = tuple(
            Variation(turns=((first, 1), (second, 1), (first, 1)))
            for first, second in (("reasoning", "content"), ("content", "reasoning"), ("tool_calls", "content"))
        )
    if completion.usage is not None:
        found |= USAGE
    for part, text in _texts(completion).items():
        found[f"split.{part}"] = _Splits(part, text)
        if any(character > "\uffff" for character in text):
            found["split: surrogates"] = (Variation(split={part: "surrogates"}),)
    return found


def _texts(completion: Completion) -> dict[str, str]:
    """The longest text of each kind that can be cut."""
    texts = [(name, getattr(choice, name)) for choice in completion.choices for name in ("content", "reasoning")]
    texts += [("refusal", choice.refusal) for choice in completion.choices]
    texts += [("arguments", call.arguments) for choice in completion.choices for call in choice.tool_calls]
    return dict(sorted(((part, text) for part, text in texts if len(text) > 1), key=lambda each: len(each[1])))


class _Splits(Sequence[Variation]):
    """Every way to cut one part of an answer. An option is made on demand: of a hundred, one is drawn."""

    def __init__(self, part: str, text: str) -> None:
        self._part = part
        self._offsets = range(1, min(len(text), 100))

    def __len__(self) -> int:
        return len(_CUTS) + len(self._offsets)

    @overload
    def __getitem__(self, number: int) -> Variation: ...
    @overload
    def __getitem__(self, number: slice) -> Options: ...
    def __getitem__(self, number: int | slice) -> Variation | Options:
        if isinstance(number, slice):
            return tuple(self[each] for each in range(*number.indices(len(self))))
        cut = _CUTS[number] if number < len(_CUTS) else (self._offsets[number - len(_CUTS)],)
        return Variation(split={self._part: cut})


_CUTS: tuple[Any, ...] = ("characters", "whole", 2, 3, "words", "random")

FAMILIES: tuple[str, ...] = (
    *ANY,
    *(f"split.{part}" for part in ("content", "reasoning", "refusal", "arguments")),
    "split: surrogates",
    "together: parts",
    "turns",
    *USAGE,
    *REASONING,
    *CALLS,
    *PARALLEL,
    *CHOICES,
)
"""The names of all families that have an effect in chat, from the bytes up."""

ALL_FAMILIES = (*FAMILIES, *ELSEWHERE)
