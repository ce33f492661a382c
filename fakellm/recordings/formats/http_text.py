"""Reads the two formats that keep HTTP/1.1 messages as they are.

`curl -i` saves a response, with its head above the body. httprr (golang.org/x/oscar/internal/httprr), for Go, keeps
each request and response, with their sizes in a line before them.
"""

from __future__ import annotations

import re

from fakellm.base.errors import CassetteError
from fakellm.base.words.count import count
from fakellm.recordings.cassette import Cassette, Headers, Interaction, RecordedRequest
from fakellm.recordings.formats.response_reader import dechunked, plan
from fakellm.recordings.formats.unknown_request import request_for

TRACE = b"httprr trace v1\n"
_STATUS = re.compile(r"HTTP/[\d.]+ (\d{3})(?: |$)")
_SIZES = re.compile(rb"(\d{1,10}) (\d{1,10})\n")


def load_response(data: bytes, name: str) -> Cassette:
    """The recording of one response, with its head above its body. Raises CassetteError.

    Heads of responses before it, such as those of a proxy or a redirect, are skipped.
    """
    line, pairs, body = _message(data, name)
    while body.startswith(b"HTTP/"):
        line, pairs, body = _message(body, name)
    return Cassette(name, (Interaction(request_for(body), plan(_status(line, name), pairs, body, name)),))


def load_trace(data: bytes, name: str) -> Cassette:
    """The recording in an httprr file. Raises CassetteError."""
    found: list[Interaction] = []
    at = len(TRACE)
    while at < len(data):
        place = f"{name}: [{len(found)}]"
        sizes = _SIZES.match(data, at)
        if not sizes:
            raise CassetteError([f"{place}: no line with the sizes of a request and a response at byte {at}"])
        middle = sizes.end() + int(sizes[1])
        end = middle + int(sizes[2])
        if end > len(data):
            raise CassetteError([f"{place}: the file ends {count(end - len(data), 'byte')} too early: it was cut off"])
        found.append(_interaction(data[sizes.end() : middle], data[middle:end], place))
        at = end
    return Cassette(name, tuple(found))


def _interaction(request: bytes, response: bytes, place: str) -> Interaction:
    line, sent, body = _message(request, f"{place} request")
    method, _, target = line.rpartition(" ")[0].partition(" ")
    if not target:
        raise CassetteError([f"{place}: {line!r} is not a request line"])
    recorded = RecordedRequest(method, target, sent, b"".join(chunks) if (chunks := dechunked(body)) else body)
    line, received, body = _message(response, f"{place} response")
    return Interaction(recorded, plan(_status(line, place), received, body, place))


def _status(line: str, place: str) -> int:
    status = _STATUS.match(line)
    if not status or status[1] < "100":
        raise CassetteError([f"{place}: {line!r} is not a status line"])
    return int(status[1])


def _message(data: bytes, place: str) -> tuple[str, Headers, bytes]:
    """The first line, the headers and the body."""
    head = re.search(rb"\r?\n\r?\n", data)
    if not head:
        raise CassetteError([f"{place}: no empty line ends the head: the file was cut off"])
    first, *lines = data[: head.start()].decode("latin-1").replace("\r\n", "\n").split("\n")
    pairs = [line.partition(":") for line in lines]
    if bad := next((name for name, colon, _ in pairs if not colon), None):
        raise CassetteError([f"{place}: {bad!r} is not a header"])
    return first, tuple((name, value.strip()) for name, _, value in pairs), data[head.end() :]
