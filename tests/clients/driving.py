"""The shipped drivers: how each is started, whether its client is installed, and the verdict on a rule.

Those in Python run in the environment that runs the tests; those for Node in `fakellm/drivers/node_modules`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

import pytest

from fakellm.fuzzing.clients.client_process import Driver
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.endpoints import fuzzed_api
from fakellm.fuzzing.oracle.verdicts import Verdict, under_variation
from fakellm.fuzzing.tiers import WireStep
from fakellm.fuzzing.trial import Trial
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule
from tests.conftest import ROOT

DRIVERS = ROOT / "fakellm" / "drivers"
NODE = DRIVERS / "node_modules"

PYTHON = {
    "openai_raw": ("openai", "3"),
    "openai_stream": ("openai", "3"),
    "openai_async": ("openai", "3"),
    "langchain": ("langchain-openai", "1"),
    "pydantic_ai_stream": ("pydantic-ai-slim", "2"),
    "openai_agents": ("openai-agents", "0"),
    "smolagents_stream": ("smolagents", "1"),
    "litellm_chunks": ("litellm", "1"),
    "llama_index_chat": ("llama-index-llms-openai-like", "0"),
    "instructor_partial": ("instructor", "1"),
    "huggingface_hub_chat": ("huggingface-hub", "2"),
    "sse_readers httpx-sse": ("httpx-sse", "0"),
    "sse_readers sseclient-py": ("sseclient-py", "1"),
    "anthropic_stream": ("anthropic", "2"),
    "ollama_chat": ("ollama", "0"),
    "openai_responses": ("openai", "3"),
    "google_genai_stream": ("google-genai", "3"),
    "langchain gemini": ("langchain-google-genai", "4"),
    "langchain messages": ("langchain-anthropic", "1"),
    "langchain ollama": ("langchain-ollama", "1"),
    "langchain responses": ("langchain-openai", "1"),
    "litellm_chunks gemini": ("litellm", "1"),
    "litellm_chunks messages": ("litellm", "1"),
    "openai_agents responses": ("openai-agents", "0"),
    "pydantic_ai_stream messages": ("pydantic-ai-slim", "2"),
    "pydantic_ai_stream responses": ("pydantic-ai-slim", "2"),
}
"""By the driver's name and argument: the distribution that it runs, and which major release of it."""

JAVASCRIPT = {
    "openai.mjs": "openai",
    "openai_stream.mjs": "openai",
    "langchain.mjs": "@langchain/openai",
    "ai_sdk.mjs openai": "@ai-sdk/openai",
    "ai_sdk.mjs openai-compatible": "@ai-sdk/openai-compatible",
    "plain_fetch.mjs": "node",
    "huggingface.mjs": "@huggingface/inference",
    "sse_readers.mjs eventsource-parser": "eventsource-parser",
    "sse_readers.mjs fetch-event-source": "@microsoft/fetch-event-source",
    "ollama.mjs": "ollama",
    "openai_responses.mjs": "openai",
    "anthropic_stream.mjs": "@anthropic-ai/sdk",
    "google_genai.mjs": "@google/genai",
    "ai_sdk.mjs anthropic": "@ai-sdk/anthropic",
    "ai_sdk.mjs google": "@ai-sdk/google",
    "ai_sdk.mjs openai-responses": "@ai-sdk/openai",
    "langchain.mjs anthropic": "@langchain/anthropic",
    "langchain.mjs google": "@langchain/google-genai",
    "langchain.mjs ollama": "@langchain/ollama",
}
APIS = {
    "openai_responses": "responses",
    "openai_responses.mjs": "responses",
    "langchain responses": "responses",
    "openai_agents responses": "responses",
    "pydantic_ai_stream responses": "responses",
    "ai_sdk.mjs openai-responses": "responses",
    "anthropic_stream": "messages",
    "anthropic_stream.mjs": "messages",
    "langchain messages": "messages",
    "litellm_chunks messages": "messages",
    "pydantic_ai_stream messages": "messages",
    "ai_sdk.mjs anthropic": "messages",
    "langchain.mjs anthropic": "messages",
    "google_genai_stream": "gemini",
    "google_genai.mjs": "gemini",
    "langchain gemini": "gemini",
    "litellm_chunks gemini": "gemini",
    "ai_sdk.mjs google": "gemini",
    "langchain.mjs google": "gemini",
    "ollama_chat": "ollama",
    "ollama.mjs": "ollama",
    "langchain ollama": "ollama",
    "langchain.mjs ollama": "ollama",
}
"""The APIs of the drivers that are not for chat."""

NAMES = (*PYTHON, *JAVASCRIPT)


def api_of(name: str) -> str:
    """The API that the driver is for."""
    return APIS.get(name, "chat")


def installed(name: str) -> str | None:
    """The installed release of the driver's client; None if it is not installed."""
    if name in PYTHON:
        distribution, major = PYTHON[name]
        try:
            found = version(distribution)
        except PackageNotFoundError:
            return None
        return found if found.split(".")[0] == major else None
    file = NODE / JAVASCRIPT[name] / "package.json"
    return str(json.loads(file.read_text())["version"]) if file.exists() else None


def pinned(name: str) -> str:
    """The release of its client that the driver was measured with."""
    if name in PYTHON:
        rows = [row.strip().split(" ==") for row in (ROOT / "setup.cfg").read_text().splitlines() if " ==" in row]
        pins = {row[0].partition("[")[0]: row[1] for row in reversed(rows)}  # the first of those that are listed twice
        return pins[PYTHON[name][0]]
    return str(json.loads((DRIVERS / "package.json").read_text())["dependencies"][JAVASCRIPT[name]])


def need(name: str) -> None:
    """Skips the test if the client is not installed."""
    if installed(name) is None:
        client = PYTHON[name][0] if name in PYTHON else JAVASCRIPT[name]
        how = "pip install -e '.[clients]', or '.[clients-openai2]'"
        pytest.skip(f"{client} is not installed: {how if name in PYTHON else 'npm install --prefix fakellm/drivers'}")


def command(name: str) -> list[str]:
    """The command that starts the driver."""
    file, *arguments = name.split()
    if name in PYTHON:
        return [sys.executable, "-W", "ignore", "-m", f"fakellm.drivers.{file}", *arguments]
    return [str(NODE / ".bin" / "node"), str(DRIVERS / file), *arguments]


def start(name: str, timeout: float = 1.0, patience: float = 5.0) -> Driver:
    """The driver, with its client imported; the caller closes it. Skips the test if the client is not installed."""
    need(name)
    driver = Driver(command(name), timeout, patience, api_of(name))
    driver.ask(
        "http://127.0.0.1:9/v1", cases.request(Rule(reply=Reply()), fuzzed_api(driver.api))
    )  # there is no server
    return driver


def verdict(trial: Trial, rule: Rule) -> Verdict:
    """The fuzzer's verdict on what the client returns for a rule, but strict for contested steps too, on which the
    fuzzer is lenient."""
    case = trial.judge(rule)
    if case.verdict.failed or not contested(case.steps):
        return case.verdict
    return under_variation(trial.expected(rule), trial.ask(rule), trial.reported)


def contested(steps: Iterable[WireStep]) -> bool:
    """Whether two sane clients may read one of the steps differently."""
    return any(step.tier == "T5" for step in steps)
