"""How many streams a second: a warm scripted reply, against the same bytes as a static body of aiohttp.

``python benchmarks/streams.py [seconds]``. Both servers run in processes of their own and are read by the same client
in turns, so what counts is the ratio. The reply is the recorded xAI turn of 138 frames, about 31 kB.
"""

from __future__ import annotations

import json
import multiprocessing
import socket
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import perf_counter

import fakellm

SCENARIO = Path(__file__).parent.parent / "scenarios" / "xai-parallel-tools.yaml"
ROUNDS = 5
BODY = json.dumps(
    {
        "model": "grok-4-fast",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": "Add and multiply the number 2 and 3"}],
        "tools": [{"type": "function", "function": {"name": name}} for name in ("add", "multiply")],
    }
).encode()
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


def static(body: bytes, ready: Connection) -> None:
    """A plain aiohttp application that answers everything with `body`."""
    from aiohttp import web

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=body, content_type="text/event-stream")

    async def started(_: web.Application) -> None:
        ready.send(listener.getsockname()[1])

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    app.on_startup.append(started)
    listener = socket.create_server(("127.0.0.1", 0))
    web.run_app(app, sock=listener, print=None, access_log=None)


def streams_per_second(port: int, seconds: float, end: bytes) -> float:
    """One kept-alive connection, one request after the other, each read up to `end`."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        count, start = 0, perf_counter()
        while perf_counter() - start < seconds:
            connection.sendall(REQUEST)
            tail = b""
            while not tail.endswith(end):
                tail = (tail + connection.recv(1 << 18))[-len(end) :]
            count += 1
        return count / (perf_counter() - start)


def main(seconds: float) -> None:
    done = b"data: [DONE]\n\n"
    with fakellm.spawn(SCENARIO, strict=True) as server:
        import urllib.request

        with urllib.request.urlopen(server.base_url + "/chat/completions", BODY) as reply:
            body = reply.read()
        here, there = multiprocessing.Pipe()
        process = multiprocessing.Process(target=static, args=(body, there), daemon=True)
        process.start()
        ours: list[float] = []
        statics: list[float] = []
        for _ in range(ROUNDS):
            ours.append(streams_per_second(int(server.url.rpartition(":")[2]), seconds, done + b"\r\n0\r\n\r\n"))
            if not statics:
                port = here.recv()
            statics.append(streams_per_second(port, seconds, done))
        process.terminate()
    print(f"fakellm          {median(ours):8.0f} streams/s")
    print(f"a static body    {median(statics):8.0f} streams/s")
    print(f"ratio            {median(a / b for a, b in zip(ours, statics, strict=True)):8.2f}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
