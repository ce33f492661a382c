"""What replies to requests of this server hold of quotas, until they have ended. Redis has it too, as a lease.

Informs Redis of what is given back, which delays nothing. After Redis was lost, both agree again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import chain
from typing import Any

import msgspec

from fakellm.base.errors import RequestError
from fakellm.server.redis_state.link import REFUSED, RedisLink
from fakellm.server.redis_state.quotas.quota_scripts import GIVE_BACK, RENEW_HELD

LEASE_SECONDS = 15
"""How long Redis keeps what a server holds of quotas without hearing from it: then the server is gone."""

Amounts = Iterable[tuple[str, int]]
"""Names of quotas in Redis, and how many units of each."""


class Holdings:
    """What this server holds. `session_seconds`: how long Redis keeps a session."""

    def __init__(self, link: RedisLink, session_seconds: int) -> None:
        self._link = link
        self._session_seconds = session_seconds
        self.server = ""
        """The number of this server, which no other has; another one whenever it has reached Redis again."""
        self._held: dict[str, dict[str, int]] = {}
        """By the serial of a session and by quota, what replies of this server hold."""
        self._returned: dict[str, dict[str, int]] = {}
        """Likewise, what has been given back, of which Redis is not informed yet."""
        self._unknown: set[str] = set()
        """The serials of sessions in which something has been given back, but Redis may not know it."""
        self._returning: asyncio.Task[None] | None = None

    def hold(self, serial: str, amounts: Amounts) -> None:
        """Must be called when Redis has this server hold something."""
        held = self._held.setdefault(serial, {})
        for word, amount in amounts:
            held[word] = held.get(word, 0) + amount

    def give_back(self, serial: str, amounts: Amounts) -> None:
        """Gives back what a reply has held that has ended."""
        held = self._held[serial]
        for word, amount in amounts:
            held[word] -= amount
            if not held[word]:
                del held[word]
        if not held:
            del self._held[serial]
        self._add(serial, amounts)
        self._inform()

    def _add(self, serial: str, amounts: Amounts) -> None:
        returned = self._returned.setdefault(serial, {})
        for word, amount in amounts:
            returned[word] = returned.get(word, 0) + amount

    def returned(self, serial: str) -> list[tuple[str, int]]:
        """What has been given back in a session, of which the caller informs Redis now."""
        return list(self._returned.pop(serial, {}).items())

    async def settled(self) -> None:
        """Returns when Redis knows of all that has been given back, unless it cannot be reached."""
        while self._returning is not None:
            await asyncio.wait([self._returning])

    def _inform(self) -> None:
        if self._returning is None:
            self._returning = asyncio.create_task(self._return())

    async def _return(self) -> None:
        try:
            while self._returned and self._link.up:
                returned, self._returned = self._returned, {}
                keys = [self._key(serial) for serial in returned]
                amounts = {serial: list(each.items()) for serial, each in returned.items()}
                try:
                    await self._link.call(GIVE_BACK, keys, as_json(list(amounts.values())))
                except RequestError as error:
                    self.lost(amounts, error)
                    return
        finally:
            self._returning = None

    def lost(self, returned: Mapping[str, Amounts], error: RequestError) -> None:
        """Must be called if Redis could not be informed of what has been given back in these sessions."""
        if error.code != REFUSED:
            self._unknown.update(returned)
            return
        for serial, amounts in returned.items():
            self._add(serial, amounts)  # it is informed when the lease is renewed

    async def joined(self, server: str) -> None:
        """Has Redis know again what this server holds, which has another number now. Raises what the package redis
        raises."""
        before, self.server = self.server, server
        unknown, self._unknown = self._unknown | self._returned.keys(), set()
        self._returned.clear()
        await self._renew(self._link.run, before, unknown)

    async def renew(self) -> None:
        """Renews the lease. Raises RequestError."""
        self._inform()
        await self._renew(self._link.call, self.server, set())

    async def _renew(self, run: Callable[..., Awaitable[Any]], before: str, others: set[str]) -> None:
        if serials := others.union(self._held):
            keys = [(self._key(serial), holders(serial), f"{prefix(serial)}{before}") for serial in serials]
            held = [as_json(list(self._held.get(serial, {}).items())) for serial in serials]
            await run(RENEW_HELD, list(chain(*keys)), self._session_seconds, LEASE_SECONDS, self.server, *held)

    def _key(self, serial: str) -> str:
        return f"{prefix(serial)}{self.server}"


def prefix(serial: str) -> str:
    """What the keys begin with of what servers hold of a session; their numbers follow."""
    return f"fakellm:held:{serial}:"


def holders(serial: str) -> str:
    """The key of the set of servers that hold something of a session."""
    return f"fakellm:holders:{serial}"


def as_json(value: object) -> str:
    return msgspec.json.encode(value).decode()
