"""Clients of the Messages API with one bug each, such as real clients have had: each is a correct client with one
thing changed.

The rows are those of docs/reference/bugs.md. Which step shows a client is wrong is in `test_fuzz`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

from fakellm.wire.sse import Event
from tests.messages.clients import COUNTS, REASONS, Careful, MessagesError

JSON = dict[str, Any]

# Bytes and events


class SplitsEachRead(Careful):
    """A2: assumes that every read contains whole events."""

    def events(self, response: HTTPResponse) -> Iterator[Event]:
        for piece in self.reads(response):
            for block in piece.decode().split("\n\n"):
                lines = dict(line.split(": ", 1) for line in block.split("\n") if line.startswith(("event", "data")))
                yield Event(lines.get("data", ""), lines.get("event", "message"))


class DecodesEachRead(Careful):
    """A1: decodes every read on its own."""

    def reads(self, response: HTTPResponse) -> Iterator[bytes]:
        return (piece.decode("utf-8", "replace").encode() for piece in super().reads(response))


class OneDataLine(Careful):
    """A9: assumes that an event has one `data:` line."""

    def events(self, response: HTTPResponse) -> Iterator[Event]:
        for event in super().events(response):
            yield from (Event(line, event.event) for line in event.data.split("\n"))


class NeedsSpace(Careful):
    """A4: requires the space after `data:`."""

    def reads(self, response: HTTPResponse) -> Iterator[bytes]:
        yield b"".join(super().reads(response)).replace(b"data:{", b"data")


class SplitsLikeStr(Careful):
    """A11: uses str.splitlines, which knows eight more line ends."""

    def reads(self, response: HTTPResponse) -> Iterator[bytes]:
        yield "\n".join([*b"".join(super().reads(response)).decode().splitlines(), ""]).encode()


class ParsesEveryEvent(Careful):
    """A8, H8: parses `[DONE]` and what it does not know as JSON."""

    def is_known(self, event: Event) -> bool:
        return bool(self.data(event))


class RefusesUnknownEvents(Careful):
    """A12: raises an error at a type of event that it does not know."""

    def is_known(self, event: Event) -> bool:
        if event.event != "message" and not super().is_known(event):
            raise MessagesError(f"unexpected event {event.event}")
        return super().is_known(event)


class TrustsTheData(Careful):
    """A12: takes the type from the data, which it expects in every event."""

    def is_known(self, event: Event) -> bool:
        return bool(event.data and event.data != "[DONE]" and self.data(event)["type"])


class ComparesBytes(Careful):
    """Knows the end of a piece by two braces, between which there are no spaces."""

    def data(self, event: Event) -> Any:
        if event.event == "content_block_delta" and not event.data.endswith("}}"):
            return {"index": next(iter(self.blocks)), "delta": {}}
        return super().data(event)


class NeedsTheTypeFirst(Careful):
    """A15: knows an event by the first key of its data."""

    def is_known(self, event: Event) -> bool:
        return super().is_known(event) and event.data.startswith(('{"type":', '{"type" :', '{"type": '))


class ReadsPings(Careful):
    """H9: takes a ping as text."""

    def at_ping(self, event: Event) -> None:
        self.blocks.setdefault(-1, {"type": "text", "text": "", "deltas": []})["deltas"].append("ping")


class CountsPings(Careful):
    """H9: gives up after five pings, although the model may think for long."""

    def at_ping(self, event: Event) -> None:
        self.usage["pings"] = self.usage.get("pings", 0) + 1
        if self.usage["pings"] > 5:
            raise MessagesError("nothing but pings")


# Blocks and deltas


class RefusesUnknownBlocks(Careful):
    """H4: raises an error at a type of block that it does not know, such as `redacted_thinking`."""

    def start(self, index: int, block: JSON) -> None:
        if block["type"] not in ("text", "thinking", "tool_use"):
            raise MessagesError(f"unknown block {block['type']}")
        super().start(index, block)


class RefusesUnknownDeltas(Careful):
    """H9: raises an error at a type of delta that it does not know, such as `citations_delta`."""

    def delta(self, block: JSON, delta: JSON) -> None:
        if delta["type"] not in ("text_delta", "thinking_delta", "input_json_delta", "signature_delta"):
            raise MessagesError(f"unknown delta {delta['type']}")
        super().delta(block, delta)


class NeedsThinking(Careful):
    """H4: expects that thinking is never empty."""

    def block(self, block: JSON, text: str) -> JSON | None:
        if block["type"] == "thinking" and not text:
            raise MessagesError("thinking without text")
        return super().block(block, text)


class ReadsTheSignature(Careful):
    """H5: every delta of thinking has the key `thinking`."""

    def delta(self, block: JSON, delta: JSON) -> None:
        if block["type"] == "thinking":
            delta = {"thinking": delta["thinking"]}
        super().delta(block, delta)


class AddsTheSignature(Careful):
    """H5: adds the signature to the thinking."""

    def delta(self, block: JSON, delta: JSON) -> None:
        block["deltas"] += [delta[key] for key in self.pieces if key in delta]


class ThinksAloud(Careful):
    """H4: takes thinking for text."""

    def start(self, index: int, block: JSON) -> None:
        if block["type"] == "thinking":
            block = {"type": "text", "text": block["thinking"]}
        super().start(index, block)


class DropsTheLastPiece(Careful):
    """Loses the last delta of a text that has several."""

    def result(self) -> JSON:
        for block in self.blocks.values():
            if block["type"] == "text":
                block["deltas"] = block["deltas"][:-1] or block["deltas"]
        return super().result()


class DropsRepeats(Careful):
    """Drops a piece that equals the one before."""

    def delta(self, block: JSON, delta: JSON) -> None:
        if delta.get("text") is None or [delta["text"]] != block["deltas"][-1:]:
            super().delta(block, delta)


class StripsPieces(Careful):
    """Strips the white space of each piece."""

    def delta(self, block: JSON, delta: JSON) -> None:
        super().delta(block, {**delta, "text": delta["text"].strip()} if "text" in delta else delta)


class FirstText(Careful):
    """Knows one text per message, the first."""

    def block(self, block: JSON, text: str) -> JSON | None:
        others = [each for each in self.blocks.values() if each["type"] == "text"][1:]
        return None if any(block is each for each in others) else super().block(block, text)


class LastText(Careful):
    """Starts the text again with each block."""

    def result(self) -> JSON:
        found = super().result()
        return {**found, "content": next((each["text"] for each in found["blocks"][::-1] if "text" in each), "")}


class JoinsWithLines(Careful):
    """Joins texts with line ends, which no block has."""

    def result(self) -> JSON:
        found = super().result()
        return {**found, "content": "\n".join(each["text"] for each in found["blocks"] if each["type"] == "text")}


class TextOrCalls(Careful):
    """C19: drops the text of an answer with calls."""

    def result(self) -> JSON:
        found = super().result()
        return {**found, "content": "" if found["tool_calls"] else found["content"]}


class TakesTheIndexForTheNumberOfTheCall(Careful):
    """H10: has one place for all texts, so that the index of a call is one too high."""

    def place(self, index: int) -> int:
        return index if index < 2 else 1


# Calls


class IgnoresTheInputAtTheStart(Careful):
    """H6: reads the input of a call from deltas alone."""

    def arguments(self, block: JSON, text: str) -> Any:
        return text or "{}"


class AddsTheInputAtTheStart(Careful):
    """H6: puts the deltas behind the `{}` that a call opens with."""

    def arguments(self, block: JSON, text: str) -> Any:
        return json.dumps(block["input"]) + text


class ParsesNoInput(Careful):
    """H6: parses the deltas of a call that has only an empty one."""

    def arguments(self, block: JSON, text: str) -> Any:
        return json.loads(text)


class ParsesEachPiece(Careful):
    """C1, H6: parses each piece of the input."""

    def delta(self, block: JSON, delta: JSON) -> None:
        if delta.get("partial_json"):
            json.loads(delta["partial_json"])
        super().delta(block, delta)


class EmptiesInput(Careful):
    """H7: replaces input that is not valid JSON with none."""

    def arguments(self, block: JSON, text: str) -> Any:
        try:
            return json.loads(super().arguments(block, text))
        except ValueError:
            return {}


class RepairsInput(Careful):
    """H7: closes input that was cut, so that it can be run."""

    def arguments(self, block: JSON, text: str) -> Any:
        found = super().arguments(block, text)
        for end in ("", "}", '"}', "null}", '":null}'):
            try:
                return json.loads(found + end)
            except ValueError:
                continue
        return found


class RoundsNumbers(Careful):
    """C21: reads numbers as floats."""

    def arguments(self, block: JSON, text: str) -> Any:
        return json.loads(text or "{}", parse_int=float) or block["input"]


class OneCall(Careful):
    """C2: reads one call per message."""

    def result(self) -> JSON:
        found = super().result()
        return {**found, "tool_calls": found["tool_calls"][:1]}


class CallsByName(Careful):
    """Keeps calls by their name."""

    def result(self) -> JSON:
        found = super().result()
        return {**found, "tool_calls": [*{call["name"]: call for call in found["tool_calls"]}.values()]}


class NeedsToolUse(Careful):
    """C16: ignores calls unless the `stop_reason` is `tool_use`."""

    def result(self) -> JSON:
        found = super().result()
        return found if self.reason == "tool_use" else {**found, "tool_calls": []}


# The end


class KnowsTwoReasons(Careful):
    """H9: has no word for any other `stop_reason` than these."""

    def finish_reason(self, reason: str | None) -> str | None:
        return {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length"}.get(reason or "")


class LengthIsTheEnd(Careful):
    """H7: takes `max_tokens` for the usual end."""

    def finish_reason(self, reason: str | None) -> str | None:
        return "stop" if reason == "max_tokens" else super().finish_reason(reason)


class AnyReasonIsTheEnd(Careful):
    """E9, H9: takes a `stop_reason` that it does not know for the usual end."""

    def finish_reason(self, reason: str | None) -> str | None:
        return REASONS.get(reason or "", "stop")


class IgnoresErrors(Careful):
    """H2: takes an `error` as the usual end."""

    def at_error(self, data: Any) -> None:
        self.reason = self.reason or "end_turn"


class TakesTheEndOfTheBodyAsTheEnd(Careful):
    """H3: needs no `message_stop`."""

    def at_the_end(self) -> None:
        self.reason = self.reason or "end_turn"


class Retries(Careful):
    """F3: asks again after a broken connection, and keeps the text from before."""

    def __call__(self, base_url: str, request: JSON) -> JSON:
        self.blocks = {}
        try:
            return super().__call__(base_url, request)
        except (OSError, MessagesError, ValueError):
            before = "".join(part for block in self.blocks.values() for part in block["deltas"])
        found = super().__call__(base_url, request)
        return {**found, "content": before + found["content"]}


# Usage


class AddsUsage(Careful):
    """H1: adds the counts of `message_delta` to those of `message_start`."""

    def count(self, usage: JSON) -> None:
        for key in COUNTS:
            self.usage[key] = self.usage.get(key, 0) + (usage.get(key) or 0)


class KeepsTheFirstUsage(Careful):
    """H1: knows the input from `message_start` alone."""

    def count(self, usage: JSON) -> None:
        self.usage = {**{key: usage[key] for key in COUNTS if key in usage}, **self.usage}


class LastUsageAlone(Careful):
    """H1: forgets the counts of `message_start` that `message_delta` does not repeat."""

    def count(self, usage: JSON) -> None:
        self.usage = {key: usage.get(key) or 0 for key in COUNTS}


class NeedsTheInputAgain(Careful):
    """H1: expects every count in `message_delta`."""

    def finish(self, data: JSON) -> None:
        super().finish({**data, "usage": {**data["usage"], "input_tokens": data["usage"]["input_tokens"]}})


class CountsNoCache(Careful):
    """H1: takes `input_tokens` for the whole prompt, without what the cache holds."""

    def prompt(self) -> int:
        return self.usage.get("input_tokens", 0)
