"""A correct client of any API in a few pages: every rule of `fakellm.fuzzing.oracle.verdicts` can be kept.

h11 reads HTTP/1.1; the package's own decoders, an API's `read` and `fold` read the stream. This module owns the
connection and what counts as a whole answer, and knows nothing about faults and variations.
"""

from __future__ import annotations

import json
import socket
import zlib
from collections.abc import Iterator
from time import monotonic  # noqa: TID251 # a client waits by the clock; what it is sent does not depend on it
from typing import Any
from urllib.parse import SplitResult, urlsplit

import h11
from msgspec import UNSET

from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.read_batches import read_batches
from fakellm.apis.chat.reader import read_chunk
from fakellm.apis.protocol import Provider
from fakellm.apis.route import CHAT, Route
from fakellm.apis.variation import Variation
from fakellm.base.errors import StreamError
from fakellm.base.words.count import count
from fakellm.engine.what_was_sent import up_to_the_end
from fakellm.fuzzing.clients.result import Result, ReturnedBlock, ReturnedCall, ReturnedChoice, ReturnedUsage
from fakellm.fuzzing.endpoints import endpoint_of, fuzzed_api, settings_of
from fakellm.fuzzing.oracle.normalize import total_of
from fakellm.model.blocks import Choice, Completion, Refusal, Text, Thinking, ToolCall, Usage
from fakellm.model.fold import fold
from fakellm.wire.kinds import SSE, kind_of
from fakellm.wire.sse import Decoder, Event

_OPENAI = DIALECTS["openai"]


class ReferenceClient:
    """``ReferenceClient()(base_url, request)`` sends a request for a stream and returns what the stream contains.

    It keeps its connection open for the next request.

    api: what the request is for: an API, or its name. idle: seconds without an event after which it gives up. Raises
    StreamError when the response is not a whole answer, and OSError when the connection fails.
    """

    def __init__(self, idle: float = 1.0, api: Route | str = CHAT) -> None:
        self._idle = idle
        self._api = fuzzed_api(api) if isinstance(api, str) else api
        self._path = endpoint_of(self._api).path
        self._socket: socket.socket | None = None
        self._http = h11.Connection(h11.CLIENT)
        self._received = False  # whether a byte of the response has arrived

    def __call__(self, base_url: str, request: dict[str, Any]) -> Result:
        try:
            completion = self._complete(urlsplit(base_url), request)
        except h11.RemoteProtocolError as error:
            self.close()
            raise StreamError(f"the response is not valid HTTP: {error}") from None
        except BaseException:
            self.close()
            raise
        if self._api is CHAT:
            return _result(completion, _OPENAI)
        return _result(completion, self._api.provider(self._habits))

    @property
    def _habits(self) -> Any:
        return settings_of(self._api, Variation()).habits

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._http = None, h11.Connection(h11.CLIENT)

    def _complete(self, address: SplitResult, request: dict[str, Any]) -> Completion:
        response = self._response(address, request)
        headers = {name.decode(): value.decode("latin-1") for name, value in response.headers}
        body = _decompressed(self._body(), headers.get("content-encoding", "identity").lower())
        if response.status_code != 200:
            raise StreamError(f"HTTP status {response.status_code}: {b''.join(body)[:200]!r}")
        if self._api is not CHAT:
            completion = self._read(body, self._api.parse(json.dumps(request).encode(), {}, self._path).choices)
            self._keep_or_close()
            return completion
        chunks = [read_chunk(_OPENAI, event.data) for event in _events(body, self._idle)]
        completion, _ = fold(read_batches(chunks))
        finished = sum(bool(choice.finish_reason) for choice in completion.choices)
        expected = max(len(completion.choices), request.get("n") or 1)
        if finished < expected:
            raise StreamError(f"the stream ended after {finished} of {expected} choices had finished")
        self._keep_or_close()
        return completion

    def _read(self, body: Iterator[bytes], choices: int) -> Completion:
        """The completion in a stream of the API with so many choices. Raises StreamError if it does not end as the
        API's streams do."""
        habits = self._habits
        kind = kind_of(self._api.content_type(habits, True)) or SSE
        decoder, events, last = kind.decoder(), [], monotonic()
        for data in body:
            found = decoder.feed(data)
            events += found
            last = monotonic() if found else last
            if monotonic() - last > self._idle:  # blank lines alone are not progress
                raise StreamError(f"no event for {self._idle:g} s")
        completion, end = fold(up_to_the_end(self._api.read([*events, *decoder.finish()], habits, choices)))
        if end is None or not completion.choices:
            raise StreamError(f"the stream ended after {count(len(events), 'event')} without the end of an answer")
        if end.error is not None:
            raise StreamError(str(end.error))
        return completion

    def _response(self, address: SplitResult, request: dict[str, Any]) -> h11.Response:
        """The head of the response. The request is sent again, once, if the server had already closed a kept
        connection: nothing has arrived, so nothing is read twice."""
        kept = self._socket is not None
        try:
            return self._send(address, request)
        except (ConnectionError, h11.RemoteProtocolError):
            if not kept or self._received:
                raise
            self.close()
            return self._send(address, request)

    def _send(self, address: SplitResult, request: dict[str, Any]) -> h11.Response:
        self._received = False
        if self._socket is None:
            place = (address.hostname or "", address.port or 80)
            self._socket = socket.create_connection(place, timeout=self._idle)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = json.dumps(request).encode()
        headers = [
            ("Host", address.netloc),
            ("Accept-Encoding", "gzip"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("anthropic-version", "2023-06-01"),
        ]
        head = h11.Request(method="POST", target=address.path + self._path, headers=headers)
        self._socket.sendall(b"".join(self._http.send(event) or b"" for event in (head, h11.Data(body), _END)))
        while not isinstance(response := self._next_event(), h11.Response):
            continue  # 100 to 199 are only a notice of what follows
        return response

    def _body(self) -> Iterator[bytes]:
        while isinstance(event := self._next_event(), h11.Data):
            yield bytes(event.data)

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        assert self._socket is not None
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = self._socket.recv(65536)
            self._received = self._received or bool(data)
            self._http.receive_data(data)
        return event

    def _keep_or_close(self) -> None:
        if self._http.their_state is h11.DONE and not self._http.trailing_data[0]:
            self._http.start_next_cycle()
        else:
            self.close()


_END = h11.EndOfMessage()


def _decompressed(body: Iterator[bytes], codings: str) -> Iterator[bytes]:
    """The body without its codings, the last of which was applied last (RFC 9110, section 8.4)."""
    for coding in reversed([coding.strip() for coding in codings.split(",")]):
        if coding == "gzip":
            body = _members(body)
        elif coding != "identity":
            raise StreamError(f"the body is encoded as {coding!r}; the request accepts gzip only")
    return body


def _members(body: Iterator[bytes]) -> Iterator[bytes]:
    """What gzip members contain, one after the other (RFC 1952, section 2.2)."""
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for data in body:
        try:
            yield member.decompress(data)
            while member.unused_data:
                rest, member = member.unused_data, zlib.decompressobj(zlib.MAX_WBITS | 16)
                yield member.decompress(rest)
        except zlib.error as error:
            raise StreamError(f"the body is not valid gzip: {error}") from None
    if not member.eof:
        raise StreamError("the compressed body is cut short")


def _events(body: Iterator[bytes], idle: float) -> Iterator[Event]:
    """The events that are chunks, up to ``[DONE]``. The body is still read to its end, to keep the connection."""
    decoder, done, last = Decoder(), False, monotonic()
    for data in body:
        events = decoder.feed(data)
        last = monotonic() if events else last
        if monotonic() - last > idle:  # comments alone are not progress
            raise StreamError(f"no event for {idle:g} s")
        for event in events:
            done = done or event.data == "[DONE]"
            if done or not event.data:
                continue
            if event.event == "error":
                raise StreamError(event.data)
            if event.event == "message":
                yield _checked(event)
    if decoder.unfinished and not done:
        raise StreamError("the last event is not terminated by a blank line")


def _checked(event: Event) -> Event:
    """The event. Raises StreamError if it is an error or anything else in place of a chunk."""
    try:
        frame = json.loads(event.data)
    except (ValueError, RecursionError) as error:
        raise StreamError(f"{error}: {event.data[:80]!r}") from None
    if not isinstance(frame, dict) or frame.get("error") is not None or not _is_chunk(frame):
        raise StreamError(event.data)
    return event


def _is_chunk(frame: dict[str, Any]) -> bool:
    """Whether an object is a chunk. One with the usage alone may lack `choices`, as an error does."""
    return "choices" in frame or ("id" in frame and frame.get("object") != "error")


def _result(completion: Completion, provider: Provider) -> Result:
    choices = tuple(_choice(choice, provider is not _OPENAI) for choice in completion.choices)
    first = {name: getattr(choices[0], name) for name in ReturnedChoice.__struct_fields__}
    usage = completion.usage
    counted = usage and (provider is _OPENAI or usage.input or usage.output)  # else it has only what is not a count
    return Result(**first, usage=_usage(usage, provider) if usage and counted else None, choices=choices)


def _choice(choice: Choice, ordered: bool) -> ReturnedChoice:
    """The choice; its blocks only if the API may have them in any order."""
    calls = tuple(ReturnedCall(call.name, call.arguments) for call in choice.tool_calls)
    blocks = tuple(_blocks(choice)) if ordered else UNSET
    return ReturnedChoice(choice.content, choice.reasoning, choice.refusal, calls, choice.finish_reason, blocks)


def _blocks(choice: Choice) -> Iterator[ReturnedBlock]:
    for block in choice.blocks:
        match block:
            case Text(text):
                yield ReturnedBlock("text", text)
            case Refusal(text):
                yield ReturnedBlock("refusal", text)
            case Thinking(parts):
                yield ReturnedBlock("thinking", "".join(parts))
            case ToolCall():
                yield ReturnedBlock("tool_call", None, block.name, block.arguments)


def _usage(usage: Usage, provider: Provider) -> ReturnedUsage:
    return ReturnedUsage(usage.input, usage.output, total_of(usage, provider))
