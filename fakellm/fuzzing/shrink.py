"""A failing rule made smaller: fewer steps, then shorter texts. Owns the ways to make one smaller, and their order.

Pure but for the question whether a smaller rule still fails, which costs a case each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from fakellm.framing import Insert
from fakellm.scenario import Call, Reply, ReplyChoice, Rule
from fakellm.variation import Padding, Variation

replace = msgspec.structs.replace

_LONG = 4096
"""Bytes of a body up to which a single cut is looked for."""


def shrink(rule: Rule, fails: Callable[[Rule], bool], most: int = 300) -> Rule:
    """The smallest rule found that still fails; `fails` is asked at most so many times."""
    asked = 0
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(rule):
            if asked == most:
                return rule
            asked += 1
            if fails(smaller):
                rule, progress = smaller, True
                break
    return rule


def _smaller(rule: Rule) -> Iterator[Rule]:
    """Rules that are a little smaller, those that drop a step first."""
    if rule.dialect not in (None, "openai"):
        yield replace(rule, dialect="openai")
    if rule.stream != Variation():
        yield replace(rule, stream=Variation())
    yield from (replace(rule, stream=stream) for stream in _without(rule.stream))
    yield from (replace(rule, reply=reply) for reply in _replies(rule.reply) if _strikes(rule, reply))
    yield from (replace(rule, stream=stream) for stream in _plainer(rule.stream))
    bare = replace(rule, reply=_bare(rule.reply), dialect=None if rule.dialect == "openai" else rule.dialect)
    if bare != rule:
        yield bare


def _bare(reply: Reply) -> Reply:
    """The reply with gaps where it does not matter what is said."""
    finish = "tool_calls" if reply.tool_calls else "stop"
    return replace(
        reply,
        id=None,
        created=None,
        model=None,
        system_fingerprint=UNSET,
        finish_reason=UNSET if reply.finish_reason == finish else reply.finish_reason,
    )


def _without(block: Any) -> Iterator[Any]:
    """The block with one of its fields as by default, or one thing less in it."""
    plain = type(block)()
    for field in block.__struct_fields__:
        value, usual = getattr(block, field), getattr(plain, field)
        if value == usual:
            continue
        yield from _changed(block, field, usual)
        if isinstance(value, msgspec.Struct):
            for inner in _without(value):
                yield from _changed(block, field, inner)
        elif isinstance(value, dict) and len(value) > 1:
            for key in value:
                yield from _changed(block, field, {other: value[other] for other in value if other != key})
        elif isinstance(value, tuple) and 1 < len(value) < 9:
            for number in range(len(value)):
                yield from _changed(block, field, value[:number] + value[number + 1 :])


def _changed(block: Any, field: str, value: Any) -> Iterator[Any]:
    """The block with another value; nothing where the two do not go together."""
    try:
        yield type(block)(**{name: getattr(block, name) for name in block.__struct_fields__} | {field: value})
    except ValueError:
        return


def _plainer(stream: Variation) -> Iterator[Variation]:
    """The same steps in a plainer form."""
    transfer, sse, padding = stream.transfer, stream.sse, stream.padding
    if transfer is not None and isinstance(transfer.cut, (int, tuple)):
        size, offsets = transfer.cut, transfer.cut if isinstance(transfer.cut, tuple) else ()
        offsets = tuple(range(size, _LONG, size)) if isinstance(size, int) else offsets
        half = len(offsets) // 2
        for fewer in (offsets[:half], offsets[half:]) if half else ():
            yield replace(stream, transfer=replace(transfer, cut=fewer))
    if sse is not None and any(isinstance(each, Insert) and each.before != (1,) for each in sse.insert):
        yield replace(stream, sse=replace(sse, insert=tuple(replace(each, before=(1,)) for each in sse.insert)))
    if isinstance(padding, int) and padding > 1:
        yield replace(stream, padding=1)
    if isinstance(padding, tuple) and any(each.count > 1 for each in padding):
        yield replace(stream, padding=tuple(_single(each) for each in padding))
    if isinstance(stream.split, dict):
        for part, cut in stream.split.items():
            if (isinstance(cut, str) and cut != "whole") or (isinstance(cut, int) and cut != 1):
                yield replace(stream, split=stream.split | {part: (1,)})


def _single(padding: Padding) -> Padding:
    return replace(padding, count=1)


def _strikes(rule: Rule, reply: Reply) -> bool:
    """Whether the reply still has what a fault needs."""
    most = max(len(choice.tool_calls) for choice in reply.choices or (reply,))
    return rule.fault is None or rule.fault.calls <= most


def _replies(reply: Reply) -> Iterator[Reply]:
    choices = reply.choices or (reply,)
    if len(choices) > 1:
        yield from (_reply(reply, (each,)) for each in choices)
    for number, choice in enumerate(choices):
        for smaller in _choices(choice):
            yield _reply(reply, (*choices[:number], smaller, *choices[number + 1 :]))


def _reply(reply: Reply, choices: tuple[ReplyChoice, ...]) -> Reply:
    if len(choices) > 1:
        return replace(reply, choices=choices)
    said = {name: getattr(choices[0], name) for name in ReplyChoice.__struct_fields__}
    return replace(reply, choices=(), **said)


def _choices(choice: ReplyChoice) -> Iterator[ReplyChoice]:
    """A plain text in its place, or the choice with something less in it, but never with nothing at all."""
    plain = ReplyChoice(content="a", finish_reason="stop")
    if choice.tool_calls or choice.refusal or choice.reasoning:
        yield plain
    for smaller in _parts(choice):
        if smaller.content or smaller.refusal or smaller.tool_calls:
            calls = bool(smaller.tool_calls)
            finish = "stop" if smaller.finish_reason == "tool_calls" and not calls else smaller.finish_reason
            yield replace(smaller, finish_reason=finish)


def _parts(choice: ReplyChoice) -> Iterator[ReplyChoice]:
    calls = choice.tool_calls
    yield from (replace(choice, tool_calls=calls[:number] + calls[number + 1 :]) for number in range(len(calls)))
    for field in ("reasoning", "refusal", "content"):
        yield from (replace(choice, **{field: text}) for text in _texts(getattr(choice, field)))
    for number, call in enumerate(calls):
        for smaller in _calls(call):
            yield replace(choice, tool_calls=(*calls[:number], smaller, *calls[number + 1 :]))


def _calls(call: Call) -> Iterator[Call]:
    plain = ("", "{}", '{"a":1}')
    known = plain.index(call.arguments) if call.arguments in plain else len(plain)
    yield from (replace(call, arguments=arguments) for arguments in plain[:known])
    if call.name != "f":
        yield replace(call, name="f")


def _texts(text: str) -> Iterator[str]:
    """Nothing, halves, and the text without each of its pieces; then plainer characters."""
    size = len(text)
    while size:
        yield from (text[:start] + text[start + size :] for start in range(0, len(text), size))
        size //= 2
    if len(text) <= 8:
        yield from (f"{text[:at]}a{text[at + 1 :]}" for at, character in enumerate(text) if character != "a")
