"""Writes batches as the typed events of a stream. Never raises, whatever the batches.

What differs from reply to reply is a hole: ids, texts that are repeated, the response object, numbers, padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from fakellm.apis.protocol import Answer
from fakellm.apis.responses.errors import events_of_error
from fakellm.apis.responses.habits import Habits
from fakellm.apis.responses.items.forms import Maker
from fakellm.apis.responses.items.server_items import fields_of_item
from fakellm.apis.responses.meaning import INCOMPLETE, ItemPlace, places
from fakellm.apis.responses.names import ADDED, ANNOTATIONS, DONE
from fakellm.apis.responses.writing.holes import (
    another_id,
    failed_response,
    final_object,
    forms_of,
    numbered,
    padding_of,
    reasoning_names,
    state_at,
)
from fakellm.apis.skeleton import Draft, Fill, per_event, per_stream
from fakellm.base.json_text import JSON
from fakellm.model.blocks import Block, Opaque, Refusal, Text, Thinking, ToolCall
from fakellm.model.deltas import Batch, Close, Count, Delta, End, Finish, Open, Piece, Silence, Start
from fakellm.streaming.play import opening

DONE_LINE = "[DONE]"
_TEXT, _REFUSAL = "response.output_text", "response.refusal"
_CALLS = {"function": "response.function_call_arguments", "custom": "response.custom_tool_call_input"}
_SERVER_PIECES = {"code": "response.code_interpreter_call_code", "arguments": "response.mcp_call_arguments"}


def write(batches: Sequence[Batch], answer: Answer[Habits]) -> Iterator[tuple[Draft, ...]]:
    """The events of each batch."""
    writer = _Writer(answer)
    for batch in batches:
        # An item that ends with the response is never done: only the response has it.
        ends = any(isinstance(delta, End) for delta in batch)
        deltas = [delta for delta in batch if not (ends and isinstance(delta, Close))]
        yield tuple(draft for delta in deltas for draft in writer.drafts(delta))


class _Open(Struct):
    """A block that is open. part: the part of a reasoning, or the field of a server item, that arrives in pieces.
    cited: how many annotations were sent."""

    block: Block
    place: ItemPlace
    part: str = ""
    cited: int = 0


class _Writer:
    def __init__(self, answer: Answer[Habits]) -> None:
        self.habits = answer.habits
        self.layouts = answer.habits.layouts
        choices = answer.completion.choices
        self.blocks = choices[0].blocks if choices else ()
        self.places = places(self.blocks)
        opaque = (isinstance(block, Opaque) for block in self.blocks)
        self.verbatim = {place.item for place, each in zip(self.places, opaque, strict=True) if each}
        self.open: dict[int, _Open] = {}
        self.maker = Maker(answer.habits, answer.source)
        self.number = numbered(answer.habits)
        self.status = ""
        self.counted = False

    def drafts(self, delta: Delta) -> Iterator[Draft]:
        match delta:
            case Start():
                for step in self.habits.begins:
                    yield self._event(f"response.{step}", response=state_at(step))
            case Open(_, number, value):
                yield from self._opens(number, value)
            case Piece(_, number, at, value, tokens):
                yield from self._piece(number, at, value, tokens)
            case Close(_, number, value):
                yield from self._closes(number, value)
            case Silence(_, number, look):
                yield from self._silence(number, look)
            case Finish(_, stop):
                self.status = "incomplete" if stop.reason in INCOMPLETE else "completed"
            case Count():
                self.counted = True
            case End(None):
                yield from self._ends()
            case End(error):
                yield from self._fails(error)

    def _event(self, kind: str, number: int | None = None, **values: Any) -> Draft:
        """An event; `number`: of the block that it concerns."""
        found: JSON = {"type": kind}
        if self.habits.numbers != "absent":
            found["sequence_number"] = self.number
        if number is not None:
            place = self._place(number)
            found |= {"output_index": place.item, "item_id": self._id(place.item)}
        style = self.habits.spelling
        return Draft(self.layouts.event({**found, **values}), style, kind if self.habits.named else "message")

    def _place(self, number: int) -> ItemPlace:
        return self.places[number] if number < len(self.places) else ItemPlace(number)

    def _id(self, item: int) -> Any:
        if self.habits.rotating:
            return per_event(f"id {item}", lambda fill: another_id(fill))
        return per_stream(f"id {item}", lambda fill: forms_of(fill, item).id)

    def _item(self, item: int, at: str) -> Any:
        if self.habits.rotating and item not in self.verbatim:
            return per_event(f"{at} {item}", lambda fill: {**getattr(forms_of(fill, item), at), "id": another_id(fill)})
        return per_stream(f"{at} {item}", lambda fill: getattr(forms_of(fill, item), at))

    def _opens(self, number: int, value: Block) -> Iterator[Draft]:
        place = self._place(number)
        self.open[number] = _Open(value, place)
        if place.first:
            item = self._opened(number, value, place)
            yield self._event("response.output_item.added", item=item, output_index=place.item)
        if isinstance(value, (Text, Refusal)):
            part = self.maker.message_part(_empty(value), ADDED)
            yield self._event("response.content_part.added", number, content_index=place.part, part=part)

    def _opened(self, number: int, value: Block, place: ItemPlace) -> Any:
        """The item that is added: the usual one or, for a server item, the one that was recorded."""
        if isinstance(value, Opaque) and number < len(self.blocks):
            final = self.blocks[number]
            if isinstance(final, Opaque):
                paths = [field.at for field in fields_of_item(final.value) if field.at]
                if opening(final, paths) != value:
                    return value.value
        return self._item(place.item, ADDED)

    def _piece(self, number: int, at: str, value: Any, tokens: Sequence[Any]) -> Iterator[Draft]:
        state = self.open.setdefault(number, _Open(_block_at(self.blocks, number), self._place(number)))
        block = state.block
        if at == ANNOTATIONS:
            yield from self._cited(number, state, value)
        elif isinstance(block, Thinking):
            yield from self._thought(number, state, at, value)
        elif isinstance(value, str) and (value or not isinstance(block, (Text, Refusal))):
            if isinstance(block, Text) and at == "text":
                more = {"content_index": state.place.part, "logprobs": self.maker.logprobs(tokens)}
                yield self._delta(_TEXT, number, value, **more)
            elif isinstance(block, Refusal) and at == "text":
                yield self._delta(_REFUSAL, number, value, content_index=state.place.part)
            elif isinstance(block, ToolCall) and at == "arguments":
                yield self._delta(_CALLS.get(block.kind, _CALLS["function"]), number, value)
            elif isinstance(block, Opaque) and (kind := _SERVER_PIECES.get(at.removeprefix("value."))):
                state.part = at.removeprefix("value.")
                yield self._delta(kind, number, value)

    def _delta(self, kind: str, number: int, value: Any, **more: Any) -> Draft:
        padding = {"obfuscation": padding_of(value, self.habits)} if self.habits.obfuscation else {}
        return self._event(f"{kind}.delta", number, delta=value, **more, **padding)

    def _cited(self, number: int, state: _Open, value: Any) -> Iterator[Draft]:
        for annotation in value if isinstance(value, (list, tuple)) else ():
            more = {"content_index": state.place.part, "annotation_index": state.cited, "annotation": annotation}
            state.cited += 1
            yield self._event(f"{_TEXT}.annotation.added", number, **more)

    def _thought(self, number: int, state: _Open, at: str, value: Any) -> Iterator[Draft]:
        """A piece of a reasoning: its part begins first, and the part before it ends."""
        names, index = reasoning_names(at, self.habits)
        if names is None:
            return
        if state.part != at:
            yield from self._part_done(number, state)
            state.part = at
            part = self.maker.part(names.kind, "", ADDED)
            yield self._event(f"response.{names.part}.added", number, part=part, **{names.index: index})
        if value:
            yield self._delta(f"response.{names.text}", number, value, **{names.index: index})

    def _part_done(self, number: int, state: _Open) -> Iterator[Draft]:
        names, index = reasoning_names(state.part, self.habits)
        if names is not None:
            text = self._final(number, state, lambda item: item[names.key][index]["text"])
            part = self._final(number, state, lambda item: item[names.key][index], "part")
            yield self._event(f"response.{names.text}.done", number, text=text, **{names.index: index})
            yield self._event(f"response.{names.part}.done", number, part=part, **{names.index: index})

    def _final(self, number: int, state: _Open, find: Callable[[JSON], Any], what: str = "text") -> Any:
        """What is in the finished item, as a hole; null if it is not there."""
        item = state.place.item

        def value(fill: Fill) -> Any:
            try:
                return find(forms_of(fill, item).done)
            except (KeyError, IndexError, TypeError):
                return None

        return per_stream(f"{what} {number} {state.part}", value)

    def _closes(self, number: int, value: Block | None) -> Iterator[Draft]:
        state = self.open.pop(number, None) or _Open(value or _block_at(self.blocks, number), self._place(number))
        block, place = state.block, state.place
        index = place.part
        match block:
            case Text():
                logprobs = self.maker.logprobs(value.logprobs if isinstance(value, Text) else ())
                text = self._final(number, state, lambda item: item["content"][index]["text"])
                yield self._event(f"{_TEXT}.done", number, content_index=index, text=text, logprobs=logprobs)
            case Refusal():
                text = self._final(number, state, lambda item: item["content"][index]["refusal"])
                yield self._event(f"{_REFUSAL}.done", number, content_index=index, refusal=text)
            case Thinking():
                yield from self._reasoning_done(number, state, value)
            case ToolCall(kind="custom"):
                yield self._event(
                    f"{_CALLS['custom']}.done", number, input=self._final(number, state, lambda item: item["input"])
                )
            case ToolCall():
                arguments = self._final(number, state, lambda item: item["arguments"])
                name = {"name": self._final(number, state, lambda item: item["name"], "name")}
                yield self._event(f"{_CALLS['function']}.done", number, arguments=arguments, **name)
            case Opaque():
                yield from self._server_done(number, state)
        if isinstance(block, (Text, Refusal)):
            part = self._final(number, state, lambda item: item["content"][index], "part")
            yield self._event("response.content_part.done", number, content_index=index, part=part)
        if place.last:
            item = self._item(place.item, DONE)
            yield self._event("response.output_item.done", item=item, output_index=place.item)

    def _reasoning_done(self, number: int, state: _Open, value: Block | None) -> Iterator[Draft]:
        """The end of the last part, and the parts that had no deltas."""
        yield from self._part_done(number, state)
        if "reasoning" in self.habits.whole and isinstance(value, Thinking):
            for name, texts in (("parts", value.parts), ("summary", value.summary)):
                for index in range(len(texts)):
                    yield from self._thought(number, state, f"{name}.{index}", "")
            yield from self._part_done(number, state)

    def _server_done(self, number: int, state: _Open) -> Iterator[Draft]:
        """The event that repeats what arrived in pieces."""
        name = state.part
        if name:
            state.part = ""
            value = self._final(number, state, lambda item: item[name], name)
            yield self._event(f"{_SERVER_PIECES[name]}.done", number, **{name: value})

    def _silence(self, number: int | None, look: Any) -> Iterator[Draft]:
        """A keep-alive, the progress of a server tool, or an event that no reader knows."""
        if not isinstance(look, Mapping) or not isinstance(look.get("type"), str):
            yield self._event("keepalive")
            return
        more = {key: value for key, value in look.items() if key != "type"}
        if number is not None and number in self.open:
            yield from self._server_done(number, self.open[number])
        yield self._event(look["type"], number, **more)

    def _ends(self) -> Iterator[Draft]:
        """The event that ends the response. Without a finish it does not end."""
        if self.status:
            counted = self.counted
            final = per_event("final", lambda fill: final_object(fill, self.habits, counted))
            yield self._event(f"response.{self.status}", response=final)
        if self.habits.done:
            yield Draft(DONE_LINE)

    def _fails(self, error: Any) -> Iterator[Draft]:
        """The events of an error, and the response that failed."""
        for kind, values in events_of_error(error):
            if kind == "response.failed":
                yield self._event(kind, response=per_stream("failed", partial(failed_response, values)))
            else:
                yield self._event(kind, **values)


def _block_at(blocks: Sequence[Block], number: int) -> Block:
    return blocks[number] if number < len(blocks) else Text()


def _empty(block: Text | Refusal) -> Text | Refusal:
    """A part of a message as it begins."""
    return Text() if isinstance(block, Text) else Refusal()
