"""The shipped drivers: how each is started, whether its client is installed, and the verdict on a rule.

Those in Python run in the environment that runs the tests; those for Node in `fakellm/drivers/node_modules`.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest

from fakellm.fuzzing.clients.client_process import Driver
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.endpoints import fuzzed_api
from fakellm.fuzzing.oracle.verdicts import Verdict, under_variation
from fakellm.fuzzing.tiers import contested
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
    "anthropic_stream": ("anthropic", "2"),
    "ollama_chat": ("ollama", "0"),
    "openai_responses": ("openai", "3"),
}
"""By the driver's name: the distribution that it runs, and which major release of it."""

JAVASCRIPT = {
    "openai.mjs": "openai",
    "openai_stream.mjs": "openai",
    "langchain.mjs": "@langchain/openai",
    "ai_sdk.mjs openai": "@ai-sdk/openai",
    "ai_sdk.mjs openai-compatible": "@ai-sdk/openai-compatible",
    "plain_fetch.mjs": "node",
    "ollama.mjs": "ollama",
    "openai_responses.mjs": "openai",
    "anthropic_stream.mjs": "@anthropic-ai/sdk",
}
APIS = {
    "openai_responses": "responses",
    "openai_responses.mjs": "responses",
    "ollama_chat": "ollama",
    "ollama.mjs": "ollama",
    "anthropic_stream": "messages",
    "anthropic_stream.mjs": "messages",
}
"""The APIs of the drivers that are not for chat."""

NAMES = (*PYTHON, *JAVASCRIPT)


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
    if name in PYTHON:
        return [sys.executable, "-W", "ignore", "-m", f"fakellm.drivers.{name}"]
    file, *arguments = name.split()
    return [str(NODE / ".bin" / "node"), str(DRIVERS / file), *arguments]


def start(name: str, timeout: float = 1.0, patience: float = 5.0) -> Driver:
    """The driver, with its client imported; the caller closes it. Skips the test if the client is not installed."""
    need(name)
    driver = Driver(command(name), timeout, patience, APIS.get(name, "chat"))
    driver.ask(
        "http://127.0.0.1:9/v1", cases.request(Rule(reply=Reply()), fuzzed_api(driver.api))
    )  # there is no server
    return driver


def verdict(trial: Trial, rule: Rule) -> Verdict:
    """The fuzzer's verdict on what the client returns for a rule, but strict for contested steps too, on which the
    fuzzer is lenient."""
    found = trial.judge(rule).verdict
    if found.failed or not contested(rule.stream):
        return found
    return under_variation(trial.expected(rule), trial.ask(rule), trial.reported)
