"""Clients that are wrong on purpose, each in one way that real ones have been: a careful one, with one thing changed.

`Careful` reads a stream as it should be read, each thing it does in a method of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from html import unescape
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

JSON = dict[str, Any]


class Careful:
    """Bytes to lines, lines to events, events to chunks, chunks to a result."""

    mark = "\ufeff"
    """What may open the stream and is no part of it."""

    def __call__(self, base_url: str, request: JSON) -> JSON:
        self.text = self.reason = self.refused = self.role = ""
        self.last: Any = None
        self.calls: dict[Any, JSON] = {}
        self.ids: dict[Any, str] = {}
        self.finish: str | None = None
        self.usage: JSON | None = None
        address = urlsplit(base_url)
        with closing(HTTPConnection(address.hostname or "", address.port, timeout=1.0)) as connection:
            connection.request("POST", address.path + "/chat/completions", json.dumps(request))
            with connection.getresponse() as response:
                self.read(response)
        return self.result()

    def read(self, response: HTTPResponse) -> None:
        if response.status != 200:
            raise ConnectionError(f"status {response.status}")
        for data in self.events(response):
            if data == "[DONE]":
                break
            self.chunk(json.loads(data))

    def reads(self, response: HTTPResponse) -> Iterator[bytes]:
        while piece := response.read1():
            yield piece

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        rest, after_cr = b"", False
        for piece in self.reads(response):
            for byte in piece:
                if byte == 10 and after_cr:
                    after_cr = False
                elif byte in (10, 13):
                    yield rest.decode().removeprefix(self.mark)
                    rest, after_cr = b"", byte == 13
                else:
                    rest, after_cr = rest + bytes([byte]), False

    def events(self, response: HTTPResponse) -> Iterator[str]:
        data: list[str] = []
        kind = ""
        for line in self.lines(response):
            name, _, value = line.partition(":")
            if line:
                data += [value.removeprefix(" ")] if name == "data" else []
                kind = value.strip() if name == "event" else kind
                continue
            if data and data != [""] and kind in ("", "message"):
                yield "\n".join(data)
            data, kind = [], ""

    def chunk(self, chunk: JSON) -> None:
        self.usage = chunk.get("usage") or self.usage
        if "error" in chunk:
            raise ConnectionError(str(chunk["error"]))
        for choice in chunk.get("choices") or ():
            if choice["index"] == 0:
                self.delta(choice.get("delta") or {})
                self.finished(choice)

    def finished(self, choice: JSON) -> None:
        self.finish = choice.get("finish_reason") or self.finish

    def delta(self, delta: JSON) -> None:
        self.content(delta)
        self.reason += delta.get("reasoning_content") or delta.get("reasoning") or ""
        self.refused += delta.get("refusal") or ""
        for place, piece in enumerate(delta.get("tool_calls") or ()):
            self.piece(piece, place)

    def content(self, delta: JSON) -> None:
        self.text += delta.get("content") or ""

    def piece(self, piece: JSON, place: int) -> None:
        index, function = piece.get("index"), piece.get("function") or {}
        key = piece.get("id") if index is None else index
        if piece.get("id") and function.get("name") and self.ids.get(key, piece["id"]) != piece["id"]:
            key = f"{key} {piece['id']}"  # another call at an index that is taken
        self.ids.setdefault(key, piece.get("id") or "")
        call = self.calls.setdefault(key, {"name": "", "arguments": ""})
        call["name"] = call["name"] or function.get("name") or ""
        call["arguments"] += function.get("arguments") or ""

    def result(self) -> JSON:
        if self.finish is None:
            raise EOFError("the stream ended before the answer did")
        calls = [self.calls[key] for key in sorted(self.calls, key=str)]
        return {
            "content": self.text,
            "reasoning": self.reason,
            "refusal": self.refused,
            "tool_calls": calls,
            "finish_reason": self.finish,
            "usage": self.usage and {name: self.usage.get(name) for name in COUNTS},
        }


COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class SplitsEachRead(Careful):
    """A2: takes every read for whole events."""

    def events(self, response: HTTPResponse) -> Iterator[str]:
        for piece in self.reads(response):
            for block in piece.decode().split("\n\n"):
                yield from (line[6:] for line in block.split("\n") if line.startswith("data: "))


class DecodesEachRead(Careful):
    """A1: decodes every read by itself."""

    def reads(self, response: HTTPResponse) -> Iterator[bytes]:
        for piece in super().reads(response):
            yield piece.decode("utf-8", "replace").encode()


class WantsSpace(Careful):
    """A4: `data: ` with its space."""

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        return (line for line in super().lines(response) if not line.startswith("data:{"))


class CrashesOnComments(Careful):
    """A5: every line has a name."""

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        for line in super().lines(response):
            if line.startswith(":"):
                raise KeyError("")
            yield line


class EndsAtCrlfOnly(Careful):
    """A3: lines end in LF, and a CR is part of them."""

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        yield from b"".join(self.reads(response)).decode().removeprefix(self.mark).split("\n")


class SplitsLikeStr(Careful):
    """A11: str.splitlines knows eight ends of lines more."""

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        yield from b"".join(self.reads(response)).decode().removeprefix(self.mark).splitlines()


class KeepsTheMark(Careful):
    """A10: a byte order mark is part of the first name."""

    mark = "none"


class OneDataLine(Careful):
    """A9: the last `data:` line of an event is all of it."""

    def events(self, response: HTTPResponse) -> Iterator[str]:
        data = (line[5:].strip() for line in self.lines(response) if line.startswith("data:"))
        yield from filter(None, data)


class TakesHeartbeats(Careful):
    """A8: an event with empty data is a chunk."""

    def events(self, response: HTTPResponse) -> Iterator[str]:
        data: list[str] = []
        for line in self.lines(response):
            data += [line[5:].strip()] if line.startswith("data:") else []
            if not line and data:
                yield "\n".join(data)
                data = []


class WantsChoices(Careful):
    """B1: every chunk has a choice."""

    def chunk(self, chunk: JSON) -> None:
        if not chunk.get("usage"):
            chunk["choices"][0]
        super().chunk(chunk)


class AppendsTheRole(Careful):
    """B4: adds up whatever is text."""

    def delta(self, delta: JSON) -> None:
        self.role += delta.get("role") or ""
        if self.role not in ("", "assistant"):
            raise ValueError(self.role)
        super().delta(delta)


class WantsTheRole(Careful):
    """B5: nothing is said before somebody speaks."""

    def delta(self, delta: JSON) -> None:
        self.role = self.role or delta.get("role") or ""
        if self.role:
            super().delta(delta)


class StopsAtEmptyFinish(Careful):
    """B7: an empty reason is a reason."""

    def finished(self, choice: JSON) -> None:
        if self.finish is None:
            self.finish = choice.get("finish_reason")


class DropsTheLastDelta(Careful):
    """B8: what comes with the finish is the finish alone."""

    def chunk(self, chunk: JSON) -> None:
        for choice in chunk.get("choices") or ():
            if choice.get("finish_reason"):
                choice["delta"] = {}
        super().chunk(chunk)


class JoinsTheFinish(Careful):
    """B9: adds reasons up."""

    def finished(self, choice: JSON) -> None:
        if choice.get("finish_reason"):
            self.finish = (self.finish or "") + choice["finish_reason"]


class StopsAtTheFinish(Careful):
    """D2: no usage comes after the finish."""

    def chunk(self, chunk: JSON) -> None:
        if self.finish is None:
            super().chunk(chunk)


class UsageInItsOwnChunk(Careful):
    """D2: usage is in the chunk without choices, or nowhere."""

    def chunk(self, chunk: JSON) -> None:
        super().chunk(chunk if not chunk.get("choices") else {**chunk, "usage": None})


class AddsUsageUp(Careful):
    """D1, D2: sums the usage of all chunks."""

    def chunk(self, chunk: JSON) -> None:
        before = self.usage
        super().chunk(chunk)
        if before and chunk.get("usage"):
            self.usage = {name: before[name] + chunk["usage"][name] for name in COUNTS}


class MergesChoices(Careful):
    """B19: every choice is the first."""

    def chunk(self, chunk: JSON) -> None:
        super().chunk({**chunk, "choices": [{**choice, "index": 0} for choice in chunk.get("choices") or ()]})


class LastCallWins(Careful):
    """C3: each piece is for the call that was opened last."""

    def piece(self, piece: JSON, place: int) -> None:
        if piece.get("id"):
            self.last = piece.get("index")
        super().piece({**piece, "index": self.last}, place)


class OneCallADelta(Careful):
    """C2: a delta has one piece."""

    def piece(self, piece: JSON, place: int) -> None:
        if place == 0:
            super().piece(piece, place)


class NeedsTheIndex(Careful):
    """C6: there is an index."""

    def piece(self, piece: JSON, place: int) -> None:
        super().piece({**piece, "index": piece["index"] + 0}, place)


class OpensAtTheId(Careful):
    """C9: an id opens another call."""

    def piece(self, piece: JSON, place: int) -> None:
        if piece.get("id"):
            self.calls.pop(piece["index"], None)
        super().piece(piece, place)


class TakesEmptyNames(Careful):
    """C10: the last name is the name, and an empty one is a name."""

    def piece(self, piece: JSON, place: int) -> None:
        super().piece(piece, place)
        name = (piece.get("function") or {}).get("name")
        if name is not None:
            self.calls[piece.get("index")]["name"] = name


class WritesNone(Careful):
    """C14: null arguments are the text None."""

    def piece(self, piece: JSON, place: int) -> None:
        function = piece.get("function") or {}
        if "arguments" in function:
            piece = {**piece, "function": {**function, "arguments": str(function["arguments"])}}
        super().piece(piece, place)


class RoundsNumbers(Careful):
    """C21: numbers are floats."""

    def result(self) -> JSON:
        said = super().result()
        for call in said["tool_calls"]:
            call["arguments"] = json.loads(call["arguments"] or "{}", parse_int=float)
        return said


class KeepsNoText(Careful):
    """C19: with calls there is no text."""

    def result(self) -> JSON:
        said = super().result()
        return {**said, "content": ""} if said["tool_calls"] else said


class EndsWell(Careful):
    """E1: a stream that ends has come to its end."""

    def result(self) -> JSON:
        self.finish = self.finish or "stop"
        return super().result()


class FillsInUsage(Careful):
    """E1, D5: what was not counted is none at all."""

    def result(self) -> JSON:
        self.finish = self.finish or ("length" if self.text else None)
        self.usage = self.usage or dict.fromkeys(COUNTS, 0)
        return super().result()


class EmptiesArguments(Careful):
    """E2: arguments that are no JSON are none."""

    def result(self) -> JSON:
        for call in self.calls.values():
            try:
                json.loads(call["arguments"] or "{}")
            except ValueError:
                call["arguments"] = {}
        return super().result()


class PassesOverErrors(Careful):
    """E4, E7: what is no chunk is passed over."""

    def chunk(self, chunk: JSON) -> None:
        super().chunk({key: value for key, value in chunk.items() if key != "error"})

    def result(self) -> JSON:
        self.finish = self.finish or "stop"
        return super().result()


class PassesOverNonsense(Careful):
    """E7: a frame that is no JSON is passed over."""

    def events(self, response: HTTPResponse) -> Iterator[str]:
        for data in super().events(response):
            try:
                json.loads(data.replace("[DONE]", "{}"))
            except ValueError:
                continue
            yield data


class TriesAgain(Careful):
    """F3: asks again after a broken connection, and goes on with the text that it has."""

    def __call__(self, base_url: str, request: JSON) -> JSON:
        try:
            return super().__call__(base_url, request)
        except Exception:
            before = self.text
        said = super().__call__(base_url, request)
        return {**said, "content": before + said["content"]}


class UnescapesHtml(Careful):
    """Text is HTML."""

    def content(self, delta: JSON) -> None:
        super().content({"content": unescape(delta.get("content") or "")})


class UnescapesTwice(Careful):
    """A backslash and an n are an end of a line, though the JSON was read already."""

    def content(self, delta: JSON) -> None:
        super().content({"content": (delta.get("content") or "").replace("\\n", "\n")})


class DropsRepeats(Careful):
    """What is said twice in a row was sent twice by mistake."""

    def content(self, delta: JSON) -> None:
        if delta.get("content") != self.last:
            super().content(delta)
        self.last = delta.get("content")


class StripsTheText(Careful):
    """White space at either end is nobody's."""

    def result(self) -> JSON:
        said = super().result()
        return {**said, "content": said["content"].strip()}


class TakesNullForNothing(Careful):
    """A text that looks like nothing is none."""

    def result(self) -> JSON:
        said = super().result()
        return {**said, "content": "" if said["content"] in ("null", "0", "false", "[]") else said["content"]}


class WantsTheFinishOfCalls(Careful):
    """C16: calls are called where the finish says so."""

    def result(self) -> JSON:
        said = super().result()
        return said if said["finish_reason"] == "tool_calls" else {**said, "tool_calls": []}


class AsksOnce(Careful):
    """The same call twice is one."""

    def result(self) -> JSON:
        said = super().result()
        calls = {json.dumps(call): call for call in said["tool_calls"]}
        return {**said, "tool_calls": [*calls.values()]}


class SortsCalls(Careful):
    """Ids rise."""

    def result(self) -> JSON:
        calls = sorted(self.calls, key=lambda key: str(self.ids[key]))
        return {**super().result(), "tool_calls": [self.calls[key] for key in calls]}


class LowersNames(Careful):
    """Names are in lower case."""

    def result(self) -> JSON:
        said = super().result()
        return {**said, "tool_calls": [{**call, "name": call["name"].lower()} for call in said["tool_calls"]]}


class DropsFalseArguments(Careful):
    """Arguments that are false are not given."""

    def result(self) -> JSON:
        said = super().result()
        for call in said["tool_calls"]:
            call["arguments"] = {key: item for key, item in json.loads(call["arguments"] or "{}").items() if item}
        return said


class WantsTokens(Careful):
    """Usage without a completion is none."""

    def result(self) -> JSON:
        said = super().result()
        return said if self.usage and self.usage["completion_tokens"] else {**said, "usage": None}


class ShortLines(Careful):
    """A14: no line is longer than 64 KiB."""

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        for line in super().lines(response):
            if len(line) > 65536:
                raise ValueError("line too long")
            yield line


class GivesUpOnSilence(Careful):
    """B6: three hundred chunks that say nothing are the end."""

    silent = 0

    def delta(self, delta: JSON) -> None:
        self.silent = 0 if any(delta.values()) else self.silent + 1
        if self.silent > 300:
            raise ValueError("too many empty messages")
        super().delta(delta)


class GivesUpOnComments(Careful):
    """A5: after forty comments there is nobody."""

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        comments = 0
        for line in super().lines(response):
            comments += line.startswith(":")
            if comments > 40:
                raise ValueError("nothing but comments")
            yield line


class FirstChoiceFirst(Careful):
    """B19: the choice that speaks first is the first."""

    def chunk(self, chunk: JSON) -> None:
        for choice in chunk.get("choices") or ():
            self.last = choice["index"] if self.last is None else self.last
            choice["index"] -= self.last
        super().chunk(chunk)


class AnyFinish(Careful):
    """B19: the last finish is that of all choices."""

    def chunk(self, chunk: JSON) -> None:
        super().chunk(chunk)
        for choice in chunk.get("choices") or ():
            self.finished(choice)


class GoesOn(Careful):
    """What follows `[DONE]` is part of the answer."""

    def events(self, response: HTTPResponse) -> Iterator[str]:
        return (data for data in super().events(response) if data != "[DONE]")


Wrong = Callable[[str, JSON], JSON]
