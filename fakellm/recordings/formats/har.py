"""Reads HTTP Archives, HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/).

Browsers, mitmproxy and Polly.JS write them.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct, field

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats.attached_files import ReadFile
from fakellm.recordings.formats.entries import read_entries
from fakellm.recordings.formats.response_reader import plan, unanswered
from fakellm.recordings.formats.typed_values import Method, Pair, Target, body, from_base64, json_value, pairs, typed
from fakellm.wire.plan import Plan


class _Posted(Struct):
    IGNORED: ClassVar = ("mimeType", "params", "comment", "_*")

    text: str | None = None
    encoding: str | None = None
    file: str | None = field(name="_file", default=None)


class _Request(Struct):
    IGNORED: ClassVar = ("httpVersion", "headersSize", "queryString", "cookies", "bodySize", "comment", "_*")

    method: Method
    url: Target
    headers: list[Pair] = []
    post: _Posted | None = field(name="postData", default=None)


class _Content(Struct):
    IGNORED: ClassVar = ("mimeType", "compression", "comment", "_*")

    text: str | None = None
    encoding: str | None = None
    size: float = 0
    file: str | None = field(name="_file", default=None)


class _Response(Struct):
    IGNORED: ClassVar = (
        "httpVersion",
        "statusText",
        "headersSize",
        "cookies",
        "redirectURL",
        "bodySize",
        "comment",
        "_*",
    )

    status: Annotated[int, Meta(ge=-1, le=999)]
    content: _Content = field(default_factory=_Content)
    headers: list[Pair] = []


class _Timings(Struct):
    IGNORED: ClassVar = ("blocked", "dns", "connect", "send", "ssl", "comment", "_*")

    wait: float = 0
    receive: float = 0


class _Entry(Struct):
    IGNORED: ClassVar = (
        "startedDateTime",
        "cache",
        "time",
        "pageref",
        "serverIPAddress",
        "connection",
        "comment",
        "_*",
    )

    request: _Request
    response: _Response
    timings: _Timings = field(default_factory=_Timings)


class _Log(Struct):
    IGNORED: ClassVar = ("version", "creator", "browser", "pages", "comment", "_*")

    entries: list[Any]


class _File(Struct):
    log: _Log


def load(data: Any, name: str, read_file: ReadFile) -> Cassette:
    """The recording in the value of a file. Raises CassetteError.

    `timings.wait` is the delay of the head and `timings.receive` that of the body. An entry with the status 0 or -1
    had no response: the connection is closed without one. An entry without the body that it had is an error; Playwright
    keeps bodies in files, which `read_file` reads.
    """
    read = typed(data, _File, name).log.entries
    make = partial(_interaction, read_file=read_file)
    return read_entries(name, read, _Entry, f"{name}: log.entries", make)


def _interaction(read: _Entry, place: str, read_file: ReadFile) -> Interaction:
    request, posted = read.request, read.request.post or _Posted()
    sent = read_file(posted.file) if posted.file else _bytes(posted.text, posted.encoding, f"{place}.request.postData")
    return Interaction(
        RecordedRequest(request.method, request.url, pairs(request.headers), sent), _plan(read, place, read_file)
    )


def _plan(read: _Entry, place: str, read_file: ReadFile) -> Plan:
    answer, content = read.response, read.response.content
    wait, receive = (max(milliseconds, 0) / 1000 for milliseconds in (read.timings.wait, read.timings.receive))
    if answer.status <= 0:  # browsers write 0, Playwright -1
        return unanswered(wait)
    at = f"{place}.response.content"
    if content.text is None and content.file is None and content.size > 0:
        remedy = "export it again with the contents of responses, or without this entry"
        raise CassetteError([f"{at}: a body of {content.size:.0f} bytes was not kept; {remedy}"])
    received = read_file(content.file) if content.file else _bytes(content.text, content.encoding, at)
    return plan(answer.status, pairs(answer.headers), received, at, delay=wait, receive=receive)


def _bytes(text: str | None, encoding: str | None, place: str) -> bytes:
    match encoding or "":
        case "":
            return body(text)
        case "base64":
            return b"".join(from_base64(piece, f"{place}.text") for piece in _pieces(text or "", place))
        case other:
            raise CassetteError([f"{place}.encoding: {other!r} is not supported; 'base64' is"])


def _pieces(text: str, place: str) -> list[str]:
    """The pieces of a body: Polly.JS keeps a compressed body as a JSON list of its pieces."""
    return typed(json_value(text.encode(), f"{place}.text"), list[str], place) if text.startswith("[") else [text]
