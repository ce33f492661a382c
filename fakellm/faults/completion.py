"""Faults in what is said: the reply arrives in full and is not what was wanted. Each makes a completion of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec

from fakellm.base.seed import Source
from fakellm.faults.base import Base, Place, place
from fakellm.model.completion import Choice, Completion, ToolCall
from fakellm.model.logprobs import kept

replace = msgspec.structs.replace


class CompletionFault(Base, frozen=True):
    """A fault of this step."""

    def spoil(self, completion: Completion, source: Source) -> Completion:
        """The completion with the fault in it."""
        raise NotImplementedError


class ContentFilter(CompletionFault, frozen=True, tag="content_filter"):
    """The text is cut off and the reason is `content_filter` (E9). `keep`: how many characters are left."""

    keep: Place = None

    def spoil(self, completion: Completion, source: Source) -> Completion:
        def filtered(choice: Choice) -> Choice:
            content = _start(choice.content, self.keep, source)
            return Choice(content, choice.reasoning, finish_reason="content_filter")

        return _each(completion, filtered)


class Length(CompletionFault, frozen=True, tag="length"):
    """The tokens ran out, in the middle of the last call's arguments where there is one, else of the text (E2).

    `keep`: how many characters are left of what is cut.
    """

    keep: Place = None

    def spoil(self, completion: Completion, source: Source) -> Completion:
        def short(choice: Choice) -> Choice:
            if not choice.tool_calls:
                content = _start(choice.content, self.keep, source)
                tokens = kept(choice.logprobs, content)
                return replace(choice, content=content, finish_reason="length", logprobs=tokens)
            *whole, last = choice.tool_calls
            last = replace(last, arguments=_start(last.arguments, self.keep, source))
            return replace(choice, tool_calls=(*whole, last), finish_reason="length")

        return _each(completion, short)


class BadArguments(CompletionFault, frozen=True, tag="bad_arguments"):
    """Calls whose arguments are no JSON (as when tokens run out): these, or their own less the last character."""

    arguments: str | None = None
    calls: ClassVar[int] = 1

    def spoil(self, completion: Completion, source: Source) -> Completion:
        return _calls(
            completion,
            lambda call, _: replace(
                call, arguments=(call.arguments[:-1] or "{") if self.arguments is None else self.arguments
            ),
        )


class UnknownTool(CompletionFault, frozen=True, tag="unknown_tool"):
    """Calls of a tool that was never offered."""

    name: str = "no_such_tool"
    calls: ClassVar[int] = 1

    def spoil(self, completion: Completion, source: Source) -> Completion:
        return _calls(completion, lambda call, _: replace(call, name=self.name))


class SameId(CompletionFault, frozen=True, tag="same_id"):
    """Parallel calls that all have the id of the first."""

    calls: ClassVar[int] = 2

    def spoil(self, completion: Completion, source: Source) -> Completion:
        return _calls(completion, lambda call, choice: replace(call, id=choice.tool_calls[0].id))


class NoCall(CompletionFault, frozen=True, tag="no_call"):
    """`finish_reason: tool_calls`, and no call (C20)."""

    def spoil(self, completion: Completion, source: Source) -> Completion:
        return _each(completion, lambda choice: replace(choice, tool_calls=(), finish_reason="tool_calls"))


class Refusal(CompletionFault, frozen=True, tag="refusal"):
    """A refusal in place of the answer."""

    text: str = "I'm sorry, I can't assist with that."

    def spoil(self, completion: Completion, source: Source) -> Completion:
        return _each(completion, lambda choice: Choice(refusal=self.text, finish_reason="stop"))


class FinishReason(CompletionFault, frozen=True, tag="finish_reason"):
    """A finish reason that no client knows (E9): `error`, `eos`, `insufficient_system_resource`."""

    reason: str = "error"

    def spoil(self, completion: Completion, source: Source) -> Completion:
        return _each(completion, lambda choice: replace(choice, finish_reason=self.reason))


class NoChoices(CompletionFault, frozen=True, tag="no_choices"):
    """`choices: []` (F9)."""

    def spoil(self, completion: Completion, source: Source) -> Completion:
        return replace(completion, choices=())


def _start(text: str, keep: Place, source: Source) -> str:
    """So many characters of the text; where the seed draws how many, never all of them."""
    return text[: source.below(max(len(text), 1)) if keep is None else place(keep, len(text), source)]


def _each(completion: Completion, change: Callable[[Choice], Choice]) -> Completion:
    return replace(completion, choices=tuple(change(choice) for choice in completion.choices))


def _calls(completion: Completion, change: Callable[[ToolCall, Choice], ToolCall]) -> Completion:
    return _each(
        completion,
        lambda choice: replace(choice, tool_calls=tuple(change(call, choice) for call in choice.tool_calls)),
    )
