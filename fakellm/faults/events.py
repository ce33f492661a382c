"""Faults in the frames of a stream: an error among them, one that is damaged, or none of them. They strike no body.

Frames are counted without the `[DONE]` at the end.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from fakellm.dialects.dialect import dumps
from fakellm.dialects.failure import Failure, error_fields
from fakellm.faults.fault import Base, Place, index, place
from fakellm.seed import Source
from fakellm.sse import Decoder

Frames = tuple[bytes, ...]


class EventFault(Base, frozen=True):
    """A fault of this step."""

    breaks: ClassVar[Literal["streams", "bodies", "both"]] = "streams"

    def spoil(self, frames: Frames, done: Frames, source: Source) -> Frames:
        """All that is sent in place of `frames` and then `done`, the frame that says `[DONE]`."""
        raise NotImplementedError


class Error(EventFault, frozen=True, tag="error"):
    """An error in the middle of a stream, after which no more is said (E4, E5, E6).

    frame: how many frames come first. done: whether `[DONE]` follows. shape: how it is told:
        data: ``data: {"error": {…}}``, OpenAI's and most others' (E4);
        chunk: a chunk with `error` beside its choices and `finish_reason: error`, OpenRouter's (E5);
        event: ``event: error`` and the same with a `status_code`, Groq's;
        message: ``event: error`` and ``{"message": …}``, with no `error` key (E6);
        text: ``data: {"error": "…"}`` (E6);
        line: ``error: {…}``, which is no data line at all, gpustack's llama-box.
    """

    shape: Literal["data", "chunk", "event", "message", "text", "line"] = "data"
    frame: Place = None
    message: str = "The server had an error while processing your request. Sorry about that!"
    type: str | None = "server_error"
    code: str | int | None = None
    status: int = 500
    """Told by the shape `event`."""
    done: bool = True

    def spoil(self, frames: Frames, done: Frames, source: Source) -> Frames:
        number = place(self.frame, len(frames), source)
        return (*frames[:number], self._told(frames), *(done if self.done else ()))

    def _told(self, frames: Frames) -> bytes:
        error = error_fields(Failure(self.status, self.message, self.type, self.code))
        if self.shape == "chunk":
            short = {"code": self.status if self.code is None else self.code, "message": self.message}
            said = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
            return _data({**_envelope(frames), "error": short, "choices": [said]})
        if self.shape == "event":
            return b"event: error\n" + _data({"error": error | {"status_code": self.status}})
        if self.shape == "message":
            return b"event: error\n" + _data({"message": self.message})
        if self.shape == "line":
            return b"error: %b\n\n" % dumps(error).encode()
        return _data({"error": self.message if self.shape == "text" else error})


class Malformed(EventFault, frozen=True, tag="malformed"):
    """A frame that is no JSON: single quotes, as Python prints a dict (E7). `frame`: which, from 0."""

    frame: Place = None

    def spoil(self, frames: Frames, done: Frames, source: Source) -> Frames:
        number = index(self.frame, len(frames), source)
        return (*frames[:number], frames[number].replace(b'"', b"'"), *frames[number + 1 :], *done)


class Truncated(EventFault, frozen=True, tag="truncated"):
    """A frame whose JSON breaks off, with a blank line after it as if it were whole (E7). `frame`: which, from 0."""

    frame: Place = None

    def spoil(self, frames: Frames, done: Frames, source: Source) -> Frames:
        number = index(self.frame, len(frames), source)
        line = frames[number].rstrip()
        half = line[: len(line) - source.between(1, len(line) // 2)].decode("utf-8", "ignore").encode()
        return (*frames[:number], half + b"\n\n", *frames[number + 1 :], *done)


class Glued(EventFault, frozen=True, tag="glued"):
    """Two frames in one line, ``data: {…}data: {…}`` (E7). `frame`: the first of them, from 0."""

    frame: Place = None

    def spoil(self, frames: Frames, done: Frames, source: Source) -> Frames:
        number = index(self.frame, len(frames) - 1, source)
        frames = (*frames, *done)
        glued = b"".join(frame.rstrip() for frame in frames[number : number + 2]) + b"\n\n"
        return (*frames[:number], glued, *frames[number + 2 :])


class Unterminated(EventFault, frozen=True, tag="unterminated"):
    """The stream ends after the last frame's text, without the line end, the blank line and the `[DONE]` (A13)."""

    def spoil(self, frames: Frames, done: Frames, source: Source) -> Frames:
        return (*frames[:-1], frames[-1].rstrip())


class OnlyComments(EventFault, frozen=True, tag="only_comments"):
    """Nothing but keep-alive comments, and then the end (E8)."""

    text: str = "OPENROUTER PROCESSING"
    count: Annotated[int, Meta(ge=0)] = 3

    def spoil(self, frames: Frames, done: Frames, source: Source) -> Frames:
        return (b": %b\n\n" % self.text.encode("utf-8", "surrogatepass"),) * self.count


class OnlyDone(EventFault, frozen=True, tag="only_done"):
    """Nothing but `[DONE]` (E8)."""

    def spoil(self, frames: Frames, done: Frames, source: Source) -> Frames:
        return done


def _data(value: Any) -> bytes:
    return b"data: %b\n\n" % dumps(value).encode()


def _envelope(frames: Frames) -> dict[str, Any]:
    """What the chunks of this stream say besides their choices and usage."""
    texts = (event.data for event in Decoder().feed(b"".join(frames)))
    said: dict[str, Any] = json.loads(next((text for text in texts if text.startswith("{")), "{}"))
    return {key: value for key, value in said.items() if key not in ("choices", "usage")}
