"""One entry of the journal: a request, what answered it, and what was sent. Owns these values and how they are kept.

Request bodies are kept as the JSON text that was sent: parsed, they can take twenty times the memory. A reply is kept
as the response that was made, which equal requests share, until the journal is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from fakellm.base.words.missing import missing
from fakellm.engine.response import Outcome, Response

_ENTRY_BYTES = 1024
"""Bytes that an entry counts for besides its texts: roughly the size of Python's objects."""

_HEADER_BYTES = 100
"""Bytes that a header counts for besides its value."""

_USUAL_METHOD = 16
"""Characters of the longest usual method: those are shared."""

MOST_REPLY = 2**20
"""Bytes that a reply may take to be kept."""

MOST_LEVELS = 500
"""The deepest JSON that the journal keeps as JSON. The program that reads it is deep in its own calls, and before 3.12
Python's JSON module counts these too: a limit of about a thousand."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"')
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))
_MIDDLE = ord("\\")
"""The code between those of `[` and `]`: less the one it is 1, less the other -1."""

Ending = Literal["sending", "sent", "closed", "reset", "stalled", "client left", "server stopped"]
"""How a reply ended, or that it has not."""


class SentCall(Struct, frozen=True):
    """A tool call in a reply that the client is to make. `id`: None if the API has none. `arguments`: the text, usually
    JSON. `signature`: what some providers require to be sent back with the call."""

    id: str | None
    name: str
    arguments: str = ""
    signature: str = ""


class SentReply(Struct, frozen=True, kw_only=True):
    """A reply in terms that all APIs share, read from the bytes that were sent: of a reply that broke off, what came
    before that. Of several choices, the first."""

    kept: bool = False
    """Whether the journal has the reply: not before one was made, not if it took more than MOST_REPLY bytes, if it
    stalled and takes more than 64 KiB with its request, if 100 others that are sent over time came after it, and not if
    a recorder passed it on. Without it, the other values mean nothing."""
    headers: dict[str, str] = {}
    """By name in lower case."""
    text: str = ""
    calls: tuple[SentCall, ...] = ()
    reasoning: str = ""
    """The reasoning, or the summary that is sent in its place."""
    reasoned: bool = False
    """Whether there is reasoning, be it without a text."""
    refusal: str = ""
    signatures: tuple[str, ...] = ()
    """The signatures of the reasoning, or the encrypted reasoning, which some providers require to be sent back."""
    finish: str | None = None
    """The reason why it finished: `stop`, `length`, `tool_calls`…; null if no reason was sent."""
    whole: bool = False
    """Whether all of the answer was sent. False for an error."""
    error: Any = None
    """The error in the body: an object, or a text in Ollama's API."""

    if not TYPE_CHECKING:  # a type checker would take any name for one that is there

        def __getattr__(self, name: str) -> object:
            raise missing("SentReply", name, self.__struct_fields__, _MEANT_OF_REPLY)


_MEANT_OF_REPLY = {
    "content": ".text",
    "tool_calls": ".calls",
    "finish_reason": ".finish",
    "body": ".text",
    "thinking": ".reasoning",
}
"""What is meant by attributes that SDKs have."""

_MEANT_OF_ENTRY = {
    "text": ".reply.text",
    "content": ".reply.text",
    "calls": ".reply.calls",
    "tool_calls": ".reply.calls",
    "response": ".reply",
    "url": ".path",
    "json": ".request",
} | {key: f".request[{key!r}]" for key in ("messages", "model", "tools", "stream", "temperature", "prompt", "input")}


class Entry(Struct, gc=False):
    """One request and its reply. The server fills in `frames_sent` and `outcome` while it sends."""

    method: str
    path: str
    request: Any = None
    """The JSON body; its text if it is not valid JSON, or nested deeper than MOST_LEVELS; null if there is none. Inside
    the server, it is a `Kept`."""
    rule: str | None = None
    """The rule or the recording that answered, `generated` or `upstream`; null if the request was refused."""
    matched: bool = True
    """False if no rule and no recording of the session matched the request, or if its URL or method is unknown.
    """
    explanation: str | None = None
    """Why a request was refused, or the nearest rule or recording and what differed; or why the fault of the rule broke
    nothing."""
    status: int | None = None
    """Null until there is a reply, and if a fault prevented the status from being sent."""
    frames: int = 0
    frames_sent: int = 0
    outcome: Ending = "sending"
    """`closed`, `reset`: a fault ended the connection. `stalled`: a fault stalls it, and the client is still there."""
    fault: str | None = None
    """The kind of the fault that was injected into this attempt."""
    attempts_forgotten: bool = False
    """True if this may be a later attempt than was counted: when the first one was counted, counts of this session had
    been dropped to stay within `--max-attempts` or `--max-sessions`."""
    without_effect: tuple[str, ...] = ()
    """The keys of the rule's `stream:` block that have no effect in the API of the request; `fault`, `fault.frame` or
    `fault.byte` if its fault broke nothing."""
    late_ms: float = 0.0
    """How many milliseconds after its due time the latest frame left because the server was too busy, if that was more
    than 50; else 0."""
    number: int = 0
    """The number of the entry in the session's journal, from 1."""
    body: str | None = None
    """The body as the text that was sent; null if there is none."""
    api: str | None = None
    """The API of a request to a model, as in `when: {api: …}`; null for any other: a list of models, embeddings, an
    unknown URL."""
    dialect: str | None = None
    """The provider's dialect in which a rule answered, in APIs that have dialects."""
    headers: dict[str, str] = {}
    """Those of the request, by name in lower case. Of a secret, only the first and the last characters are shown; of
    several in one header, none."""
    started: float | None = None
    """When the request arrived: seconds on the server's monotonic clock, which is that of Python's `time.monotonic()`
    on the same machine."""
    ended: float | None = None
    """When the reply ended, however it did, on the same clock; null while it is under way."""
    advanced: float = 0.0
    """How many seconds `advance` had let pass in the session before the request arrived."""
    reply: SentReply = SentReply()
    """What was sent."""

    if not TYPE_CHECKING:  # a type checker would take any name for one that is there

        def __getattr__(self, name: str) -> object:
            raise missing("Entry", name, self.__struct_fields__, _MEANT_OF_ENTRY)

    @property
    def under_way(self) -> bool:
        """Whether the entry may still change."""
        return self.outcome in ("sending", "stalled")

    def fill(self, outcome: Outcome) -> None:
        """Records what answers the request."""
        if isinstance(outcome, Response):
            self.rule, self.matched, self.explanation = outcome.rule, outcome.matched, outcome.explanation
            self.status, self.frames, self.fault = outcome.head.status, outcome.frames, outcome.fault
            self.attempts_forgotten, self.dialect = outcome.attempts_forgotten, outcome.dialect
            self.without_effect = outcome.without_effect
            if isinstance(self.request, Kept):
                self.request.response = outcome
                self.request.valid = outcome.valid


class Kept(Struct):
    """What the server keeps of a request for when the journal is read. It may have secrets, which are overwritten then:
    to search each body as it arrives would take longer than to answer.

    path: the target of the request as it arrived. secrets: known ones of its headers and URL, if it goes to a real
    server. Others are found by name or form. header_bytes: how many bytes the headers take, once that is counted.
    valid: whether the body is known to be JSON. response: what answers it. reply: the JSON of what was sent, once that
    has been read. shown: the body as the journal shows it, and whether that is JSON that was sent, once the journal has
    been read.
    """

    body: bytes
    path: str = ""
    headers: Mapping[str, str] = {}
    secrets: frozenset[str] = frozenset()
    header_bytes: int | None = None
    valid: bool = False
    response: Response | None = None
    reply: bytes | None = None
    shown: tuple[bytes, bool] | None = None


def shown_body(body: bytes, valid: bool = False) -> tuple[bytes, bool]:
    """A request body for the journal, encoded, and whether it is JSON as it was sent. Any other text is a string,
    nothing is null. JSON of more than MOST_LEVELS becomes a string too: what reads the journal may not be able to read
    it.

    `valid`: the body is known to be JSON.
    """
    if not valid or not body:
        try:
            json.loads(body.decode("utf-8"), parse_constant=_no_constant)
        except (ValueError, RecursionError):
            return _as_text(body), False
    return (_as_text(body), False) if _is_deep(body) else (body, True)


def size_of(entry: Entry) -> int:
    """How many bytes an entry takes, roughly, without the response that is kept."""
    size = _ENTRY_BYTES + len(entry.path)
    if len(entry.method) > _USUAL_METHOD:
        size += len(entry.method)
    if entry.explanation:
        size += len(entry.explanation.encode("utf-8", "replace"))
    kept = entry.request
    if not isinstance(kept, Kept):
        return size
    size += len(kept.body)
    if kept.header_bytes is None:
        kept.header_bytes = _header_bytes(kept.headers)
    size += kept.header_bytes
    return size + _read_size(entry, kept) if kept.shown or kept.reply else size


def share(entry: Entry, before: Entry) -> None:
    """Has an entry share the memory of what equals that of the entry before it. Clients repeat themselves, and memory
    that was used long ago is slow."""
    kept, other = entry.request, before.request
    if not isinstance(kept, Kept) or not isinstance(other, Kept):
        return
    if kept.headers == other.headers:
        kept.headers, kept.header_bytes = other.headers, other.header_bytes
    if kept.body == other.body:
        kept.body = other.body
    if kept.path == other.path:
        kept.path = other.path


def _read_size(entry: Entry, kept: Kept) -> int:
    """How many bytes that takes which is kept once the journal or what was sent has been read."""
    size = _header_bytes(entry.headers) + len(kept.reply or b"")
    return size + (len(kept.shown[0]) if kept.shown and kept.shown[0] is not kept.body else 0)


def _header_bytes(headers: Mapping[str, str]) -> int:
    return sum(map(len, headers.values())) + _HEADER_BYTES * len(headers)


def _as_text(body: bytes) -> bytes:
    """A body as a JSON string, or as null if it is empty."""
    return msgspec.json.encode(body.decode("utf-8", "backslashreplace") or None)


def _is_deep(body: bytes) -> bool:
    """Whether valid JSON has more than MOST_LEVELS."""
    brackets = _STRING.sub(b"", body).translate(_BRACKETS, _OTHERS)
    return max(accumulate(map(_MIDDLE.__sub__, brackets)), default=0) > MOST_LEVELS


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")
