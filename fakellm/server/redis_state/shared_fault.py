"""A fault for the next requests to models in a session that servers share: Redis has it, and counts them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from fakellm.base.errors import RequestError
from fakellm.engine.engine import Engine
from fakellm.engine.response import Response, Work
from fakellm.engine.state import Session
from fakellm.server.control.next_fault import NextFault, RequestedFault, blamed
from fakellm.server.offload import responded
from fakellm.server.processes.model_reply import making_response

SET_FAULT = """
if redis.call('HGET', KEYS[1], 'serial') ~= ARGV[2] then
    return false
end
redis.call('HDEL', KEYS[1], 'fault', 'fault_number', 'fault_left')
if ARGV[3] then
    redis.call('HSET', KEYS[1], 'fault_number', ARGV[3], 'fault', ARGV[4], 'fault_left', ARGV[5])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
"""
"""Key: a session. Arguments: the seconds that it stays, its serial and, unless a fault is ended, the number of the new
one, the fault as JSON, and for how many requests it is. Returns nothing if the session has been replaced."""

COUNT_FAULT = """
local left = tonumber(redis.call('HGET', KEYS[1], 'fault_left') or '0') + tonumber(ARGV[2])
if redis.call('HGET', KEYS[1], 'fault_number') ~= ARGV[1] or left < 0 then
    return -1
end
redis.call('HSET', KEYS[1], 'fault_left', left)
return left
"""
"""Key: a session. Arguments: the number of a fault, and what is added to the requests that it is left for. Returns for
how many it is left then; -1 if it was left for none or has been replaced."""


class SharedFault(NextFault):
    """A fault that is left for some requests to all servers. `number`: its number, which no other has. `count`: adds to
    what is left, as `COUNT_FAULT` does. `put_back`: has all servers know that it is left for one more."""

    def __init__(
        self,
        session: Session[Engine],
        content: Engine,
        requested: RequestedFault,
        number: str,
        count: Callable[[int], Awaitable[int]],
        put_back: Callable[[], Awaitable[object]],
    ) -> None:
        super().__init__(session, content, requested)
        self.number = number
        self._count = count
        self._put_back_shared = put_back
        self._putting: set[asyncio.Task[None]] = set()

    def applied(self, content: Engine, reply: Callable[[Engine], Response | Work]) -> Work:
        return making_response(partial(self._applied, content, reply))

    async def _applied(self, content: Engine, reply: Callable[[Engine], Response | Work]) -> Response:
        counting = asyncio.ensure_future(self._count(-1))
        try:
            left = await asyncio.shield(counting)  # Redis may have counted it when the client has left
        except asyncio.CancelledError:
            self._later(self._return_counted(counting))
            raise
        self.left = max(left, 0)
        if left < 0:
            return await responded(reply(content))
        try:
            response = blamed(await responded(reply(self.engine(content))))
        except RequestError:
            await self._returned()
            raise
        except BaseException:
            self._later(self._return())
            raise
        if response.rule is None:
            await self._returned()
        return response

    async def _return_counted(self, counting: asyncio.Future[int]) -> None:
        """Puts back what has been counted, if it was left."""
        if await counting >= 0:
            await self._return()

    async def _return(self) -> None:
        if await self._count(1) >= 0:
            await self._put_back_shared()

    async def _returned(self) -> None:
        """Returns when it has been put back, which does not end if the client leaves."""
        await asyncio.shield(self._later(self._return()))

    def _later(self, run: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Does it although nobody waits for it."""
        task = asyncio.create_task(run)
        self._putting.add(task)
        task.add_done_callback(self._put)
        return task

    def _put(self, task: asyncio.Task[None]) -> None:
        self._putting.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits gets it, too: Redis cannot be reached
