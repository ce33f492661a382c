"""Starts the servers that are compared, each in a process of its own: fakellm, static aiohttp, and its peers.

Peers are optional: they are looked for in the folder that FAKELLM_PEERS names.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any

import fakellm
from benchmarks.workloads import EVEN, ROOT, Template
from fakellm.scenarios.loader import ScenarioSource

_EVENT_END = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)")

PATIENCE = 30.0
"""Seconds that a server has to start."""

FOLDER = Path(os.environ.get("FAKELLM_PEERS") or ROOT.parent / "fakellm-peers")
AIMOCK = FOLDER / "node_modules" / "@copilotkit" / "aimock"
LLMOCK = FOLDER / "llmock" / "bin" / "llmock"


@dataclass(frozen=True)
class Server:
    """A server on 127.0.0.1 that has started."""

    name: str
    port: int
    pid: int


@contextmanager
def ours(scenario: ScenarioSource | None, name: str = "fakellm", **options: Any) -> Iterator[Server]:
    with fakellm.spawn(scenario, **options) as handle:
        assert handle.pid
        yield Server(name, int(handle.url.rpartition(":")[2]), handle.pid)


@contextmanager
def static(frames: Sequence[bytes], mode: str, name: str, gap: float = 0.0) -> Iterator[Server]:
    """Answers with these frames, in a mode of `static_server`; `gap` is in seconds."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "frames.json")
        file.write_text(json.dumps([frame.decode() for frame in frames]), encoding="utf-8")
        command = [sys.executable, "-m", "benchmarks.static_server", str(file), mode, str(gap)]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin
            assert process.stdout
            yield Server(name, int(process.stdout.readline()), process.pid)
            process.stdin.close()


@contextmanager
def aimock(text: str, gap: float = 0.0) -> Iterator[Server | None]:
    """`@copilotkit/aimock`, which answers every question with this text: EVEN characters each `gap` seconds."""
    if not AIMOCK.exists():
        yield None
        return
    with TemporaryDirectory() as folder:
        file = Path(folder, "fixtures.json")
        fixture = {"match": {"userMessage": "Question"}, "response": {"content": text}}
        file.write_text(json.dumps({"fixtures": [fixture]}), encoding="utf-8")
        port = _free_port()
        command = ["node", str(AIMOCK / "dist" / "cli.js"), "--port", str(port), "--fixtures", str(file)]
        command += ["--chunk-size", str(EVEN), "--log-level", "silent", "--latency", str(round(gap * 1000))]
        with _started(command, port) as pid:
            yield Server("aimock", port, pid)


@contextmanager
def llmock(text: str) -> Iterator[Server | None]:
    """PyPI's `llmock`, which answers every question with this text, one word per chunk."""
    if not LLMOCK.exists():
        yield None
        return
    port = _free_port()
    with _started([str(LLMOCK), "serve", "--port", str(port), "--log-level", "critical"], port) as pid:
        script = {"behaviors": [{"type": "reply", "text": text, "times": None}]}
        address = f"http://127.0.0.1:{port}/_llmock/scenario"
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(address, json.dumps(script).encode(), headers)).close()
        yield Server("llmock", port, pid)


def reply(server: Server, template: Template, number: int = 0) -> list[bytes]:
    """What a server answers to a request, one event or line each; any other body is one."""
    lines, _, body = template.request(number).partition(b"\r\n\r\n")
    first, *others = lines.decode().split("\r\n")
    path, head = first.split()[1], dict(line.split(": ", 1) for line in others)
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", body, head)) as answer:
        content: bytes = answer.read()
        kind = answer.headers.get_content_type()
    if kind == "application/x-ndjson":
        return content.splitlines()
    return [event for event in _EVENT_END.split(content) if event] if kind == "text/event-stream" else [content]


def begin(server: Server, template: Template, number: int) -> socket.socket:
    """A connection on which the response to a request has begun."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.sendall(template.request(number))
    if not connection.recv(1 << 16).startswith(b"HTTP/1.1 200"):
        raise RuntimeError("a stream did not start")
    return connection


def versions() -> dict[str, str]:
    """The version of each peer, or that it is not installed."""
    found = {"aimock": "not installed", "llmock": "not installed"}
    if AIMOCK.exists():
        found["aimock"] = json.loads((AIMOCK / "package.json").read_text(encoding="utf-8"))["version"]
    for folder in LLMOCK.parent.parent.glob("lib/*/site-packages/llmock-*.dist-info"):
        found["llmock"] = folder.name.removeprefix("llmock-").removesuffix(".dist-info")
    return found


@contextmanager
def _started(command: list[str], port: int) -> Iterator[int]:
    """The process id of a server that accepts connections; it is ended with this block."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        try:
            _wait(process, port)
            yield process.pid
        finally:
            process.kill()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    start = perf_counter()
    while process.poll() is None and perf_counter() - start < PATIENCE:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not accept connections on port {port}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
