"""Reads frames as batches: the inverse of `write`. Knows no framing and never raises.

Texts in consecutive parts are pieces of one block, and thoughts likewise, until a signature or another part ends it. An
empty text is a silence. A stream has no event that ends it: it is whole if every candidate has finished, or if the
prompt was blocked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from fakellm.apis.gemini.frames.partial_args import PartialArgs
from fakellm.apis.gemini.frames.parts import CANDIDATE_KEYS, RESPONSE_KEYS, SIGNATURE, TEXT_SIGNATURE, block_of
from fakellm.apis.gemini.frames.usage import is_count, usage_of
from fakellm.apis.gemini.frames.write import CALLED
from fakellm.apis.gemini.habits import GeminiHabits
from fakellm.apis.gemini.words import NAME, decoded, stop_of
from fakellm.model.blocks import Block, Opaque, Text, Thinking, ToolCall
from fakellm.model.deltas import Batch, Count, Delta, End, Finish, Open, Piece, Silence, Start
from fakellm.wire.sse import Event

_OUTSIDE = {"candidate": 1_000_000, "response": 2_000_000}
"""The number of the first block outside of parts: they come after all others."""

_ENVELOPE = ("candidates", "usageMetadata", "modelVersion", "createTime", "responseId")


def read(events: Iterable[Event], habits: GeminiHabits, choices: int = 1) -> Iterator[Batch]:
    """The batches of these events; see `Api.read`."""
    frames, problem = _frames(events)
    reader = _Reader(habits, frames)
    for frame in frames:
        try:
            yield reader.batch(frame)
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            problem = f"not a response of the Gemini API: {error}"
            break
    if problem is not None:
        yield (End(problem),)
    elif reader.blocked or len(reader.finished) >= choices:
        yield (End(),)


def values_in(data: str) -> Any:
    """The JSON in the data of an event. Raises ValueError, also for JSON that is nested too deeply."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _frames(events: Iterable[Event]) -> tuple[list[dict[str, Any]], Any]:
    """The frames up to the first problem, and the problem."""
    frames: list[dict[str, Any]] = []
    for event in events:
        if event.event not in ("message", "error") or not event.data:
            continue
        try:
            value = values_in(event.data)
        except ValueError as error:
            return frames, f"not JSON: {error}"
        if not isinstance(value, dict):
            return frames, "not a JSON object"
        if "error" in value:
            return frames, value["error"] or "an error"
        frames.append(value)
    return frames, None


class _Reader:
    """What is known of a stream while its frames are read."""

    def __init__(self, habits: GeminiHabits, frames: Iterable[dict[str, Any]]) -> None:
        self.habits = habits
        self.calls = set(_calling(frames))
        self.choices: dict[int, _Choice] = {}
        self.finished: set[int] = set()
        self.blocked = False
        self.outside = 0

    def batch(self, frame: dict[str, Any]) -> Batch:
        """The batch of a frame."""
        found: list[Delta] = []
        for place, candidate in enumerate(frame.get("candidates") or ()):
            deltas = list(self._candidate(candidate, place))
            found += deltas or [Silence(candidate.get("index", place), None, _shown(candidate))]
        more = {key: frame[key] for key in RESPONSE_KEYS if key in frame}
        if more:
            found += [*self._start(0), self._beside(0, {"response": more})]
            feedback = more.get("promptFeedback")
            self.blocked = self.blocked or (isinstance(feedback, dict) and "blockReason" in feedback)
        unknown = {key: value for key, value in frame.items() if key not in (*_ENVELOPE, *RESPONSE_KEYS)}
        if unknown:
            found.append(Silence(None, None, {"response": unknown}))
        usage = frame.get("usageMetadata")
        if usage is not None and is_count(usage, self.habits):
            found.append(Count(usage_of(usage, self.habits)))
        return tuple(found)

    def _start(self, number: int) -> list[Delta]:
        if number in self.choices:
            return []
        self.choices[number] = _Choice(number)
        return [Start(number)]

    def _beside(self, number: int, value: dict[str, Any]) -> Delta:
        self.outside += 1
        return Open(number, _OUTSIDE[next(iter(value))] + self.outside, Opaque(NAME, value))

    def _candidate(self, candidate: dict[str, Any], place: int) -> Iterator[Delta]:
        number = candidate.get("index", place)
        if type(number) is not int or number < 0:
            raise ValueError(f"{number!r} is not the index of a candidate")
        yield from self._start(number)
        parts, finish = _parts(candidate.get("content")), candidate.get("finishReason")
        word = None if finish is None else decoded(finish, self.habits.dialect.name)
        if word is None or self.habits.bare != "text" or parts != [{"text": ""}]:
            yield from self.choices[number].parts(parts)
        if not parts and (look := self._look(candidate, word is not None)) is not None:
            yield Silence(number, None, look)
        if not number and ("index" in candidate) != self.habits.index:
            yield Silence(number, None, {"index": not self.habits.index})
        yield from self._others(number, candidate, parts, word)
        if word is not None:
            self.finished.add(number)
            yield Finish(number, stop_of(word, number in self.calls))

    def _others(self, number: int, candidate: dict[str, Any], parts: list[Any], word: str | None) -> Iterator[Delta]:
        """What a candidate has beside its content, its finish and its index: known keys, and others."""
        more = {key: value for key, value in candidate.items() if key in CANDIDATE_KEYS}
        if self.habits.call_message and word == "STOP" and any(isinstance(block_of(each), ToolCall) for each in parts):
            more = {"finishMessage": None} | more
            if more["finishMessage"] == CALLED:
                del more["finishMessage"]
        if more:
            yield self._beside(number, {"candidate": more})
        unknown = {key: value for key, value in candidate.items() if key not in (*CANDIDATE_KEYS, *_OWN)}
        if unknown:
            yield Silence(number, None, {"candidate": unknown})

    def _look(self, candidate: dict[str, Any], finishes: bool) -> dict[str, Any] | None:
        """How a candidate without parts looks, if not as it usually does."""
        shown = _shown(candidate)
        usual = self.habits.bare if finishes else "absent" if set(candidate) - {*_OWN} else "role"
        return None if shown == _LOOKS.get(usual) else shown


def _shown(candidate: dict[str, Any]) -> dict[str, Any]:
    """The content of a candidate, if it has one."""
    return {key: candidate[key] for key in ("content",) if key in candidate}


_OWN = ("content", "finishReason", "index")
_LOOKS: dict[str, dict[str, Any]] = {
    "role": {"content": {"role": "model"}},
    "empty": {"content": {}},
    "null": {"content": None},
    "absent": {},
}
"""A candidate without parts, by its content."""


def _parts(content: Any) -> list[Any]:
    """The parts of a content; none if it has none, whatever it is instead."""
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list):
        if parts is not None:
            raise ValueError("'parts' is not an array")
        return []
    return parts


class _Choice:
    """A candidate, as read so far. `open`: the text or thought that the next part may continue."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.blocks = 0
        self.open: Block | None = None
        self.args: PartialArgs | None = None

    def parts(self, parts: Iterable[Any]) -> Iterator[Delta]:
        """The deltas of the parts of one frame."""
        fresh = False  # whether the part before this one belongs to the open block
        for part in parts:
            block = block_of(part)
            call = part.get("functionCall") if isinstance(part, dict) else None
            if isinstance(call, dict) and (self.args or call.get("willContinue")):
                yield from self._streamed(block, call, part)
            elif block in (Text(), Thinking()):
                yield Silence(self.number, None, None if part == {"text": ""} else {"parts": [part]})
                fresh = False
            elif isinstance(block, (Text, Thinking)):
                continues = self._continues(block)
                yield from self._text(block, continues, continues and fresh)
                fresh = True
            else:
                yield from self._whole(block)
                fresh = False

    def _continues(self, block: Text | Thinking) -> bool:
        if type(self.open) is not type(block):
            return False
        own = set(block.own.get(NAME, {}))
        return own <= {SIGNATURE} if isinstance(block, Text) else not own

    def _text(self, block: Text | Thinking, continues: bool, beside: bool) -> Iterator[Delta]:
        if isinstance(block, Text):
            own = dict(block.own.get(NAME, {}))
            at, text, signed, signature = "text", block.text, TEXT_SIGNATURE, own.pop(SIGNATURE, "")
            opening: Block = Text(own={NAME: own} if own else {})
        else:
            at, text, signed, signature = "parts.0", "".join(block.parts), "signature", block.signature
            opening = Thinking(own=block.own)
        if not continues:
            self.blocks += 1
            yield Open(self.number, self.blocks, opening)
        if text or (beside and signature):
            yield Piece(self.number, self.blocks, at, text)
        if signature:
            yield Piece(self.number, self.blocks, signed, signature)
        self.open = None if signature else block

    def _streamed(self, block: Block, call: dict[str, Any], part: Any) -> Iterator[Delta]:
        """A call whose arguments follow, some of them, or the last of them."""
        more = {key: value for key, value in call.items() if key in ("partialArgs", "willContinue")}
        if isinstance(block, ToolCall):
            self.open, self.args = None, PartialArgs()
            self.blocks += 1
            own = {key: value for key, value in part.items() if key != "functionCall"}
            yield Open(self.number, self.blocks, ToolCall(block.id, block.name, "", own={NAME: own} if own else {}))
        last = self.args is not None and self.args.add(call)
        if self.args is not None and last:
            yield Piece(self.number, self.blocks, "arguments", self.args.text)
            self.args = None
        if isinstance(block, ToolCall) or (last and more):
            yield Silence(self.number, None, {"call": more})
        elif not last:
            yield Silence(self.number, None, {"parts": [part]})

    def _whole(self, block: Block) -> Iterator[Delta]:
        """A call, whose arguments are a piece, or any other part."""
        self.open = None
        self.blocks += 1
        if isinstance(block, ToolCall):
            opening = ToolCall(block.id, block.name, "", own=block.own)
            yield Open(self.number, self.blocks, opening)
            yield Piece(self.number, self.blocks, "arguments", block.arguments)
        else:
            yield Open(self.number, self.blocks, block)


def _calling(frames: Iterable[dict[str, Any]]) -> Iterator[int]:
    """The candidates that have a function call."""
    for frame in frames:
        candidates = frame.get("candidates")
        for place, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
            content = candidate.get("content") if isinstance(candidate, dict) else None
            parts = content.get("parts") if isinstance(content, dict) else None
            for part in parts if isinstance(parts, list) else ():
                if isinstance(block_of(part), ToolCall) and type(number := candidate.get("index", place)) is int:
                    yield number
