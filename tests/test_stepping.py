"""Step mode: frames that wait for the test, over real sockets; and who waits for whom, without any."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import perf_counter

import httpx2
import pytest

import fakellm
from fakellm.base.errors import RequestError
from fakellm.engine.response import Release
from fakellm.scenarios.loader import load
from fakellm.server.connections.listening import listen
from fakellm.server.http_server import Server
from fakellm.server.scenario_app import App
from fakellm.server.stepping import Stepped, Steps
from fakellm.testing.handle import Handle
from fakellm.wire.plan import Frame, Plan
from tests.conftest import chat, post
from tests.test_handle import ended, talk

STEPPED = {"rules": [{"reply": {"content": "One two"}, "timing": {"step": True}}]}  # role, One, two, finish, [DONE]

BODY = chat(stream=True)


@pytest.fixture
def server() -> Iterator[Handle]:
    with fakellm.serve(STEPPED) as running:
        yield running


class Client:
    """A stream asked for over a connection of its own, read up to the end of its headers."""

    def __init__(self, server: Handle) -> None:
        host, port = server.url.removeprefix("http://").partition("/")[0].split(":")
        path = server.base_url.removeprefix(f"http://{host}:{port}")
        self.connection = socket.create_connection((host, int(port)), timeout=10)
        head = f"POST {path}/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n"
        self.connection.sendall(head.encode() + BODY)
        self.headers = b""
        while not self.headers.endswith(b"\r\n\r\n"):
            self.headers += self.connection.recv(1)

    def takes(self, *texts: str, last: bool = False) -> bool:
        """Whether just these frames arrive, each as an HTTP chunk, and nothing after them."""
        chunks = [b"%x\r\n%b\r\n" % (len(text.encode()), text.encode()) for text in texts]
        expected = b"".join(chunks) + b"0\r\n\r\n" * last
        received = b""
        while len(received) < len(expected):
            received += self.connection.recv(len(expected) - len(received))
        return received == expected and self.has_nothing()

    def has_nothing(self) -> bool:
        self.connection.setblocking(False)
        try:
            self.connection.recv(1)
        except BlockingIOError:
            return True
        finally:
            self.connection.settimeout(10)
        return False


@pytest.fixture
def ask(server: Handle) -> Iterator[Callable[[], Client]]:
    with ExitStack() as stack:

        def asked() -> Client:
            client = Client(server)
            stack.enter_context(client.connection)
            return client

        yield asked


def test_only_a_released_frame_leaves(server: Handle, ask: Callable[[], Client]) -> None:
    client = ask()
    assert client.headers.startswith(b"HTTP/1.1 200 OK\r\n")
    assert client.has_nothing()
    (role,) = server.step()
    assert '"delta":{"role":"assistant"' in role
    assert client.takes(role)
    one, two = server.step(2)
    assert ('"content":"One"' in one, '"content":" two"' in two) == (True, True)
    assert client.takes(one, two)
    assert (server.journal[0].frames_sent, server.journal[0].outcome) == (3, "sending")
    finish, done = server.step(None)
    assert done == "data: [DONE]\n\n"
    assert client.takes(finish, done, last=True)
    assert (server.journal[0].frames_sent, server.journal[0].outcome) == (5, "sent")


def test_a_step_waits_for_the_request_that_races_with_it(server: Handle) -> None:
    with ThreadPoolExecutor(1) as pool:
        stepped = pool.submit(server.step, None)
        reply = post(server.base_url + "/chat/completions", chat(stream=True))
        assert "".join(stepped.result()) == reply.text


def test_a_reply_that_is_not_streamed_is_one_frame(server: Handle) -> None:
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(post, server.base_url + "/chat/completions", chat())
        (body,) = server.step()
        assert json.loads(body) == reply.result().json()


def test_a_step_is_for_the_oldest_request_with_frames_left_unless_it_names_one(
    server: Handle, ask: Callable[[], Client]
) -> None:
    first, second, third = ask(), ask(), ask()
    assert second.takes(*server.step(2, request=2))
    assert first.has_nothing()
    everything = server.step(9)  # of one reply
    assert len(everything) == 5
    assert first.takes(*everything, last=True)
    assert second.takes(*server.step(None), last=True)
    assert third.has_nothing()
    assert [entry.frames_sent for entry in server.journal] == [5, 5, 0]
    with pytest.raises(fakellm.ServerError, match=r"^Request 2 has no frame that waits for a step, after 1 s\."):
        server.step(request=2, timeout=1)


def test_a_step_after_the_client_left_says_so(server: Handle, ask: Callable[[], Client]) -> None:
    client = ask()
    assert client.takes(*server.step(2))
    client.connection.close()
    server.wait_for(outcome="client left")
    for request in (None, 1):
        with pytest.raises(fakellm.ServerError, match=r"^The client of request 1 left: it got 2 of 5 frames\."):
            server.step(request=request, timeout=1)
    server.reset()
    with pytest.raises(fakellm.ServerError, match=r"^No reply has a frame"):
        server.step(timeout=1)


def test_sessions_are_stepped_separately(server: Handle) -> None:
    one, other = Client(server.session("one")), Client(server.session("other"))
    with one.connection, other.connection:
        assert other.takes(*server.session("other").step(None), last=True)
        assert one.has_nothing()
        with pytest.raises(fakellm.ServerError, match=r"^No reply has a frame that waits for a step, after 1 s\."):
            server.step(timeout=1)


@pytest.mark.parametrize("renew", [Handle.reset, lambda server: server.load(STEPPED)])
def test_a_reset_and_a_load_release_all_frames(
    server: Handle, ask: Callable[[], Client], renew: Callable[[Handle], None]
) -> None:
    before = [ask(), ask()]
    server.step()
    renew(server)
    for client in before:
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            received += client.connection.recv(65536)
    after = ask()
    assert after.has_nothing()
    assert after.takes(*server.step())


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("frames=0", "Invalid value for 'frames': expected a whole number from 1 on, or all, got '0'."),
        ("frames=-1", "Invalid value for 'frames': expected a whole number from 1 on, or all, got '-1'."),
        ("request=x", "Invalid value for 'request': expected its number in the journal, got 'x'."),
        ("timeout=0.5", "Invalid value for 'timeout': expected whole seconds from 1 on, got '0.5'."),
    ],
)
def test_an_invalid_step_is_refused(server: Handle, query: str, message: str) -> None:
    reply = httpx2.post(f"{server.url}/_fakellm/step?{query}")
    assert (reply.status_code, reply.json()["error"]["message"]) == (400, message)
    assert httpx2.get(f"{server.url}/_fakellm/step").status_code == 405
    with pytest.raises(fakellm.ServerError, match="expected a whole number from 1 on"):
        server.step(0)


def test_speed_0_does_not_step_by_itself() -> None:
    with fakellm.serve(STEPPED, speed=0) as server:
        client = Client(server)
        with client.connection:
            assert client.has_nothing()
            assert client.takes(*server.step(None), last=True)


def test_the_end_of_a_server_does_not_wait_for_steps() -> None:
    threads, start = threading.active_count(), perf_counter()
    with ExitStack() as stack:
        with fakellm.serve(STEPPED) as server:
            stack.enter_context(Client(server).connection)
        assert threading.active_count() == threads
    assert perf_counter() - start < 10


def test_sigterm_releases_stepped_frames() -> None:
    command = [sys.executable, "-m", "fakellm", "serve", "--port", "0", "--ready", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        server = Handle(json.loads(process.stdout.readline())["url"])
        server.load(STEPPED)
        client = Client(server)
        with client.connection:
            process.send_signal(signal.SIGTERM)
            received = b"".join(iter(lambda: client.connection.recv(65536), b""))
        assert received.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert process.wait(timeout=30) == 0


def test_a_client_that_leaves_and_a_stop_leave_no_task_behind() -> None:
    async def everything() -> None:
        app = App(load(STEPPED))
        server = Server(app)
        url = await server.start(listen("127.0.0.1", 0))
        before = asyncio.all_tasks()
        await talk(url, "/v1/chat/completions", cut=True)
        await ended(before)
        assert [entry.outcome for entry in app.session("").journal] == ["client left"]
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY
        )
        await reader.readuntil(b"\r\n\r\n")
        await server.stop(grace=0)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(everything())


PLAN = Plan(200, (), tuple(Frame(text, step=True) for text in (b"a", b"b", b"c")))


def released(script: Callable[[Steps, Stepped], Awaitable[None]], *steps: int | None) -> list[object]:
    """What these steps of one reply in the session "s" give, while `script` plays the part of its connection."""

    async def everything() -> list[object]:
        line = Steps()
        with line.reply("s", 7, PLAN) as reply:
            tasks = [asyncio.ensure_future(line.release(Release("s", frames, None, 0.05))) for frames in steps]
            await script(line, reply)
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(everything())


async def write(steps: Steps, reply: Stepped) -> None:
    for _ in reply.texts:
        await steps.turn(reply)
        reply.wrote()


async def write_one_and_leave(steps: Steps, reply: Stepped) -> None:
    await steps.turn(reply)
    reply.wrote()


async def write_one_and_stay(steps: Steps, reply: Stepped) -> None:
    await write_one_and_leave(steps, reply)
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})


def test_each_of_several_steps_returns_its_own_frames() -> None:
    assert released(write, 1, 2) == [(7, ["a"]), (7, ["b", "c"])]
    assert released(write, 2, None) == [(7, ["a", "b"]), (7, ["c"])]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (write_one_and_leave, "The client of request 7 left: it got 1 of 3 frames."),
        (write_one_and_stay, "The client of request 7 did not read on for 0.05 s: it got 1 of 3 frames."),
    ],
)
def test_a_client_that_does_not_read_its_frames_is_reported(
    script: Callable[[Steps, Stepped], Awaitable[None]], message: str
) -> None:
    (error,) = released(script, 2)
    assert isinstance(error, RequestError)
    assert (error.status, error.code, error.message) == (409, "step_not_taken", message)
