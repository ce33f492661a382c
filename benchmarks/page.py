"""What the page costs while it is open: tasks that hold up its browser, and how late it makes the server's streams.

    python -m benchmarks.page [--rate 300] [--seconds 10]

Needs Playwright and Chromium. So many requests a second are sent, each answered by a stream that lasts half a second:
first without the page, then with its list in view, then with a request in view whose reply grows meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import fakellm
from benchmarks.processes import cpu_seconds
from fakellm.testing.handle import Handle

RULES = {
    "rules": [
        {
            "when": {"user": "watched"},
            "reply": {"content": "word " * 1_000},
            "stream": {"split": "words"},
            "timing": {"gap": 0.01},
        },
        {
            "reply": {"content": "Twenty words are sent one after the other, as a model would. " * 2},
            "stream": {"split": "words"},
            "timing": {"gap": 0.02},
        },
    ]
}

LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((each) => each.duration)))
  .observe({ type: "longtask", buffered: true });
"""
"""The browser reports each task that takes more than 50 ms."""

LIMIT_MS = 200


def main() -> None:
    """Prints a table of Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=10)
    arguments = parser.parse_args()
    print("| Page | Requests | Long tasks | Longest ms | Target | Late frames | Latest ms | CPU s of the server |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for view in ("closed", "list", "request"):
        with fakellm.spawn(RULES) as server:
            print(_measured(server, view, arguments.rate, arguments.seconds), flush=True)


def _measured(server: Handle, view: str, rate: int, seconds: int) -> str:
    asyncio.run(_load(server, 10, 1))  # loads what the first stream needs
    before = _late(server)
    with ThreadPoolExecutor(2) as pool, _page(server, view) as page:
        watched = pool.submit(asyncio.run, _asked(server, "watched", 1)) if view == "request" else None
        if page:
            page.goto(f"{server.url}/_fakellm/" + ("#/requests/11/conversation/" if watched else ""))
            page.locator("#list [role=option]").first.wait_for()
            page.evaluate("longTasks.length = 0")
        assert server.pid
        cpu = cpu_seconds(server.pid)
        load = pool.submit(asyncio.run, _load(server, rate, seconds))
        while page and not load.done():
            page.wait_for_timeout(200)
        load.result()
        cpu = cpu_seconds(server.pid) - cpu
        tasks: list[float] = page.evaluate("longTasks") if page else []
        if page:
            expected = f"{rate * seconds + 10 + bool(watched):,} requests"
            page.get_by_text(expected).wait_for()
        if watched:
            watched.result()
    frames, worst = _late(server)
    longest = max(tasks, default=0.0)
    target = "" if page is None else f"<= {LIMIT_MS} {'yes' if longest <= LIMIT_MS else '**no**'}"
    cells = (view, f"{rate * seconds:,}", len(tasks), f"{longest:.0f}", target, frames - before[0], worst, f"{cpu:.2f}")
    return "| " + " | ".join(map(str, cells)) + " |"


def _late(server: Handle) -> tuple[int, float]:
    pacing = server.health()["pacing"]
    return pacing["late_frames"], pacing["worst_ms"]


@contextmanager
def _page(server: Handle, view: str) -> Iterator[Any]:
    if view == "closed":
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.add_init_script(LONG_TASKS)
        yield page
        browser.close()


async def _load(server: Handle, rate: int, seconds: int) -> None:
    """Sends the requests at their times, each on a connection of its own."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    tasks = []
    for number in range(rate * seconds):
        await asyncio.sleep(max(start + number / rate - loop.time(), 0))
        tasks.append(asyncio.create_task(_asked(server, "Hello", number)))
    await asyncio.gather(*tasks)


async def _asked(server: Handle, text: str, number: int) -> None:
    """Sends a request for a stream, and reads it to its end."""
    host, port = server.url.removeprefix("http://").split(":")
    message = {"role": "user", "content": f"{text} {number}"}
    body = json.dumps({"model": "gpt-4o", "messages": [message], "stream": True}).encode()
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    while await reader.read(65_536):
        pass
    writer.close()


if __name__ == "__main__":
    main()
