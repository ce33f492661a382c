"""What a model says, and the chunks it is said in. Owns these values and `fold`.

Knows no JSON and no bytes, and nothing of how a provider spells a chunk or how an answer is divided.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from fakellm.errors import StreamError


class ToolCall(Struct, frozen=True):
    """A call of a tool. `arguments` is text, usually JSON, kept to the letter."""

    id: str
    name: str
    arguments: str = "{}"


class Choice(Struct, frozen=True):
    """One answer. An empty text means that there is none; no `finish_reason` means that none was ever sent."""

    content: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None


class Usage(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Tokens: those of the prompt (`cached` among them), those of the completion, those spent on reasoning.

    Whether `completion` includes `reasoning` and what the total is differs between providers; with no `total` given the
    dialect does its usual sum.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0
    total: int | None = None


class Completion(Struct, frozen=True):
    """All that a model says in one reply. `created` is in Unix seconds; choices stand in the order of their index."""

    id: str
    created: int
    model: str
    choices: tuple[Choice, ...]
    usage: Usage | None = None
    system_fingerprint: str | None = None


class ToolCallDelta(Struct, frozen=True):
    """A piece of the tool call at `index`; None where the piece does not speak of that field."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str | None = None


class Delta(Struct, frozen=True):
    """What one chunk adds to one choice; None where it does not speak of that field."""

    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolCallDelta, ...] = ()


class ChunkChoice(Struct, frozen=True):
    """One choice's part of a chunk."""

    index: int
    delta: Delta = Delta()
    finish_reason: str | None = None


class Chunk(Struct, frozen=True):
    """One `chat.completion.chunk`. `reports_usage`: the stream will carry usage (some providers then send nulls)."""

    id: str
    created: int
    model: str
    choices: tuple[ChunkChoice, ...] = ()
    usage: Usage | None = None
    system_fingerprint: str | None = None
    reports_usage: bool = False


def fold(chunks: Iterable[Chunk]) -> Completion:
    """The completion that a stream of chunks says: the inverse of every division.

    Texts and arguments are joined in order, calls are told apart by their index, the first id and name of a call stand,
    the last finish_reason and usage stand, and the envelope is the first that is not empty. Raises StreamError when
    there is no chunk at all.
    """
    chunks = list(chunks)
    if not chunks:
        raise StreamError("the stream has no chunk")
    choices: dict[int, _Choice] = {}
    for chunk in chunks:
        for part in chunk.choices:
            choices.setdefault(part.index, _Choice()).add(part)
    return Completion(
        id=_first(chunk.id for chunk in chunks) or "",
        created=_first(chunk.created for chunk in chunks) or 0,
        model=_first(chunk.model for chunk in chunks) or "",
        choices=tuple(choices[index].value() for index in sorted(choices)),
        usage=_first(chunk.usage for chunk in reversed(chunks)),
        system_fingerprint=_first(chunk.system_fingerprint for chunk in chunks),
    )


def _first(values: Iterable[Any]) -> Any:
    return next((value for value in values if value), None)


class _Choice:
    """What has been said of one choice so far. Pieces are kept in lists: 100,000 of them join in linear time."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: dict[int, list[ToolCallDelta]] = {}
        self.finish_reason: str | None = None

    def add(self, part: ChunkChoice) -> None:
        self.content.append(part.delta.content or "")
        self.reasoning.append(part.delta.reasoning or "")
        self.refusal.append(part.delta.refusal or "")
        for call in part.delta.tool_calls:
            self.calls.setdefault(call.index, []).append(call)
        self.finish_reason = part.finish_reason or self.finish_reason

    def value(self) -> Choice:
        return Choice(
            content="".join(self.content),
            reasoning="".join(self.reasoning),
            refusal="".join(self.refusal),
            tool_calls=tuple(
                ToolCall(
                    id=_first(piece.id for piece in pieces) or "",
                    name=_first(piece.name for piece in pieces) or "",
                    arguments="".join(piece.arguments or "" for piece in pieces),
                )
                for _, pieces in sorted(self.calls.items())
            ),
            finish_reason=self.finish_reason,
        )
