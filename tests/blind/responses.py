"""A careful client of OpenAI's Responses, with every method a step that a bug can replace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.blind.http import Result
from tests.blind.sse import Event, Sse
from tests.blind.wire import ClientError

JSON = dict[str, Any]
ENDS = ("response.completed", "response.incomplete")
REASONS = {"max_output_tokens": "length"}


@dataclass
class Item:
    """An output item as far as it was read: its texts by part, or its arguments."""

    item: JSON
    parts: dict[tuple[str, int], str] = field(default_factory=dict)
    arguments: str = ""


@dataclass
class Output:
    """A response as far as it was read."""

    items: dict[int, Item] = field(default_factory=dict)
    response: JSON | None = None


class Responses(Sse):
    """Returns the items as blocks; raises unless the response was completed or is incomplete."""

    path = "/responses"

    def read(self, events: Iterator[Event], request: JSON) -> Result:
        output = Output()
        for event in events:
            if not event.data.strip() or event.data.strip() == "[DONE]":
                continue
            self.event(output, event, self.parsed(event.data))
            if output.response:
                break
        self.check(output)
        return self.result(output)

    def whole(self, body: Any, request: JSON) -> Result:
        if not isinstance(body, dict) or body.get("status") not in ("completed", "incomplete"):
            raise ClientError(f"not a response: {str(body)[:200]}")
        output = Output(response=body)
        return self.result(output)

    def event(self, output: Output, event: Event, data: Any) -> None:
        """Adds an event; an unknown one has nothing to add."""
        if not isinstance(data, dict):
            raise ClientError(f"not an event: {str(data)[:80]}")
        kind = self.kind(event, data)
        if kind in ("error", "response.failed"):
            self.at_error(output, kind, data)
        elif kind in ENDS:
            output.response = data["response"]
        elif kind == "response.output_item.added":
            self.added(output, data)
        elif kind == "response.output_item.done":
            self.done(output, data)
        elif kind.endswith((".delta", ".done")):
            self.part(output, kind, data)
        else:
            self.at_other(output, kind, data)

    def kind(self, event: Event, data: JSON) -> str:
        """The type of an event, which its data repeats."""
        return data.get("type") or event.type

    def at_error(self, output: Output, kind: str, data: JSON) -> None:
        """Raises the error that an event contains."""
        raise ClientError(str(data))

    def at_other(self, output: Output, kind: str, data: JSON) -> None:
        """Nothing: what is in progress, and unknown events, have no content."""

    def added(self, output: Output, data: JSON) -> None:
        """Opens an item."""
        output.items[data["output_index"]] = Item(data["item"])

    def opened(self, output: Output, data: JSON) -> Item:
        """The item that an event belongs to."""
        if data.get("output_index") not in output.items:
            raise ClientError(f"an event for item {data.get('output_index')}, which was not opened")
        return output.items[data["output_index"]]

    def part(self, output: Output, kind: str, data: JSON) -> None:
        """Adds a delta to its part; what is done replaces the deltas."""
        name, _, step = kind.removeprefix("response.").rpartition(".")
        if name in ("function_call_arguments", "custom_tool_call_input"):
            item = self.opened(output, data)
            key = "input" if name == "custom_tool_call_input" else "arguments"
            item.arguments = self.added_to(item.arguments, data, step, key)
        elif name in ("output_text", "refusal", "reasoning_text", "reasoning_summary_text"):
            item = self.opened(output, data)
            place = (name, self.number(data))
            text = "refusal" if name == "refusal" else "text"
            item.parts[place] = self.added_to(item.parts.get(place, ""), data, step, text)

    def number(self, data: JSON) -> int:
        """The number of a part within its item."""
        return int(data.get("content_index") or data.get("summary_index") or 0)

    def added_to(self, text: str, data: JSON, step: str, key: str) -> str:
        """A text with its next delta, or as it is when it is done."""
        if step == "done":
            return str(data.get(key) or text)
        return text + str(data["delta"])

    def done(self, output: Output, data: JSON) -> None:
        """Closes an item: what it has now is what counts."""
        item = output.items.setdefault(data["output_index"], Item(data["item"]))
        item.item = data["item"]

    def check(self, output: Output) -> None:
        """Raises unless the response has an end."""
        if not output.response:
            raise ClientError("the stream ended within the response")

    def result(self, output: Output) -> Result:
        """What the caller gets."""
        response = output.response or {}
        finish = self.finish(response)
        cut = finish is not None
        blocks = [block for item in self.items(output, response) for block in self.blocks(item, cut)]
        calls = [{"name": block["name"], "arguments": block["arguments"]} for block in blocks if "name" in block]
        return {
            "content": "".join(block["text"] for block in blocks if block["type"] == "text"),
            "reasoning": "".join(block["text"] for block in blocks if block["type"] == "thinking"),
            "refusal": "".join(block["text"] for block in blocks if block["type"] == "refusal"),
            "tool_calls": calls,
            "finish_reason": finish or ("tool_calls" if calls else "stop"),
            "usage": self.counts(response),
            "blocks": blocks,
        }

    def items(self, output: Output, response: JSON) -> list[Item]:
        """The items in order: those that were streamed, or else those of the response."""
        streamed = [item for _, item in sorted(output.items.items())]
        return streamed or [Item(item) for item in response.get("output") or ()]

    def finish(self, response: JSON) -> str | None:
        """Why the response is not complete."""
        if response.get("status") == "incomplete":
            reason = (response.get("incomplete_details") or {}).get("reason")
            return REASONS.get(reason, reason) if reason else "length"
        return None

    def counts(self, response: JSON) -> JSON | None:
        """The token counts as chat names them."""
        usage = response.get("usage")
        names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "total_tokens": "total_tokens"}
        return usage and {name: usage[key] for name, key in names.items() if key in usage}

    def blocks(self, item: Item, cut: bool) -> list[JSON]:
        """What the caller gets of an item."""
        match item.item.get("type"):
            case "function_call" | "custom_tool_call":
                return [self.function(item, cut)]
            case "message":
                return self.texts(item, "content")
            case "reasoning":
                return self.texts(item, "content")  # a summary is not the reasoning
        return []

    def function(self, item: Item, cut: bool) -> JSON:
        """A call of a function."""
        arguments = item.item.get("arguments") or item.item.get("input") or item.arguments
        name = item.item["name"]
        return {
            "type": "tool_call",
            "name": name,
            "arguments": self.whole_arguments(self.joined(arguments), cut or "input" in item.item),
        }

    def texts(self, item: Item, key: str) -> list[JSON]:
        """The texts of an item: those that it has, or else those that were streamed."""
        names = {"output_text": "text", "refusal": "refusal", "reasoning_text": "thinking", "summary_text": "thinking"}
        found = []
        for part in item.item.get(key) or ():
            text = part.get("refusal") if part["type"] == "refusal" else part.get("text")
            found.append({"type": names.get(part["type"], ""), "text": self.joined(text or "")})
        if not found:
            for (name, _), text in sorted(item.parts.items(), key=lambda entry: entry[0][1]):
                name = name.removeprefix("reasoning_") if name == "reasoning_summary_text" else name
                if (name == "summary_text") == (key == "summary"):
                    found.append({"type": names[name], "text": self.joined(text)})
        return [block for block in found if block["type"]]
