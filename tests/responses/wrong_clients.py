"""Clients of the Responses API with one bug each, such as real clients have had: each is a correct client with one
thing changed.

The rows are those of docs/reference/bugs.md. Which step shows a client is wrong is in `test_client_bugs` and `test_wrong_clients`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from http.client import HTTPResponse
from typing import Any

from fakellm.wire.sse import Event
from tests.responses.clients import ENDS, Careful, ClientError


class KeyedById(Careful):
    """G1: finds items by their id."""

    def key(self, value: dict[str, Any]) -> Any:
        return value.get("item_id") or value["item"]["id"]

    def with_output(self, output: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        return list(self.items.values())


class OnlyOutput(Careful):
    """G2: takes the items from the last event alone."""

    def end(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        self.items = {}
        return super().end(kind, value)


class NeedsCreated(Careful):
    """G3: needs `response.created` to come first."""

    def events(self, data: bytes) -> Iterable[Event]:
        found = list(super().events(data))
        first = next((event for event in found if self.value(event)), None)
        if first is None or '"response.created"' not in first.data:
            raise ClientError("expected response.created")
        return found


class OnlyDeltas(Careful):
    """G4: takes arguments from deltas alone."""

    def result(self, response: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
        found = super().result(response, items)
        texts = [text for (_, _, kind), text in self.deltas.items() if "arguments" in kind or "input" in kind]
        for call, text in zip(found["tool_calls"], texts + [""] * len(found["tool_calls"]), strict=False):
            call["arguments"] = text
        return found


class RefusesKeepalives(Careful):
    """G5: does not expect an event that does not begin with `response.`."""

    def on(self, kind: str, value: dict[str, Any]) -> None:
        if not kind.startswith("response.") and kind != "error":
            raise ClientError(f"unexpected event {kind}")
        super().on(kind, value)


class OnlyNestedErrors(Careful):
    """G6: notices only an error under the key `error`."""

    def on(self, kind: str, value: dict[str, Any]) -> None:
        if kind != "error" or "error" in value:
            super().on(kind, value)

    def cut(self) -> dict[str, Any]:
        return self.result({}, list(self.items.values()))


class FailedIsCompleted(Careful):
    """G7: takes any last event for success."""

    def end(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        value["response"]["incomplete_details"] = None
        self.open.clear()
        return super().end("response.completed", value)


class CutIsCompleted(Careful):
    """G7: takes the end of the bytes for the end of the response."""

    def cut(self) -> dict[str, Any]:
        return self.result({}, list(self.items.values()))


class FirstCiphertext(Careful):
    """G8: keeps the ciphertext of the item that was added."""

    def done(self, value: dict[str, Any]) -> None:
        first = self.items.get(self.key(value), {}).get("encrypted_content")
        super().done(value)
        if first:
            self.items[self.key(value)] = {**value["item"], "encrypted_content": first}


class OneMessage(Careful):
    """G9: keeps the text of the first message only."""

    def result(self, response: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
        messages = [item for item in items if item["type"] == "message"]
        return super().result(response, [item for item in items if item["type"] != "message"] + messages[:1])


class NeedsNumbers(Careful):
    """G10: needs `sequence_number`, without gaps."""

    def events(self, data: bytes) -> Iterable[Event]:
        found = list(super().events(data))
        numbers = []
        for event in found:
            if value := self.value(event):
                numbers.append(value.get("sequence_number"))
                if value.get("type") in ENDS:
                    break
        if numbers != list(range(len(numbers))):
            raise ClientError("an event is missing")
        return found


class LosesRefusals(Careful):
    """G11: reads no refusals."""

    def result(self, response: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
        return {**super().result(response, items), "refusal": ""}


class DropsTheLastDelta(Careful):
    """Loses the last character of a text that came in several deltas."""

    def result(self, response: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
        found = super().result(response, items)
        return {**found, "content": found["content"][:-1] if len(self.deltas) else found["content"]}


class ByLines(Careful):
    """Needs the event line before the data."""

    def events(self, data: bytes) -> Iterable[Event]:
        found = []
        name = "message"
        for line in data.decode().splitlines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                if name == "message" and line != "data: [DONE]":
                    raise ClientError("data without a type")
                found.append(Event(line[6:], name))
                name = "message"
        return found


# More that only a fuzzer finds


class DecodesEachRead(Careful):
    """A1: decodes every read on its own."""

    def reads(self, response: HTTPResponse) -> Iterator[bytes]:
        return (piece.decode("utf-8", "replace").encode() for piece in super().reads(response))


class NeedsSpace(Careful):
    """A4: requires the space after `data:`."""

    def read(self, data: bytes) -> dict[str, Any]:
        return super().read(data.replace(b"data:{", b"data"))


class OneDataLine(Careful):
    """A9: assumes that an event has one `data:` line."""

    def events(self, data: bytes) -> Iterable[Event]:
        return [Event(line, event.event) for event in super().events(data) for line in event.data.split("\n")]


class EndsAtLf(Careful):
    """A3: assumes that lines end with LF."""

    def read(self, data: bytes) -> dict[str, Any]:
        return super().read(data.replace(b"\r", b" "))


class SplitsLikeStr(Careful):
    """A11: uses str.splitlines, which knows eight more line ends."""

    def read(self, data: bytes) -> dict[str, Any]:
        return super().read("\n".join([*data.decode().splitlines(), ""]).encode())


class ParsesEveryEvent(Careful):
    """A8: parses `[DONE]` and empty data as JSON."""

    def value(self, event: Event) -> dict[str, Any] | None:
        json.loads(event.data)
        return super().value(event)


class RefusesUnknownEvents(Careful):
    """A12: raises an error at an event without a type of this API."""

    def value(self, event: Event) -> dict[str, Any] | None:
        value = super().value(event)
        if value is None and event.data not in ("[DONE]", ""):
            raise ClientError(f"unexpected data {event.data[:40]}")
        return value


class NamedByTheLine(Careful):
    """G10: takes the type of an event from its `event:` line."""

    def value(self, event: Event) -> dict[str, Any] | None:
        value = super().value(event)
        return None if value is None else {**value, "type": event.event}


class NeedsEachNumber(Careful):
    """G10: expects a `sequence_number` in each event."""

    def on(self, kind: str, value: dict[str, Any]) -> None:
        if value["sequence_number"] >= 0:
            super().on(kind, value)


class NeedsUsage(Careful):
    """D5, G10: expects usage in each answer."""

    def end(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        if kind != "response.failed" and value["response"]["usage"]["total_tokens"] < 0:
            raise ClientError("a negative count")
        return super().end(kind, value)


class TextOfDeltas(Careful):
    """G4: takes text from deltas alone."""

    def result(self, response: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
        texts = [text for (_, _, kind), text in self.deltas.items() if kind == "response.output_text.delta"]
        return {**super().result(response, items), "content": "".join(texts)}


class TextTwice(Careful):
    """G4: adds the text of the `.done` events to that of the deltas."""

    def result(self, response: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
        found = super().result(response, items)
        texts = [text for (_, _, kind), text in self.deltas.items() if kind == "response.output_text.delta"]
        return {**found, "content": found["content"] + ("".join(texts) if len(texts) > 1 else "")}


class KeepsTheAddedItem(Careful):
    """G2: keeps an item as it was added, with the arguments of the deltas."""

    def done(self, value: dict[str, Any]) -> None:
        item = self.items[self.key(value)]
        if item["type"] == "function_call":
            place = (self.key(value), 0, "response.function_call_arguments.delta")
            self.items[self.key(value)] = {**item, "arguments": self.deltas.get(place, item["arguments"])}
        else:
            super().done(value)


class StopsAtTheFirstItem(Careful):
    """G9: takes the first item that is done for the whole answer."""

    def done(self, value: dict[str, Any]) -> None:
        if not any(item.get("status") == "completed" for item in self.items.values()):
            super().done(value)


class RefusesUnknownItems(Careful):
    """G9: raises an error at an item that it does not know, such as a `web_search_call`."""

    def done(self, value: dict[str, Any]) -> None:
        if value["item"]["type"] not in ("message", "function_call", "custom_tool_call", "reasoning"):
            raise ClientError(f"unknown item {value['item']['type']}")
        super().done(value)


class RefusesAnnotations(Careful):
    """G11: raises an error at a citation."""

    def on(self, kind: str, value: dict[str, Any]) -> None:
        if "annotation" in kind:
            raise ClientError(f"unexpected event {kind}")
        super().on(kind, value)


class OnePart(Careful):
    """G9: reads the first part of a message."""

    def parts(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        return super().parts(message)[:1]


class ThinksAloud(Careful):
    """B14: takes reasoning for text."""

    def result(self, response: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
        found = super().result(response, items)
        return {**found, "content": found["reasoning"] + found["content"]}


class OneCall(Careful):
    """C2: reads one call per answer."""

    def result(self, response: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
        found = super().result(response, items)
        return {**found, "tool_calls": found["tool_calls"][:1]}


class CallsByName(Careful):
    """Keeps calls by their name."""

    def result(self, response: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
        found = super().result(response, items)
        return {**found, "tool_calls": [*{call["name"]: call for call in found["tool_calls"]}.values()]}


class TextOrCalls(Careful):
    """C19: drops the text of an answer with calls."""

    def result(self, response: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
        found = super().result(response, items)
        return {**found, "content": "" if found["tool_calls"] else found["content"]}


class OnlyFunctions(Careful):
    """Knows no custom calls."""

    def result(self, response: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
        return super().result(response, [item for item in items if item["type"] != "custom_tool_call"])


class ParsesNoArguments(Careful):
    """C15: parses the arguments of a call that has none."""

    def arguments(self, call: dict[str, Any]) -> Any:
        found = super().arguments(call)
        return found if call["type"] == "custom_tool_call" else json.loads(found)


class RoundsNumbers(Careful):
    """C21: reads numbers as floats."""

    def arguments(self, call: dict[str, Any]) -> Any:
        found = super().arguments(call)
        return found if call["type"] == "custom_tool_call" else json.loads(found or "{}", parse_int=float)


class EmptiesArguments(Careful):
    """E2: replaces arguments that are not valid JSON with none."""

    def arguments(self, call: dict[str, Any]) -> Any:
        try:
            return json.loads(super().arguments(call) or "{}")
        except ValueError:
            return {}


class CountsTheCacheTwice(Careful):
    """Adds what was cached to the input, which has it already."""

    def usage(self, usage: dict[str, Any]) -> dict[str, Any]:
        cached = (usage.get("input_tokens_details") or {}).get("cached_tokens", 0)
        return super().usage({**usage, "input_tokens": usage["input_tokens"] + cached})


class CountsReasoningTwice(Careful):
    """Adds the tokens of reasoning to the output, which has them already."""

    def usage(self, usage: dict[str, Any]) -> dict[str, Any]:
        more = (usage.get("output_tokens_details") or {}).get("reasoning_tokens", 0)
        return super().usage({**usage, "output_tokens": usage["output_tokens"] + more})
