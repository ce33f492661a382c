"""Shows an entry of a journal, without secrets: its body, its headers, and what was sent. Owns what is kept of that for
the next time.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy

import msgspec

from fakellm.apis.openai.api_keys import shortened
from fakellm.base.budget import BUDGET
from fakellm.base.errors import RequestError
from fakellm.base.secrets.names import secret_header
from fakellm.engine.entry import Entry, Kept, SentReply, shown_body
from fakellm.engine.journal import Journal
from fakellm.engine.response import Response
from fakellm.model.request import Request
from fakellm.server.control.sent_reply import sent_reply
from fakellm.server.processes.workers import WorkEndedError, in_worker

AT_ONCE = 64 * 1024
"""How many bytes of bodies and replies are searched for secrets or read on the event loop, which takes some
milliseconds. A longer one is for a thread."""

Parse = Callable[[Entry], Request | None]
"""Returns the request of an entry as rules match it; None if it is not for a model, or not valid."""


def work_on(entry: Entry) -> int:
    """How many bytes `shown_entry` has to search or to read; 0 if it has been shown before."""
    kept = entry.request
    if not isinstance(kept, Kept):
        return 0
    if kept.response and kept.reply is None:
        return len(kept.body) + kept.response.size  # a reply is read with its request
    return 0 if kept.shown else len(kept.body)


def shown_entry(parse: Parse, entry: Entry, snapshot: Entry, sent: bytes | None = None) -> Entry:
    """The entry as the journal shows it, in which the body is JSON. `snapshot`: the entry, or a copy of it if its reply
    is under way. `sent`: what `read_elsewhere` returned. Calling it again is cheap once the reply has ended."""
    kept = entry.request if isinstance(entry.request, Kept) else None
    found = copy(snapshot)
    if kept is None:
        return found
    if kept.shown is None:
        kept.shown = _body(kept.body, kept.valid, kept.secrets)
    if not entry.headers:
        entry.headers = dict(_headers(kept))
    reply, response = kept.reply, kept.response
    if reply is None and response is not None:
        reply = sent or _reply(parse, snapshot, kept, response)
        if not snapshot.under_way:
            kept.reply = reply
    if reply is not None:
        found.reply = msgspec.json.decode(reply, type=SentReply)
    text, is_json = kept.shown
    found.request, found.headers = msgspec.Raw(text), entry.headers
    found.body = text.decode() if is_json else msgspec.json.decode(text)
    return found


def settle(journal: Journal, parse: Parse, entry: Entry) -> None:
    """Reads what was sent of a reply that stalls, so that it need not be kept until the client leaves. What takes long
    to read is not kept."""
    kept = entry.request
    if not isinstance(kept, Kept) or kept.response is None:
        return
    if len(kept.body) + kept.response.size <= AT_ONCE:
        kept.reply = _reply(parse, entry, kept, kept.response)
    kept.response = None
    journal.remeasure(entry)


async def read_elsewhere(entry: Entry, snapshot: Entry) -> bytes | None:
    """Has another process search a long body for secrets and read the reply to it: in a thread, this would hold up the
    event loop. Returns the JSON of the reply, if there is one. If that process ends, `shown_entry` does all this."""
    kept = entry.request
    if not isinstance(kept, Kept) or len(kept.body) <= AT_ONCE or not work_on(entry):
        return None
    alone, body = copy(snapshot), pickle.PickleBuffer(kept.body)
    response = kept.response if kept.reply is None else None
    alone.request = Kept(body, kept.path, dict(kept.headers), kept.secrets, None, kept.valid, response)  # type: ignore[arg-type] # it arrives as bytes
    with suppress(WorkEndedError, MemoryError):
        text, is_json, sent = await in_worker(lambda worker: worker.call(BUDGET.work_seconds, _read, alone))
        kept.shown = kept.body if text is None else text, is_json
        return sent
    return None


def _read(entry: Entry) -> tuple[bytes | None, bool, bytes | None]:
    """The other process: the body as the journal shows it, or None if it is as it was sent; whether it is JSON; and the
    JSON of the reply."""
    kept = entry.request
    text, is_json = _body(kept.body, kept.valid, kept.secrets)
    sent = _reply(_parsed_alone, entry, kept, kept.response) if kept.response else None
    return (None if text == kept.body else text), is_json, sent


def _parsed_alone(entry: Entry) -> Request | None:
    from fakellm.server.application import HttpRequest  # it imports this module

    request = HttpRequest(entry.method, entry.request.path, entry.request.body, entry.request.headers)
    with suppress(RequestError):
        if entry.api is not None:
            headers = {name.lower(): value for name, value in request.headers.items()}
            return request.target.api.parse(request.body, headers, request.target.url)
    return None


def _body(body: bytes, valid: bool, secrets: frozenset[str]) -> tuple[bytes, bool]:
    from fakellm.recordings.redaction import redacted_json  # most servers never need it

    text, is_json = shown_body(body, valid)
    found = redacted_json(text, secrets)
    return (text if found == text else found), is_json


def _headers(kept: Kept) -> Mapping[str, str]:
    """The headers by name in lower case. A secret shows only its first and last characters, and none if it is one of
    several or a real one of a server behind a recorder."""
    from fakellm.base.secrets.search import cover

    covered, found = cover(kept.secrets), {}
    for name, value in kept.headers.items():
        shown = _masked(name, value, covered, bool(kept.secrets)) if secret_header(name) else covered(value)
        found[name.lower()] = shown.encode("utf-8", "replace").decode()
    return found


def _masked(name: str, value: str, covered: Callable[[str], str], real: bool) -> str:
    """The value of a header with a secret. A value that is not a single secret, such as several cookies, shows none of
    its characters: the first could be a whole one. Of `Authorization`, the scheme is shown."""
    scheme, secret = "", value
    if name.lower().endswith("authorization") and " " in value:
        scheme, _, secret = value.partition(" ")
    secret = secret.strip()
    single = not real and _SINGLE.fullmatch(secret)
    return f"{covered(scheme)} {shortened(secret) if single else '*' * len(secret)}".lstrip()


_SINGLE = re.compile(r"[^\s;,=]*=*")
"""A single secret; Base64 may end with `=`."""


def _reply(parse: Parse, snapshot: Entry, kept: Kept, response: Response) -> bytes:
    """The JSON of what was sent; none of it if a secret lies across the syntax of that."""
    from fakellm.recordings.redaction import redacted_json

    reply = sent_reply(response, snapshot.frames_sent, snapshot.api, snapshot.dialect, parse(snapshot))
    text = redacted_json(msgspec.json.encode(reply), kept.secrets)
    return text if text.startswith(b"{") else msgspec.json.encode(SentReply())
