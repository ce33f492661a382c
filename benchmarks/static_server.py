"""A plain aiohttp application that answers everything with one reply.

``python -m benchmarks.static_server FILE MODE [GAP]``. FILE contains the frames as a JSON list of texts. MODE is
`whole`, one body with a Content-Length; `frames`, one write per frame, each a chunk of its own; or `paced`, the same
with a sleep of GAP seconds before each. Prints its port. It ends when its standard input is closed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from pathlib import Path

from aiohttp import web


def application(frames: list[bytes], content_type: str, mode: str, gap: float) -> web.Application:
    body = b"".join(frames)

    async def whole(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(body=body, content_type=content_type)

    async def by_frame(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": content_type})
        response.enable_chunked_encoding()
        await response.prepare(request)
        for frame in frames:
            if gap:
                await asyncio.sleep(gap)
            await response.write(frame)
        await response.write_eof()
        return response

    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/chat/completions", whole if mode == "whole" else by_frame)
    return app


async def main(frames: list[bytes], mode: str, gap: float) -> None:
    content_type = "text/event-stream" if len(frames) > 1 else "application/json"
    logging.disable()  # of every connection that the load client closes in mid-stream
    runner = web.AppRunner(application(frames, content_type, mode, gap), access_log=None)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    await web.SockSite(runner, listener).start()
    print(listener.getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    texts = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    asyncio.run(main([frame.encode() for frame in texts], sys.argv[2], float("".join(sys.argv[3:]) or 0)))
