"""The recording proxy: passes on what the upstream answers as it comes, and records it.

Owns what is written to the client and when an interaction is kept. `upstream` asks, `take` says what is kept of a
response, `redact` takes the secrets out, `tape` writes; the server performs the end of what is passed on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from msgspec.structs import replace

from fakellm.base.errors import RequestError
from fakellm.engine.engine import refusal
from fakellm.engine.journal import Entry
from fakellm.recordings.capture import Capture, readable
from fakellm.recordings.cassette import Interaction, RecordedRequest
from fakellm.recordings.playback import Recording
from fakellm.recordings.recording_file import RecordingFile
from fakellm.recordings.redaction import redacted
from fakellm.server.application import Call
from fakellm.server.clock import Clock
from fakellm.server.connection import Client
from fakellm.server.upstream import Upstream, asked, pieces
from fakellm.wire.http1 import bursts, chunk
from fakellm.wire.plan import Plan

log = logging.getLogger("fakellm")


class Recorder:
    """Passes requests on to the API at `upstream` and records them on `tape`; `learn`, where given, is told of each.

    To be made, used and closed in one event loop.
    """

    def __init__(self, upstream: str, tape: RecordingFile, learn: Callable[[Recording], None] | None = None) -> None:
        self._upstream = Upstream(upstream)
        self._tape = tape
        self._learn = learn
        self._clock = Clock()
        if tape.broken:
            log.warning("the last line of %s was cut off; it is in %s now", tape.path, tape.broken)

    async def __call__(self, call: Call, entry: Entry, client: Client) -> Plan:
        """Answers the client with what the upstream answers, and returns that as far as it came."""
        number, request, take = self._tape.number(), asked(call, self._upstream.url), Capture(self._clock.now)
        try:
            await self._pass_on(request, take, entry, client)
        except RequestError as error:
            # Nothing answered, so there is nothing to record.
            log.warning("%s %s: %s %s", call.method, call.path, error.status, error.message)
            entry.status, entry.explanation = error.status, error.message
            return _refuse(error, client)
        except asyncio.CancelledError:
            take.end = "stall" if client.transport is None else "close"  # to the client, a stop is a close
            self._keep(number, request, take)
            raise
        except ConnectionError:  # the client's: those of the upstream are ends of what it sent
            take.end = "stall"
            self._keep(number, request, take)
            raise
        self._keep(number, request, take)
        return take.plan

    async def close(self) -> None:
        """To be called once nothing is passed on any more."""
        await self._upstream.close()
        self._tape.close()

    async def _pass_on(self, request: RecordedRequest, take: Capture, entry: Entry, client: Client) -> None:
        response = await self._upstream.ask(request, take)
        if response is None:
            return
        async with response, aclosing(pieces(response, take)) as arriving:
            entry.status = take.status
            head = replace(take.plan, end="close")  # the end comes when it comes
            client.write(bursts(head, client.keep_alive, client.http_1_0)[0].data)
            in_chunks = take.delimited == "chunked" and not client.http_1_0
            async for piece in arriving:
                take.body(piece)
                client.write(chunk(piece) if in_chunks else piece)
                entry.frames = entry.frames_sent = len(take.frames)
                await client.drain()
            if in_chunks and take.end == "complete":
                client.write(chunk(b""))

    def _keep(self, number: int, request: RecordedRequest, take: Capture) -> None:
        interaction = redacted(Interaction(request, readable(take.plan)))
        try:
            self._tape.add(number, interaction)
        except OSError as error:  # the client has its answer, and shall not pay for a full disk
            log.error("%s %s: not recorded: %s", request.method, interaction.request.url, error)
        if self._learn:
            self._learn(Recording(f"{self._tape.path}#{number}", interaction, framed=True))


def _refuse(error: RequestError, client: Client) -> Plan:
    plan = refusal(error, 0).plan
    client.write(bursts(plan, client.keep_alive)[0].data)
    return plan
