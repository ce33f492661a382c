"""Starting and stopping: a thread, a process, a command; and that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx2
import pytest

import fakellm
from fakellm.scenarios.loader import load
from fakellm.server.clock import Clock
from fakellm.server.connections.listening import listen
from fakellm.server.connections.settings import Connections
from fakellm.server.connections.tls import self_signed
from fakellm.server.http_server import Server
from fakellm.server.scenario_app import App
from fakellm.testing import launchers
from fakellm.testing.handle import Handle
from tests.conftest import ROOT, chat, post

Start = Callable[..., AbstractContextManager[Handle]]

HELLO = {"scenario": "hello", "rules": [{"reply": {"content": "Hello"}}]}
SLOW = {"rules": [{"reply": {"content": "One two three"}, "timing": {"gap": 30}}]}


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fakellm", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(*arguments: str) -> tuple[int, str, str]:
    """The exit code of a command that ends by itself, what it printed and what it complained of."""
    with command(*arguments) as process:
        printed, complained = process.communicate(timeout=30)
    return process.returncode, printed, complained


@pytest.mark.parametrize("start", [fakellm.serve, fakellm.spawn])
def test_both_ways_give_the_same_handle(start: Start) -> None:
    with start(HELLO, seed=3) as server:
        assert server.base_url == server.url + "/v1"
        pacing = {"late_frames": 0, "worst_ms": 0.0}
        facts = {"seed": 3, "strict": False, "scenario": "hello"}
        assert server.health() == {"status": "ok", "version": version("fakellm-server"), **facts, "pacing": pacing}
        reply = post(server.base_url + "/chat/completions", chat()).json()
        assert reply["choices"][0]["message"]["content"] == "Hello"
        assert [entry.rule for entry in server.journal] == ["hello#1"]
        server.load({"scenario": "other", "rules": []})
        assert (server.journal, server.health()["scenario"]) == ([], "other")
        server.reset()
        assert server.health()["scenario"] == "hello"
        with pytest.raises(fakellm.ScenarioError, match="no such file"):
            server.load("no-such-file.yaml")
    with pytest.raises(fakellm.ServerError, match="no fake server answers at http://127"):
        server.health()


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}',
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found",
        b'HTTP/1.1 404 Not Found\r\nContent-Length: 21\r\n\r\n{"error":"not found"}',
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
    ],
)
def test_a_handle_of_another_server_raises_server_error(response: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    if connection.recv(65536).startswith(b"END"):
                        return
                    connection.sendall(response)

        thread = threading.Thread(target=answer)
        thread.start()
        handle = Handle(f"http://127.0.0.1:{listener.getsockname()[1]}")
        calls: list[Callable[[], Any]] = [
            handle.health,
            handle.reset,
            handle.step,
            lambda: handle.journal,
            lambda: handle.load(HELLO),
        ]
        try:
            for call in calls:
                with pytest.raises(fakellm.ServerError, match=handle.url):
                    call()
        finally:
            with socket.create_connection(listener.getsockname()) as connection:
                connection.sendall(b"END")
            thread.join()


@pytest.mark.parametrize("start", [fakellm.serve, fakellm.spawn])
def test_a_bad_scenario_is_reported_before_anything_starts(start: Start) -> None:
    with pytest.raises(fakellm.ScenarioError, match="did you mean 'rules'"), start({"rule": []}):
        pass


def test_a_port_in_use_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(fakellm.ServerError, match=f"cannot listen on 127.0.0.1:{port}: "), fakellm.serve(port=port):
            pass
        with pytest.raises(fakellm.ServerError, match="exit code 1"), fakellm.spawn(port=port):
            pass
        code, printed, complained = outcome("serve", "--port", str(port))
        assert (code, printed) == (1, "")
        assert complained == (
            f"fakellm: cannot listen on 127.0.0.1:{port}: address already in use; port 0 takes a free one\n"
        )


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_a_port_that_does_not_exist_is_an_error(port: int) -> None:
    with (
        pytest.raises(fakellm.ServerError, match=f"127.0.0.1:{port}: a port is a number from 0 to 65535"),
        fakellm.serve(port=port),
    ):
        pass


def test_a_bad_scenario_ends_the_command(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("rules:\n- reply: {contnt: Hi}\n- {}\n")
    code, printed, complained = outcome("serve", str(file))
    assert (code, printed) == (2, "")
    assert complained.splitlines()[0].startswith(f"{file}:2:11: rules[0].reply: unknown key 'contnt'; allowed here: ")
    assert complained.splitlines()[1] == f"{file}:3:3: rules[1]: the key 'reply' is missing"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serve", "no-such-file.yaml"), "no-such-file.yaml: no such file or directory"),
        (("serve", "--port", "99999"), "99999 is not in the range 0<=x<=65535"),
        (("serve", "--sed", "1"), "No such option"),
        (("sevre",), "No such command 'sevre'; did you mean 'serve'?"),
        (("mine.yaml",), "No such command 'mine.yaml'; to serve it: fakellm serve mine.yaml"),
        (("run",), "No such command 'run'; did you mean 'serve'?"),
        (("x",), "No such command 'x'; there are init, serve, "),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...], message: str) -> None:
    code, printed, complained = outcome(*arguments)
    assert (code, printed) == (2, "")
    assert message in complained


def test_standard_input_that_was_never_open_ends_the_server() -> None:
    line = f"{sys.executable} -m fakellm serve --port 0 --ready json --watch-stdin <&-"
    assert subprocess.run(["sh", "-c", line], capture_output=True, timeout=30).returncode == 0


def test_a_host_that_is_not_available() -> None:
    code, _, complained = outcome("serve", "--host", "192.0.2.1", "--port", "0")
    assert code == 1
    assert (
        complained
        == "fakellm: cannot listen on 192.0.2.1:0: cannot assign requested address; port 0 takes a free one\n"
    )


def test_the_ready_line_is_one_line_of_json_and_stdin_ends_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    start = perf_counter()
    with command("serve", "--port", "0", "--ready", "json", "--watch-stdin") as process:
        assert process.stdin
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        with capsys.disabled():
            print(f" cold start to the ready line: {perf_counter() - start:.2f} s ", end="")
        assert set(ready) == {"url", "pid"}
        assert ready["pid"] == process.pid
        assert post(ready["url"] + "/v1/chat/completions", chat()).status_code == 200
        process.stdin.close()
        assert process.wait(timeout=30) == 0
        assert process.stdout.read() == ""


def test_the_first_line_for_people() -> None:
    with command("serve", str(ROOT / "scenarios" / "xai-parallel-tools.yaml"), "--port", "0") as process:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("fakellm serves 2 rules of xai-parallel-tools at http://127.0.0.1:")
        assert line.endswith("/v1 (Ctrl+C ends it)\n")
        url = line.split(" at ")[1].partition("/v1 ")[0]
        assert process.stdout.readline() == f"SDKs of Anthropic, Google and Ollama take {url}\n"
        assert process.stdout.readline() == f"To watch the requests, open {url}/_fakellm/ in a browser\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_sigterm_lets_an_open_stream_end() -> None:
    slow = {"rules": [{"reply": {"content": "One two"}, "timing": {"gap": 0.1}}]}
    with command("serve", "--port", "0", "--ready", "json") as process:
        assert process.stdout
        server = Handle(json.loads(process.stdout.readline())["url"])
        server.load(slow)
        with httpx2.stream("POST", server.base_url + "/chat/completions", content=chat(stream=True)) as reply:
            lines = reply.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            assert [line for line in lines if line][-1] == "data: [DONE]"
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("sleep 60", "it printed nothing in 0.5 s, and was killed"),
        ("printf 'half a line'; sleep 60", "it printed b'half a line' in 0.5 s, and was killed"),
        ("echo Hello; sleep 60", r"it printed b'Hello\\n', and was killed"),
        ("exit 3", "exit code 3"),
    ],
)
def test_a_process_that_never_gets_ready_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, message: str
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(launchers, "START_PATIENCE", 0.5 if "60" in script else 30.0)
    with pytest.raises(fakellm.ServerError, match=f"^the server did not start: {message}"), fakellm.spawn():
        pass


def test_a_killed_parent_leaves_no_server_and_no_file_behind(tmp_path: Path) -> None:
    code = """
        import fakellm, sys
        with fakellm.spawn("rules: [{reply: {content: Hi}}]") as server:
            print(server.url, flush=True)
            sys.stdin.read()
    """
    child = [sys.executable, "-c", textwrap.dedent(code)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout
        url = parent.stdout.readline().strip()
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            assert Handle(url).health()["scenario"] == "scenario"
            parent.kill()
            assert connection.recv(1) == b""  # comes when the server ends, and with nothing before
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(fakellm.ServerError):
        Handle(url).health()


@pytest.mark.parametrize("turns", range(5))
@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_that_arrives_while_a_server_stops_is_ended(turns: int, tls: bool) -> None:
    """However far it has got: nothing of the server's loop runs after that, so that the client would wait for ever."""

    async def everything(connections: Connections) -> None:
        server = Server(App(), connections=connections)
        url = await server.start(listen("127.0.0.1", 0))
        for sent in (b"", b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 30))
            client.sendall(sent)
            waiting.append(client)
        for _ in range(turns):
            await asyncio.sleep(0)
        await server.stop(grace=0)
        for client in waiting:
            with suppress(ConnectionResetError):
                while client.recv(2**16):
                    pass

    waiting: list[socket.socket] = []
    with ExitStack() as clients:
        settings = Connections()
        if tls:
            settings = Connections(certificate=clients.enter_context(self_signed(["127.0.0.1"]))[0])
        asyncio.run(everything(settings))


def test_the_end_of_a_server_in_a_thread_ends_open_streams() -> None:
    threads = threading.active_count()
    start = perf_counter()
    with ExitStack() as stack:
        server = stack.enter_context(fakellm.serve(SLOW))
        client = stack.enter_context(httpx2.Client())
        client.send(
            client.build_request("POST", server.base_url + "/chat/completions", content=chat(stream=True)), stream=True
        )
        stack.pop_all().close()
    assert perf_counter() - start < 10  # the stream had two minutes to go
    assert threading.active_count() == threads


async def talk(url: str, path: str, *, cut: bool = False) -> bytes:
    """Asks for a stream and reads it to its end, or hangs up after its headers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    body = chat(stream=True)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    reply = await (reader.readuntil(b"\r\n\r\n") if cut else reader.read())
    writer.close()
    await writer.wait_closed()
    return reply


async def ended(before: set[asyncio.Task[Any]]) -> None:
    """Waits until no tasks are left but those there were before."""
    while left := asyncio.all_tasks() - before:
        _, pending = await asyncio.wait(left, timeout=10)
        assert not pending


def descriptors() -> int:
    folder = Path("/proc/self/fd")  # Linux; elsewhere this counts nothing
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_paced_cut_and_concurrent_streams_leave_nothing_behind() -> None:
    """No task, no socket, no timer and no memory: of a paced stream, one cut by its client, and 200 at once."""

    async def everything() -> None:
        app = App(load({"rules": [{"reply": {"content": "One two"}, "timing": {"gap": 0.01}}]}))
        server = Server(app)
        url = await server.start(listen("127.0.0.1", 0))
        before = asyncio.all_tasks()
        await talk(url, "/v1/chat/completions")
        await ended(before)
        gc.collect()
        objects, sockets = len(gc.get_objects()), descriptors()

        app.load("slow", load(SLOW), False)
        replies = await asyncio.gather(*(talk(url, "/v1/chat/completions") for _ in range(200)))
        await talk(url, "/s/slow/v1/chat/completions", cut=True)
        await ended(before)

        assert len(set(replies)) == 1
        assert replies[0].endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert {entry.outcome for entry in app.session("").journal} == {"sent"}
        assert [entry.outcome for entry in app.session("slow").journal] == ["client left"]
        assert asyncio.all_tasks() == before
        del replies
        for name in app.sessions():
            app.forget(name)  # the journals
        gc.collect()
        assert descriptors() == sockets
        assert len(gc.get_objects()) - objects < 200  # less than one for each of 201 connections
        await server.stop(grace=0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(everything())


def test_a_cancelled_wait_does_not_hold_up_the_others() -> None:
    async def everything() -> None:
        clock = Clock()
        start = clock.now()
        waits = [asyncio.ensure_future(clock.until(start + due)) for due in (0.3, 0.01, 0.25, 0.01, 600)]
        order: list[asyncio.Future[None]] = []
        for wait in waits:
            wait.add_done_callback(order.append)
        await waits[3]
        waits[2].cancel()
        waits[4].cancel()
        await waits[0]
        assert clock.now() - start >= 0.3
        assert [wait for wait in order if not wait.cancelled()] == [waits[1], waits[3], waits[0]]

    asyncio.run(everything())
