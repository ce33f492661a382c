"""Resolves a rule's reply to one request: checks the result of its function, fills its templates. Knows no provider and
no bytes, and calls no function: that may take long, so the server does it."""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec.structs import replace

from fakellm.base.errors import ReplyError, ScenarioError
from fakellm.base.validation import dotted
from fakellm.model.blocks import Refusal, Text, Thinking
from fakellm.model.request import Request
from fakellm.scenarios.python_replies import EXPECTED, reply_of_content
from fakellm.scenarios.reply import Call, Computed, Reply, ReplyChoice
from fakellm.scenarios.reply_blocks import CallBlock, ReplyBlock
from fakellm.scenarios.templates import fill, fill_json
from fakellm.scenarios.written_values import as_written, flaws

Choice = TypeVar("Choice", bound=ReplyChoice)
CallLike = TypeVar("CallLike", Call, CallBlock)


def computed(result: Any) -> Reply:
    """The value that a reply's function returned, as a Reply. Raises ReplyError if it cannot stand for one."""
    if isinstance(result, str):
        return Reply(content=result)
    try:
        reply = reply_of_content(result)
    except ScenarioError as error:
        raise ReplyError(f"its function returned what cannot be sent: {error}") from None
    if reply is None or isinstance(reply, Computed):
        raise ReplyError(f"its function returned {shown(result)}; it must return {EXPECTED}")
    try:
        wrong = next(iter(flaws(as_written(reply), Reply)), None)
    except RecursionError:
        raise ReplyError("its function returned a Reply that is nested too deeply, or contains itself") from None
    if wrong:
        raise ReplyError(f"its function returned a Reply with a wrong value: {dotted(wrong.path)}: {wrong.message}")
    return reply


def shown(value: Any) -> str:
    """The repr of what a function returned or raised, which may itself fail."""
    try:
        return repr(value)
    except Exception as error:
        return f"an object of {type(value).__name__}, whose repr raises {type(error).__name__}"


def filled(reply: Reply, request: Request, attempt: int) -> Reply:
    """The reply with its placeholders filled. Raises ReplyError if the request lacks the value of one."""
    if reply.choices:
        choices = tuple(_filled(choice, request, attempt) for choice in reply.choices)
        alike = all(old is new for old, new in zip(reply.choices, choices, strict=True))
        return reply if alike else replace(reply, choices=choices)
    return _filled(reply, request, attempt)


def _filled(choice: Choice, request: Request, attempt: int) -> Choice:
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
            texts = (tuple(fill(text, request, attempt) for text in each) for each in (parts, summary))
            return replace(block, **dict(zip(("parts", "summary"), texts, strict=True)))
        case CallBlock():
            return _filled_call(block, request, attempt)
    return block


def _filled_call(call: CallLike, request: Request, attempt: int) -> CallLike:
    if isinstance(call.arguments, str):
        return replace(call, arguments=fill(call.arguments, request, attempt))
    return replace(call, arguments=fill_json(call.arguments, request, attempt))
