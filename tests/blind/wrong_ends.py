"""Wrong clients: errors, broken streams and what is carried over to the next request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from tests.blind.bug import wrong
from tests.blind.chat import JSON, Answer, Chat, Choice
from tests.blind.http import Headers, Result
from tests.blind.sse import Event
from tests.blind.wire import ClientError, Wire


@wrong(Chat, "at_error", "Recorded providers: a stream with status 200 may contain an error (Groq, OpenRouter)")
def ignores_errors(self: Chat, chunk: JSON) -> None:
    """Takes a chunk with an error for one without choices."""


@wrong(Chat, "at_error", "Recorded providers: an error may be a text (Venice)")
def knows_errors_with_a_message(self: Chat, chunk: JSON) -> None:
    """Ignores an error that is not an object with a message."""
    if isinstance(chunk.get("error"), dict) and chunk["error"].get("message"):
        Chat.at_error(self, chunk)


@wrong(Chat, "at_error", "Recorded providers: an error may come with choices (OpenRouter)")
def knows_errors_without_choices(self: Chat, chunk: JSON) -> None:
    """Ignores an error in a chunk that has choices."""
    if "choices" not in chunk:
        Chat.at_error(self, chunk)


@wrong(Chat, "chunk", "Recorded providers: a stream with status 200 may contain an error")
def shows_errors_as_content(self: Chat, answer: Answer, chunk: Any) -> None:
    """Adds the message of an error to the content, for the user to read."""
    if chunk.get("error"):
        answer.choices.setdefault(0, Choice()).content.append(str(chunk["error"]))
        answer.choices[0].finish = "stop"
    else:
        Chat.chunk(self, answer, chunk)


@wrong(Chat, "at_status", "RFC 9110 15.5: a status of the class 4xx is an error of the client")
def shows_error_bodies_as_content(self: Chat, status: int, body: bytes) -> Result:
    """Returns the body of an error as content, for the user to read."""
    return {"content": body.decode(errors="replace"), "finish_reason": "stop"}


@wrong(Chat, "check", "OpenAI's chat reference: a choice that is complete has a finish_reason")
def takes_the_end_for_a_finish(self: Chat, answer: Answer) -> None:
    """Takes the end of the stream for the end of the answer."""
    if not answer.choices:
        raise ClientError("the stream has no choice")
    for choice in answer.choices.values():
        choice.finish = choice.finish or "stop"


@wrong(Chat, "check", "OpenAI's chat reference: there are as many choices as `n` requests")
def is_content_with_one_finish(self: Chat, answer: Answer) -> None:
    """Takes an answer for whole if one of its choices is."""
    if not any(choice.finish for choice in answer.choices.values()):
        raise ClientError("the stream ended early")
    for choice in answer.choices.values():
        choice.finish = choice.finish or "stop"


@wrong(Chat, "check", "OpenAI's chat reference: the list of choices has at least one")
def returns_an_empty_answer(self: Chat, answer: Answer) -> None:
    """Takes a stream without anything for an empty answer."""
    if not answer.choices:
        answer.choices[0] = Choice(finish="stop")
    else:
        Chat.check(self, answer)


@wrong(Chat, "read", "RFC 9112 8: a message whose end is missing is incomplete")
def returns_what_it_has(self: Chat, events: Iterator[Event], request: JSON) -> Result:
    """Takes a connection that fails or stalls for the end of the answer."""
    answer = Answer(request.get("n") or 1)
    try:
        for event in events:
            if self.is_done(event):
                break
            if self.is_chunk(event):
                self.event(answer, event)
    except ClientError:
        for choice in answer.choices.values():
            choice.finish = choice.finish or "stop"
    self.check(answer)
    return self.result(answer)


@wrong(Chat, "parsed", "RFC 8259 2: a text that is not JSON has no meaning")
def skips_what_does_not_parse(self: Chat, data: str) -> Any:
    """Skips data that is not JSON."""
    try:
        return json.loads(data)
    except ValueError:
        return {}


@wrong(Chat, "constant", "RFC 8259 6: NaN and Infinity are not permitted")
def accepts_nan(self: Chat, name: str) -> Any:
    """Accepts NaN and Infinity, as Python does unless it is told otherwise."""
    return float(name)


@wrong(Chat, "check", "OpenAI's chat reference: the stream is terminated by [DONE]; recorded providers leave it out")
def needs_the_end_mark(self: Chat, answer: Answer) -> None:
    """Refuses a complete answer without `[DONE]`."""
    if not answer.done:
        raise ClientError("the stream has no [DONE]")
    Chat.check(self, answer)


@wrong(Chat, "finish", "OpenAI's chat reference: `length` means that the answer is cut")
def takes_length_for_stop(self: Chat, state: Choice, choice: JSON) -> None:
    """Knows two finish reasons, `tool_calls` and `stop`."""
    if choice.get("finish_reason"):
        state.finish = "tool_calls" if state.calls else "stop"


@wrong(Chat, "respond", "RFC 9110 9.2.2: a request that is not idempotent must not be repeated by itself")
def tries_again_and_goes_on(
    self: Chat, wire: Wire, status: int, headers: Headers, pieces: Iterator[bytes], request: JSON
) -> Result:
    """Sends the request again when a stream breaks, and adds the second text to the first."""
    answer = Answer(request.get("n") or 1, done=status != 200)
    try:
        if status != 200:
            return Chat.respond(self, wire, status, headers, pieces, request)
        for event in self.noted(wire, self.events(self.lines(self.text(pieces)))):
            if self.is_done(event):
                answer.done = True
                break
            if self.is_chunk(event):
                self.event(answer, event)
        self.check(answer)
        return self.result(answer)
    except ClientError:
        if answer.done:
            raise
        with closing(Chat()) as client:
            again = client("http://{}:{}{}".format(*wire.address, self.base), request)
        return {**again, "content": self.joined(answer.choices.get(0, Choice()).content) + again["content"]}


@wrong(Chat, "lines", "HTML 9.2.5: each stream is parsed from its own start")
def keeps_half_a_line_for_the_next_stream(self: Chat, texts: Any) -> Iterator[str]:
    """Keeps what is left of a stream in the client, before the next one."""
    self.__dict__.setdefault("left", "")
    for text in texts:
        self.__dict__["left"] += text
        *lines, _ = self.__dict__["left"].replace("\r\n", "\n").split("\n")
        self.__dict__["left"] = self.__dict__["left"].replace("\r\n", "\n").rpartition("\n")[2]
        yield from lines


@wrong(Chat, "counts", "OpenAI's chat reference: usage is that of the request")
def returns_the_last_usage_it_had(self: Chat, usage: JSON | None) -> JSON | None:
    """Returns the usage of the request before if this one has none."""
    self.__dict__["counted"] = Chat.counts(self, usage) or self.__dict__.get("counted")
    counted: JSON | None = self.__dict__["counted"]
    return counted
