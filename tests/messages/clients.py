"""A correct client of the Messages API, with a method for each thing that it does. `wrong_clients` change one each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from time import monotonic  # a client waits by the clock; what it is sent does not depend on it
from typing import Any
from urllib.parse import urlsplit

from fakellm.wire.sse import Decoder, Event

START, IDLE = 10.0, 0.5
"""Seconds until the head, for which a busy machine may need long, and those without an event after which a client gives
up."""
KNOWN = (
    *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
    *("message_delta", "message_stop", "error", "ping"),
)
REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


class MessagesError(Exception):
    """The response is not a whole message."""


class Careful:
    """Keeps every rule: raises an error unless the stream has its `message_stop`."""

    pieces = ("text", "thinking", "partial_json", "signature")

    def __call__(self, base_url: str, request: dict[str, Any]) -> dict[str, Any]:
        address = urlsplit(base_url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=START)
        headers = {"anthropic-version": "2023-06-01", "x-api-key": "any"}
        try:
            connection.request("POST", f"{address.path}/messages", json.dumps(request), headers)
            response = connection.getresponse()
            if connection.sock:
                connection.sock.settimeout(IDLE)
            if response.status != 200:
                raise MessagesError(f"HTTP status {response.status}")
            return self.read(self.events(response))
        finally:
            connection.close()

    def events(self, response: HTTPResponse) -> Iterator[Event]:
        decoder, last = Decoder(), monotonic()
        for data in self.reads(response):
            events = decoder.feed(data)
            yield from events
            last = monotonic() if events else last
            if monotonic() - last > IDLE:  # comments alone are not progress
                raise MessagesError(f"no event for {IDLE:g} s")

    def reads(self, response: HTTPResponse) -> Iterator[bytes]:
        while data := response.read1(65536):
            yield data

    def read(self, events: Iterator[Event]) -> dict[str, Any]:
        """What the events amount to."""
        self.blocks: dict[int, dict[str, Any]] = {}
        self.usage: dict[str, int] = {}
        self.reason: str | None = None
        begun = False
        for event in events:
            if not self.is_known(event) or (event.event == "ping" and not event.data):
                continue
            data = self.data(event)
            match event.event:
                case "message_start":
                    begun = True
                    self.count(data["message"]["usage"])
                case "content_block_start":
                    self.start(data["index"], data["content_block"])
                case "content_block_delta":
                    self.delta(self.blocks[self.place(data["index"])], data["delta"])
                case "message_delta":
                    self.finish(data)
                case "message_stop" if begun:
                    return self.result()
                case "error":
                    self.at_error(data)
                    return self.result()
                case "ping":
                    self.at_ping(event)
        self.at_the_end()
        return self.result()

    def is_known(self, event: Event) -> bool:
        return event.event in KNOWN

    def data(self, event: Event) -> Any:
        try:
            return json.loads(event.data)
        except ValueError as error:
            raise MessagesError(f"{error}: {event.data[:80]!r}") from None

    def start(self, index: int, block: dict[str, Any]) -> None:
        self.blocks[self.place(index)] = {**block, "deltas": []}

    def place(self, index: int) -> int:
        return index

    def delta(self, block: dict[str, Any], delta: dict[str, Any]) -> None:
        block["deltas"] += [delta[key] for key in self.pieces if key in delta and key != "signature"]

    def finish(self, data: dict[str, Any]) -> None:
        self.reason = data["delta"]["stop_reason"]
        self.count(data["usage"])

    def count(self, usage: dict[str, Any]) -> None:
        """The last count of each key stands."""
        self.usage |= {key: usage[key] for key in COUNTS if usage.get(key) is not None}

    def at_error(self, data: Any) -> None:
        raise MessagesError(str(data))

    def at_ping(self, event: Event) -> None:
        """Nothing: a ping has no content."""

    def at_the_end(self) -> None:
        raise MessagesError("the stream has no message_stop")

    def result(self) -> dict[str, Any]:
        blocks = [found for block in self.blocks.values() if (found := self.block(block, self.joined(block["deltas"])))]
        calls = [{key: block[key] for key in ("name", "arguments")} for block in blocks if block["type"] == "tool_call"]
        return {
            "content": "".join(block["text"] for block in blocks if block["type"] == "text"),
            "reasoning": "".join(block["text"] for block in blocks if block["type"] == "thinking"),
            "tool_calls": calls,
            "blocks": blocks,
            "finish_reason": self.finish_reason(self.reason),
            "usage": {"prompt_tokens": self.prompt(), "completion_tokens": self.usage.get("output_tokens", 0)},
        }

    def joined(self, pieces: list[str]) -> str:
        """The text of the pieces. Halves of a surrogate pair may be in two of them, as what Python reads of each."""
        return "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")

    def block(self, block: dict[str, Any], text: str) -> dict[str, Any] | None:
        """A block of the result, from its start and its deltas; None for one that only the model's provider reads."""
        kind = block["type"]
        if kind in ("text", "thinking"):
            return {"type": kind, "text": block[kind] + text}
        if kind == "tool_use":
            return {"type": "tool_call", "name": block["name"], "arguments": self.arguments(block, text)}
        return None

    def arguments(self, block: dict[str, Any], text: str) -> Any:
        """The input of the start counts if no delta has any."""
        return text or json.dumps(block["input"])

    def finish_reason(self, reason: str | None) -> str | None:
        return REASONS.get(reason or "", reason)

    def prompt(self) -> int:
        return sum(self.usage.get(key, 0) for key in COUNTS[:3])
