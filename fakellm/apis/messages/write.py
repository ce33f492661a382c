"""Writes batches as the events of a stream. Owns which event a delta becomes; the texts of events are skeletons.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fakellm.apis.messages.counts import final_usage, start_usage
from fakellm.apis.messages.habits import MessagesHabits
from fakellm.apis.messages.http.errors import in_stream
from fakellm.apis.messages.meaning import stop_values
from fakellm.apis.messages.names import CITATIONS, PING
from fakellm.apis.messages.whole import block_object, message_object
from fakellm.apis.protocol import Answer
from fakellm.apis.skeleton import Draft, Fill
from fakellm.base.template import Hole, Verbatim
from fakellm.model.blocks import Opaque, Text
from fakellm.model.deltas import Batch, Close, Count, Delta, End, Finish, Open, Piece, Silence, Start
from fakellm.model.fold import fold

DONE = "[DONE]"

_COMPACTION = ("content", "encrypted_content")

_IN_DELTA = ("stop_reason", "stop_sequence", "stop_details", "container")
"""What `message_delta` has in its `delta`; other values of a finish stand beside it."""


class MessagesWriter:
    """Writes the batches of one stream, one after the other."""

    def __init__(self, batches: Sequence[Batch], answer: Answer[MessagesHabits]) -> None:
        self._habits, self._drawn = answer.habits, answer.drawn
        self._usage = answer.completion.usage
        self._streamed = {(delta.block, delta.at) for batch in batches for delta in batch if isinstance(delta, Piece)}

    def drafts(self, batch: Batch) -> Iterator[Draft]:
        """The events of a batch."""
        kinds = {type(delta) for delta in batch}
        if Start in kinds and kinds & {Open, Finish, Count}:
            yield self._event("message_start", {"message": self._whole_message(batch)})
            yield from self._all(tuple(delta for delta in batch if isinstance(delta, (Silence, End))))
        else:
            yield from self._all(batch)

    def _all(self, batch: Batch) -> Iterator[Draft]:
        finished = False
        for number, delta in enumerate(batch):
            if isinstance(delta, (Finish, Count)):
                if not finished:
                    yield self._finish(batch)
                finished = True
            elif isinstance(delta, Piece) and delta.at.startswith("value."):
                previous = batch[number - 1] if number else None
                if not (isinstance(previous, Piece) and previous.at.startswith("value.")):
                    yield self._opaque_pieces(delta.block, batch[number:])
            else:
                yield from self._one(delta)

    def _one(self, delta: Delta) -> Iterator[Draft]:
        match delta:
            case Start():
                yield self._event("message_start", {"message": self._first_message()})
            case Open(_, block, value):
                yield self._event("content_block_start", {"index": block, "content_block": self._opening(block, value)})
            case Piece(_, block, at, value):
                for each in _deltas(at, value):
                    yield self._event("content_block_delta", {"index": block, "delta": each})
            case Close(_, block):
                yield self._event("content_block_stop", {"index": block})
            case Silence(look=look):
                yield _silence(look)
            case End(None):
                yield self._event("message_stop", {})
                if self._habits.done:
                    yield Draft(DONE)
            case End(error):
                event = in_stream(error)
                yield Draft(event.data, event=event.event)

    def _event(self, kind: str, values: dict[str, Any]) -> Draft:
        return Draft({"type": kind, **values}, self._habits.spelling, kind, _pad(self._habits))

    def _first_message(self) -> dict[str, Any]:
        """The message before it has content; its counts are those of the input."""
        usage = None if self._usage is None else Hole("start usage", self._started, "event")
        return message_object(self._habits, self._drawn, [], {"stop_reason": None, "stop_sequence": None}, usage)

    def _whole_message(self, batch: Batch) -> dict[str, Any]:
        """The message if more than its start is there: all of it, as calls by code are sent, or counts that no later
        ones replace, in a stream that is cut."""
        choice = fold([tuple(delta for delta in batch if not isinstance(delta, End))])[0].choices[0]
        stop = stop_values(choice.finish) if choice.finish else {"stop_reason": None, "stop_sequence": None}
        counted = any(isinstance(delta, Count) for delta in batch)
        usage = Hole("whole usage", self._final, "event") if counted else None
        content = [block_object(self._habits, block) for block in choice.blocks]
        return message_object(self._habits, self._drawn, content, stop, usage)

    def _started(self, fill: Fill) -> dict[str, Any]:
        usage = fill.counts or fill.usage
        return start_usage(usage, self._habits.keys["usage"]) if usage else {"input_tokens": 0, "output_tokens": 0}

    def _final(self, fill: Fill) -> dict[str, Any]:
        return final_usage(fill.counted, self._habits.keys["usage"])

    def _finally(self, fill: Fill) -> dict[str, Any]:
        return final_usage(fill.counted, self._habits.keys["delta_usage"], self._habits.keys["usage"])

    def _finish(self, batch: Batch) -> Draft:
        stops = [delta.stop for delta in batch if isinstance(delta, Finish)]
        values = stop_values(stops[-1]) if stops else {"stop_reason": None, "stop_sequence": None}
        inner = (*self._habits.keys["delta"], *_IN_DELTA)
        delta = {key: value for key, value in values.items() if key in inner}
        rest = {key: value for key, value in values.items() if key not in inner}
        counted = any(isinstance(delta, Count) for delta in batch)
        usage = {"usage": Hole("usage", self._finally, "event")} if counted else {}
        defaults = dict.fromkeys(_IN_DELTA)
        return self._event("message_delta", {"delta": self._habits.ordered("delta", delta, defaults), **usage, **rest})

    def _opening(self, number: int, block: Any) -> dict[str, Any]:
        found = block_object(self._habits, block)
        match block:
            case Text() if (number, CITATIONS) in self._streamed:
                return {**self._habits.ordered("text", {"citations": [], **found}), "text": found["text"]}
            case Opaque(_, {"type": "compaction"}):
                unset = [key for key in _COMPACTION if (number, f"value.{key}") in self._streamed]
                return {"type": "compaction", **dict.fromkeys(("content", *unset)), **found}
        return found

    def _opaque_pieces(self, block: int, batch: Batch) -> Draft:
        """The pieces of a block that only this API has, which share an event."""
        values = {
            delta.at.partition(".")[2]: delta.value
            for delta in batch
            if isinstance(delta, Piece) and delta.block == block and delta.at.startswith("value.")
        }
        delta = {"type": "compaction_delta", **values}
        return self._event("content_block_delta", {"index": block, "delta": delta})


def _deltas(at: str, value: Any) -> Iterator[dict[str, Any]]:
    """What `content_block_delta` has for a piece: one for each citation."""
    if at == CITATIONS:
        yield from ({"type": "citations_delta", "citation": each} for each in value or ())
    elif at == "text":
        yield {"type": "text_delta", "text": value}
    elif at.startswith("parts."):
        yield {"type": "thinking_delta", "thinking": value}
    elif at == "signature":
        yield {"type": "signature_delta", "signature": value}
    elif at == "arguments":
        yield {"type": "input_json_delta", "partial_json": value}


def _silence(look: Any) -> Draft:
    """A ping, or an event that has no meaning, word for word."""
    if isinstance(look, dict) and isinstance(look.get("data"), str):
        return Draft(look["data"], event=str(look.get("event", "message")))
    return Draft(PING, event="ping")


_PADS = tuple(" " * count for count in range(16))


def _pad(habits: MessagesHabits) -> Hole | None:
    """The spaces before the last brace of an event: from none to fifteen."""
    if not habits.padded:
        return None
    recorded = [int(digit, 16) for digit in habits.pads]

    def spaces(fill: Fill, numbers: Sequence[int], pieces: Sequence[str]) -> list[str]:
        drawn = fill.numbers("pad", numbers[-1])
        return [_PADS[recorded[each] if each < len(recorded) else drawn[each] % 16] for each in numbers]

    return Hole("pad", lambda fill: Verbatim(spaces(fill, (fill.number,), ())[0]), "event", spaces)
