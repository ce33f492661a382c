"""A correct client of the Gemini API, and some that each have one bug that real clients had, for the fuzzer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from time import monotonic  # a client waits by the clock; what it is sent does not depend on it
from typing import Any
from urllib.parse import urlsplit

from fakellm.wire.sse import Decoder

START, IDLE = 10.0, 0.5
"""Seconds until the head, for which a server may need another process, and those without an event after which a client
gives up."""
REASONS = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}


class GeminiError(Exception):
    """The response is not a whole answer."""


class Answer:
    """A candidate, as read so far."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.finish: str | None = None

    def result(self) -> dict[str, Any]:
        reason = REASONS.get(self.finish or "", self.finish)
        return {
            "content": "".join(self.texts),
            "reasoning": "".join(self.thoughts),
            "tool_calls": self.calls,
            "finish_reason": "tool_calls" if self.calls and reason == "stop" else reason,
        }


class Careful:
    """Keeps every rule: joins the texts of all parts, and raises an error unless all candidates have finished."""

    requested = 1

    def __call__(self, base_url: str, request: dict[str, Any]) -> dict[str, Any]:
        address = urlsplit(base_url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=START)
        try:
            self.requested = request.get("generationConfig", {}).get("candidateCount", 1)
            path = f"{address.path.removesuffix('/v1')}/v1beta/models/m:streamGenerateContent?alt=sse"
            connection.request("POST", path, json.dumps(request))
            response = connection.getresponse()
            if connection.sock:
                connection.sock.settimeout(IDLE)
            if response.status != 200:
                raise GeminiError(f"HTTP status {response.status}")
            return self.read(self.frames(response))
        finally:
            connection.close()

    def frames(self, response: HTTPResponse) -> Iterator[dict[str, Any]]:
        """The frames, as they arrive."""
        decoder, seen, last = Decoder(), b"", monotonic()
        while data := response.read1():
            seen = (seen + data)[-65_536:]
            for event in decoder.feed(data):
                last = monotonic()
                if event.event == "message" and event.data:
                    yield self.frame(event.data)
            if monotonic() - last > IDLE:
                raise GeminiError("nothing but keep-alives")
        rest = seen.replace(b"\r", b"").rpartition(b"\n\n")[2].strip()
        self.after(rest)

    def frame(self, data: str) -> dict[str, Any]:
        try:
            value = json.loads(data)
        except ValueError as error:
            raise GeminiError(f"not JSON: {error}") from None
        if not isinstance(value, dict):
            raise GeminiError("not an object")
        return value

    def after(self, rest: bytes) -> None:
        """What follows the last event: an error is bare JSON."""
        if rest.startswith(b"{"):
            raise GeminiError(rest.decode())

    def read(self, frames: Iterator[dict[str, Any]]) -> dict[str, Any]:
        """What the frames amount to."""
        answers: dict[int, Answer] = {}
        usage: dict[str, Any] = {}
        numbers = set()
        for frame in frames:
            if "error" in frame:
                self.error(frame)
                continue
            usage = self.counts(usage, frame.get("usageMetadata") or {})
            for candidate in frame.get("candidates") or []:
                numbers.add(candidate.get("index", 0))
                answer = answers.setdefault(self.index(candidate), Answer())
                for part in self.parts(candidate):
                    self.part(part, answer)
                answer.finish = candidate.get("finishReason") or answer.finish
            if self.stops() and any(answer.finish for answer in answers.values()):
                break
        if len(numbers) < self.requested or not all(answer.finish for answer in answers.values()):
            self.unfinished()
        choices = [answers[number].result() for number in sorted(answers)] or [Answer().result()]
        return {**choices[0], "usage": self.usage(usage), "choices": choices}

    def error(self, frame: dict[str, Any]) -> None:
        raise GeminiError(frame["error"])

    def unfinished(self) -> None:
        raise GeminiError("a candidate has not finished")

    def stops(self) -> bool:
        return False

    def index(self, candidate: dict[str, Any]) -> int:
        index: int = candidate.get("index", 0)
        return index

    def counts(self, usage: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
        return more if "totalTokenCount" in more else usage

    def parts(self, candidate: dict[str, Any]) -> list[dict[str, Any]]:
        return (candidate.get("content") or {}).get("parts") or []

    def part(self, part: dict[str, Any], answer: Answer) -> None:
        if "functionCall" in part:
            call = part["functionCall"]
            answer.calls.append({"name": call["name"], "arguments": json.dumps(call.get("args", {}))})
        elif "text" in part:
            (answer.thoughts if part.get("thought") else answer.texts).append(part["text"])

    def usage(self, usage: dict[str, Any]) -> dict[str, Any] | None:
        if not usage:
            return None
        keys = {"prompt_tokens": "promptTokenCount", "completion_tokens": "candidatesTokenCount"}
        counts = {name: usage.get(key, 0) for name, key in keys.items()}
        return {**counts, "total_tokens": usage["totalTokenCount"]}


class ReadsTheFirstPart(Careful):
    """`parts[0]` alone."""

    def parts(self, candidate: dict[str, Any]) -> list[dict[str, Any]]:
        return super().parts(candidate)[:1]


class NeedsParts(Careful):
    """I5: no content without parts."""

    def parts(self, candidate: dict[str, Any]) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = candidate["content"]["parts"]
        return parts


class MixesThoughts(Careful):
    """Thoughts are part of the answer."""

    def part(self, part: dict[str, Any], answer: Answer) -> None:
        super().part({key: value for key, value in part.items() if key != "thought"}, answer)


class StopsAtFirstFinish(Careful):
    """The first finish ends the stream."""

    def stops(self) -> bool:
        return True


class AcceptsACut(Careful):
    """A stream that ends is whole."""

    def unfinished(self) -> None: ...


class IgnoresErrors(Careful):
    """I4: an error after good frames is the end of the answer."""

    def error(self, frame: dict[str, Any]) -> None: ...

    def after(self, rest: bytes) -> None: ...

    def unfinished(self) -> None: ...


class SumsUsage(Careful):
    """I6: running counts are added up."""

    def counts(self, usage: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
        keys = ("promptTokenCount", "candidatesTokenCount", "totalTokenCount")
        return {key: usage.get(key, 0) + more.get(key, 0) for key in keys} if "totalTokenCount" in more else usage


class OneCallPerName(Careful):
    """I7: calls are kept by name, since they need no id."""

    def part(self, part: dict[str, Any], answer: Answer) -> None:
        if part.get("functionCall", {}).get("name") not in [call["name"] for call in answer.calls]:
            super().part(part, answer)


class OneCandidate(Careful):
    """All candidates are one."""

    def index(self, candidate: dict[str, Any]) -> int:
        return 0


class ReadsLines(Careful):
    """I1: an event is a line that ends with LF, in one read."""

    def frames(self, response: HTTPResponse) -> Iterator[dict[str, Any]]:
        while data := response.read1():
            for line in data.split(b"\n"):
                if line.startswith(b"data: "):
                    yield self.frame(line[6:].decode())
