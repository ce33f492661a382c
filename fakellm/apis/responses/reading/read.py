"""Reads the typed events of a stream as batches: what each event adds, and nothing for those that only repeat.

Never raises: an event that makes no sense ends the reading with an error. Items are found by their `output_index`,
since some gateways send another id with every event. Knows no dialect.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct, field

from fakellm.apis.responses.items.read_items import blocks_of, opening_of, own_of, part_of, tokens_of
from fakellm.apis.responses.items.server_items import PIECES, REPEATS
from fakellm.apis.responses.names import ANNOTATIONS
from fakellm.base.json_text import JSON
from fakellm.model.blocks import Block, Opaque, Refusal, Stop, Text, Thinking, Usage
from fakellm.model.deltas import Batch, Close, Count, Delta, End, Finish, Open, Piece, Silence, Start
from fakellm.wire.sse import Event

LIFECYCLE = ("response.created", "response.queued", "response.in_progress")
ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")

_TEXT_PIECES = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "text",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "arguments",
}
_PARTS: dict[str, JSON] = {
    "response.output_text.delta": {"type": "output_text", "text": ""},
    "response.refusal.delta": {"type": "refusal", "refusal": ""},
}
"""The part of a message that a delta belongs to, as it begins."""
_REPEATS = {
    *("response.output_text.done", "response.refusal.done", "response.function_call_arguments.done"),
    *("response.custom_tool_call_input.done", "response.reasoning_summary_text.done", "response.reasoning_text.done"),
    *("response.reasoning_summary_part.added", "response.reasoning_part.added", "response.reasoning_part.done"),
    *REPEATS,
}


class _Item(Struct):
    """An item that is open. `blocks`: the number of each of its parts; a part that is done but not closed is `last`."""

    kind: str
    value: JSON
    blocks: dict[int, int] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)
    parts: dict[int, JSON] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)
    done: bool = False


class _BadEventError(Exception):
    """An event that makes no sense."""


def read(events: Iterable[Event]) -> Iterator[Batch]:
    """The batches of these events."""
    reader = _Reader()
    for event in events:
        batch: Batch = ()
        try:
            batch = tuple(reader.deltas(event))
        except _BadEventError as problem:
            yield (End(str(problem)),)
            return
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as problem:
            yield (End(f"an event that cannot be read: {type(problem).__name__}: {problem}"),)
            return
        if batch:
            yield batch
    if reader.error is not None:
        yield (End(reader.error),)


class _Reader:
    def __init__(self) -> None:
        self.items: dict[int, _Item] = {}
        self.ids: dict[str, int] = {}
        self.started = False
        self.ended = self.done = False
        self.blocks = 0
        self.calls = False
        self.error: Any = None

    def deltas(self, event: Event) -> Iterator[Delta]:
        """What an event adds."""
        if self.done or not event.data:
            return
        if event.data.strip() == "[DONE]":
            self.done = True
            return
        value = self._object(event)
        if value is None:
            return
        kind = value.get("type") or event.event
        if self.error is not None:
            if kind == "response.failed" and "failed" not in self.error:
                self.error = {**self.error, "failed": _failure(value)}
            return
        if not self.started and kind not in ("error", "keepalive"):
            self.started = True
            yield Start(0)
        if kind in ENDS:
            yield from self._ends(kind, value)
        elif kind == "error" or ("error" in value and value["error"] and "type" not in value):
            self.error = {"event": {key: each for key, each in value.items() if key not in ("type", "sequence_number")}}
        elif kind not in LIFECYCLE:
            yield from self._within(kind, value)

    def _object(self, event: Event) -> JSON | None:
        """The object of an event; None for what follows the end and is none."""
        try:
            value = json.loads(event.data)
        except ValueError as problem:
            if self.ended:
                return None
            raise _BadEventError(str(problem)) from None
        if isinstance(value, dict):
            return value
        if self.ended:
            return None
        raise _BadEventError(f"expected a JSON object, got {event.data[:40]}")

    def _within(self, kind: str, value: JSON) -> Iterator[Delta]:
        match kind:
            case "response.output_item.added":
                yield from self._added(value["output_index"], _object(value["item"]))
            case "response.output_item.done":
                yield from self._done(value["output_index"], _object(value["item"]))
            case "response.content_part.added":
                yield from self._part_added(self._item(value), value["content_index"], _object(value["part"]))
            case "response.content_part.done":
                self._item(value).parts[value["content_index"]] = _object(value["part"])
            case "response.output_text.annotation.added":
                item, index = self._item(value), value["content_index"]
                yield Piece(0, self._block(item, index), ANNOTATIONS, [value["annotation"]])
            case "response.reasoning_summary_text.delta":
                yield self._thought(value, "summary", value["summary_index"], value["delta"])
            case "response.reasoning_text.delta":
                yield self._thought(value, "parts", value["content_index"], value["delta"])
            case "response.reasoning_summary_part.done":
                item, index = self._item(value), value["summary_index"]
                if f"summary.{index}" not in item.texts and not _object(value["part"]).get("text"):
                    yield self._thought(value, "summary", index, "")
            case _ if kind in _TEXT_PIECES:
                item = self._item(value)
                tokens = tokens_of(value.get("logprobs")) if kind == "response.output_text.delta" else ()
                index = value.get("content_index", 0)
                if kind in _PARTS and index not in item.blocks:  # clients need no event for the start of a part
                    yield from self._part_added(item, index, _PARTS[kind])
                block = self._block(item, index)
                yield Piece(0, block, _TEXT_PIECES[kind], _text(value["delta"]), tokens)
            case _ if kind in PIECES:
                yield Piece(0, self._block(self._item(value), 0), f"value.{PIECES[kind]}", _text(value["delta"]))
            case _ if kind not in _REPEATS:
                yield self._silence(kind, value)

    def _item(self, value: JSON) -> _Item:
        index = value.get("output_index", self.ids.get(value.get("item_id", "")))
        item = self.items.get(index) if isinstance(index, int) else None
        if item is None or item.done:
            raise _BadEventError(f"{value.get('type')} of output_index {index}, which is not open")
        return item

    def _block(self, item: _Item, index: int) -> int:
        if index not in item.open:
            raise _BadEventError(f"part {index} of a {item.kind} is not open")
        return item.blocks[index]

    def _thought(self, value: JSON, name: str, index: int, text: Any) -> Piece:
        item = self._item(value)
        if item.kind != "reasoning":
            raise _BadEventError(f"{value.get('type')} of a {item.kind}")
        item.texts.add(f"{name}.{index}")
        return Piece(0, self._block(item, 0), f"{name}.{index}", _text(text))

    def _silence(self, kind: str, value: JSON) -> Silence:
        """An event without meaning. Its number is counted again, and its item is found by its block."""
        if kind == "keepalive" and set(value) <= {"type", "sequence_number"}:
            return Silence()
        look = {"type": kind} | {key: each for key, each in value.items() if key not in ("type", "sequence_number")}
        item = self.items.get(value.get("output_index", -1))
        if item is None or item.done or 0 not in item.open or value.get("item_id") != item.value.get("id"):
            return Silence(look=look)
        del look["output_index"], look["item_id"]
        return Silence(0, item.blocks[0], look)

    def _added(self, index: int, value: JSON) -> Iterator[Delta]:
        if index in self.items:
            raise _BadEventError(f"output_index {index} is added twice")
        item = self.items[index] = _Item(str(value.get("type")), value)
        if isinstance(value.get("id"), str):
            self.ids[value["id"]] = index
        if item.kind != "message":
            yield self._open(item, 0, opening_of(value))

    def _open(self, item: _Item, index: int, block: Block) -> Open:
        if index in item.blocks:
            raise _BadEventError(f"part {index} of a {item.kind} begins twice")
        item.blocks[index] = number = self.blocks
        item.open.add(index)
        self.blocks += 1
        return Open(0, number, block)

    def _part_added(self, item: _Item, index: int, part: JSON) -> Iterator[Delta]:
        if item.kind != "message":
            return
        label = str(_index_of(self.items, item))
        for before in sorted(item.open):
            sent = item.parts.get(before)
            value = part_of(sent, own_of(item.value) if before == 0 else {}, label) if sent is not None else None
            item.open.discard(before)
            yield Close(0, item.blocks[before], value)
        own = own_of(item.value) if index == 0 else {}
        yield self._open(item, index, part_of(part, own, label if item.blocks else ""))

    def _done(self, index: int, value: JSON) -> Iterator[Delta]:
        item = self.items.get(index)
        if item is None:
            item = self.items[index] = _Item(str(value.get("type")), value)
        if item.done:
            raise _BadEventError(f"output_index {index} is done twice")
        item.done = True
        yield from self._closes(item, value)

    def _closes(self, item: _Item, value: JSON) -> Iterator[Delta]:
        """The end of an item, each of whose blocks is in its value."""
        blocks = blocks_of(value)
        label = str(_index_of(self.items, item)) if len(blocks) > 1 else ""
        for number, block in enumerate(blocks):
            self.calls = self.calls or not isinstance(block, (Text, Refusal, Thinking, Opaque))
            if isinstance(block, (Text, Refusal)) and label:
                block = type(block)(block.text, block.logprobs, label, block.own)
            if number not in item.blocks:
                yield self._open(item, number, block)
            if number in item.open:
                item.open.discard(number)
                yield Close(0, item.blocks[number], block)
        for left in sorted(item.open):
            yield Close(0, item.blocks[left])
        item.open.clear()

    def _ends(self, kind: str, value: JSON) -> Iterator[Delta]:
        response = value.get("response")
        response = response if isinstance(response, dict) else {}
        if kind == "response.failed":
            self.error = {"failed": _failure(value)}
            return
        output = response.get("output")
        for index, each in enumerate(output if isinstance(output, list) else ()):
            item = self.items.get(index)
            if isinstance(each, dict) and (item is None or not item.done):
                yield from self._done(index, each)
        yield Finish(0, Stop(stop_word(response, kind, self.calls)))
        usage = usage_of(response.get("usage"))
        if usage is not None:
            yield Count(usage)
        yield End("the response was cancelled" if kind == "response.cancelled" else None)
        self.ended = True


def stop_word(response: JSON, kind: str, calls: bool) -> str:
    """Why a response ended."""
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    if response.get("status") == "incomplete" or kind == "response.incomplete":
        return "content_filter" if reason == "content_filter" else "length"
    return "tool_calls" if calls else "stop"


def usage_of(value: Any) -> Usage | None:
    """The token counts of a response."""
    if not isinstance(value, dict):
        return None

    def count(name: str, details: str = "") -> int:
        inner = value.get(details) if details else value
        found = inner.get(name) if isinstance(inner, dict) else None
        return found if isinstance(found, int) else 0

    return Usage(
        count("input_tokens"),
        count("output_tokens"),
        count("cached_tokens", "input_tokens_details"),
        count("cache_write_tokens", "input_tokens_details"),
        count("reasoning_tokens", "output_tokens_details"),
    )


def _failure(value: JSON) -> JSON:
    response = value.get("response")
    error = response.get("error") if isinstance(response, dict) else None
    return error if isinstance(error, dict) else {"message": "the response failed"}


def _object(value: Any) -> JSON:
    if not isinstance(value, dict):
        raise _BadEventError(f"expected an object, got {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _BadEventError(f"expected a text, got {value!r}")
    return value


def _index_of(items: dict[int, _Item], item: _Item) -> int:
    return next((index for index, each in items.items() if each is item), 0)
