"""Writes a request so that it can be sent again, with curl or with Python, and with its reply as a recording.

Its secrets are as the journal shows them. Knows no routes.
"""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from msgspec import Struct
from msgspec.structs import replace

from fakellm.engine.entry import Entry
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats import write
from fakellm.wire.plan import Plan

_OF_THE_CONNECTION = frozenset(
    ("host", "content-length", "connection", "keep-alive", "accept-encoding", "transfer-encoding", "expect", "te")
)
"""Headers that each client sets by itself."""

_LONGEST = 100_000
"""Bytes of a body that is an argument of a command: Linux allows 128 KiB."""


class Copied(Struct, frozen=True):
    """A request: the scheme of the URL it came to, its session, and its entry as the journal shows it."""

    scheme: str
    session: str
    entry: Entry

    @property
    def url(self) -> str:
        """Where it was sent."""
        return f"{self.scheme}://{self.entry.headers.get('host', '127.0.0.1')}{self.entry.path}"

    @property
    def headers(self) -> dict[str, str]:
        """Its headers without those of the connection."""
        return {name: value for name, value in self.entry.headers.items() if name not in _OF_THE_CONNECTION}

    @property
    def body(self) -> bytes:
        """Its body."""
        return (self.entry.body or "").encode()


def as_curl(copied: Copied) -> bytes:
    """A command for a POSIX shell."""
    body = copied.body
    long = len(body) > _LONGEST or b"\0" in body
    end = " \\\n  "
    command = end.join(_curl(copied, long))
    if long:
        command = f"base64 -d << 'END' | {command}\n{_in_base64(body)}END"
    return command.encode() + b"\n"


def _curl(copied: Copied, long: bool) -> Iterator[str]:
    """The arguments of curl. `long`: whether it reads the body from its standard input."""
    method = copied.entry.method
    usual = "POST" if copied.body else "GET"
    yield f"curl -gsN {quote(copied.url)}" if method == usual else f"curl -gsN -X {quote(method)} {quote(copied.url)}"
    for name, value in copied.headers.items():
        yield f"-H {quote(f'{name}: {value}' if value else f'{name};')}"
    if copied.body:
        yield "--data-binary @-" if long else f"--data-raw {quote(copied.body.decode())}"


def _in_base64(body: bytes) -> str:
    from base64 import encodebytes

    return encodebytes(body).decode()


def as_python(copied: Copied) -> bytes:
    """A program that needs nothing but Python."""
    body = f"    data={copied.body.decode()!r}.encode(),\n" if copied.body else ""
    headers = "".join(f"        {name!r}: {value!r},\n" for name, value in copied.headers.items())
    return f"""import sys
import urllib.error
import urllib.request

request = urllib.request.Request(
    {copied.url!r},
    method={copied.entry.method!r},
    headers={{
{headers}    }},
{body})
try:
    response = urllib.request.urlopen(request)
except urllib.error.HTTPError as error:
    response = error
with response:
    for line in response:
        sys.stdout.buffer.write(line)
        sys.stdout.flush()
""".encode()


def as_recording(copied: Copied, plan: Plan, form: str) -> bytes:
    """The request and what was sent of its reply, as a recording in a format of WRITERS. Raises CassetteError if that
    cannot express it."""
    entry = copied.entry
    if entry.frames_sent < len(plan.frames):
        plan = replace(plan, frames=tuple(plan.frames)[: entry.frames_sent], end="close")
    request = RecordedRequest(entry.method, copied.url, tuple(copied.headers.items()), copied.body, copied.session)
    return write(Cassette(f"request {entry.number}", (Interaction(request, plan),)), form)
