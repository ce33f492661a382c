"""The recording proxy: passes the upstream's responses on as they arrive, and records them.

Owns what is written to the client and when an interaction is recorded. `upstream` sends the request,
`recordings.capture` decides what is recorded of a response, `recordings.redaction` removes secrets,
`recordings.recording_file` writes the file; the server performs the end of the response.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from functools import partial

from msgspec.structs import replace

from fakellm.base.errors import RequestError
from fakellm.engine.entry import Entry
from fakellm.engine.response import refusal
from fakellm.recordings.capture import MOST_BYTES, Capture, readable
from fakellm.recordings.cassette import Interaction, RecordedRequest
from fakellm.recordings.playback import Recording
from fakellm.recordings.recording_file import RecordingFile
from fakellm.recordings.redaction import covering, redacted, redacted_request
from fakellm.server.application import HttpRequest
from fakellm.server.clock import Clock
from fakellm.server.connection import ClientConnection
from fakellm.server.offload import in_thread
from fakellm.server.upstream import PASSED_BY, Upstream, passed_on, pieces
from fakellm.wire.chunks import chunk
from fakellm.wire.http.http1 import bursts, head_of
from fakellm.wire.plan import Plan

AT_ONCE = 128 * 1024
"""The most bytes of an interaction that are searched for secrets while nothing else is served: it takes some 10 ms."""
_EXPANDED = 50
"""How many times longer a compressed body is taken to be; usual are five times, possible are a thousand."""

log = logging.getLogger("fakellm")


class Recorder:
    """Passes requests on to the API at `upstream` and records them in `file`. `learn` is called with each recording.

    Create, use and close it in one event loop.
    """

    def __init__(self, upstream: str, file: RecordingFile, learn: Callable[[Recording], None] | None = None) -> None:
        self._upstream = Upstream(upstream)
        self._file = file
        self._learn = learn
        self._clock = Clock()
        self._searching: set[asyncio.Task[None]] = set()
        if file.broken:
            log.warning("the last line of %s was cut off; it is in %s now", file.path, file.broken)

    async def __call__(self, request: HttpRequest, entry: Entry, client: ClientConnection) -> Plan:
        """Answers the client with the upstream's response, and returns the part of it that arrived."""
        number, passed, captured = self._file.number(), passed_on(request, self._upstream.url), Capture(self._clock.now)
        try:
            await self._pass_on(passed, captured, entry, client, request.headers.get(PASSED_BY, ""))
        except RequestError as error:
            # Nothing answered, so there is nothing to record. aiohttp's errors may have the URL, and several lines.
            head = replace(passed, body=b"")
            path = redacted_request(replace(head, url=request.path)).url
            message = covering(head)(" ".join(error.message.split()))
            log.warning("%s %s: %s %s", request.method, path, error.status, message)
            entry.status, entry.explanation = error.status, message
            return _refuse(request, RequestError(error.status, message, error.code), client)
        except asyncio.CancelledError:
            # When this server stops, the client sees a close.
            captured.end = "stall" if client.transport is None else "close"
            self._keep(number, passed, captured)
            raise
        except ConnectionError:  # from the client: those from the upstream are ends of its response
            captured.end = "stall"
            self._keep(number, passed, captured)
            raise
        self._keep(number, passed, captured)
        return captured.plan

    async def close(self) -> None:
        """Must be called after the last request."""
        await self._upstream.close()
        await asyncio.gather(*self._searching, return_exceptions=True)
        try:
            self._file.close()
        except OSError as error:
            reason = error.strerror or str(error)
            log.error("%s: its interactions stay in the order in which they ended: %s", self._file.path, reason)

    async def _pass_on(
        self, request: RecordedRequest, captured: Capture, entry: Entry, client: ClientConnection, passed_by: str
    ) -> None:
        own = client.transport and client.transport.get_extra_info("sockname")
        response = await self._upstream.ask(request, captured, own[:2] if own else None, passed_by)
        if response is None:
            return
        async with response, aclosing(pieces(response, captured)) as arriving:
            entry.status = captured.status
            head = replace(captured.plan, end="close")  # the real end is not known yet
            client.write(bursts(head, client.keep_alive, client.http_1_0)[0].data)
            in_chunks = captured.delimited == "chunked" and not client.http_1_0 and request.method != "HEAD"
            async for piece in arriving:
                captured.body(piece)
                client.write(chunk(piece) if in_chunks else piece)
                entry.frames = entry.frames_sent = captured.count
                await client.drain()
            if in_chunks and captured.end == "complete":
                client.write(chunk(b""))

    def _keep(self, number: int, request: RecordedRequest, captured: Capture) -> None:
        """Records the interaction: at once if it is short, else in another thread, which may take a while."""
        url = redacted_request(replace(request, body=b"")).url
        if captured.too_long:
            log.error("%s %s: not recorded: its body has more than %s bytes", request.method, url, f"{MOST_BYTES:,}")
            return
        plan = captured.plan
        record = partial(self._record, number, request, plan, url)
        compressed = any(name.lower() == "content-encoding" for name, _ in plan.headers)
        size = sum(len(frame.data) for frame in plan.frames)
        if len(request.body) + size * (_EXPANDED if compressed else 1) <= AT_ONCE:
            self._learned(number, record())
            return
        task = asyncio.get_running_loop().create_task(self._record_later(number, record))
        self._searching.add(task)
        task.add_done_callback(self._searching.discard)

    async def _record_later(self, number: int, record: Callable[[], Interaction | None]) -> None:
        self._learned(number, (await in_thread(record))())

    def _record(self, number: int, request: RecordedRequest, plan: Plan, url: str) -> Interaction | None:
        """Searches an interaction for secrets and writes it; returns it unless it cannot be searched. The client has
        its response: whatever prevents the recording must not affect it."""
        try:
            interaction = redacted(Interaction(request, readable(plan)))
        except Exception as error:  # an UnsearchableError, or too little memory
            log.error("%s %s: not recorded: %s", request.method, url, error if str(error) else repr(error))
            return None
        try:
            self._file.add(number, interaction)
        except Exception as error:
            log.error("%s %s: not recorded: %s", request.method, url, error if str(error) else repr(error))
        return interaction

    def _learned(self, number: int, interaction: Interaction | None) -> None:
        if self._learn and interaction is not None:
            self._learn(Recording(f"{self._file.path}#{number}", interaction, framed=True))


def _refuse(request: HttpRequest, error: RequestError, client: ClientConnection) -> Plan:
    plan = refusal(error, 0, route=request.target.refuser, url=request.target.url).plan
    written = bursts(plan, client.keep_alive)
    client.write((head_of(written) if request.method == "HEAD" else written[0]).data)
    return plan
