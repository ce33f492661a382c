"""A correct client of Ollama's `/api/chat`, and wrong ones that each have one bug, for the fuzzer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from time import monotonic  # a client waits by the clock; what it is sent does not depend on it
from typing import Any
from urllib.parse import urlsplit

START, IDLE = 10.0, 0.5
"""Seconds until the head, for which a busy machine may need long, and those without a line after which a client gives
up."""

Line = dict[str, Any]


class OllamaError(Exception):
    """The response is not a whole answer."""


class Careful:
    """Keeps every rule."""

    def __call__(self, base_url: str, request: dict[str, Any]) -> dict[str, Any]:
        address = urlsplit(base_url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=START)
        try:
            connection.request("POST", f"{address.path}/api/chat", json.dumps(request))
            response = connection.getresponse()
            if connection.sock:
                connection.sock.settimeout(IDLE)
            if response.status != 200:
                raise OllamaError(f"HTTP status {response.status}")
            return self.read(self.parsed(self.lines(response)))
        finally:
            connection.close()

    def lines(self, response: HTTPResponse) -> Iterator[bytes]:
        """The lines: only a line feed ends one."""
        rest, last = b"", monotonic()
        while data := response.read1(65536):
            *whole, rest = (rest + data).split(b"\n")
            yield from whole
            last = monotonic() if any(map(bytes.strip, whole)) else last
            if monotonic() - last > IDLE:  # blank lines alone are not progress
                raise OllamaError(f"no line for {IDLE:g} s")
        yield rest

    def parsed(self, lines: Iterator[bytes]) -> Iterator[Line]:
        """The values of the lines that are not blank."""
        for line in lines:
            if line.strip():
                try:
                    value = json.loads(line)
                except ValueError as error:
                    raise OllamaError(f"{error}: {line[:80]!r}") from None
                if not isinstance(value, dict):
                    raise OllamaError(f"not an object: {line[:80]!r}")
                yield value

    def read(self, lines: Iterator[Line]) -> dict[str, Any]:
        """What the lines amount to."""
        found: dict[str, Any] = {"content": "", "reasoning": "", "tool_calls": []}
        for line in lines:
            if "error" in line:
                self.at_error(line)
                continue
            self.add(found, line)
            if line.get("done"):
                counts = {
                    "prompt_tokens": line.get("prompt_eval_count", 0),
                    "completion_tokens": line.get("eval_count", 0),
                }
                return {
                    **found,
                    "finish_reason": line.get("done_reason"),
                    "usage": counts if "total_duration" in line else None,
                }
        return self.at_end(found)

    def add(self, found: dict[str, Any], line: Line) -> None:
        """Adds a line to what was found."""
        message = line["message"]
        found["content"] += message.get("content") or ""
        found["reasoning"] += message.get("thinking") or ""
        for call in message.get("tool_calls") or ():
            arguments = call["function"]["arguments"]
            if not isinstance(arguments, dict):
                raise OllamaError(f"arguments that are not an object: {arguments!r}")
            found["tool_calls"].append({"name": call["function"]["name"], "arguments": arguments})

    def at_error(self, line: Line) -> None:
        raise OllamaError(str(line["error"]))

    def at_end(self, found: dict[str, Any]) -> dict[str, Any]:
        """What a stream without a last line amounts to."""
        raise OllamaError("the stream has no last line")


class TakesReadsForLines(Careful):
    def lines(self, response: HTTPResponse) -> Iterator[bytes]:
        while data := response.read1(65536):
            yield from data.rstrip(b"\n").split(b"\n")


class TakesAReadForOneLine(Careful):
    def lines(self, response: HTTPResponse) -> Iterator[bytes]:
        while data := response.read1(65536):
            yield data


class SplitsAsPythonDoes(Careful):
    def lines(self, response: HTTPResponse) -> Iterator[bytes]:
        return (line.encode() for line in response.read().decode().splitlines())


class DecodesEachRead(Careful):
    def lines(self, response: HTTPResponse) -> Iterator[bytes]:
        text = ""
        while data := response.read1(65536):
            text += data.decode("utf-8", "replace")
        return iter(text.encode().split(b"\n"))


class NeedsTheLastLineEnd(Careful):
    def lines(self, response: HTTPResponse) -> Iterator[bytes]:
        *whole, _ = response.read().split(b"\n")
        return iter(whole)


class TakesABlankLineForTheEnd(Careful):
    def parsed(self, lines: Iterator[bytes]) -> Iterator[Line]:
        for line in lines:
            if not line.strip():
                return
            yield from super().parsed(iter([line]))


class IgnoresErrors(Careful):
    def at_error(self, line: Line) -> None:
        pass

    def at_end(self, found: dict[str, Any]) -> dict[str, Any]:
        return {**found, "finish_reason": "stop", "usage": None}


class TakesAnyEndForTheEnd(Careful):
    def at_end(self, found: dict[str, Any]) -> dict[str, Any]:
        return {**found, "finish_reason": "stop", "usage": None}


class ReadsCallsFromTheLastLine(Careful):
    def add(self, found: dict[str, Any], line: Line) -> None:
        if not line.get("done"):
            line = {**line, "message": {**line["message"], "tool_calls": None}}
        super().add(found, line)


class IgnoresTheLastLine(Careful):
    def add(self, found: dict[str, Any], line: Line) -> None:
        if not line.get("done"):
            super().add(found, line)


class ReadsOneCallOfALine(Careful):
    def add(self, found: dict[str, Any], line: Line) -> None:
        calls = line["message"].get("tool_calls") or []
        super().add(found, {**line, "message": {**line["message"], "tool_calls": calls[:1]}})


class KeysCallsByTheirIndex(Careful):
    def add(self, found: dict[str, Any], line: Line) -> None:
        before = len(found["tool_calls"])
        super().add(found, line)
        known = found.setdefault("known", {})
        for call, each in zip(line["message"].get("tool_calls") or (), found["tool_calls"][before:], strict=True):
            known[call["function"].get("index", 0)] = each
        found["tool_calls"] = list(known.values())

    def read(self, lines: Iterator[Line]) -> dict[str, Any]:
        return {key: value for key, value in super().read(lines).items() if key != "known"}


class ReadsEitherTextOrThinking(Careful):
    def add(self, found: dict[str, Any], line: Line) -> None:
        message = line["message"]
        kept = "thinking" if message.get("thinking") else "content"
        super().add(found, {**line, "message": {"tool_calls": message.get("tool_calls"), kept: message.get(kept)}})


class TakesAnEmptyLineForTheEnd(Careful):
    def add(self, found: dict[str, Any], line: Line) -> None:
        if not any(line["message"].get(key) for key in ("content", "thinking", "tool_calls")) and not line["done"]:
            line["done"] = True
        super().add(found, line)


class NeedsSixDigits(Careful):
    def add(self, found: dict[str, Any], line: Line) -> None:
        if not re.fullmatch(r"[-0-9T:]+(\.\d{1,6})?Z", line["created_at"]):
            raise OllamaError(f"a time that it does not know: {line['created_at']}")
        super().add(found, line)


class NeedsDoneSecond(Careful):
    def add(self, found: dict[str, Any], line: Line) -> None:
        if not json.dumps(line).startswith('{"model"'):
            raise OllamaError("a line that does not start with the model")
        super().add(found, line)
