"""Writes batches as frames: one response object for each batch. Knows no framing.

A frame has the candidates that its batch mentions, with their parts, and the token counts if the batch has some. It
states neither what came before nor what comes later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from fakellm.apis.gemini.errors import error_value
from fakellm.apis.gemini.frames.partial_args import streamed_calls
from fakellm.apis.gemini.frames.parts import CALL_KEYS, SIGNATURE, TEXT_SIGNATURE, call_part, is_outside, object_of
from fakellm.apis.gemini.frames.usage import ordered, spelled_metadata
from fakellm.apis.gemini.habits import GeminiHabits
from fakellm.apis.gemini.ids import create_time
from fakellm.apis.gemini.words import NAME, encoded, finish_word
from fakellm.apis.protocol import Answer, Failure, Values
from fakellm.apis.skeleton import Draft, per_content, per_event, per_stream
from fakellm.base.template import HoleText
from fakellm.model.blocks import Opaque, Stop, Text, Thinking, ToolCall, Usage
from fakellm.model.deltas import Batch, Count, Delta, End, Finish, Open, Piece, Silence

CALLED = "Model generated function call(s)."
"""AI Studio's `finishMessage` after function calls."""

_BARE: dict[str, dict[str, Any]] = {
    "role": {"content": {"role": "model"}},
    "empty": {"content": {}},
    "null": {"content": None},
    "absent": {},
}
"""A candidate without parts, by its content."""

_ARGS = per_event("args", lambda fill: object_of(fill.piece) or {})
_TIME = per_stream("create_time", lambda fill: create_time(fill.drawn))


def write(batches: Sequence[Batch], answer: Answer[GeminiHabits]) -> Iterator[tuple[Draft, ...]]:
    """The events of each batch: a frame, or several if arguments are streamed, unless it only ends the stream; an error
    follows bare."""
    habits = answer.habits
    made = spelled_metadata(habits)
    counted = per_content("usage", lambda fill: made(fill.counts or Usage()))
    shown = habits
    for batch in batches:
        end = next((delta for delta in batch if isinstance(delta, End)), None)
        drafts = []
        if end is None or len(batch) > 1:
            for part in streamed(batch) if habits.stream_args else (batch,):
                value = frame(part, shown, answer.drawn, lambda usage: counted, _TIME)
                drafts.append(Draft(value, habits.spelling))
        if any(isinstance(delta, Count) for delta in batch):
            shown = replace(habits, between={})  # metadata without counts after them would look as if there were none
        if end is not None and end.error is not None:
            failure = end.error if isinstance(end.error, Failure) else Failure(500, str(end.error))
            drafts.append(Draft(error_value(failure, habits.dialect.name), habits.spelling))
        yield tuple(drafts)


def streamed(batch: Batch) -> Iterator[Batch]:
    """The batch in several, in which the calls that it has whole are streamed."""
    before: list[Delta] = []
    opened: Open | None = None
    for delta in batch:
        if isinstance(delta, Piece) and opened and (delta.choice, delta.block) == (opened.choice, opened.block):
            calls = streamed_calls(object_of(delta.value) or {}) if delta.at == "arguments" else []
            if calls:
                yield (*before, Silence(delta.choice, None, {"call": {"willContinue": True}}))
                yield from ((Silence(delta.choice, None, {"parts": [{"functionCall": call}]}),) for call in calls)
                before = []
        opened = delta if isinstance(delta, Open) and isinstance(delta.value, ToolCall) else opened
        before.append(delta)
    yield tuple(before)


def frame(
    batch: Iterable[Delta], habits: GeminiHabits, drawn: Values, counts: Callable[[Usage], Any], time: Any
) -> dict[str, Any]:
    """The response object of a batch. `counts`: makes the `usageMetadata`; `time`: the `createTime`."""
    candidates: dict[int, _Candidate] = {}
    value: dict[str, Any] = {}
    blocked = False  # whether a candidate that only starts is not shown
    for delta in batch:
        choice = getattr(delta, "choice", None)
        more = _of_response(delta)
        if more is not None:
            value |= more
            blocked = blocked or isinstance(delta, Open)
        elif isinstance(delta, Count):
            value["usageMetadata"] = counts(delta.usage)
        elif _without_candidates(delta):
            blocked = True
        elif choice is not None:
            candidates.setdefault(choice, _Candidate(habits)).add(delta)
    shown = {number: each for number, each in candidates.items() if each.used or number or not blocked}
    if shown:
        value["candidates"] = [each.value(number) for number, each in shown.items()]
    if "usageMetadata" not in value and habits.between:
        value["usageMetadata"] = habits.between
    value |= {"modelVersion": drawn.get("model"), "createTime": time, "responseId": drawn.get("id")}
    keys = habits.spelling.keys
    if keys is not None:
        return {key: value[key] for key in keys if key in value} | _extra(habits, "")
    if "createTime" not in habits.dialect.frame_keys:
        del value["createTime"]
    return ordered(value, habits.dialect.frame_keys) | _extra(habits, "")


def _extra(habits: GeminiHabits, place: str) -> dict[str, Any]:
    """The keys that every frame has in addition: of a candidate, `choice.`; of its content, `delta.`."""
    extra = habits.spelling.extra or {}
    found = {key.removeprefix(place): value for key, value in extra.items() if key.startswith(place)}
    return found if place else {key: value for key, value in found.items() if not key.startswith(_INNER)}


_INNER = ("choice.", "delta.")


def _of_response(delta: Delta) -> dict[str, Any] | None:
    """What a delta adds to the frame itself; None if it concerns a candidate or the token counts."""
    match delta:
        case Open(_, _, Opaque(_, {"response": value}) as block) if is_outside(block):
            return dict(value)
        case Silence(_, _, {"response": dict(value)}):
            return value
    return None


def _without_candidates(delta: Delta) -> bool:
    """Whether a delta is padding that no candidate shows, where chat has a chunk without choices."""
    return isinstance(delta, Silence) and isinstance(delta.look, dict) and "chunk" in delta.look


class _Candidate:
    """A candidate in a frame."""

    def __init__(self, habits: GeminiHabits) -> None:
        self.habits = habits
        self.parts: list[Any] = []
        self.blocks: list[int | None] = []
        self.more: dict[str, Any] = {}
        self.finish: Stop | None = None
        self.look: dict[str, Any] | None = None
        self.calls = False
        self.index = habits.index
        self.used = False

    def add(self, delta: Delta) -> None:
        """Adds a delta of this candidate."""
        match delta:
            case Open():
                self._open(delta)
            case Piece():
                self._piece(delta)
            case Finish(_, stop):
                self.finish = stop
            case Silence(_, _, None | {"delta": _}):
                self._part({"text": ""}, None)
            case Silence(_, _, {"parts": [*parts]}):
                for part in parts:
                    self._part(part, None)
            case Silence(_, _, {"candidate": dict(more)}):
                self.more |= more
            case Silence(_, _, {"call": dict(more)}) if self.parts and "functionCall" in self.parts[-1]:
                call = {key: value for key, value in self.parts[-1]["functionCall"].items() if key != "args"}
                self.parts[-1]["functionCall"] = call | more
            case Silence(_, _, {"index": bool(index)}):
                self.index = index
            case Silence(_, _, dict(look)):
                self.look = look
        self.used = self.used or isinstance(delta, (Open, Piece, Finish, Silence))

    def _part(self, part: Any, block: int | None) -> None:
        self.parts.append(dict(part) if isinstance(part, dict) else part)
        self.blocks.append(block)

    def _open(self, delta: Open) -> None:
        block = delta.value
        match block:
            case Text(text):
                self._part({"text": text} | block.own.get(NAME, {}), delta.block)
            case Thinking(parts, _, signature):
                part: dict[str, Any] = {"text": "".join(parts), "thought": True}
                if signature:
                    part[SIGNATURE] = signature
                self._part(part | block.own.get(NAME, {}), delta.block)
            case ToolCall(identifier, name, arguments):
                self.calls = True
                args = object_of(arguments) if arguments else {}
                keys = self.habits.spelling.call_keys or CALL_KEYS
                self._part(call_part(name, identifier, args or {}, block.own.get(NAME, {}), keys), delta.block)
            case Opaque(api, value) if api == NAME:
                if is_outside(block):
                    self.more |= value["candidate"]
                else:
                    self._part(value["part"] if list(value) == ["part"] else value, None)

    def _piece(self, delta: Piece) -> None:
        last: dict[str, Any] | None = self.parts[-1] if self.parts and self.blocks[-1] == delta.block else None
        thought = {"thought": True} if delta.at in ("parts.0", "signature") else {}
        if delta.at in ("text", "parts.0"):
            if last is None or last.get("text") != "" or SIGNATURE in last or isinstance(last["text"], HoleText):
                self._part({"text": delta.value} | thought, delta.block)
            else:
                last["text"] = delta.value
        elif delta.at in ("signature", TEXT_SIGNATURE):
            if last is None or SIGNATURE in last:
                self._part({"text": ""} | thought, delta.block)
            self.parts[-1][SIGNATURE] = delta.value
        elif delta.at == "arguments":
            args = _ARGS if isinstance(delta.value, HoleText) else object_of(delta.value) or {}
            call = last and last.get("functionCall")
            if not isinstance(call, dict):
                self._part({"functionCall": {}}, delta.block)
            elif "args" in call:
                call["args"] = args

    def value(self, number: int) -> dict[str, Any]:
        """The candidate with this index."""
        habits = self.habits
        value: dict[str, Any] = {}
        if self.look is not None:
            value |= self.look
        elif self.parts:
            value["content"] = self._content(self.parts)
        elif self.finish is not None:
            value |= self._bare()
        elif not self.more:
            value["content"] = {"role": "model"}
        if self.finish is not None:
            word = finish_word(self.finish)
            value["finishReason"] = encoded(word, habits.enums, habits.dialect.name)
        if self.index or number:
            value["index"] = number
        if self.finish is not None and self.calls and word == "STOP" and habits.call_message:
            value["finishMessage"] = CALLED
        value |= self.more
        if value.get("finishMessage", "") is None and self.calls:
            del value["finishMessage"]
        value |= _extra(habits, "choice.")
        keys = habits.spelling.choice_keys
        return value if keys is None else {key: value[key] for key in keys if key in value}

    def _bare(self) -> dict[str, Any]:
        bare = self.habits.bare
        return {"content": self._content([{"text": ""}])} if bare == "text" else dict(_BARE[bare])

    def _content(self, parts: list[Any]) -> dict[str, Any]:
        role = {"first": ("role", "parts"), "last": ("parts", "role"), "never": ("parts",)}[self.habits.role]
        return {key: parts if key == "parts" else "model" for key in role} | _extra(self.habits, "delta.")
