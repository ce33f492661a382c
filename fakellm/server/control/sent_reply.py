"""Reads from the bytes of a response what was sent: text, tool calls, reasoning, or an error. Knows no API by name."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.route import Route, api_named
from fakellm.apis.variation import Variation
from fakellm.engine.entry import MOST_REPLY, SentCall, SentReply
from fakellm.engine.response import Response
from fakellm.engine.what_was_sent import readings
from fakellm.model.blocks import Block, Choice, Opaque, Thinking, ToolCall
from fakellm.model.request import Request
from fakellm.wire.plan import Frame, Plan

T = TypeVar("T")

_KEYS = ("signature", "thoughtSignature", "thought_signature", "encrypted_content", "data")
"""The keys of signatures and encrypted reasoning, in the values that only one API has."""

_CLIENTS = ("function", "custom")
"""The kinds of calls that the client makes."""


def sent_reply(
    response: Response, frames: int, api: str | None, dialect: str | None, request: Request | None
) -> SentReply:
    """What the first frames of a response contain. `api`: of a request to a model. `request`: None if it cannot be
    read."""
    plan = response.plan
    plan = replace(plan, frames=plan.frames[:frames])
    headers = {name.lower(): value for name, value in plan.headers}
    body = _decompressed(plan.body, headers.get("content-encoding", ""))
    if body is None:
        return SentReply()
    if plan.status == 200 and api is not None:
        with suppress(Exception):  # whatever a fault has made of it: then nothing can be read
            return _encodable(replace(_read(plan, body, api_named(api), dialect, request), headers=headers))
    return SentReply(kept=True, headers=_encodable(headers), error=error_in(body))


def habits_of(route: Route, dialect: str | None, request: Request | None) -> tuple[Any, Request]:
    """The habits with which an API reads the reply to a request, and that request; if it cannot be read, an example."""
    known = request or route.parse(json.dumps(route.example()).encode(), {})
    return route.settings(Variation(), dialect, known, 0, known.stream).habits, known


def _read(plan: Plan, body: bytes, route: Route, dialect: str | None, request: Request | None) -> SentReply:
    habits, known = habits_of(route, dialect, request)
    reading = readings(replace(plan, frames=(Frame(body),)), route, habits, known.choices)[-1]
    choice = reading.completion.choices[0] if reading.completion.choices else Choice()
    thoughts = [block for block in choice.blocks if isinstance(block, Thinking)]
    return SentReply(
        kept=True,
        text=choice.content,
        calls=tuple(_call(call) for call in choice.tool_calls if call.kind in _CLIENTS),
        reasoning="".join(text for block in thoughts for text in block.parts or block.summary),
        reasoned=bool(thoughts) or any(map(_of_reasoning, choice.blocks)),
        refusal=choice.refusal,
        signatures=tuple(dict.fromkeys(each for block in choice.blocks for each in _of_reasoning(block))),
        finish=choice.finish_reason,
        whole=reading.complete and reading.error is None,
        error=error_in(body) if reading.error else None,
    )


def _call(call: ToolCall) -> SentCall:
    signature = next(iter(_signatures(call.own.values())), "")
    return SentCall(call.id, call.name, call.arguments, signature)


def _of_reasoning(block: Block) -> list[str]:
    """The signatures and encrypted contents of a block of reasoning."""
    match block:
        case Thinking(signature=signature, own=own):
            return [*filter(None, [signature]), *_signatures(own.values())]
        case Opaque(value=value) if "thinking" in str(value.get("type")):
            return _signatures([value])
    return []


def _signatures(values: Iterable[Any]) -> list[str]:
    """The texts under the keys of signatures, wherever they are in JSON."""
    found: list[str] = []
    for value in values:
        if isinstance(value, dict):
            found += [each for key in _KEYS if isinstance(each := value.get(key), str) and each]
            found += _signatures(value.values())
    return found


def error_in(body: bytes) -> Any:
    """The error in a body, or in the last event of a stream that has one."""
    for text in (body, *(line.removeprefix(b"data:") for line in reversed(body.splitlines()[-20:]))):
        with suppress(ValueError, RecursionError):
            value = json.loads(text)
            value = value[0] if isinstance(value, list) and value else value
            if isinstance(value, dict) and value.get("error") is not None:
                return _encodable(value["error"])
    return None


def _encodable(value: T) -> T:
    """The value with texts that UTF-8 can encode: in each, half a surrogate pair is replaced."""
    changed: Any = value
    match value:
        case str():
            changed = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case dict():
            changed = {_encodable(key): _encodable(item) for key, item in value.items()}
        case list() | tuple():
            changed = type(value)(map(_encodable, value))
        case Struct():
            changed = replace(value, **{name: _encodable(getattr(value, name)) for name in value.__struct_fields__})
    return changed  # type: ignore[no-any-return] # of the same type


def _decompressed(body: bytes, coding: str) -> bytes | None:
    """The body without its compression, as far as it arrived; None if it is longer than what the journal keeps."""
    if coding.strip().lower() not in ("gzip", "deflate"):
        return body
    found, rest = bytearray(), body
    with suppress(zlib.error):
        while rest:
            reader = zlib.decompressobj(zlib.MAX_WBITS | 32)
            found += reader.decompress(rest, MOST_REPLY + 1 - len(found))
            if len(found) > MOST_REPLY:
                return None
            rest = reader.unused_data
    return bytes(found)
