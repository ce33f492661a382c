"""A server's connection to Redis: scripts, and the messages of other servers.

Owns whether Redis can be reached. While it cannot, nothing waits for it: calls are refused at once, and one task tries
again. Knows no session.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import MasterDownError, ReadOnlyError, RedisError, ResponseError

from fakellm.base.errors import RequestError, ServerError

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds after which a Redis that does not answer counts as one that cannot be reached."""
_RETRY_SECONDS = 0.25
"""How long after an attempt to reach it the next one is made."""
_SILENCE_SECONDS = 5.0
"""After so long without a message, Redis gets a ping."""

UNAVAILABLE = "state_unavailable"
"""The code of the error that a client gets then."""
REFUSED = "state_refused"
"""The code of the error that a client gets if Redis refuses a command, because it has no more memory for example."""

FAILURES = (RedisError, OSError, TimeoutError)

log = logging.getLogger("fakellm")


class RedisLink:
    """The connection to the Redis at a URL: `start`, then `stop`, in one event loop. Raises ValueError for another URL.

    joined: awaited whenever Redis can be reached, before calls are made. received: awaited for each message, in order.
    """

    def __init__(
        self, url: str, joined: Callable[[], Awaitable[None]], received: Callable[[bytes], Awaitable[None]]
    ) -> None:
        # A command is never sent twice: it may have been executed although the connection was lost.
        self._redis, self._binary = (
            Redis.from_url(
                url,
                socket_timeout=PATIENCE,
                socket_connect_timeout=PATIENCE,
                retry=Retry(NoBackoff(), 0),
                decode_responses=decodes,
            )
            for decodes in (True, False)
        )
        self._joined = joined
        self._received = received
        database = self._redis.connection_pool.connection_kwargs.get("db") or 0
        self.channel = f"fakellm:{database}:changes"
        """Where servers that use the same database inform each other. Channels do not belong to a database."""
        self._place = _without_password(url)
        self._scripts: dict[str, Any] = {}
        self._messages: Any = None
        self._receiving: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.up = False

    async def start(self) -> None:
        """Connects. Raises ServerError if Redis cannot be reached."""
        try:
            await self._join()
        except (ResponseError, RequestError) as error:
            await self._close()
            raise ServerError(f"cannot share sessions in Redis at {self._place}: {_shown(error)}") from None
        except FAILURES as error:
            await self._close()
            raise ServerError(f"cannot reach Redis at {self._place}: {_shown(error)}") from None
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Disconnects. Later calls are refused."""
        self.up = False
        tasks = [task for task in (self._keeping, self._receiving) if task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._close()

    async def call(self, script: str, keys: Sequence[str], *values: Any, binary: bool = False) -> Any:
        """What a script returns: texts or, if it is `binary`, bytes. Raises RequestError, status 503, while Redis
        cannot be reached, and if it refuses this call."""
        return await self._tried(partial(self.run, script, keys, *values, binary=binary))

    async def names(self, pattern: str) -> list[str]:
        """The names of all keys that match a pattern. Raises RequestError as `call` does."""
        return await self._tried(partial(self._names, pattern))

    async def _names(self, pattern: str) -> list[str]:
        return [name async for name in self._redis.scan_iter(pattern, 1000)]

    async def _tried(self, what: Callable[[], Awaitable[T]]) -> T:
        if self.up:
            try:
                return await what()
            except FAILURES as error:
                if _is_refusal(error):
                    log.error("Redis at %s refuses a command: %s", self._place, error)
                    raise RequestError(503, f"Redis refuses what this request needs: {error}", REFUSED) from None
                self._lost(error)
        message = (
            "This request needs the state that this server shares with others in Redis, which cannot be reached now. "
            "Nothing is wrong with the request; send it again when Redis is back."
        )
        raise RequestError(503, message, UNAVAILABLE)

    async def run(self, script: str, keys: Sequence[str], *values: Any, binary: bool = False) -> Any:
        """As `call`, but raises what the package redis raises."""
        if script not in self._scripts:
            self._scripts[script] = self._redis.register_script(script)
        client = self._binary if binary else self._redis
        return await self._scripts[script](keys=keys, args=values, client=client)

    async def send(self, message: str) -> None:
        """Sends a message to all servers, unless Redis cannot be reached."""
        try:
            await self._redis.publish(self.channel, message)
        except FAILURES as error:
            self._lost(error)

    async def listen(self, channel: str) -> None:
        """Also receives the messages of this channel, until Redis is lost."""
        await self._messages.subscribe(channel)

    async def _join(self) -> None:
        await self._close()
        self._messages = self._binary.pubsub()  # a message that is not UTF-8 is received, too
        await self._messages.subscribe(self.channel)
        if await self._messages.get_message(timeout=PATIENCE) is None:
            raise TimeoutError("it does not answer")
        await self._joined()
        self.up = True

    async def _close(self) -> None:
        if self._messages is not None:
            with suppress(*FAILURES):
                await self._messages.aclose()
        for redis in (self._redis, self._binary):
            with suppress(*FAILURES):
                await redis.connection_pool.disconnect()

    async def _keep(self) -> None:
        """Receives messages, and connects again whenever Redis is lost."""
        while True:
            self._receiving = asyncio.create_task(self._receive())
            await asyncio.wait([self._receiving])
            if not self._receiving.cancelled() and (error := self._receiving.exception()):
                self._lost(error)
            await self._return()

    async def _return(self) -> None:
        """Connects again, however often that fails. The log has once why it does, unless Redis cannot be reached."""
        reasons: set[str] = set()
        while not self.up:
            await asyncio.sleep(_RETRY_SECONDS)
            try:
                await self._join()
                log.warning("Redis at %s can be reached again", self._place)
            except Exception as error:
                lost = isinstance(error, FAILURES) and not _is_refusal(error)
                if not lost and (reason := _shown(error)) not in reasons:
                    reasons.add(reason)
                    log.exception("sessions in Redis at %s cannot be read", self._place)

    async def _receive(self) -> None:
        while self.up:
            message = await self._messages.get_message(timeout=_SILENCE_SECONDS)
            if message is None:
                await self._redis.ping()
            elif message["type"] == "message":
                await self._handle(message["data"])

    async def _handle(self, message: bytes) -> None:
        try:
            await self._received(message)
        except FAILURES:
            raise
        except Exception:  # whatever is wrong with one message, the next one is received
            log.exception("a message of another server is lost: %.200s", message)

    def _lost(self, error: BaseException) -> None:
        if self.up:
            self.up = False
            log.error(
                "Redis at %s cannot be reached; what needs it gets a 503 until it can: %s",
                self._place,
                _shown(error),
            )
            if self._receiving:
                self._receiving.cancel()


def _is_refusal(error: BaseException) -> bool:
    """Whether Redis has refused a command, as the Redis that is to have it: not one that has become a replica."""
    return isinstance(error, ResponseError) and not isinstance(error, (ReadOnlyError, MasterDownError))


def _shown(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


async def repeated(seconds: float, run: Callable[[], Awaitable[None]]) -> None:
    """Calls `run` again and again; what it raises if Redis cannot be reached is ignored."""
    while True:
        await asyncio.sleep(seconds)
        with suppress(RequestError):  # Redis cannot be reached now
            await run()
