"""Reads bodies without a head: server-sent events as `curl -N` saves them, a JSON body, and chunks one per line."""

from __future__ import annotations

from fakellm.base.errors import CassetteError
from fakellm.base.words.count import count
from fakellm.recordings.cassette import Cassette, Headers, Interaction
from fakellm.recordings.content_codings import decoded
from fakellm.recordings.formats.response_reader import is_stream, plan
from fakellm.recordings.formats.typed_values import json_value
from fakellm.recordings.formats.unknown_request import request_for

STREAM: Headers = (("Content-Type", "text/event-stream"),)
LINES: Headers = (("Content-Type", "application/x-ndjson"),)
JSON: Headers = (("Content-Type", "application/json"),)


def load_sse(data: bytes, name: str) -> Cassette:
    """The recording of one stream, with the status 200."""
    return _response(STREAM, data, name)


def load_json(data: bytes, name: str) -> Cassette:
    """The recording of one JSON body, with the status 200."""
    return _response(JSON, data, name)


def load_lines(data: bytes, name: str) -> Cassette:
    """The recording of one stream of lines, each a JSON object, as Ollama sends them, with the status 200."""
    return _response(LINES, data, name)


def load_cachy(data: bytes, name: str) -> Cassette:
    """The recording of several responses, each a line with a `key` and the body as text. Raises CassetteError.

    https://github.com/AnswerDotAI/cachy, whose keys are digests of requests that it does not keep.
    """
    lines = [(number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
    found: list[Interaction] = []
    for number, line in lines:
        kept = json_value(line, name, number)
        if not isinstance(kept, dict) or not isinstance(kept.get("response"), str):
            raise CassetteError([f"{name}:{number}: expected an object with the text 'response'"])
        body = kept["response"].encode()
        headers = STREAM if is_stream((), body) else JSON
        found += _response(headers, body, f"{name}:{number}").interactions
    return Cassette(name, tuple(found))


def load_chunks(data: bytes, name: str) -> Cassette:
    """The recording of one stream, from the JSON of its events, one per line. Raises CassetteError.

    The file has neither their framing nor `[DONE]`: each becomes a `data:` line, and nothing follows.
    """
    lines = [(number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
    for number, line in lines:
        if not isinstance(json_value(line, name, number, halves=True), dict):
            raise CassetteError([f"{name}:{number}: each line of this file must be the JSON object of an event"])
    return _response(STREAM, b"".join(b"data: %b\n\n" % line for _, line in lines), name)


def dump_sse(cassette: Cassette) -> bytes:
    """The body of the only stream in the recording. Raises CassetteError if there is none, or other interactions."""
    if len(cassette.interactions) != 1:
        number = count(len(cassette.interactions), "interaction")
        message = f"has {number}, and a raw stream is only one: select it with --only"
        raise CassetteError([f"{cassette.name}: {message}"])
    plan = cassette.interactions[0].response
    body = decoded(plan.body, plan.headers, cassette.name)
    if not is_stream(plan.headers, body):
        raise CassetteError([f"{cassette.name}: the response is not a stream of server-sent events"])
    return body


def _response(headers: Headers, body: bytes, name: str) -> Cassette:
    return Cassette(name, (Interaction(request_for(body), plan(200, headers, body, name)),))
