"""The tool runners of SDKs for Node: they call the tools, send back the results and return the answer by themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fakellm
from fakellm.testing.handle import Handle
from tests.clients.node_sdks import Program
from tests.clients.test_node_tasks import TOOLS, answers

RUNNERS = ("chat", "responses", "messages", "gemini")
"""The runners in `node/runners.mjs`, named after their APIs."""


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    found = Program("runners")
    yield found
    found.close()


@pytest.fixture
def server() -> Iterator[Handle]:
    with fakellm.serve() as handle:
        yield handle


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_runner_ends_with_the_answer(program: Program, server: Handle, runner: str, stream: bool) -> None:
    calls = [{"name": tool["name"], "arguments": {"city": "Oslo"}} for tool in TOOLS]
    results = {"temperature": "3 °C", "clock": "12:00"}
    rules = [
        {"name": "calls", "when": {"turn": 1}, "reply": {"content": "Let me see. ", "tool_calls": calls}},
        {"name": "answer", "when": {"turn": 2, "result": results}, "reply": {"content": "It is 3 °C."}},
    ]
    server.load({"rules": rules})
    (answer,) = answers(program.perform(server.url, stream, runner=runner, tools=TOOLS))
    assert answer["text"].removeprefix("Let me see. ") == "It is 3 °C."  # Google's stream has both texts
    assert [entry.rule for entry in server.journal if entry.status == 200] == ["calls", "answer"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("runner", RUNNERS)
def test_generated_calls_end(program: Program, server: Handle, runner: str, stream: bool) -> None:
    (answer,) = answers(program.perform(server.url, stream, runner=runner, tools=TOOLS))
    assert answer["text"]
    assert [entry.rule for entry in server.journal if entry.status == 200] == ["generated", "generated"]
