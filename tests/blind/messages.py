"""A careful client of Anthropic's Messages, with every method a step that a bug can replace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.blind.http import Result
from tests.blind.sse import Event, Sse
from tests.blind.wire import ClientError

JSON = dict[str, Any]
STOPS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


@dataclass
class Block:
    """A content block as far as it was read."""

    start: JSON
    pieces: list[str] = field(default_factory=list)

    @property
    def type(self) -> str:
        """The type that its start names."""
        return str(self.start.get("type"))


@dataclass
class Message:
    """A message as far as it was read."""

    blocks: dict[int, Block] = field(default_factory=dict)
    usage: JSON = field(default_factory=dict)
    stop: str | None = None
    started: bool = False
    ended: bool = False


class Messages(Sse):
    """Returns the blocks; raises unless the message was stopped."""

    path = "/v1/messages"

    def read(self, events: Iterator[Event], request: JSON) -> Result:
        message = Message()
        for event in events:
            if not event.data.strip() or event.data.strip() == "[DONE]":
                continue
            self.event(message, event, self.parsed(event.data))
            if message.ended:
                break
        self.check(message)
        return self.result(message)

    def whole(self, body: Any, request: JSON) -> Result:
        if not isinstance(body, dict) or body.get("type") != "message":
            raise ClientError(f"not a message: {str(body)[:200]}")
        message = Message()
        self.start(message, body)
        return self.result(message)

    def event(self, message: Message, event: Event, data: Any) -> None:
        """Adds an event; an unknown one has nothing to add."""
        if not isinstance(data, dict):
            raise ClientError(f"not an event: {str(data)[:80]}")
        match self.kind(event, data):
            case "message_start":
                self.start(message, data["message"])
            case "content_block_start":
                self.block(message, data)
            case "content_block_delta":
                self.delta(self.opened(message, data), data["delta"])
            case "message_delta":
                self.stopping(message, data)
            case "message_stop":
                message.ended = True
            case "error":
                self.at_error(message, data)
            case other:
                self.at_other(message, str(other), data)

    def kind(self, event: Event, data: JSON) -> str:
        """The type of an event, which its data repeats."""
        return data.get("type") or event.type

    def at_error(self, message: Message, data: JSON) -> None:
        """Raises the error that an event contains."""
        raise ClientError(str(data.get("error")))

    def at_other(self, message: Message, kind: str, data: JSON) -> None:
        """Nothing: pings, stops of blocks and unknown events have no content."""

    def start(self, message: Message, start: JSON) -> None:
        """Begins with what the message already has."""
        message.started = True
        for number, block in enumerate(start.get("content") or ()):
            message.blocks[number] = Block(block)
        message.stop = start.get("stop_reason")
        self.usage(message, start.get("usage") or {})

    def block(self, message: Message, data: JSON) -> None:
        """Opens a block."""
        message.blocks[data["index"]] = Block(data["content_block"])

    def opened(self, message: Message, data: JSON) -> Block:
        """The block that a delta belongs to."""
        if data["index"] not in message.blocks:
            raise ClientError(f"a delta for block {data['index']}, which was not opened")
        return message.blocks[data["index"]]

    def delta(self, block: Block, delta: JSON) -> None:
        """Adds a delta to its block; signatures and citations are not text."""
        key = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
        if delta["type"] in key:
            block.pieces.append(delta[key[delta["type"]]])

    def stopping(self, message: Message, data: JSON) -> None:
        """Keeps the stop reason and the usage."""
        message.stop = data["delta"].get("stop_reason") or message.stop
        self.usage(message, data.get("usage") or {})

    def usage(self, message: Message, usage: JSON) -> None:
        """Replaces the counts, which are cumulative."""
        message.usage.update({key: value for key, value in usage.items() if value is not None})

    def check(self, message: Message) -> None:
        """Raises unless the message was stopped."""
        if not (message.started and message.ended):
            raise ClientError("the stream has no message_start or no message_stop")

    def result(self, message: Message) -> Result:
        """What the caller gets."""
        cut = message.stop in (None, "max_tokens")
        blocks = [one for _, block in sorted(message.blocks.items()) if (one := self.one(block, cut))]
        prompt = sum(message.usage.get(key, 0) for key in INPUT)
        completion = message.usage.get("output_tokens", 0)
        counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        return {
            "content": "".join(block["text"] for block in blocks if block["type"] == "text"),
            "reasoning": "".join(block["text"] for block in blocks if block["type"] == "thinking"),
            "tool_calls": [
                {"name": block["name"], "arguments": block["arguments"]} for block in blocks if "name" in block
            ],
            "finish_reason": self.finish(message.stop),
            "usage": counts if message.usage else None,
            "blocks": blocks,
        }

    def finish(self, stop: str | None) -> str | None:
        """The stop reason as chat names it."""
        return STOPS.get(stop, stop) if stop else None

    def one(self, block: Block, cut: bool) -> JSON | None:
        """What the caller gets of a block; None for what only the server reads."""
        if block.type == "tool_use":
            return {"type": "tool_call", "name": block.start["name"], "arguments": self.input(block, cut)}
        if block.type in ("text", "thinking"):
            return {"type": block.type, "text": self.joined([block.start.get(block.type) or "", *block.pieces])}
        return None

    def input(self, block: Block, cut: bool) -> Any:
        """The input of a call: what was streamed, or else what its start has."""
        return self.whole_arguments(self.joined(block.pieces), cut) or block.start.get("input") or {}
