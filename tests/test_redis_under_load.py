"""A Redis that is killed under load: streams that need nothing of it are whole, and no two requests get one number."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from pathlib import Path

from tests.conftest import chat as body_of
from tests.redis_server import Log, RedisProcess
from tests.test_redis_state import Client, Received, in_loop, redis_app, served

CLIENTS = 6
CHAT = "/v1/chat/completions"


def streamed(prompt: str) -> bytes:
    return body_of(messages=[{"role": "user", "content": prompt}], stream=True)


def text_of(reply: Received) -> str:
    """The text of a whole stream."""
    assert reply.body.endswith(b"data: [DONE]\n\n")
    return b"".join(re.findall(rb'"content":"([^"]*)"', reply.body)).decode()


class Load:
    """Chats until they are to end, of which every second one counts."""

    def __init__(self) -> None:
        self.over = False
        self.numbers: list[int] = []
        self.refused = 0
        self.sent = 0
        self._counted = asyncio.Condition()

    async def run(self, client: Client) -> None:
        while not self.over:
            self.sent += 2
            assert text_of(await client.send("POST", CHAT, streamed("plain"))) == "Hello"
            reply = await client.send("POST", CHAT, streamed("number"))
            if reply.status == 200:
                self.numbers.append(int(text_of(reply).split()[1]))
            else:
                assert (reply.status, reply.code) == (503, "state_unavailable")
                self.refused += 1
            async with self._counted:
                self._counted.notify_all()

    async def more(self, numbers: int) -> None:
        """Returns when so many more requests were counted."""
        until = len(self.numbers) + numbers
        async with self._counted:
            await self._counted.wait_for(lambda: len(self.numbers) >= until)


@in_loop
async def test_a_redis_that_is_killed_under_load_breaks_no_stream_and_no_count(tmp_path: Path) -> None:
    redis, load, log = RedisProcess(tmp_path, keeps=True), Load(), Log()
    logging.getLogger("fakellm").addHandler(log)
    try:
        async with served(redis_app(redis.url), redis_app(redis.url)) as clients:
            async with asyncio.TaskGroup() as tasks:
                for number in range(CLIENTS):
                    tasks.create_task(load.run(clients[number % 2]))
                await load.more(20)
                redis.kill()
                await log.has("cannot be reached", 2)
                redis.start()
                await log.has("can be reached again", 2)
                await load.more(20)
                load.over = True
            journals = [json.loads((await each.send("GET", "/_fakellm/journal")).body)["entries"] for each in clients]
    finally:
        logging.getLogger("fakellm").removeHandler(log)
        redis.kill()
    assert load.refused
    assert len(journals[0]) == load.sent
    assert journals[0] == journals[1]
    assert len(set(load.numbers)) == len(load.numbers)
    assert len(load.numbers) <= max(load.numbers) <= len(load.numbers) + load.refused
