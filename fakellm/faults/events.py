"""Faults in the frames of a stream: an error among them, one that is damaged, or none of them. They strike no body.

Frames are counted without the `[DONE]` at the end.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, UnsetType

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.error_body import error_json
from fakellm.apis.chat.error_style import Failure
from fakellm.base.json_text import dumps
from fakellm.base.seed import Source
from fakellm.faults.base import Base, Place, index, place
from fakellm.wire.sse import Decoder

Frames = tuple[bytes, ...]


class EventFault(Base, frozen=True):
    """A fault of this step."""

    breaks: ClassVar[Literal["streams", "bodies", "both"]] = "streams"

    def spoil(self, frames: Frames, done: Frames, source: Source, dialect: Dialect) -> Frames:
        """All that the provider sends in place of `frames` and then `done`, the frame that says `[DONE]`."""
        raise NotImplementedError


class Error(EventFault, frozen=True, tag="error"):
    """An error in the middle of a stream, after which no more is said (E4, E5, E6).

    frame: how many frames come first. shape: how it is told, where that is not as the provider does it:
        data: ``data: {"error": {…}}``, with the provider's error body, OpenAI's and most others' (E4);
        chunk: a chunk with `error` beside its choices and `finish_reason: error`, OpenRouter's (E5);
        event: ``event: error`` and the error with a `status_code`, Groq's;
        message: ``event: error`` and ``{"message": …}``, with no `error` key (E6);
        text: ``data: {"error": "…"}`` (E6);
        line: ``error: {…}``, which is no data line at all, gpustack's llama-box.
    message, type, code: the fields of the error; as the provider has them for the status where not given.
    done: whether `[DONE]` follows; as the provider does it where not given: Groq alone sends none.
    """

    shape: Literal["data", "chunk", "event", "message", "text", "line"] | None = None
    frame: Place = None
    message: str | None = None
    type: str | UnsetType | None = UNSET
    code: str | int | UnsetType | None = UNSET
    status: int = 500
    """Of the error: it has the provider's words for this status, and some shapes say it."""
    done: bool | None = None

    def spoil(self, frames: Frames, done: Frames, source: Source, dialect: Dialect) -> Frames:
        number = place(self.frame, len(frames), source)
        ends = dialect.errors.done if self.done is None else self.done
        return (*frames[:number], self._told(frames, dialect), *(done if ends else ()))

    def _told(self, frames: Frames, dialect: Dialect) -> bytes:
        failure = Failure(self.status, self.message, self.type, self.code)
        error = dialect.errors.fields(failure)
        said = error_json(dialect, failure)
        match self.shape or dialect.errors.frame:
            case "chunk":
                short = {"code": self.status if error["code"] is None else error["code"], "message": error["message"]}
                choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
                return _data({**_envelope(frames), "error": short, "choices": [choice]})
            case "event":
                inner = said["error"] if isinstance(said.get("error"), dict) else error
                return b"event: error\n" + _data({"error": inner | {"status_code": self.status}})
            case "message":
                return b"event: error\n" + _data({"message": error["message"]})
            case "line":
                return b"error: %b\n\n" % dumps(error).encode()
            case "text":
                return _data({"error": error["message"]})
        return _data(said)


class Malformed(EventFault, frozen=True, tag="malformed"):
    """A frame that is no JSON: single quotes, as Python prints a dict (E7). `frame`: which, from 0."""

    frame: Place = None

    def spoil(self, frames: Frames, done: Frames, source: Source, dialect: Dialect) -> Frames:
        number = index(self.frame, len(frames), source)
        return (*frames[:number], frames[number].replace(b'"', b"'"), *frames[number + 1 :], *done)


class Truncated(EventFault, frozen=True, tag="truncated"):
    """A frame whose JSON breaks off, with a blank line after it as if it were whole (E7). `frame`: which, from 0."""

    frame: Place = None

    def spoil(self, frames: Frames, done: Frames, source: Source, dialect: Dialect) -> Frames:
        number = index(self.frame, len(frames), source)
        line = frames[number].rstrip()
        half = line[: len(line) - source.between(1, len(line) // 2)].decode("utf-8", "ignore").encode()
        return (*frames[:number], half + b"\n\n", *frames[number + 1 :], *done)


class Glued(EventFault, frozen=True, tag="glued"):
    """Two frames in one line, ``data: {…}data: {…}`` (E7). `frame`: the first of them, from 0."""

    frame: Place = None

    def spoil(self, frames: Frames, done: Frames, source: Source, dialect: Dialect) -> Frames:
        number = index(self.frame, len(frames) - 1, source)
        frames = (*frames, *done)
        glued = b"".join(frame.rstrip() for frame in frames[number : number + 2]) + b"\n\n"
        return (*frames[:number], glued, *frames[number + 2 :])


class Unterminated(EventFault, frozen=True, tag="unterminated"):
    """The stream ends after the last frame's text, without the line end, the blank line and the `[DONE]` (A13)."""

    def spoil(self, frames: Frames, done: Frames, source: Source, dialect: Dialect) -> Frames:
        return (*frames[:-1], frames[-1].rstrip())


class OnlyComments(EventFault, frozen=True, tag="only_comments"):
    """Nothing but keep-alive comments, and then the end (E8)."""

    text: str = "OPENROUTER PROCESSING"
    count: Annotated[int, Meta(ge=0)] = 3

    def spoil(self, frames: Frames, done: Frames, source: Source, dialect: Dialect) -> Frames:
        return (b": %b\n\n" % self.text.encode("utf-8", "surrogatepass"),) * self.count


class OnlyDone(EventFault, frozen=True, tag="only_done"):
    """Nothing but `[DONE]` (E8)."""

    def spoil(self, frames: Frames, done: Frames, source: Source, dialect: Dialect) -> Frames:
        return done


def _data(value: Any) -> bytes:
    return b"data: %b\n\n" % dumps(value).encode()


def _envelope(frames: Frames) -> dict[str, Any]:
    """What the chunks of this stream say besides their choices and usage."""
    texts = (event.data for event in Decoder().feed(b"".join(frames)))
    said: dict[str, Any] = json.loads(next((text for text in texts if text.startswith("{")), "{}"))
    return {key: value for key, value in said.items() if key not in ("choices", "usage")}
