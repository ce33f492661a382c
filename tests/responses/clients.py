"""A correct client of the Responses API, with a method for each thing that it does. `wrong_clients` change one each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from http.client import HTTPConnection, HTTPResponse
from time import monotonic  # a client waits by the clock; what it is sent does not depend on it
from typing import Any
from urllib.parse import urlsplit

from fakellm.wire.sse import Decoder, Event

START, IDLE = 10.0, 0.5
"""Seconds until the head, for which a busy machine may need long, and those without an event after which a client gives
up."""
ENDS = ("response.completed", "response.incomplete", "response.failed")
OF_PARTS = ("response.output_text.delta", "response.refusal.delta")


class ClientError(Exception):
    """The response is not a whole answer."""


class Careful:
    """Keeps every rule: items by their index, the last value of what is repeated, an error unless the response ends."""

    def __call__(self, base_url: str, request: dict[str, Any]) -> dict[str, Any]:
        address = urlsplit(base_url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=START)
        try:
            connection.request("POST", f"{address.path}/responses", json.dumps(request))
            response = connection.getresponse()
            if connection.sock:
                connection.sock.settimeout(IDLE)
            data = self.received(response)
            if response.status != 200:
                raise ClientError(f"HTTP status {response.status}")
            if data[:1] == b"{":
                return self.body(json.loads(data))
            return self.read(data)
        finally:
            connection.close()

    def received(self, response: HTTPResponse) -> bytes:
        """The bytes of a response. Comments alone are not progress."""
        decoder, last, data = Decoder(), monotonic(), b""
        for piece in self.reads(response):
            data += piece
            last = monotonic() if decoder.feed(piece) else last
            if monotonic() - last > IDLE:
                raise ClientError(f"no event for {IDLE:g} s")
        return data

    def reads(self, response: HTTPResponse) -> Iterator[bytes]:
        while piece := response.read1(65536):
            yield piece

    def read(self, data: bytes) -> dict[str, Any]:
        """What the bytes of a stream amount to."""
        self.items: dict[Any, dict[str, Any]] = {}
        self.open: set[Any] = set()
        """The items that were added and not done."""
        self.deltas: dict[Any, str] = {}
        self.begun: set[Any] = set()
        for event in self.events(data):
            value = self.value(event)
            if value is None:
                continue
            kind = value.get("type", event.event)
            if kind in ENDS:
                return self.end(kind, value)
            self.on(kind, value)
        return self.cut()

    def events(self, data: bytes) -> Iterable[Event]:
        return Decoder().feed(data)

    def value(self, event: Event) -> dict[str, Any] | None:
        if event.data == "[DONE]" or not event.data:
            return None
        try:
            value = json.loads(event.data)
        except ValueError:
            raise ClientError(f"not JSON: {event.data[:40]}") from None
        if not isinstance(value, dict):
            raise ClientError(f"not an object: {event.data[:40]}")
        if "type" not in value and "error" not in value and event.event != "error":
            return None  # no event of this API
        return value

    def on(self, kind: str, value: dict[str, Any]) -> None:
        """An event before the last one."""
        if kind == "error" or (value.get("error") and "type" not in value):
            raise ClientError(self.message(value))
        if kind == "response.output_item.added":
            self.items[self.key(value)] = value["item"]
            self.open.add(self.key(value))
        elif kind == "response.output_item.done":
            self.done(value)
            self.open.discard(self.key(value))
        elif kind == "response.content_part.added":
            self.begun.add((self.key(value), value["content_index"]))
        elif kind.endswith(".delta") and kind.startswith("response."):
            if self.key(value) not in self.items:
                raise ClientError(f"{kind} of an unknown item")
            number = value.get("content_index", value.get("summary_index", 0))
            if kind in OF_PARTS and (self.key(value), number) not in self.begun:
                raise ClientError(f"{kind} of an unknown part")
            place = (self.key(value), number, kind)
            self.deltas[place] = self.deltas.get(place, "") + str(value["delta"])

    def key(self, value: dict[str, Any]) -> Any:
        """What identifies the item of an event."""
        return value["output_index"]

    def done(self, value: dict[str, Any]) -> None:
        self.items[self.key(value)] = value["item"]

    def message(self, value: dict[str, Any]) -> str:
        """The message of an error, nested or flat."""
        error = value.get("error")
        return str(error.get("message") if isinstance(error, dict) else error or value.get("message"))

    def end(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        response = value["response"]
        if kind == "response.failed":
            raise ClientError(str((response.get("error") or {}).get("message")))
        return self.result(response, self.with_output(response.get("output") or ()))

    def with_output(self, output: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The items that were done. One that never was must be in the last event, or its end is missing."""
        ended = dict(enumerate(output))
        if missing := self.open - ended.keys():
            raise ClientError(f"items {missing} were never done")
        return list({**ended, **{key: item for key, item in self.items.items() if key not in self.open}}.values())

    def cut(self) -> dict[str, Any]:
        raise ClientError("the stream has no end")

    def body(self, response: dict[str, Any]) -> dict[str, Any]:
        if response.get("object") != "response" or response.get("error"):
            raise ClientError("not a response")
        return self.result(response, response["output"])

    def result(self, response: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
        parts = [part for item in items if item.get("type") == "message" for part in self.parts(item)]
        calls = [
            {"name": item["name"], "arguments": self.arguments(item)}
            for item in items
            if item.get("type") in ("function_call", "custom_tool_call")
        ]
        thoughts = [part for item in items if item.get("type") == "reasoning" for part in item.get("content") or ()]
        reason = (response.get("incomplete_details") or {}).get("reason")
        words = {"max_output_tokens": "length", "content_filter": "content_filter"}
        usage = response.get("usage")
        return {
            "content": "".join(part.get("text", "") for part in parts),
            "refusal": "".join(part.get("refusal", "") for part in parts),
            "reasoning": "".join(part["text"] for part in thoughts),
            "tool_calls": calls,
            "finish_reason": words.get(str(reason), "tool_calls" if calls else "stop"),
            "usage": usage and self.usage(usage),
        }

    def parts(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        return list(message["content"])

    def arguments(self, call: dict[str, Any]) -> Any:
        return call.get("arguments", call.get("input"))

    def usage(self, usage: dict[str, Any]) -> dict[str, Any]:
        return {"prompt_tokens": usage["input_tokens"], "completion_tokens": usage["output_tokens"]}
