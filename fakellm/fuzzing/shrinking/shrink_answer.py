"""Shortens answers, down to the text "a". Owns the ways to shorten an answer; knows nothing about the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from fakellm.model.blocks import Refusal, Text
from fakellm.scenarios.reply import Call, Reply, ReplyChoice
from fakellm.scenarios.reply_blocks import ReplyBlock

replace = msgspec.structs.replace


def replies(reply: Reply) -> Iterator[Reply]:
    """Replies with a little less content."""
    choices = reply.choices or (reply,)
    if reply.usage is not UNSET:
        yield replace(reply, usage=UNSET)
    if len(choices) > 1:
        yield from (_reply(reply, (each,)) for each in choices)
    for number, choice in enumerate(choices):
        for smaller in _choices(choice):
            yield _reply(reply, (*choices[:number], smaller, *choices[number + 1 :]))


def _reply(reply: Reply, choices: tuple[ReplyChoice, ...]) -> Reply:
    if len(choices) > 1:
        return replace(reply, choices=choices)
    fields = {name: getattr(choices[0], name) for name in ReplyChoice.__struct_fields__}
    return replace(reply, choices=(), **fields)


def _choices(choice: ReplyChoice) -> Iterator[ReplyChoice]:
    """A plain text instead of the choice, or the choice with a little less content, but never empty."""
    plain = ReplyChoice(content="a", finish_reason="stop")
    if choice.tool_calls or choice.refusal or choice.reasoning or choice.blocks:
        yield plain
    for smaller in _parts(choice):
        if smaller.content or smaller.refusal or smaller.tool_calls or smaller.blocks:
            calls = smaller.calls > 0
            finish = "stop" if smaller.finish_reason == "tool_calls" and not calls else smaller.finish_reason
            yield replace(smaller, finish_reason=finish)


def _parts(choice: ReplyChoice) -> Iterator[ReplyChoice]:
    calls = choice.tool_calls
    yield from (replace(choice, blocks=blocks) for blocks in _blocks(choice.blocks))
    yield from (replace(choice, tool_calls=calls[:number] + calls[number + 1 :]) for number in range(len(calls)))
    if len(calls) > 1 and any(call.arguments not in ("", "{}") for call in calls):
        yield replace(choice, tool_calls=tuple(replace(call, arguments="{}") for call in calls))
    for field in ("reasoning", "refusal", "content"):
        yield from (replace(choice, **{field: text}) for text in _texts(getattr(choice, field)))
    for number, call in enumerate(calls):
        for smaller in _calls(call):
            yield replace(choice, tool_calls=(*calls[:number], smaller, *calls[number + 1 :]))


def _blocks(blocks: tuple[ReplyBlock, ...]) -> Iterator[tuple[ReplyBlock, ...]]:
    """The blocks without one of them, or with a shorter text in one."""
    for number, block in enumerate(blocks):
        before, after = blocks[:number], blocks[number + 1 :]
        if len(blocks) > 1:
            yield (*before, *after)
        if isinstance(block, (Text, Refusal)):
            yield from ((*before, replace(block, text=text), *after) for text in _texts(block.text) if text)


def _calls(call: Call) -> Iterator[Call]:
    plain = ("", "{}", '{"a":1}')
    known = plain.index(call.arguments) if call.arguments in plain else len(plain)
    yield from (replace(call, arguments=arguments) for arguments in plain[:known])
    if known == len(plain) and isinstance(call.arguments, str):
        yield from (replace(call, arguments=arguments) for arguments in _arguments(call.arguments))
    if call.id is not None:
        yield replace(call, id=None)
    if call.name != "f":
        yield replace(call, name="f")


def _arguments(text: str) -> Iterator[str]:
    """Shorter JSON objects: with a single member, and with less in that member."""
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        return
    for key, value in members.items() if isinstance(members, dict) else ():
        for smaller in (value, *_values(value)):
            shorter = json.dumps({key: smaller}, ensure_ascii=False, separators=(",", ":"))
            if len(shorter) < len(text):
                yield shorter


def _values(value: Any) -> Iterator[Any]:
    """Smaller values."""
    if isinstance(value, str):
        yield from _texts(value)
    elif isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, int) and abs(value) > 9:
        yield from (value // 10, value % 1000)


def _texts(text: str) -> Iterator[str]:
    """The empty text, halves, and the text without each of its pieces (of a long text, only large ones); then plainer
    characters."""
    size = len(text)
    while size > len(text) // 32:
        yield from (text[:start] + text[start + size :] for start in range(0, len(text), size))
        size //= 2
    if len(text) <= 8:
        yield from (f"{text[:at]}a{text[at + 1 :]}" for at, character in enumerate(text) if character != "a")


def bare(reply: Reply) -> Reply:
    """The reply without the envelope, and without a finish reason that is the usual one."""
    finish = "tool_calls" if reply.tool_calls else "stop"
    return replace(
        reply,
        id=None,
        created=None,
        model=None,
        system_fingerprint=UNSET,
        finish_reason=UNSET if reply.finish_reason == finish else reply.finish_reason,
    )
