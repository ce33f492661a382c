"""Faults in the completion: the reply arrives in full but is not what the client expects. Each turns a completion into
another, whichever API sends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from msgspec.structs import replace

from fakellm.base.seed import Source
from fakellm.faults.base import Base, Place, place
from fakellm.model import blocks
from fakellm.model.blocks import Block, Choice, Completion, Stop, Text, Thinking, ToolCall
from fakellm.model.logprobs import kept


class CompletionFault(Base, frozen=True):
    """A fault at this level."""

    def apply(self, completion: Completion, source: Source) -> Completion:
        """The completion with the fault in it."""
        raise NotImplementedError


class ContentFilter(CompletionFault, frozen=True, tag="content_filter"):
    """The text is cut off with the finish reason `content_filter` (E9). `keep`: how many characters are left."""

    keep: Place = None

    def apply(self, completion: Completion, source: Source) -> Completion:
        def filtered(choice: Choice) -> Choice:
            content = _start(choice.content, self.keep, source)
            bare = tuple(
                Text(block.text) if isinstance(block, Text) else block
                for block in choice.blocks
                if isinstance(block, (Text, Thinking))
            )
            return Choice(tuple(_short(bare, len(content))), Stop("content_filter"))

        return _each(completion, filtered)


class Length(CompletionFault, frozen=True, tag="length"):
    """The tokens ran out in the middle of the last call's arguments or, without a call, of the text (E2).

    `keep`: how many characters are left of the arguments or the text.
    """

    keep: Place = None

    def apply(self, completion: Completion, source: Source) -> Completion:
        def short(choice: Choice) -> Choice:
            if not choice.tool_calls:
                content = _start(choice.content, self.keep, source)
                return replace(choice, blocks=tuple(_short(choice.blocks, len(content))), finish=Stop("length"))
            last = max(n for n, block in enumerate(choice.blocks) if isinstance(block, ToolCall))
            call = choice.tool_calls[-1]
            call = replace(call, arguments=_start(call.arguments, self.keep, source))
            cut = (*choice.blocks[:last], call, *choice.blocks[last + 1 :])
            return replace(choice, blocks=cut, finish=Stop("length"))

        return _each(completion, short)


class BadArguments(CompletionFault, frozen=True, tag="bad_arguments"):
    """Calls whose arguments are not valid JSON, as when tokens run out: `arguments`, or one character short."""

    arguments: str | None = None
    calls: ClassVar[int] = 1

    def apply(self, completion: Completion, source: Source) -> Completion:
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

    def apply(self, completion: Completion, source: Source) -> Completion:
        return _calls(completion, lambda call, _: replace(call, name=self.name))


class SameId(CompletionFault, frozen=True, tag="same_id"):
    """Parallel calls that all have the id of the first."""

    calls: ClassVar[int] = 2

    def apply(self, completion: Completion, source: Source) -> Completion:
        return _calls(completion, lambda call, choice: replace(call, id=choice.tool_calls[0].id))


class NoCall(CompletionFault, frozen=True, tag="no_call"):
    """`finish_reason: tool_calls` without a call (C20)."""

    def apply(self, completion: Completion, source: Source) -> Completion:
        def without_calls(choice: Choice) -> Choice:
            left = tuple(block for block in choice.blocks if not isinstance(block, ToolCall))
            return replace(choice, blocks=left, finish=Stop("tool_calls"))

        return _each(completion, without_calls)


class Refusal(CompletionFault, frozen=True, tag="refusal"):
    """A refusal instead of the answer."""

    text: str = "I'm sorry, I can't assist with that."

    def apply(self, completion: Completion, source: Source) -> Completion:
        return _each(completion, lambda _: Choice((blocks.Refusal(self.text),), Stop("stop")))


class FinishReason(CompletionFault, frozen=True, tag="finish_reason"):
    """A finish reason that no client knows (E9): `error`, `eos`, `insufficient_system_resource`."""

    reason: str = "error"

    def apply(self, completion: Completion, source: Source) -> Completion:
        return _each(completion, lambda choice: replace(choice, finish=Stop(self.reason)))


class NoChoices(CompletionFault, frozen=True, tag="no_choices"):
    """No choice at all: `choices: []` (F9)."""

    def apply(self, completion: Completion, source: Source) -> Completion:
        return replace(completion, choices=())


def _start(text: str, keep: Place, source: Source) -> str:
    """The first `keep` characters of the text; if the seed draws the number, never all of them."""
    return text[: source.below(max(len(text), 1)) if keep is None else place(keep, len(text), source)]


def _short(found: tuple[Block, ...], left: int) -> Iterator[Block]:
    """The blocks with the first `left` characters of their texts, and the log probabilities that belong to these."""
    for block in found:
        if isinstance(block, Text):
            text = block.text[:left]
            left -= len(text)
            block = replace(block, text=text, logprobs=kept(block.logprobs, text))
            if not text and not block.own:
                continue
        yield block


def _each(completion: Completion, change: Callable[[Choice], Choice]) -> Completion:
    return replace(completion, choices=tuple(change(choice) for choice in completion.choices))


def _calls(completion: Completion, change: Callable[[ToolCall, Choice], ToolCall]) -> Completion:
    def changed(choice: Choice) -> Choice:
        calls = (change(block, choice) if isinstance(block, ToolCall) else block for block in choice.blocks)
        return replace(choice, blocks=tuple(calls))

    return _each(completion, changed)
