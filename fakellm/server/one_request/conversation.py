"""Shows a request to a model as a conversation, in terms that all APIs share. The API's own parser reads it.

Knows no API by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from fakellm.model.request import Message, PastCall, Request, Tool
from fakellm.server.one_request.media import MARKS, Media


class TextPart(Struct, frozen=True, tag="text"):
    """A text in a message."""

    text: str


class ShownMessage(Struct, frozen=True):
    """A message. `role`: `system`, `developer`, `user`, `assistant` or `tool`. `result_of`: the id of the call that it
    answers."""

    role: str
    name: str | None
    result_of: str | None
    parts: Sequence[TextPart | Media]
    calls: Sequence[PastCall]


class ShownTool(Struct, frozen=True):
    """A tool on offer. `parameters`: its JSON Schema, if it has one."""

    name: str
    kind: str
    parameters: dict[str, Any] | None


class ShownConversation(Struct, frozen=True):
    """A request to a model, in terms that all APIs share."""

    api: str
    model: str
    stream: bool
    turn: int
    messages: Sequence[ShownMessage]
    tools: Sequence[ShownTool]
    tool_choice: str
    response_format: Sequence[str]
    choices: int
    max_tokens: int | None


def conversation(request: Request, media: Sequence[Media] = ()) -> ShownConversation:
    """The conversation of a request, in whose texts these media have their marks."""
    return ShownConversation(
        api=request.api,
        model=request.model,
        stream=request.stream,
        turn=request.turn,
        messages=[_message(message, media) for message in request.messages],
        tools=[_tool(tool) for tool in request.offered],
        tool_choice=request.tool_choice,
        response_format=request.response_format,
        choices=request.choices,
        max_tokens=request.max_tokens,
    )


def _message(message: Message, media: Sequence[Media]) -> ShownMessage:
    parts = list(_parts(message.text, media))
    return ShownMessage(message.role, message.name, message.result_of, parts, message.calls)


def _parts(text: str, media: Sequence[Media]) -> Iterator[TextPart | Media]:
    """The parts of a text, with the media in place of their marks."""
    at = 0
    for mark in MARKS.finditer(text):
        if mark.start() > at:
            yield TextPart(text[at : mark.start()])
        yield media[int(mark[1])]
        at = mark.end()
    if text[at:]:
        yield TextPart(text[at:])


def _tool(tool: Tool) -> ShownTool:
    return ShownTool(tool.name, tool.kind, tool.parameters)
