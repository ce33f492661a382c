"""What current clients get wrong, each as the smallest scenario that shows it: expected to fail, noticed once fixed.

A file of `scenarios/client-bugs` is named after its client and the cause. It is tried on the release that the drivers
were measured with; if another is installed, the test is skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from fakellm.fuzzing.case_server import CaseServer
from fakellm.fuzzing.draws.steps import steps_of
from fakellm.fuzzing.endpoints import fuzzed_api
from fakellm.fuzzing.oracle.verdicts import Verdict
from fakellm.fuzzing.trial import Trial
from fakellm.scenarios.loader import load
from tests.clients.driving import api_of, contested, installed, pinned, start, verdict
from tests.conftest import ROOT

FILES = sorted((ROOT / "scenarios" / "client-bugs").glob("*.yaml"))

CLIENTS = {
    "openai": "openai_raw",
    "openai-stream": "openai_stream",
    "langchain": "langchain",
    "pydantic-ai": "pydantic_ai_stream",
    "openai-agents": "openai_agents",
    "smolagents": "smolagents_stream",
    "litellm": "litellm_chunks",
    "llama-index": "llama_index_chat",
    "instructor": "instructor_partial",
    "huggingface-hub": "huggingface_hub_chat",
    "httpx-sse": "sse_readers httpx-sse",
    "sseclient-py": "sse_readers sseclient-py",
    "node-openai": "openai.mjs",
    "node-openai-stream": "openai_stream.mjs",
    "node-langchain": "langchain.mjs",
    "ai-sdk-openai": "ai_sdk.mjs openai",
    "ai-sdk-openai-compatible": "ai_sdk.mjs openai-compatible",
    "node-huggingface": "huggingface.mjs",
    "eventsource-parser": "sse_readers.mjs eventsource-parser",
    "fetch-event-source": "sse_readers.mjs fetch-event-source",
    "openai-responses": "openai_responses",
    "langchain-responses": "langchain responses",
    "pydantic-ai-responses": "pydantic_ai_stream responses",
    "openai-agents-responses": "openai_agents responses",
    "node-openai-responses": "openai_responses.mjs",
    "ai-sdk-openai-responses": "ai_sdk.mjs openai-responses",
    "anthropic": "anthropic_stream",
    "langchain-anthropic": "langchain messages",
    "litellm-anthropic": "litellm_chunks messages",
    "node-anthropic": "anthropic_stream.mjs",
    "node-langchain-anthropic": "langchain.mjs anthropic",
    "ai-sdk-anthropic": "ai_sdk.mjs anthropic",
    "google-genai": "google_genai_stream",
    "langchain-google": "langchain gemini",
    "litellm-gemini": "litellm_chunks gemini",
    "node-google-genai": "google_genai.mjs",
    "node-langchain-google": "langchain.mjs google",
    "ai-sdk-google": "ai_sdk.mjs google",
    "ollama": "ollama_chat",
    "langchain-ollama": "langchain ollama",
    "node-ollama": "ollama.mjs",
}
"""The driver of each client in those files. What the OpenAI SDK gets wrong, all clients built on it get wrong too."""


def driver_of(file: Path) -> str:
    """The driver of the client that a file is about: the longest name that it starts with."""
    return CLIENTS[max((known for known in CLIENTS if file.stem.startswith(f"{known}-")), key=len)]


class Started(dict[str, Trial]):
    """Trials of the clients, by driver; each is started when it is first needed, and so is the server of its API."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.servers: dict[str, CaseServer] = {}

    def __missing__(self, name: str) -> Trial:
        driver = self.stack.enter_context(closing(start(name)))
        api = fuzzed_api(driver.api)
        if driver.api not in self.servers:
            self.servers[driver.api] = self.stack.enter_context(CaseServer(deadline=4.0, api=api))
        self[name] = Trial(driver, self.servers[driver.api], api)
        return self[name]


@pytest.fixture(scope="module")
def trials() -> Iterator[Started]:
    with ExitStack() as stack:
        yield Started(stack)


class StillWrongError(Exception):
    """The client fails as its file describes."""


def comment_of(file: Path) -> str:
    """The comment of a file, in one line."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return " ".join(line.removeprefix("# ") for line in lines if line.startswith("#"))


def described(file: Path) -> tuple[str, str]:
    """What was expected and what the client returned, as the file describes it; of a long error, the beginning."""
    expected, _, got = comment_of(file).partition(" Expected: ")[2].partition(" Got: ")
    return expected, got.partition(" https://")[0]


def found_in(verdict: Verdict) -> tuple[str, str]:
    """The same for a verdict, in the wording of a file."""

    def shown(value: Any) -> str:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return " ".join(f"{verdict.field}: {text}".split())

    if verdict.outcome == "hung":
        return "an answer or an error in time", "neither"
    if verdict.outcome == "error":
        return "the whole answer", " ".join(verdict.actual.split())
    if verdict.outcome == "differs":
        return shown(verdict.expected), shown(verdict.actual)
    if verdict.field == "tool_calls":
        return f"no tool_calls but {json.dumps(verdict.expected)}", shown(verdict.actual)
    got = shown(verdict.actual) if verdict.field else f"success: {json.dumps(verdict.actual)}"
    return "an error, or a finish reason that says it is not whole", got


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_states_what_it_shows(file: Path) -> None:
    assert f" {pinned(driver_of(file))}" in comment_of(file)
    assert all(described(file))
    scenario = load(file)
    assert scenario.name == file.stem
    [rule] = scenario.rules
    api = api_of(driver_of(file))
    assert rule.when.api == (None if api == "chat" else api)
    assert "Contested: " in comment_of(file) or not contested(steps_of(rule, fuzzed_api(api)))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.xfail(
    strict=True, raises=StillWrongError, reason="the client's own bug, in the release it was measured with"
)
def test_the_client_reads_it(file: Path, trials: Started) -> None:
    name = driver_of(file)
    if installed(name) not in (None, pinned(name)):
        pytest.skip(f"{installed(name)} is installed, and this was measured with {pinned(name)}")
    [rule] = load(file).rules
    found = verdict(trials[name], rule)
    if found.failed:
        (expected, got), (file_expected, file_got) = found_in(found), described(file)
        assert file_expected == expected
        assert got.startswith(file_got)
        raise StillWrongError(got)
