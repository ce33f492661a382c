"""A correct client of the Messages API, and some that each have one bug that a real client had, for the fuzzer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from time import monotonic  # a client waits by the clock; what it is sent does not depend on it
from typing import Any
from urllib.parse import urlsplit

from fakellm.wire.sse import Decoder, Event

IDLE = 2.0
"""Seconds without an event after which a client gives up."""
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
        connection = HTTPConnection(address.hostname or "", address.port, timeout=IDLE)
        headers = {"anthropic-version": "2023-06-01", "x-api-key": "any"}
        try:
            connection.request("POST", f"{address.path}/messages", json.dumps(request), headers)
            response = connection.getresponse()
            if response.status != 200:
                raise MessagesError(f"HTTP status {response.status}")
            return self.read(events_of(response))
        finally:
            connection.close()

    def read(self, events: Iterator[Event]) -> dict[str, Any]:
        """What the events amount to."""
        self.blocks: dict[int, dict[str, Any]] = {}
        self.usage: dict[str, int] = {}
        self.reason: str | None = None
        begun = False
        for event in events:
            if not self.is_known(event):
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
                    self.reason = data["delta"]["stop_reason"]
                    self.count(data["usage"])
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
        texts = {"text": "", "thinking": ""}
        calls: list[dict[str, Any]] = []
        blocks: list[dict[str, Any]] = []
        for block in self.blocks.values():
            kind, text = block["type"], "".join(block["deltas"])
            if kind in texts:
                texts[kind] += block[kind] + text
                blocks.append({"type": kind, "text": block[kind] + text})
            elif kind == "tool_use":
                calls.append({"name": block["name"], "arguments": self.arguments(block, text)})
                blocks.append({"type": "tool_call", **calls[-1]})
        prompt = sum(self.usage.get(key, 0) for key in COUNTS[:3])
        return {
            "content": texts["text"],
            "reasoning": texts["thinking"],
            "tool_calls": calls,
            "blocks": blocks,
            "finish_reason": REASONS.get(self.reason or "", self.reason),
            "usage": {"prompt_tokens": prompt, "completion_tokens": self.usage.get("output_tokens", 0)},
        }

    def arguments(self, block: dict[str, Any], text: str) -> str:
        """The input of the start counts if no delta has any."""
        return text or json.dumps(block["input"])


class AddsUsage(Careful):
    """Adds the counts of `message_delta` to those of `message_start`."""

    def count(self, usage: dict[str, Any]) -> None:
        for key in COUNTS:
            self.usage[key] = self.usage.get(key, 0) + (usage.get(key) or 0)


class KeepsTheFirstUsage(Careful):
    """Knows the input from `message_start` alone."""

    def count(self, usage: dict[str, Any]) -> None:
        self.usage = {**{key: usage[key] for key in COUNTS if key in usage}, **self.usage}


class IgnoresErrors(Careful):
    """Takes an `error` as the usual end."""

    def at_error(self, data: Any) -> None:
        self.reason = self.reason or "end_turn"


class TakesTheEndOfTheBodyAsTheEnd(Careful):
    """Needs no `message_stop`."""

    def at_the_end(self) -> None:
        self.reason = self.reason or "end_turn"


class ReadsPings(Careful):
    """Takes a ping as text."""

    def at_ping(self, event: Event) -> None:
        self.blocks.setdefault(-1, {"type": "text", "text": "", "deltas": []})["deltas"].append("ping")


class ParsesEveryEvent(Careful):
    """Parses `[DONE]` and what it does not know as JSON."""

    def is_known(self, event: Event) -> bool:
        return bool(self.data(event))


class ComparesBytes(Careful):
    """Knows the end of a piece by two braces, between which there are no spaces."""

    def data(self, event: Event) -> Any:
        if event.event == "content_block_delta" and not event.data.endswith("}}"):
            return {"index": next(iter(self.blocks)), "delta": {}}
        return super().data(event)


class IgnoresTheInputAtTheStart(Careful):
    """Reads the input of a call from deltas alone."""

    def arguments(self, block: dict[str, Any], text: str) -> str:
        return text or "{}"


class AddsTheInputAtTheStart(Careful):
    """Puts the deltas behind the `{}` that a call opens with."""

    def arguments(self, block: dict[str, Any], text: str) -> str:
        return json.dumps(block["input"]) + text


class TakesTheIndexForTheNumberOfTheCall(Careful):
    """Has one place for all texts, so that the index of a call is one too high."""

    def place(self, index: int) -> int:
        return index if index < 2 else 1


class DropsTheLastPiece(Careful):
    """Loses the last delta of a text that has several."""

    def result(self) -> dict[str, Any]:
        for block in self.blocks.values():
            if block["type"] == "text":
                block["deltas"] = block["deltas"][:-1] or block["deltas"]
        return super().result()


def events_of(response: HTTPResponse) -> Iterator[Event]:
    decoder, last = Decoder(), monotonic()
    while data := response.read1(65536):
        events = decoder.feed(data)
        yield from events
        last = monotonic() if events else last
        if monotonic() - last > IDLE:  # comments alone are not progress
            raise MessagesError(f"no event for {IDLE:g} s")
