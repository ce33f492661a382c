"""What a server keeps after many streams: its resident memory after the first 10,000, and as it goes on.

``python benchmarks/soak.py [streams]``, by default 1,000,000. No request is sent twice, except second attempts of those
that a fault with `times` answers first; every tenth goes to a session of its own. Linux only.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from time import perf_counter

import fakellm

FIRST = 10_000
SCENARIO = {
    "rules": [
        {
            "when": {"user": "retry"},
            "reply": {"content": "It worked in the end."},
            "fault": {"kind": "status", "status": 500, "times": 1},
        },
        {"when": {"user": "cut"}, "reply": {"content": "One two three"}, "fault": {"kind": "truncated", "frame": 2}},
        {"when": {"user": "turns"}, "reply": {"content": "First"}, "then": [{"reply": {"content": "Second"}}]},
        {"when": {"user": "call"}, "reply": {"tool_calls": [{"name": "add", "arguments": {"a": 1}}]}},
        {"when": {"user": "say"}, "reply": {"content": "You said {{user}}", "template": True}},
    ]
}
KINDS = ("retry", "retry", "cut", "turns", "call", "say", "say", "unscripted", "unscripted", "unscripted")
"""The words in the prompts, in turn. No rule has the last one, so these replies are generated."""


def request(number: int, path: str) -> bytes:
    """A request for a stream that no other number makes."""
    prompt = f"{KINDS[number % 10]} {number} {'please ' * (number % 50)}"
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]
    body = json.dumps({"model": "gpt-5-mini", "stream": True, "max_tokens": 40, "messages": messages}).encode()
    return b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)


def receive(connection: socket.socket) -> None:
    """Reads one response: up to its last chunk, or as many bytes as its head states."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(1 << 16)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), None)
    while len(body) < length if length is not None else not body.endswith(b"0\r\n\r\n"):
        body += connection.recv(1 << 16)


def resident(pid: int) -> float:
    """Megabytes of resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(streams: int) -> None:
    with fakellm.spawn(SCENARIO) as server:
        assert server.pid
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as connection:
            first, start = 0.0, perf_counter()
            for number in range(1, streams + 1):
                path = "/v1/chat/completions" if number % 10 else f"/s/test-{number}/v1/chat/completions"
                message = request(number, path)
                for _ in range(2 if KINDS[number % 10] in ("retry", "turns") else 1):
                    connection.sendall(message)
                    receive(connection)
                if number == FIRST:
                    first = resident(server.pid)
                if number % max(FIRST, streams // 20) == 0 or number == FIRST:
                    now, rate = resident(server.pid), number / (perf_counter() - start)
                    change = f"{now / first - 1:+8.1%}" if first else ""
                    print(f"{number:12,} streams  {now:8.1f} MB  {change}  {rate:7.0f} per second", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
