"""What a reply says to one request: its function called, its templates filled. Knows no provider and no bytes."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from fakellm.base.errors import ReplyError
from fakellm.model.blocks import Refusal, Text, Thinking
from fakellm.model.request import Request
from fakellm.scenarios.reply_blocks import CallBlock, ReplyBlock
from fakellm.scenarios.scenario import Call, Computed, Reply, ReplyChoice
from fakellm.scenarios.templates import fill, fill_json

Said = TypeVar("Said", bound=ReplyChoice)
CallLike = TypeVar("CallLike", Call, CallBlock)


def said(reply: Reply, request: Request, attempt: int) -> Reply:
    """The reply in plain words. Raises ReplyError where its function fails, or the request lacks what it speaks of."""
    if isinstance(reply, Computed):
        reply = _computed(reply, request)
    if reply.choices:
        return replace(reply, choices=tuple(_filled(choice, request, attempt) for choice in reply.choices))
    return _filled(reply, request, attempt)


def _computed(reply: Computed, request: Request) -> Reply:
    try:
        made = reply.function(request)
    except Exception as error:  # whatever a test's function may raise
        raise ReplyError(f"its function raised {error!r}") from error
    if isinstance(made, str):
        return Reply(content=made)
    if not isinstance(made, Reply) or isinstance(made, Computed):
        raise ReplyError(f"its function returned {made!r}; a text or a fakellm.Reply is a reply")
    return made


def _filled(choice: Said, request: Request, attempt: int) -> Said:
    if not choice.template:
        return choice
    return replace(
        choice,
        template=False,
        content=fill(choice.content, request, attempt),
        reasoning=fill(choice.reasoning, request, attempt),
        refusal=fill(choice.refusal, request, attempt),
        tool_calls=tuple(_filled_call(call, request, attempt) for call in choice.tool_calls),
        blocks=tuple(_filled_block(block, request, attempt) for block in choice.blocks),
    )


def _filled_block(block: ReplyBlock, request: Request, attempt: int) -> ReplyBlock:
    match block:
        case Text(text) | Refusal(text):
            return replace(block, text=fill(text, request, attempt))
        case Thinking(parts, summary):
            filled = (tuple(fill(text, request, attempt) for text in texts) for texts in (parts, summary))
            return replace(block, **dict(zip(("parts", "summary"), filled, strict=True)))
        case CallBlock():
            return _filled_call(block, request, attempt)
    return block


def _filled_call(call: CallLike, request: Request, attempt: int) -> CallLike:
    if isinstance(call.arguments, str):
        return replace(call, arguments=fill(call.arguments, request, attempt))
    return replace(call, arguments=fill_json(call.arguments, request, attempt))
