"""Clients with one bug each, such as real clients have had: each is a correct client with one thing changed.

`Careful` reads a stream correctly, with a method for each thing that it does.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from html import unescape
from http.client import HTTPConnection, HTTPResponse
from typing import Any, ClassVar
from urllib.parse import urlsplit

JSON = dict[str, Any]


class Careful:
    """Bytes to lines, lines to events, events to chunks, chunks to a result."""

    mark = "\ufeff"
    """A mark that the stream may begin with and that is not part of its content."""
    headers: ClassVar[dict[str, str]] = {}

    def __call__(self, base_url: str, request: JSON) -> JSON:
        self.text = self.reason = self.refused = self.role = ""
        self.last: Any = None
        self.calls: dict[Any, JSON] = {}
        self.ids: dict[Any, str] = {}
        self.finish: str | None = None
        self.usage: JSON | None = None
        self.ask(base_url, request)
        return self.result()

    def ask(self, base_url: str, request: JSON) -> None:
        address = urlsplit(base_url)
        with closing(HTTPConnection(address.hostname or "", address.port, timeout=1.0)) as connection:
            connection.request("POST", address.path + "/chat/completions", json.dumps(request), self.headers)
            with connection.getresponse() as response:
                self.read(response)

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
        details = "".join(each.get("text") or "" for each in delta.get("reasoning_details") or ())
        self.reason += delta.get("reasoning_content") or delta.get("reasoning") or details
        self.refused += delta.get("refusal") or ""
        for place, piece in enumerate(delta.get("tool_calls") or ()):
            self.piece(piece, place)

    def content(self, delta: JSON) -> None:
        self.text += delta.get("content") or ""

    def piece(self, piece: JSON, place: int) -> None:
        index, function = piece.get("index"), piece.get("function") or {}
        key = piece.get("id") if index is None else index
        if piece.get("id") and function.get("name") and self.ids.get(key, piece["id"]) != piece["id"]:
            key = f"{key} {piece['id']}"  # another call with the same index
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
    """A2: assumes that every read contains whole events."""

    def events(self, response: HTTPResponse) -> Iterator[str]:
        for piece in self.reads(response):
            for block in piece.decode().split("\n\n"):
                yield from (line[6:] for line in block.split("\n") if line.startswith("data: "))


class DecodesEachRead(Careful):
    """A1: decodes every read on its own."""

    def reads(self, response: HTTPResponse) -> Iterator[bytes]:
        for piece in super().reads(response):
            yield piece.decode("utf-8", "replace").encode()


class NeedsSpace(Careful):
    """A4: requires the space after `data:`."""

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        return (line for line in super().lines(response) if not line.startswith("data:{"))


class CrashesOnComments(Careful):
    """A5: assumes that every line has a field name."""

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        for line in super().lines(response):
            if line.startswith(":"):
                raise KeyError("")
            yield line


class EndsAtCrlfOnly(Careful):
    """A3: assumes that lines end with LF, and that a CR is part of the line."""

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        yield from b"".join(self.reads(response)).decode().removeprefix(self.mark).split("\n")


class SplitsLikeStr(Careful):
    """A11: uses str.splitlines, which knows eight more line ends."""

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        yield from b"".join(self.reads(response)).decode().removeprefix(self.mark).splitlines()


class KeepsTheByteOrderMark(Careful):
    """A10: reads a byte order mark as part of the first field name."""

    mark = "none"


class OneDataLine(Careful):
    """A9: assumes that an event has one `data:` line."""

    def events(self, response: HTTPResponse) -> Iterator[str]:
        data = (line[5:].strip() for line in self.lines(response) if line.startswith("data:"))
        yield from filter(None, data)


class TakesHeartbeats(Careful):
    """A8: takes an event with empty data for a chunk."""

    def events(self, response: HTTPResponse) -> Iterator[str]:
        data: list[str] = []
        for line in self.lines(response):
            data += [line[5:].strip()] if line.startswith("data:") else []
            if not line and data:
                yield "\n".join(data)
                data = []


class NeedsChoices(Careful):
    """B1: assumes that every chunk has a choice."""

    def chunk(self, chunk: JSON) -> None:
        if not chunk.get("usage"):
            chunk["choices"][0]
        super().chunk(chunk)


class AppendsTheRole(Careful):
    """B4: concatenates every string of a delta."""

    def delta(self, delta: JSON) -> None:
        self.role += delta.get("role") or ""
        if self.role not in ("", "assistant"):
            raise ValueError(self.role)
        super().delta(delta)


class NeedsTheRole(Careful):
    """B5: ignores content before the role."""

    def delta(self, delta: JSON) -> None:
        self.role = self.role or delta.get("role") or ""
        if self.role:
            super().delta(delta)


class StopsAtEmptyFinish(Careful):
    """B7: takes an empty finish reason for a finish reason."""

    def finished(self, choice: JSON) -> None:
        if self.finish is None:
            self.finish = choice.get("finish_reason")


class DropsTheLastDelta(Careful):
    """B8: ignores the delta that comes with the finish reason."""

    def chunk(self, chunk: JSON) -> None:
        for choice in chunk.get("choices") or ():
            if choice.get("finish_reason"):
                choice["delta"] = {}
        super().chunk(chunk)


class JoinsTheFinish(Careful):
    """B9: concatenates finish reasons."""

    def finished(self, choice: JSON) -> None:
        if choice.get("finish_reason"):
            self.finish = (self.finish or "") + choice["finish_reason"]


class OpensNoCallAfterTheFinish(Careful):
    """B10: ignores the calls that begin after a finish reason."""

    def piece(self, piece: JSON, place: int) -> None:
        if self.finish is None or not (piece.get("function") or {}).get("name"):
            super().piece(piece, place)


class StopsAtTheFinish(Careful):
    """D2: stops reading at the finish reason, before the usage."""

    def chunk(self, chunk: JSON) -> None:
        if self.finish is None:
            super().chunk(chunk)


class UsageInItsOwnChunk(Careful):
    """D2: reads usage only from a chunk without choices."""

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
    """B19: ignores the index of choices."""

    def chunk(self, chunk: JSON) -> None:
        super().chunk({**chunk, "choices": [{**choice, "index": 0} for choice in chunk.get("choices") or ()]})


class LastCallWins(Careful):
    """C3: adds each piece to the call that was opened last."""

    def piece(self, piece: JSON, place: int) -> None:
        if piece.get("id"):
            self.last = piece.get("index")
        super().piece({**piece, "index": self.last}, place)


class OneCallADelta(Careful):
    """C2: reads one piece per delta."""

    def piece(self, piece: JSON, place: int) -> None:
        if place == 0:
            super().piece(piece, place)


class NeedsTheIndex(Careful):
    """C6: requires the index of a call."""

    def piece(self, piece: JSON, place: int) -> None:
        super().piece({**piece, "index": piece["index"] + 0}, place)


class OpensAtTheId(Careful):
    """C9: starts a new call at every id."""

    def piece(self, piece: JSON, place: int) -> None:
        if piece.get("id"):
            self.calls.pop(piece["index"], None)
        super().piece(piece, place)


class TakesEmptyNames(Careful):
    """C10: keeps the last name, even if it is empty."""

    def piece(self, piece: JSON, place: int) -> None:
        super().piece(piece, place)
        name = (piece.get("function") or {}).get("name")
        if name is not None:
            self.calls[piece.get("index")]["name"] = name


class WritesNone(Careful):
    """C14: converts null arguments to the text None."""

    def piece(self, piece: JSON, place: int) -> None:
        function = piece.get("function") or {}
        if "arguments" in function:
            piece = {**piece, "function": {**function, "arguments": str(function["arguments"])}}
        super().piece(piece, place)


class RoundsNumbers(Careful):
    """C21: reads numbers as floats."""

    def result(self) -> JSON:
        result = super().result()
        for call in result["tool_calls"]:
            call["arguments"] = json.loads(call["arguments"] or "{}", parse_int=float)
        return result


class KeepsNoText(Careful):
    """C19: drops the text of an answer with calls."""

    def result(self) -> JSON:
        result = super().result()
        return {**result, "content": ""} if result["tool_calls"] else result


class AssumesTheEnd(Careful):
    """E1: takes the end of the stream for the end of the answer."""

    def result(self) -> JSON:
        self.finish = self.finish or "stop"
        return super().result()


class FillsInUsage(Careful):
    """E1, D5: fills in a missing finish reason and missing usage."""

    def result(self) -> JSON:
        self.finish = self.finish or ("length" if self.text else None)
        self.usage = self.usage or dict.fromkeys(COUNTS, 0)
        return super().result()


class EmptiesArguments(Careful):
    """E2: replaces arguments that are not valid JSON with none."""

    def result(self) -> JSON:
        for call in self.calls.values():
            try:
                json.loads(call["arguments"] or "{}")
            except ValueError:
                call["arguments"] = {}
        return super().result()


class SkipsErrors(Careful):
    """E4, E7: skips frames that are not chunks."""

    def chunk(self, chunk: JSON) -> None:
        super().chunk({key: value for key, value in chunk.items() if key != "error"})

    def result(self) -> JSON:
        self.finish = self.finish or "stop"
        return super().result()


class SkipsInvalidFrames(Careful):
    """E7: skips frames that are not valid JSON."""

    def events(self, response: HTTPResponse) -> Iterator[str]:
        for data in super().events(response):
            try:
                json.loads(data.replace("[DONE]", "{}"))
            except ValueError:
                continue
            yield data


class Retries(Careful):
    """F3: retries after a broken connection, and keeps the text from before."""

    def __call__(self, base_url: str, request: JSON) -> JSON:
        try:
            return super().__call__(base_url, request)
        except Exception:
            before = self.text
        result = super().__call__(base_url, request)
        return {**result, "content": before + result["content"]}


class UnescapesHtml(Careful):
    """Unescapes text as HTML."""

    def content(self, delta: JSON) -> None:
        super().content({"content": unescape(delta.get("content") or "")})


class UnescapesTwice(Careful):
    """Reads a backslash and an n as a line end, although the JSON is decoded already."""

    def content(self, delta: JSON) -> None:
        super().content({"content": (delta.get("content") or "").replace("\\n", "\n")})


class DropsRepeats(Careful):
    """Drops a piece that equals the one before."""

    def content(self, delta: JSON) -> None:
        if delta.get("content") != self.last:
            super().content(delta)
        self.last = delta.get("content")


class StripsTheText(Careful):
    """Strips white space at both ends."""

    def result(self) -> JSON:
        result = super().result()
        return {**result, "content": result["content"].strip()}


class TakesNullForEmpty(Careful):
    """Takes a text that looks empty for an empty one."""

    def result(self) -> JSON:
        result = super().result()
        return {**result, "content": "" if result["content"] in ("null", "0", "false", "[]") else result["content"]}


class NeedsTheFinishOfCalls(Careful):
    """C16: ignores calls unless the finish reason is `tool_calls`."""

    def result(self) -> JSON:
        result = super().result()
        return result if result["finish_reason"] == "tool_calls" else {**result, "tool_calls": []}


class DropsEqualCalls(Careful):
    """Drops a call that equals another."""

    def result(self) -> JSON:
        result = super().result()
        calls = {json.dumps(call): call for call in result["tool_calls"]}
        return {**result, "tool_calls": [*calls.values()]}


class SortsCalls(Careful):
    """Sorts calls by their ids."""

    def result(self) -> JSON:
        calls = sorted(self.calls, key=lambda key: str(self.ids[key]))
        return {**super().result(), "tool_calls": [self.calls[key] for key in calls]}


class LowersNames(Careful):
    """Converts names to lower case."""

    def result(self) -> JSON:
        result = super().result()
        return {**result, "tool_calls": [{**call, "name": call["name"].lower()} for call in result["tool_calls"]]}


class DropsFalseArguments(Careful):
    """Drops arguments that are false."""

    def result(self) -> JSON:
        result = super().result()
        for call in result["tool_calls"]:
            call["arguments"] = {key: item for key, item in json.loads(call["arguments"] or "{}").items() if item}
        return result


class NeedsTokens(Careful):
    """Ignores usage without completion tokens."""

    def result(self) -> JSON:
        result = super().result()
        return result if self.usage and self.usage["completion_tokens"] else {**result, "usage": None}


class ShortLines(Careful):
    """A14: limits lines to 64 KiB."""

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        for line in super().lines(response):
            if len(line) > 65536:
                raise ValueError("line too long")
            yield line


class GivesUpOnSilence(Careful):
    """B6: gives up after 300 chunks without content."""

    silent = 0

    def delta(self, delta: JSON) -> None:
        self.silent = 0 if any(delta.values()) else self.silent + 1
        if self.silent > 300:
            raise ValueError("too many empty messages")
        super().delta(delta)


class GivesUpOnComments(Careful):
    """A5: gives up after 40 comments."""

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        comments = 0
        for line in super().lines(response):
            comments += line.startswith(":")
            if comments > 40:
                raise ValueError("nothing but comments")
            yield line


class FirstChoiceFirst(Careful):
    """B19: takes the choice that starts for the first one."""

    def chunk(self, chunk: JSON) -> None:
        for choice in chunk.get("choices") or ():
            self.last = choice["index"] if self.last is None else self.last
            choice["index"] -= self.last
        super().chunk(chunk)


class AnyFinish(Careful):
    """B19: keeps the last finish reason of any choice."""

    def chunk(self, chunk: JSON) -> None:
        super().chunk(chunk)
        for choice in chunk.get("choices") or ():
            self.finished(choice)


class ReadsPastDone(Careful):
    """Reads on after `[DONE]`."""

    def events(self, response: HTTPResponse) -> Iterator[str]:
        return (data for data in super().events(response) if data != "[DONE]")


class NeedsAColon(Careful):
    """A7: assumes that every line has a colon."""

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        for line in super().lines(response):
            if line and ":" not in line:
                raise ValueError(line)
            yield line


class NeedsTheBrace(Careful):
    """A4: knows a chunk by the brace right behind `data: `."""

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        return (line for line in super().lines(response) if not line.startswith("data:  {"))


class NeedsADelta(Careful):
    """B3: assumes that every choice has a delta."""

    def chunk(self, chunk: JSON) -> None:
        for choice in chunk.get("choices") or ():
            choice["delta"].get("content")
        super().chunk(chunk)


class NeedsAListOfChoices(Careful):
    """B2: assumes that choices are a list, empty or not."""

    def chunk(self, chunk: JSON) -> None:
        len(chunk["choices"])
        super().chunk(chunk)


class NeedsCounts(Careful):
    """D3: assumes that usage has its counts."""

    def chunk(self, chunk: JSON) -> None:
        if chunk.get("usage") is not None:
            chunk["usage"]["total_tokens"] += 0
        super().chunk(chunk)


class ReadsGzip(Careful):
    """Accepts gzip, and decompresses all of it."""

    headers: ClassVar[dict[str, str]] = {"Accept-Encoding": "gzip"}

    def reads(self, response: HTTPResponse) -> Iterator[bytes]:
        data = b"".join(super().reads(response))
        for _ in range(self.codings(response)):
            data = self.decompressed(data)
        yield data

    def codings(self, response: HTTPResponse) -> int:
        return response.headers.get("Content-Encoding", "").count("gzip")

    def decompressed(self, data: bytes) -> bytes:
        return gzip.decompress(data)


class ReadsOneMember(ReadsGzip):
    """A18: decompresses the first gzip member of a body."""

    def decompressed(self, data: bytes) -> bytes:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data)


class ReadsOneCoding(ReadsGzip):
    """A18: undoes one coding of a body."""

    def codings(self, response: HTTPResponse) -> int:
        return min(super().codings(response), 1)


Wrong = Callable[[str, JSON], JSON]
