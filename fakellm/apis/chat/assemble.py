"""Batches to chunks: one chunk for each batch, with the role, the fillers and the finish as the habits set.

Knows no JSON and no provider by name.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from fakellm.apis.chat.chunk import NULL, Chunk, ChunkChoice, Delta, Null, Text, ToolCallDelta
from fakellm.apis.chat.fragments import joined
from fakellm.apis.chat.habits import ChatHabits
from fakellm.apis.chat.meaning import NAME, annotations_in, finish_word
from fakellm.apis.protocol import Values
from fakellm.apis.skeleton import Fill
from fakellm.apis.variation_blocks import Filler
from fakellm.base.template import Hole, HoleNumber, HoleText
from fakellm.model import blocks as model
from fakellm.model.blocks import Block, Opaque, Refusal, Thinking, Token, ToolCall
from fakellm.model.deltas import Batch, Count, Finish, Open, Piece, Silence, Start

_UNFINISHED: dict[str, Text] = {"null": NULL, "empty": ""}
_WORDS: dict[str, Text] = {"once": None, "late": None, "empty": "", "null": NULL, "absent": None}


def assemble(batches: Sequence[Batch], habits: ChatHabits, drawn: Values) -> list[Chunk]:
    """The chunks of these batches, which must not contain an End."""
    stream = _Stream(batches, habits, drawn.get("model", ""))
    chunks = [stream.chunk(batch) for batch in batches]
    names = iter(_names(chunks, drawn.get("id", ""), habits))
    model, fingerprint, created = drawn.get("model") or "", drawn.get("system_fingerprint"), _created(drawn, habits)
    return [
        chunk
        if chunk.bare
        else Chunk(
            next(names), created, model, chunk.choices, chunk.usage, fingerprint, chunk.extra, False, chunk.no_choices
        )
        for chunk in chunks
    ]


def _names(chunks: Sequence[Chunk], name: str, habits: ChatHabits) -> list[str]:
    """The ids of the chunks that are not bare. `first_empty` has no effect on a stream of one chunk."""
    named = [number for number, chunk in enumerate(chunks) if not chunk.bare]
    if habits.id == "first_empty" and len(named) > 1:
        return ["", *[name] * (len(named) - 1)]
    if habits.id == "changing":
        return [name, *(_numbered(number - place) for place, number in enumerate(named[1:], 1))]
    return [name] * len(named)


def _numbered(bare: int) -> str:
    """The id of a chunk after so many bare ones: that of the reply, and the chunk's number."""
    return HoleText(Hole("id of a chunk", lambda fill: f"{fill.drawn.get('id', '')}-{fill.number - bare}", "event"))


def _created(drawn: Values, habits: ChatHabits) -> int:
    ticks, created = habits.ticks, drawn.get("created") or 0

    def ticked(fill: Fill) -> int:
        return (fill.drawn.get("created") or 0) + bisect_right(ticks, fill.number)

    return HoleNumber(Hole("created", ticked, "event")) if ticks else created


class _Part:
    """The deltas that one batch has for one choice."""

    def __init__(self) -> None:
        self.started = False
        self.silence: Silence | None = None
        self.finish: Text = None
        self.texts: dict[str, str] = {}
        self.calls: list[ToolCallDelta] = []
        self.open_entry: tuple[int, str] | None = None
        """The block of the entry that the next piece may join, and whether that is its opening or has what is late."""
        self.annotations: list[dict[str, Any]] = []
        self.tokens: dict[str, tuple[Token, ...]] = {}
        self.fragments: dict[str, Any] = {}


class _Stream:
    """What is known about the whole stream while its batches become chunks one by one."""

    def __init__(self, batches: Sequence[Batch], habits: ChatHabits, name: str) -> None:
        self.habits = habits
        self.model = name
        self.blocks: dict[tuple[int, int], Block] = {}
        self.blocks_with_logprobs: set[tuple[int, int]] = set()
        self.with_logprobs: set[int] = set()
        self.latest: dict[int, int] = {}
        """For each choice, the call that had the most recent piece."""
        self.opens_with_calls: dict[int, bool] = {}
        self.counted = False
        for batch in batches:
            first: dict[int, bool] = {}
            for delta in batch:
                if isinstance(delta, Open):
                    self.blocks[delta.choice, delta.block] = delta.value
                    called = isinstance(delta.value, ToolCall)
                    first[delta.choice] = first.get(delta.choice, False) or called
                if isinstance(delta, Piece) and delta.tokens:
                    self.blocks_with_logprobs.add((delta.choice, delta.block))
            self.opens_with_calls = first | self.opens_with_calls
        for choice, block in self.blocks_with_logprobs:
            if isinstance(self.blocks.get((choice, block)), model.Text):
                self.with_logprobs.add(choice)
        calls: dict[int, list[int]] = {}
        for (choice, block), value in sorted(self.blocks.items(), key=lambda item: item[0]):
            if isinstance(value, ToolCall):
                calls.setdefault(choice, []).append(block)
        self.numbers = {
            (choice, block): number for choice, found in calls.items() for number, block in enumerate(found)
        }

    def chunk(self, batch: Batch) -> Chunk:
        """The chunk of a batch, without its envelope."""
        parts: dict[int, _Part] = {}
        usage: model.Usage | Null | None = self._uncounted()
        without_choices: Silence | None = None
        hidden: set[int | None] = set()
        for delta in batch:
            if isinstance(delta, Count):
                usage, self.counted = delta.usage, True
            elif isinstance(delta, Silence) and _look(delta, "chunk") is not None:
                without_choices = delta
                hidden.add(delta.choice)
            elif isinstance(delta, (Start, Open, Piece, Finish, Silence)) and delta.choice is not None:
                self._add(parts.setdefault(delta.choice, _Part()), delta)
        parts = {index: part for index, part in parts.items() if index not in hidden}
        if without_choices is not None and not parts:
            return _bare(without_choices, usage, self.model)
        choices = tuple(self._choice(index, part) for index, part in parts.items())
        return Chunk("", 0, "", choices, usage, no_choices=self.habits.usage_choices)

    def _uncounted(self) -> Null | None:
        """The usage of a chunk without counts. An empty one after the counts would look as if there were none."""
        before = self.habits.usage_before
        if before in ("empty", "zeros"):
            return NULL if self.counted else Null(before)
        return NULL if before == "null" else None

    def _add(self, part: _Part, delta: Start | Open | Piece | Finish | Silence) -> None:
        match delta:
            case Start():
                part.started = True
            case Silence():
                part.silence = delta
            case Finish(_, stop):
                part.finish = finish_word(stop)
            case Open(choice, block, ToolCall() as call):
                part.calls.append(self._opening(choice, block, call))
                self.latest[choice] = block
                part.open_entry = (block, "opening")
            case Open(choice, block, value):
                self._open(part, choice, block, value)
            case Piece(choice, block) if isinstance(self.blocks.get((choice, block)), ToolCall):
                self._call_piece(part, delta)
            case Piece(_, _, at, list() as items, _) if at.endswith("annotations"):
                part.annotations += items
            case Piece(choice, block, _, str() as text, tokens):
                self._text(part, (choice, block), text, tokens)

    def _open(self, part: _Part, choice: int, block: int, value: Block) -> None:
        if isinstance(value, Thinking) and value.parts:
            self._text(part, (choice, block), "".join(value.parts), ())
        elif isinstance(value, (model.Text, Refusal)):
            if value.text:
                self._text(part, (choice, block), value.text, value.logprobs)
            part.annotations += annotations_in(value)
        elif isinstance(value, Opaque):
            part.fragments = joined(part.fragments, value.value)

    def _text(self, part: _Part, address: tuple[int, int], text: str, tokens: tuple[Token, ...]) -> None:
        block = self.blocks.get(address)
        field = _field(block)
        part.texts[field] = part.texts[field] + text if field in part.texts else text
        if (address in self.blocks_with_logprobs and text) or tokens:
            part.tokens[field] = (*part.tokens.get(field, ()), *tokens)

    def _opening(self, choice: int, block: int, call: ToolCall) -> ToolCallDelta:
        """The entry that a call opens with; if the call is in one piece, the entry has the name, whatever the habit."""
        how = self.habits.calls
        name: Text = None if how.name == "late" and not call.name else call.name
        call_id: Text = None if how.id == "late" and not call.id else call.id
        arguments = call.arguments or _WORDS[how.arguments or "empty"]
        own = call.own.get(NAME, {})
        return ToolCallDelta(self._index(choice, block), call_id, call.kind, name, arguments, call.kind, own)

    def _call_piece(self, part: _Part, piece: Piece) -> None:
        """A piece of a call joins the previous entry if that opens the call or has its late id or name, else gets its
        own."""
        index = self._index(piece.choice, piece.block)
        value = piece.value if isinstance(piece.value, str) else str(piece.value)
        late = part.open_entry == (piece.block, "late")
        joins = late or (part.open_entry == (piece.block, "opening") and self.habits.calls.opening != "pair")
        part.open_entry = None
        self.latest[piece.choice] = piece.block
        if piece.at == "id":
            part.calls.append(replace(self._continuation(piece, index, ""), id=value, arguments=None))
            part.open_entry = (piece.block, "late")
        elif piece.at == "name":
            entry = part.calls.pop() if late else self._continuation(piece, index, "")
            part.calls.append(replace(entry, name=value, arguments=""))
            part.open_entry = (piece.block, "late")
        elif joins:
            part.calls[-1] = replace(part.calls[-1], arguments=value)
        else:
            part.calls.append(self._continuation(piece, index, value))

    def _continuation(self, piece: Piece, index: int | Null | None, value: str) -> ToolCallDelta:
        how = self.habits.calls
        call = self.blocks[piece.choice, piece.block]
        assert isinstance(call, ToolCall)

        def repeated(habit: str | None, text: str) -> Text:
            return text if habit == "repeated" else _WORDS[habit or "once"]

        call_id, kind, name = (
            repeated(how.id, call.id or ""),
            repeated(how.type, call.kind),
            repeated(how.name, call.name),
        )
        return ToolCallDelta(index, call_id, kind, name, value, call.kind)

    def _index(self, choice: int, block: int) -> int | Null | None:
        number = self.numbers.get((choice, block), 0)
        match self.habits.calls.index:
            case "absent":
                return None
            case "null":
                return NULL
            case "from_one":
                return number + 1
            case "zero":
                return 0
        return number

    def _choice(self, index: int, part: _Part) -> ChunkChoice:
        habits = self.habits
        look = part.silence.look if part.silence else None
        if isinstance(look, dict) and "call" in look:  # an empty piece of the latest call
            return ChunkChoice(index, Delta(tool_calls=self._nothing(index)))
        if isinstance(look, dict) and isinstance(look.get("delta"), dict):
            return ChunkChoice(index, Delta(extra=look["delta"]), _UNFINISHED.get(habits.unfinished))
        delta = Delta(
            "assistant" if part.started and habits.role == "once" else None,
            part.texts.get("content"),
            part.texts.get("reasoning"),
            part.texts.get("refusal"),
            tuple(part.calls) or None,
            annotations=tuple(part.annotations),
            fragments=part.fragments,
        )
        first = part.started and part.silence is None
        complete = self._with_role_and_fillers(
            ChunkChoice(index, delta, part.finish), first, self.opens_with_calls.get(index, False)
        )
        content, refusal = part.tokens.get("content"), part.tokens.get("refusal")
        if content is None and part.started and complete.delta.role and index in self.with_logprobs:
            content = ()  # OpenAI opens so
        return replace(complete, logprobs=content, refusal_logprobs=refusal)

    def _nothing(self, index: int) -> tuple[ToolCallDelta, ...] | None:
        if index not in self.latest:
            return None
        piece = Piece(index, self.latest[index], "arguments", "")
        return (replace(self._continuation(piece, self._index(index, piece.block), ""), name=None),)

    def _with_role_and_fillers(self, part: ChunkChoice, first: bool, calls: bool) -> ChunkChoice:
        """The part with the role, and with fillers for the fields that have no content.

        `first`: whether it is the first of its choice; `calls`: whether the choice starts with tool calls.
        """
        fill, role = self.habits.fill, self.habits.role
        everywhere = role == "every" or (role == "texts" and not part.delta.tool_calls)
        delta = replace(part.delta, role="assistant") if everywhere else part.delta
        calling = bool(delta.tool_calls)
        fillers = fill.get("delta", {})
        if part.finish_reason and not _holds(part.delta):
            fillers = fill.get("finish", fillers)
        elif first and delta.role:
            fillers = fill.get("opening", fillers)
            calling = calls
        for field, how in fillers.items():
            if not getattr(delta, field) and field not in delta.extra | delta.fragments:
                delta = _filled(delta, field, how, calling)
        return replace(part, delta=delta, finish_reason=part.finish_reason or _UNFINISHED.get(self.habits.unfinished))


def _field(block: Block | None) -> str:
    """The field of a delta that carries the text of a block."""
    return "reasoning" if isinstance(block, Thinking) else "refusal" if isinstance(block, Refusal) else "content"


def _holds(delta: Delta) -> bool:
    """Whether a delta has any field."""
    return delta != Delta()


def _filled(delta: Delta, field: str, how: Filler, calling: bool) -> Delta:
    null = how == "null" or (how == "text" and calling)
    if field == "tool_calls" and not null:
        return replace(delta, extra=delta.extra | {"tool_calls": []})
    return replace(delta, **{field: NULL if null else ""})


def _look(silence: Silence, key: str) -> dict[str, Any] | None:
    """What a silence looks like; any other value of a score's `look` means nothing here."""
    look = silence.look.get(key) if isinstance(silence.look, dict) else None
    return look if isinstance(look, dict) else None


def _bare(silence: Silence, usage: model.Usage | Null | None, name: str) -> Chunk:
    """A chunk without choices; if it has its own id, it is sent unchanged."""
    look, how = _look(silence, "chunk") or {}, silence.look.get("choices", "empty")
    if "id" not in look:
        return Chunk("", 0, "", (), usage, extra=look, no_choices=how)
    own = ("id", "created", "model", "system_fingerprint")
    extra = {key: value for key, value in look.items() if key not in own}
    fingerprint = look.get("system_fingerprint")
    return Chunk(look["id"], look.get("created", 0), look.get("model", name), (), None, fingerprint, extra, True, how)
