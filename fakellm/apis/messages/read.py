"""Reads the events of a stream as batches, one for each event. Never raises: what cannot be read ends it with an error.

The rules are those that every client needs: an event is known by its type, an index by what opened with it; the last
count of each key stands; what is unknown is skipped; only `message_stop` ends a message.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fakellm.apis.messages.counts import read_usage
from fakellm.apis.messages.meaning import read_block, read_stop
from fakellm.apis.messages.names import CITATIONS, NAME, PING
from fakellm.model.blocks import Text, Thinking, ToolCall, with_own
from fakellm.model.deltas import Batch, Close, Count, Delta, End, Finish, Open, Piece, Silence, Start
from fakellm.wire.sse import Event

TYPES = (
    *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
    *("message_delta", "message_stop", "error"),
)
"""The types of events that mean something."""

_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def read_events(events: Iterable[Event]) -> Iterator[Batch]:
    """The batches of these events."""
    reader: _Reader | None = None
    known = [(event, _data(event)) for event in events]
    for number, (event, data) in enumerate(known):
        if reader is not None and reader.ended:
            if event.data != "[DONE]" or known[number - 1][0].event != "message_stop":
                yield (_silence(event),)
            continue
        kind = _kind(event, data)
        if kind is None:
            yield (_silence(event),)
            continue
        try:
            if isinstance(data, ValueError):
                raise data
            reader = reader or _Reader([data for _, data in known])
            yield tuple(reader.deltas(kind, data, event))
        except _UNREADABLE as error:
            yield (End(f"{kind}: {error}"),)
            return


def _data(event: Event) -> Any:
    """The JSON of an event; the error if it is not valid."""
    try:
        return json.loads(event.data)
    except ValueError as error:
        return error
    except RecursionError:
        return ValueError("nested too deeply")


def _kind(event: Event, data: Any) -> str | None:
    """The type of an event that means something; None for any other. A server that leaves out the `event:` line states
    the type in the data alone."""
    stated = data.get("type") if isinstance(data, dict) else None
    if event.event in TYPES:
        return stated if stated in TYPES else event.event
    return stated if event.event == "message" and stated in TYPES else None


def _silence(event: Event) -> Silence:
    usual = event.event == "ping" and event.data == PING
    name = {} if event.event == "message" else {"event": event.event}
    return Silence(look=None if usual else {**name, "data": event.data})


class _Reader:
    """Reads the events of one message, whose data may be looked at ahead."""

    def __init__(self, data: Sequence[Any]) -> None:
        deltas = [(each.get("index"), each.get("delta")) for each in data if isinstance(each, dict)]
        self._streamed = {
            (index, str(delta.get("type")))
            for index, delta in deltas
            if type(index) is int and isinstance(delta, dict) and delta.get("partial_json") != ""
        }
        self._counted_later = any(
            isinstance(each, dict) and each.get("type") == "message_delta" and isinstance(each.get("usage"), dict)
            for each in data
        )
        self._start: Mapping[str, Any] | None = None
        self._begun = False
        self.ended = False

    def deltas(self, kind: str, data: Any, event: Event) -> Iterator[Delta]:
        """What an event adds."""
        if kind == "error":
            self.ended = True
            yield End(data)
        elif kind == "message_start":
            yield from self._message(data["message"])
        elif kind == "content_block_start":
            yield Open(0, _index(data), self._opening(_index(data), data["content_block"]))
        elif kind == "content_block_delta":
            yield from _pieces(_index(data), data["delta"], event)
        elif kind == "content_block_stop":
            yield Close(0, _index(data))
        elif kind == "message_delta":
            values = {key: value for key, value in data.items() if key not in ("type", "delta", "usage")}
            stop = read_stop({**data["delta"], **values})
            yield from (Finish(0, stop),) if stop else ()
            if isinstance(data.get("usage"), dict):
                yield Count(read_usage(data["usage"], self._start))
        else:
            self.ended = True
            yield End()

    def _message(self, message: Mapping[str, Any]) -> Iterator[Delta]:
        """The start of a message; all of it, if it has content already. Its counts stand if no others follow."""
        if self._begun:
            raise ValueError("a second message begins")
        self._begun = True
        yield Start(0)
        usage = message.get("usage")
        self._start = usage if isinstance(usage, dict) else {}
        stop = read_stop(_finish_values(message))
        for number, value in enumerate(message.get("content") or ()):
            yield Open(0, number, read_block(value))
            yield Close(0, number)
        if stop:
            yield Finish(0, stop)
        if isinstance(usage, dict) and not self._counted_later:
            yield Count(read_usage(usage, None))

    def _opening(self, index: int, value: dict[str, Any]) -> Any:
        """The block as it opens: without the input that deltas repeat, and the empty list that citations fill."""
        block = read_block(value)
        if isinstance(block, ToolCall) and (index, "input_json_delta") in self._streamed:
            block = read_block({**value, "input": {}})
        if isinstance(block, Thinking) and (index, "signature_delta") in self._streamed:
            block = read_block({key: each for key, each in value.items() if key != "signature"})
        own = dict(block.own.get(NAME, {})) if isinstance(block, Text) else {}
        if own.get("citations") == [] and (index, "citations_delta") in self._streamed:
            del own["citations"]
            block = Text(block.text, own=with_own({}, NAME, own)) if isinstance(block, Text) else block
        return block


def _finish_values(message: Mapping[str, Any]) -> dict[str, Any]:
    """What a message states about its end."""
    return {
        key: value for key, value in message.items() if key not in ("model", "id", "type", "role", "content", "usage")
    }


def read_message(message: Mapping[str, Any]) -> Iterator[Delta]:
    """The deltas that mean the same as a whole message. Raises what `_Reader` raises for one that is not valid."""
    yield Start(0)
    for number, value in enumerate(message.get("content") or ()):
        yield Open(0, number, read_block(value))
        yield Close(0, number)
    stop = read_stop(_finish_values(message))
    if stop:
        yield Finish(0, stop)
    if isinstance(message.get("usage"), dict):
        yield Count(read_usage(message["usage"], None))
    yield End()


def read_body(body: bytes) -> Iterator[Batch]:
    """The batches that have the same meaning as a whole body."""
    try:
        message = json.loads(body)
        if not isinstance(message, dict) or message.get("type") == "error":
            yield (End(message),)
            return
        yield tuple(read_message(message))
    except _UNREADABLE as error:
        yield (End(str(error)),)


def _index(data: Mapping[str, Any]) -> int:
    index = data["index"]
    if type(index) is not int:
        raise ValueError(f"'index' must be a whole number, got {index!r}")
    return index


def _pieces(index: int, delta: Mapping[str, Any], event: Event) -> Iterator[Delta]:
    """What a delta adds to its block; one of an unknown type adds nothing."""
    kind = delta["type"]
    if kind == "text_delta":
        yield Piece(0, index, "text", delta["text"])
    elif kind == "input_json_delta":
        yield Piece(0, index, "arguments", delta["partial_json"])
    elif kind == "thinking_delta":
        if len(delta) > 2 and not delta["thinking"]:  # the tokens so far of thinking that is not shown
            yield Silence(0, index, _silence(event).look)
        else:
            yield Piece(0, index, "parts.0", delta["thinking"])
    elif kind == "signature_delta":
        yield Piece(0, index, "signature", delta["signature"])
    elif kind == "citations_delta":
        yield Piece(0, index, CITATIONS, [delta["citation"]])
    elif kind == "compaction_delta":
        for key, value in delta.items():
            if key != "type" and value is not None:
                yield Piece(0, index, f"value.{key}", value)
    else:
        yield Silence(0, index, _silence(event).look)
