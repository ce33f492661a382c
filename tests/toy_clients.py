"""A correct client of the toy API, and three that each have one bug, for the fuzzer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection, HTTPResponse
from time import monotonic  # a client waits by the clock; what it is sent does not depend on it
from typing import Any
from urllib.parse import urlsplit

from fakellm.wire.sse import Decoder, Event
from tests.toy_api import KNOWN

START, IDLE = 10.0, 0.5
"""Seconds until the head, for which a busy machine may need long, and those without an event after which a client gives
up."""


class ToyError(Exception):
    """The response is not a whole answer."""


class Careful:
    """Keeps every rule: raises an error unless the stream has its `close`."""

    def __call__(self, base_url: str, request: dict[str, Any]) -> dict[str, Any]:
        address = urlsplit(base_url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=START)
        try:
            connection.request("POST", f"{address.path}/v1/toy", json.dumps(request))
            response = connection.getresponse()
            if connection.sock:
                connection.sock.settimeout(IDLE)
            if response.status != 200:
                raise ToyError(f"HTTP status {response.status}")
            return self.read(_events(response))
        finally:
            connection.close()

    def read(self, events: Iterator[Event]) -> dict[str, Any]:
        """What the events amount to."""
        kinds: dict[int, dict[str, Any]] = {}
        pieces: dict[int, list[str]] = {}
        for event in events:
            data = _data(event) if event.event in KNOWN else {}
            match event.event:
                case "block_start":
                    kinds[data["n"]], pieces[data["n"]] = data, []
                case "delta" if data["to"] != "signature":
                    pieces[data["n"]].append(data["add"])
                case "close":
                    return self.result(kinds, pieces, data["stop"], data["usage"])
                case "error":
                    if result := self.at_error(kinds, pieces):
                        return result
                    raise ToyError(event.data)
                case "ping":
                    self.at_ping(event, kinds, pieces)
        raise ToyError("the stream has no close")

    def result(
        self, kinds: dict[int, dict[str, Any]], pieces: dict[int, list[str]], stop: str | None, usage: list[int] | None
    ) -> dict[str, Any]:
        texts = {"text": "", "thinking": "", "refusal": ""}
        calls, blocks = [], []
        for number, block in kinds.items():
            text = self.joined(pieces[number])
            if block["type"] == "call":
                calls.append({"name": block["name"], "arguments": text})
                blocks.append({"type": "tool_call", **calls[-1]})
            else:
                texts[block["type"]] += text
                blocks.append({"type": block["type"], "text": text})
        counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1]} if usage else None
        return {
            "content": texts["text"],
            "reasoning": texts["thinking"],
            "refusal": texts["refusal"],
            "tool_calls": calls,
            "finish_reason": stop,
            "blocks": blocks,
            "usage": counts,
        }

    def joined(self, pieces: Sequence[str]) -> str:
        """The text of a block."""
        return "".join(pieces)

    def at_error(self, kinds: dict[int, dict[str, Any]], pieces: dict[int, list[str]]) -> dict[str, Any] | None:
        """What to return at an `error`; None to raise one."""
        return None

    def at_ping(self, event: Event, kinds: dict[int, dict[str, Any]], pieces: dict[int, list[str]]) -> None:
        """Nothing: a ping has no content."""


class DropsTheLastDelta(Careful):
    """Loses the last delta of a block that has several."""

    def joined(self, pieces: Sequence[str]) -> str:
        return "".join(pieces[:-1] or pieces)


class IgnoresErrors(Careful):
    """Takes an `error` as the usual end."""

    def at_error(self, kinds: dict[int, dict[str, Any]], pieces: dict[int, list[str]]) -> dict[str, Any] | None:
        return self.result(kinds, pieces, "stop", None)


class ReadsPings(Careful):
    """Takes a `ping` as text."""

    def at_ping(self, event: Event, kinds: dict[int, dict[str, Any]], pieces: dict[int, list[str]]) -> None:
        kinds[-1] = {"type": "text"}
        pieces.setdefault(-1, []).append(event.data)


def _data(event: Event) -> Any:
    try:
        return json.loads(event.data)
    except ValueError as error:
        raise ToyError(f"{error}: {event.data[:80]!r}") from None


def _events(response: HTTPResponse) -> Iterator[Event]:
    decoder, last = Decoder(), monotonic()
    while data := response.read1(65536):
        events = decoder.feed(data)
        yield from events
        last = monotonic() if events else last
        if monotonic() - last > IDLE:  # comments alone are not progress
            raise ToyError(f"no event for {IDLE:g} s")
