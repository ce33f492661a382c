"""Finds what a rule has in vain: texts of a reply that its patch repeats, so that whoever edits them in the reply
changes nothing that is sent; and keys that have no effect in its API.

Reads frames through the protocol of an API. Knows no files and no dialects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from fakellm.apis.effects import without_effect
from fakellm.apis.route import Route, api_named
from fakellm.base.errors import ReplyError, RequestError, StreamError
from fakellm.engine.render import render
from fakellm.engine.resolve import filled
from fakellm.engine.ruleset import Script
from fakellm.importing.example_request import api_of, sample
from fakellm.model.blocks import Refusal, Text, Thinking, ToolCall
from fakellm.model.deltas import Open, Piece
from fakellm.model.request import Request
from fakellm.scenarios.scenario import Rule
from fakellm.wire.frame_edits import Edit, patched
from fakellm.wire.kinds import ARRAY, kind_of
from fakellm.wire.plan import Frame


def repeated_texts(
    rendered: Sequence[bytes], patch: Sequence[Edit], route: Route, habits: Any, streamed: bool
) -> Iterator[tuple[int, str]]:
    """The texts that stand both in rendered frames and in the edit that replaces them, with the number of the edit.

    rendered: the frames of the reply without its patch, a stream's or the one of a whole body.
    """
    for number, edit in enumerate(patch):
        dropped = b"".join(rendered[edit.at : edit.at + edit.drop])
        inserted = b"".join(frame.data for frame in patched((), (replace(edit, at=0, drop=0),)))
        if dropped and inserted:
            literal = set(_texts(inserted, route, habits, streamed))
            found = (text for text in _texts(dropped, route, habits, streamed) if text in literal)
            yield from ((number, text) for text in dict.fromkeys(found))


def _texts(data: bytes, route: Route, habits: Any, streamed: bool) -> list[str]:
    """The texts in frames or in a whole body that are not empty; none if they cannot be read."""
    kind = kind_of(route.content_type(habits, True)) or ARRAY
    try:
        batches = list(route.read(kind.events(data), habits) if streamed else route.read_whole(data, habits))
    except (StreamError, ValueError, KeyError, TypeError):
        return []
    found: list[str] = []
    for delta in (delta for batch in batches for delta in batch):
        if isinstance(delta, Piece) and isinstance(delta.value, str):
            found.append(delta.value)
        elif isinstance(delta, Open):
            found += _texts_of(delta.value)
    return [text for text in found if text]


def _texts_of(block: Any) -> Sequence[str]:
    match block:
        case Text() | Refusal():
            return (block.text,)
        case Thinking():
            return (*block.parts, *block.summary)
        case ToolCall():
            return (block.name, block.arguments)
    return ()


def in_reply_and_patch(rule: Rule) -> Iterator[tuple[int, str]]:
    """As `repeated_texts`, of all that a rule with a name and a dialect sends."""
    request, route = sample(rule), api_of(rule)
    for streamed in (True, False) if rule.when.stream is None else (rule.when.stream,):
        script = Script(rule)
        for number in range(1, script.length(streamed) + 1):
            attempt = script.attempt(number, streamed, 0, "")
            if attempt and (step := script.at(attempt)).patch:
                yield from _in_step(step, replace(request, stream=streamed), number, route)


def _in_step(step: Rule, request: Request, number: int, route: Route) -> Iterator[tuple[int, str]]:
    plain = replace(step, patch=(), fault=None, stream=replace(step.stream, transfer=None))
    dialect = step.dialect if step.dialect in route.dialects else None
    habits = route.settings(plain.stream, dialect, request, 0, request.stream).habits
    try:
        plain = replace(plain, reply=filled(plain.reply, request, number))
        frames: Sequence[Frame] = render(plain, request, 0, route).frames
    except (ReplyError, RequestError):  # no made-up request fits
        return
    yield from repeated_texts([frame.data for frame in frames], step.patch, route, habits, request.stream)


def repeated_in(rule: Rule) -> Iterator[str]:
    """A problem for each text that is in the reply and in the patch of a rule with a name and a dialect."""
    for number, text in in_reply_and_patch(rule):
        shown = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
        yield (
            f"patch[{number}] repeats {shown!r}, which the reply has: to edit the reply would not change it. "
            "Leave it out of one of them"
        )


_MOST_SHOWN = 40


def without_effect_in(rule: Rule) -> Iterator[str]:
    """The keys of a rule for one API that have no effect there; a rule for all has its keys for some of them."""
    if rule.when.api is not None:
        keys = api_named(rule.when.api).stream_keys
        yield from dict.fromkeys(key for step in rule.steps for key in without_effect(step.stream, keys))
