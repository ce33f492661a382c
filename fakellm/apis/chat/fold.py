"""Chunks to the completion they say: the inverse of every division. Knows no JSON, no bytes and no provider.

This is also the reference for clients: each rule here is one that a client has been seen to get wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fakellm.apis.chat.chunk import Chunk, ChunkChoice, ToolCallDelta, words
from fakellm.base.errors import StreamError
from fakellm.model.completion import Choice, Completion, Token, ToolCall


def fold(chunks: Iterable[Chunk]) -> Completion:
    """The completion that a stream of chunks says.

    Texts and arguments are joined in order, the last finish_reason and usage stand, and the envelope is the first that
    is not empty. Raises StreamError when there is no chunk at all.
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


def _joined(pieces: list[str]) -> str:
    """The text of the pieces; the halves of a surrogate pair that was cut are one character again."""
    text = "".join(pieces)
    if text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


class _Call:
    """A tool call as far as it is known."""

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []

    def add(self, piece: ToolCallDelta) -> None:
        self.id = self.id or words(piece.id)  # said again on each piece by some, changed by others: the first stands
        self.name = self.name or words(piece.name)
        self.arguments.append(words(piece.arguments))


class _Choice:
    """What has been said of one choice so far. Pieces are kept in lists: 100,000 of them join in linear time."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: list[_Call] = []
        self.finish_reason: str | None = None
        self.logprobs: list[Token] = []
        self.refusal_logprobs: list[Token] = []
        self.annotations: list[dict[str, Any]] = []

    def add(self, part: ChunkChoice) -> None:
        self.content.append(words(part.delta.content))
        self.reasoning.append(words(part.delta.reasoning))
        self.refusal.append(words(part.delta.refusal))
        for piece in part.delta.tool_calls if isinstance(part.delta.tool_calls, tuple) else ():
            self._call(piece).add(piece)
        self.finish_reason = words(part.finish_reason) or self.finish_reason
        self.logprobs += part.logprobs or ()
        self.refusal_logprobs += part.refusal_logprobs or ()
        self.annotations += part.delta.annotations

    def _call(self, piece: ToolCallDelta) -> _Call:
        """The call that a piece belongs to: the one at its index, or where there is none the one with its id."""
        index = piece.index if isinstance(piece.index, int) else None
        if index is not None:
            same = [call for call in self.calls if call.index == index]
        else:
            same = [call for call in self.calls if not piece.id or call.id == piece.id]
        # Another id and a name at an index that is taken open another call (Ollama numbers every call 0).
        taken = bool(same and piece.name and piece.id and same[-1].name and same[-1].id != piece.id)
        if not same or taken:
            self.calls.append(_Call(index))
            return self.calls[-1]
        return same[-1]

    def value(self) -> Choice:
        calls = sorted(self.calls, key=lambda call: call.index or 0)
        return Choice(
            content=_joined(self.content),
            reasoning=_joined(self.reasoning),
            refusal=_joined(self.refusal),
            tool_calls=tuple(ToolCall(call.id, call.name, _joined(call.arguments)) for call in calls),
            finish_reason=self.finish_reason,
            logprobs=tuple(self.logprobs),
            refusal_logprobs=tuple(self.refusal_logprobs),
            annotations=tuple(self.annotations),
        )
