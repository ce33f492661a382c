"""Each shipped driver in its real process: what it reports for a plain reply, parallel calls, and errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import UNSET

import fakellm
from fakellm import faults
from fakellm.fuzzing.clients.client_process import Driver
from fakellm.fuzzing.clients.result import NoResult, Result, ReturnedUsage
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.endpoints import endpoint_of, fuzzed_api
from fakellm.fuzzing.oracle.normalize import arguments
from fakellm.scenarios.reply import Call, Reply
from fakellm.scenarios.scenario import Rule
from fakellm.testing.handle import Handle
from tests.clients.driving import NAMES, api_of, start

CALL = Reply(tool_calls=(Call("f", {"a": 1}),), usage=fakellm.Usage(prompt=5, completion=3))


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve() as handle:
        yield handle


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def driver(name: str) -> Iterator[Driver]:
    driven = start(name, timeout=10.0, patience=30.0)
    yield driven
    driven.close()


def ask(driver: Driver, server: Handle, reply: Reply, fault: faults.Fault | None = None) -> Result | NoResult:
    rule = Rule(reply=reply, fault=fault)
    server.load(rule)
    api = fuzzed_api(driver.api)
    return driver.ask(server.url + endpoint_of(api).base, cases.request(rule, api))


def calls(answer: Result | NoResult) -> list[tuple[str | None, str]]:
    assert isinstance(answer, Result), answer
    return [(call.name, arguments(call.arguments)) for call in answer.tool_calls or ()]


def functions_of(request: dict[str, Any]) -> list[str]:
    """The names of the functions in a request; Gemini's tools have lists of them, under one spelling or another."""
    tools = request["tools"]
    if "contents" in request:
        tools = [function for tool in tools for declared in tool.values() for function in declared]
    return [tool.get("function", tool)["name"] for tool in tools]


READ_ONE_CALL_ALONE = ("instructor_partial",)
REPORT_NO_USAGE = ("langchain.mjs anthropic",)


def test_it_reports_a_text_and_its_usage(name: str, driver: Driver, server: Handle) -> None:
    if name in READ_ONE_CALL_ALONE:
        return
    answer = ask(driver, server, Reply(content="One 中 two", usage=fakellm.Usage(prompt=5, completion=3)))
    assert isinstance(answer, Result), answer
    assert answer.content == "One 中 two"
    assert answer.reads  # so that the fuzzer knows which cuts the client saw
    assert answer.usage == (UNSET if name in REPORT_NO_USAGE else ReturnedUsage(5, 3, 8))
    assert answer.finish_reason in ("stop", None, UNSET)  # some report none
    assert not answer.tool_calls


def test_it_reports_calls_in_their_order(name: str, driver: Driver, server: Handle) -> None:
    assert calls(ask(driver, server, CALL)) == [("f", arguments({"a": 1}))]
    parallel = Reply(tool_calls=(Call("f", {"a": 1}), Call("g", {"b": "Å"})))
    if name not in READ_ONE_CALL_ALONE:
        expected = [("f", arguments({"a": 1})), ("g", arguments({"b": "Å"}))]
        assert calls(ask(driver, server, parallel)) == expected


def test_it_sends_the_request_of_the_case(name: str, driver: Driver, server: Handle) -> None:
    ask(driver, server, CALL)
    [entry] = server.journal
    if api_of(name) != "gemini":  # which names both in the URL
        assert entry.request["model"] == "fakellm"
        assert entry.request["stream"] is True
    tool = "Partialf" if name in READ_ONE_CALL_ALONE else "f"
    assert functions_of(entry.request) == [tool]


def test_an_error_is_reported_and_the_request_not_sent_again(driver: Driver, server: Handle) -> None:
    answer = ask(driver, server, CALL, faults.Status(status=500, message="boom"))
    assert isinstance(answer, NoResult)
    assert answer.how == "raised"
    assert "boom" in answer.message
    assert len(server.journal) == 1


def test_after_a_cut_stream_it_is_ready_for_the_next(driver: Driver, server: Handle) -> None:
    cut = ask(driver, server, CALL, faults.Reset(frame=1))
    assert isinstance(cut, Result) or cut.how == "raised"
    assert calls(ask(driver, server, CALL)) == [("f", arguments({"a": 1}))]


def test_several_choices_are_distinguished(server: Handle) -> None:
    driver = start("openai_raw")
    choices = (fakellm.ReplyChoice(content="a b"), fakellm.ReplyChoice(content="c"))
    answer = ask(driver, server, Reply(choices=choices))
    driver.close()
    assert isinstance(answer, Result), answer
    assert [choice.content for choice in answer.choices or ()] == ["a b", "c"]
