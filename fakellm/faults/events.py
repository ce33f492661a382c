"""Faults in the events of a stream: an error among them, a damaged event, or no events. None of them applies to a body.

They act on the lines of events, to which the framing of the stream adds the line ends. Numbers count events and the
comments between them, but not the end of the stream, which in chat is `[DONE]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from fakellm.apis.protocol import Failure
from fakellm.base.seed import Source
from fakellm.faults.base import Base, Place, index, place
from fakellm.wire.framing import Block, Framing, comment, event_block
from fakellm.wire.sse import Event

Blocks = tuple[Block, ...]


class Sent(Struct, frozen=True):
    """A stream before an event fault is injected.

    blocks: its events and the comments between them. ending: the events that end it. framing: how the blocks become
    bytes. broken: returns the error for a failure, in a shape and after so many events, as events or lines, and whether
    the usual end follows it.
    """

    blocks: Blocks
    ending: Blocks
    framing: Framing
    broken: Callable[[Failure, str | None, int], tuple[Sequence[Event | str], bool]]

    def whole(self, blocks: Sequence[Block]) -> Sent:
        """The stream with these blocks before its ending."""
        return replace(self, blocks=tuple(blocks))


class EventFault(Base, frozen=True):
    """A fault at this level."""

    breaks: ClassVar[Literal["streams", "bodies", "both"]] = "streams"

    def apply(self, sent: Sent, source: Source) -> Sent:
        """The stream that is sent instead of this one."""
        raise NotImplementedError


class Error(EventFault, frozen=True, tag="error"):
    """An error in the middle of a stream, after which nothing else is sent (E4, E5, E6)."""

    shape: Annotated[
        Literal["data", "chunk", "event", "message", "text", "line"] | None,
        Meta(
            description=(
                "Its form, if it is not the provider's. `data`: `data: {\"error\": {…}}` with the provider's error"
                " body, as OpenAI and most others send it (E4). `chunk`: a chunk with `error` beside its choices and "
                "`finish_reason: error`, as OpenRouter does (E5). `event`: `event: error` and the error with a "
                '`status_code`, as Groq does. `message`: `event: error` and `{"message": …}`, without the key `error`'
                ' (E6). `text`: `data: {"error": "…"}` (E6). `line`: `error: {…}`, which is not a data line at all, '
                "as gpustack's llama-box sends it."
            )
        ),
    ] = None
    frame: Annotated[Place, Meta(description="How many frames come first.")] = None
    message: Annotated[
        str | None, Meta(description="The error's `message`; by default the provider's for this status.")
    ] = None
    type: Annotated[
        str | UnsetType | None, Meta(description="The error's `type`; by default the provider's for this status.")
    ] = UNSET
    code: Annotated[
        str | int | UnsetType | None, Meta(description="The error's `code`; by default the provider's for this status.")
    ] = UNSET
    status: Annotated[
        int,
        Meta(
            description=(
                "The status of the error: its default fields are the provider's for this status, and some shapes "
                "contain it."
            )
        ),
    ] = 500
    done: Annotated[
        bool | None,
        Meta(description=("Whether `[DONE]` follows; by default as the provider does it. Only Groq does not send it.")),
    ] = None

    def apply(self, sent: Sent, source: Source) -> Sent:
        number = place(self.frame, len(sent.blocks), source)
        failure = Failure(self.status, self.message, self.type, self.code)
        before = sent.blocks[:number]
        errors, ends = sent.broken(failure, self.shape, sum(block.event is not None for block in before))
        added = [
            Block((each,)) if isinstance(each, str) else event_block(each, at, sent.framing)
            for at, each in enumerate(errors, number)
        ]
        ends = ends if self.done is None else self.done
        return replace(sent, blocks=(*before, *added), ending=sent.ending if ends else ())


class Malformed(EventFault, frozen=True, tag="malformed"):
    """An event that is not valid JSON: single quotes, as Python prints a dict (E7). `frame`: which one, from 0."""

    frame: Place = None

    def apply(self, sent: Sent, source: Source) -> Sent:
        number = index(self.frame, len(sent.blocks), source)
        return sent.whole(_changed(sent.blocks, number, lambda text: text.replace('"', "'")))


class Truncated(EventFault, frozen=True, tag="truncated"):
    """An event whose JSON breaks off, with a blank line after it as if it were whole (E7). `frame`: which, from 0."""

    frame: Place = None

    def apply(self, sent: Sent, source: Source) -> Sent:
        number = index(self.frame, len(sent.blocks), source)

        def start(text: str) -> str:
            line = text.encode("utf-8", "surrogatepass")
            return line[: len(line) - source.between(1, max(len(line) // 2, 1))].decode("utf-8", "ignore")

        return sent.whole(_changed(sent.blocks, number, start))


class Glued(EventFault, frozen=True, tag="glued"):
    """Two events in one line, ``data: {…}data: {…}`` (E7). `frame`: the first of them, from 0."""

    frame: Place = None

    def apply(self, sent: Sent, source: Source) -> Sent:
        number = index(self.frame, len(sent.blocks) - 1, source)
        blocks = (*sent.blocks, *sent.ending)
        texts = [_text(block) for block in blocks[number : number + 2]]
        glued = Block(tuple("".join(texts).split("\n")))
        return replace(sent, blocks=(*blocks[:number], glued, *blocks[number + 2 :]), ending=())


class Unterminated(EventFault, frozen=True, tag="unterminated"):
    """The stream ends after the last event's text, without its line end, its blank line and `[DONE]` (A13)."""

    def apply(self, sent: Sent, source: Source) -> Sent:
        return replace(sent, ending=(), framing=replace(sent.framing, ends_with="nothing"))


class OnlyComments(EventFault, frozen=True, tag="only_comments"):
    """Only keep-alive comments, and then the end (E8)."""

    text: str = "OPENROUTER PROCESSING"
    count: Annotated[int, Meta(ge=0, le=100_000)] = 3

    def apply(self, sent: Sent, source: Source) -> Sent:
        return replace(sent, blocks=(comment(self.text, sent.framing),) * self.count, ending=())


class OnlyDone(EventFault, frozen=True, tag="only_done"):
    """Only `[DONE]` (E8)."""

    def apply(self, sent: Sent, source: Source) -> Sent:
        return sent.whole(())


def _text(block: Block) -> str:
    return "\n".join(block.lines).rstrip()


def _changed(blocks: Blocks, number: int, change: Callable[[str], str]) -> Blocks:
    """The blocks, with the text of one of them changed, so that it no longer counts as an event."""
    changed = tuple(Block(tuple(change(_text(block)).split("\n"))) for block in blocks[number : number + 1])
    return (*blocks[:number], *changed, *blocks[number + 1 :])
