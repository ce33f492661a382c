"""What is kept of responses and conversations, as a value with a bound in bytes.

A response is kept as the bytes that were sent, so that it takes as much memory as it counts. When the bound is
exceeded, the oldest responses are forgotten first. Knows no HTTP and no clock: a response in the background gets on
with each poll.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.base.json_text import JSON, dumps
from fakellm.wire.sse import Decoder

_OVERHEAD = 1_000
"""Roughly what Python adds to an entry, in bytes."""


class StoredResponse(Struct, frozen=True):
    """A response that is kept.

    body: the response object. input: the items of its request. sent: its stream; empty if it was not streamed.
    previous: the id of the response that it continues. conversation: the id of its conversation. polls: how many
    retrievals until a response in the background is completed. cancelled: whether it was cancelled before that.
    """

    id: str
    body: str
    input: str = "[]"
    sent: bytes = b""
    previous: str | None = None
    conversation: str | None = None
    polls: int = 0
    cancelled: bool = False

    @property
    def size(self) -> int:
        """Roughly how many bytes of memory it takes; a character may take four."""
        texts = (self.body, self.input)
        return _OVERHEAD + len(self.sent) + sum(len(text) * (1 if text.isascii() else 4) + 60 for text in texts)

    @property
    def events(self) -> list[str]:
        """The data of each event of its stream."""
        return [event.data for event in Decoder().feed(self.sent)]

    @property
    def items(self) -> list[JSON]:
        """The items of its request."""
        found: list[JSON] = json.loads(self.input)
        return found

    @property
    def output(self) -> list[JSON]:
        """The items of its output, as they were done."""
        found: list[JSON] = json.loads(self.body).get("output") or []
        return found


class Conversation(Struct, frozen=True):
    """A conversation that is kept: its id, when it was created, its metadata, its items as JSON, and how many were
    deleted: no other item gets the id of one of those."""

    id: str
    created: int
    metadata: str = "{}"
    items: tuple[str, ...] = ()
    deleted: int = 0

    @property
    def size(self) -> int:
        """Roughly how many bytes of memory it takes."""
        texts = (self.metadata, *self.items)
        return _OVERHEAD + sum(len(text) * (1 if text.isascii() else 4) + 60 for text in texts)


class KeptResponses(Struct, frozen=True):
    """All that is kept: responses and conversations by id, the oldest first, of at most `most_bytes` together."""

    most_bytes: int = 16 * 2**20
    responses: Mapping[str, StoredResponse] = {}
    conversations: Mapping[str, Conversation] = {}
    size: int = 0

    def with_response(self, response: StoredResponse) -> KeptResponses:
        """With this response, which is now the newest. One that exceeds the bound alone is not kept."""
        before = self.without_response(response.id)
        responses = {**before.responses, response.id: response}
        return _bounded(replace(before, responses=responses, size=before.size + response.size))

    def without_response(self, name: str) -> KeptResponses:
        """Without the response of this id."""
        if name not in self.responses:
            return self
        responses = {key: value for key, value in self.responses.items() if key != name}
        return replace(self, responses=responses, size=self.size - self.responses[name].size)

    def with_conversation(self, conversation: Conversation) -> KeptResponses:
        """With this conversation in place of the one of the same id."""
        before = self.without_conversation(conversation.id)
        conversations = {**before.conversations, conversation.id: conversation}
        return _bounded(replace(before, conversations=conversations, size=before.size + conversation.size))

    def without_conversation(self, name: str) -> KeptResponses:
        """Without the conversation of this id."""
        if name not in self.conversations:
            return self
        conversations = {key: value for key, value in self.conversations.items() if key != name}
        return replace(self, conversations=conversations, size=self.size - self.conversations[name].size)


def _bounded(kept: KeptResponses) -> KeptResponses:
    """Within the bound: without the oldest responses and then the oldest conversations."""
    if kept.size <= kept.most_bytes:
        return kept
    size, responses, conversations = kept.size, dict(kept.responses), dict(kept.conversations)
    for entries in (responses, conversations):
        while size > kept.most_bytes and entries:
            oldest: Any = entries.pop(next(iter(entries)))
            size -= oldest.size
    return KeptResponses(kept.most_bytes, responses, conversations, size)


def texts_of(items: Sequence[JSON]) -> tuple[str, ...]:
    """Items as they are kept."""
    return tuple(map(dumps, items))
