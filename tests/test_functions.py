"""What the functions of replies may do: raise anything, and use the handle of their server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import fakellm
from fakellm import on
from fakellm.base.errors import ReplyError, ServerError
from fakellm.model.request import Request
from fakellm.testing.handle import Handle
from tests.conftest import chat, post
from tests.test_plugin import run

ANYTHING: list[type[BaseException]] = [
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    asyncio.CancelledError,
    BaseException,
    RecursionError,
    AssertionError,
    pytest.fail.Exception,
    pytest.skip.Exception,
]
ENDING = (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)
"""What would end more than the test that it is raised in: it becomes the cause of a ReplyError."""


def raising(error: type[BaseException], is_async: bool) -> Callable[[Request], Any]:
    def function(request: Request) -> str:
        if request.user == "fine":
            return "Fine"
        raise error("no")

    async def later(request: Request) -> str:
        await asyncio.sleep(0)
        return function(request)

    return later if is_async else function


def ask(server: Handle, text: str = "Hello") -> tuple[int, str]:
    """The status of a reply, and its text or its error's message."""
    response = post(server.base_url + "/chat/completions", chat(messages=[{"role": "user", "content": text}]))
    body = response.json()
    message = body["error"]["message"] if "error" in body else body["choices"][0]["message"]["content"]
    return response.status_code, message


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("error", ANYTHING)
def test_what_a_function_raises_is_raised_at_the_end(error: type[BaseException], loaded: bool, is_async: bool) -> None:
    rule = on().reply(raising(error, is_async))
    expected = ReplyError if error in ENDING else error
    with pytest.raises(expected) as caught, fakellm.serve(None if loaded else [rule]) as server:  # noqa: PT012 # two requests
        session = server.session("a/b c") if loaded else server
        if loaded:
            session.load(rule)
        status, message = ask(session)
        assert status == 400  # which clients do not retry
        assert "its function raised" in message
        assert ask(session, "fine") == (200, "Fine")
    cause = caught.value.__cause__ if error in ENDING else caught.value
    assert type(cause) is error


def test_what_was_fetched_is_not_raised_again() -> None:
    with fakellm.serve(on().reply(raising(ValueError, False))) as server:
        ask(server)
        ask(server)
        assert [str(error) for error in server.session("other").raised()] == ["no", "no"]
        assert server.raised() == []


def test_each_session_has_what_its_own_functions_raise() -> None:
    with fakellm.serve() as server:
        one, other = server.session("one"), server.session("other")
        one.load(on().reply(raising(ValueError, False)))
        ask(one)
        assert other.raised() == []
        assert len(one.raised()) == 1


def test_an_error_of_the_block_is_raised_with_what_a_function_raised_in_its_notes() -> None:
    with pytest.raises(ZeroDivisionError) as caught, fakellm.serve(on().reply(raising(ValueError, False))) as server:  # noqa: PT012 # a block that fails
        ask(server)
        raise ZeroDivisionError
    assert caught.value.__notes__ == ["fakellm: the function of a reply raised ValueError('no')"]


def test_a_client_that_leaves_raises_nothing() -> None:
    async def waiting(request: Request) -> str:
        started.set()  # in the server's loop
        await asyncio.Event().wait()
        return "never"

    started = threading.Event()
    with fakellm.serve(on().reply(waiting)) as server:

        async def leave() -> None:
            host, port = server.url.removeprefix("http://").split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            body = chat()
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            assert await asyncio.to_thread(started.wait, 30)
            writer.close()

        asyncio.run(leave())


@pytest.mark.parametrize("use", ["journal", "load", "load_function", "reset"])
@pytest.mark.parametrize("kind", ["plain", "thread", "async"])
def test_a_function_may_use_the_handle(use: str, kind: str) -> None:
    def using() -> str:
        if use == "journal":
            return str(len(server.journal))
        if use == "reset":
            server.reset()
        else:
            server.load(on().reply("Loaded") if use == "load" else on().reply(lambda request: "Loaded"))
        return "1"

    def function(request: Request) -> Awaitable[str] | str:
        return using() if kind == "plain" else later()

    async def later() -> str:
        return await asyncio.to_thread(using) if kind == "thread" else using()

    with fakellm.serve(on().reply(function)) as server:
        status, message = ask(server)
        if kind == "async":
            (error,) = server.raised()
            assert isinstance(error, ServerError)
            assert "await asyncio.to_thread" in message
            assert status == 400
        else:
            assert (status, message) == (200, "1")
            assert ask(server)[1] == ("Loaded" if use.startswith("load") else "1" if use == "reset" else "2")


@pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt", "ValueError('no')", "AssertionError"])
def test_the_test_that_caused_it_fails_at_its_end(pytester: pytest.Pytester, error: str) -> None:
    code = f"""
from fakellm import on

def test_one(fakellm):
    def function(request):
        raise {error}
    fakellm.load(on().reply(function))
    try:
        ask()
    except urllib.error.HTTPError as error:
        assert error.code == 400

def test_two(fakellm):
    assert ask()

def test_three(fakellm):
    fakellm.load(on().reply(lambda request: pytest.fail("not this request")))
    try:
        ask()
    except urllib.error.HTTPError:
        pass

def test_four(fakellm):
    fakellm.load(on().reply(lambda request: [][0]))
    try:
        ask()
    except urllib.error.HTTPError:
        assert [type(error) for error in fakellm.raised()] == [IndexError]
"""
    result = run(pytester, "import pytest\n" + code)
    result.assert_outcomes(passed=4, errors=2)
    result.stdout.fnmatch_lines([f"*{error.split('(')[0]}*", "*not this request*"])
