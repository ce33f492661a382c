"""What happens around a serving process: signals, forks, a full pipe, no file descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.cli import log
from fakellm.cli.log import StderrHandler
from fakellm.server.requests.log import LoopErrors
from fakellm.testing.fixture.names import file_name, session_name
from fakellm.testing.handle import Handle
from tests.conftest import chat, post

SLOW = "rules: [{reply: {content: One two three}, timing: {gap: 60}}]"
BUSY = """
import asyncio, sys
from fakellm.cli import serving
serving.GRACE, serving.PATIENCE = 0.1, 0.1
from fakellm.server.scenario_app import App

async def beside(server):
    def hold_up():
        print("busy", flush=True)
        {busy}
    asyncio.get_running_loop().call_later(0.01, hold_up)
    await asyncio.Event().wait()

serving.run(App(), "serves", host="127.0.0.1", port=0, speed=1.0, ready="json", watch_stdin=False, beside=beside)
"""


@contextlib.contextmanager
def python(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with this block."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def ready(process: subprocess.Popen[str]) -> Handle:
    assert process.stdout
    return Handle(json.loads(process.stdout.readline())["url"])


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_process_at_once(first: int, second: int, tmp_path: Path) -> None:
    (tmp_path / "slow.yaml").write_text(SLOW)
    with python("-m", "fakellm", "serve", "--port", "0", "--ready", "json", str(tmp_path)) as process:
        server = ready(process)
        client = threading.Thread(target=stream, args=(server,))
        client.start()
        while not server.journal:
            pass
        process.send_signal(first)
        address = urlsplit(server.url)
        with pytest.raises(ConnectionError):  # it accepts no more connections once it handles the first
            connect_forever(address.hostname or "", address.port or 0)
        process.send_signal(second)
        assert process.wait(timeout=30) == -second
        client.join()


def connect_forever(host: str, port: int) -> None:
    while True:
        socket.create_connection((host, port)).close()


def stream(server: Handle) -> None:
    with contextlib.suppress(Exception):
        post(server.base_url + "/chat/completions", chat(stream=True))


@pytest.mark.parametrize("busy", ["while True: pass", "import time; time.sleep(300)"])
def test_sigterm_ends_a_process_whose_loop_is_held_up(busy: str) -> None:
    with python("-c", BUSY.format(busy=busy)) as process:
        assert process.stdout
        ready(process)
        assert process.stdout.readline() == "busy\n"
        process.terminate()
        assert process.wait(timeout=30) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs forks")
def test_spawn_ends_at_once_although_a_forked_process_lives_on() -> None:
    code = """
    import os, fakellm
    with fakellm.spawn() as server:
        child = os.fork()
        if not child:
            os.read(0, 1)  # until the test is over
            os._exit(0)
        fakellm.testing.launchers.STOP_PATIENCE = 300
    print("ended", server.pid, flush=True)
    """
    with python("-c", textwrap.dedent(code)) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline().startswith("ended")
        process.stdin.write("x")


@given(st.lists(st.text(), min_size=2, max_size=5, unique=True))
def test_each_test_has_a_session_name_of_its_own(tests: list[str]) -> None:
    names = [session_name(f"tests/test_a.py::test_b[{test}]") for test in tests]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and len(name) < 200 and "/" not in name for name in names)


@given(st.lists(st.text(), min_size=2, max_size=5, unique=True))
def test_each_test_has_a_recording_of_its_own(tests: list[str]) -> None:
    names = [file_name(f"Case::test_b[{test}]") for test in tests]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and len(name) < 200 and "/" not in name for name in names)
    assert file_name("Case::test_b[one-2]") == "Case-test_b[one-2]"


@pytest.mark.parametrize("one", ["a[b]", "a[x/y]", "a::b", "a" * 20_000 + "b", "t[\ud800]"])
@pytest.mark.parametrize("other", ["a-b-", "a-x-y-", "a-b", "a" * 20_000 + "-b", "t[\ud801]"])
def test_names_that_look_alike_differ(one: str, other: str) -> None:
    assert session_name(one) != session_name(other)
    assert file_name(one) != file_name(other) or one.replace("::", "-") == other.replace("::", "-")


def test_a_standard_error_that_nobody_reads_does_not_stop_the_server(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("rules: [{when: {user: nobody}, reply: {}}]")
    with python("-m", "fakellm", "serve", "--port", "0", "--ready", "json", str(tmp_path)) as process:
        server = ready(process)
        for _ in range(40):  # each is logged: 160 kB, while a pipe holds 64 kB
            assert post(server.base_url + f"/nowhere/{'x' * 4_000}", chat()).status_code == 404
        process.terminate()
        assert process.wait(timeout=30) == 0


def test_what_is_not_read_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MOST_LINES", 3)
    monkeypatch.setattr(log, "PATIENCE", 0.0)
    reader, writer = os.pipe()
    os.set_blocking(writer, True)
    handler = StderrHandler(writer)
    for number in range(10_000):
        handler.emit(logging.LogRecord("x", logging.WARNING, "", 0, f"{number}{'x' * 1_000}", None, None))
    handler.flush()
    received = b""
    while b"messages are missing here, because nobody read standard error\n" not in received:
        received += os.read(reader, 65_536)
    assert received.startswith(b"0x")
    os.close(reader)  # from now on, writing fails, and nothing waits for it


def test_a_lack_of_file_descriptors_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        report = LoopErrors()
        for number in range(1_000):
            error = OSError(errno.EMFILE if number % 2 else errno.ENFILE, "Too many open files")
            report(loop, {"message": "socket.accept() out of system resource", "exception": error})
        report(loop, {"message": "something else", "exception": ValueError("x")})

    asyncio.run(main())
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "no connection can be accepted until another one ends",
        "something else",
    ]
