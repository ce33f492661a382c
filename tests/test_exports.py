"""The public names, listed once: one that is missing or new fails a test, so that each change of them is deliberate."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import fakellm
from tests.conftest import ROOT

PUBLIC = {
    "fakellm": """
        Allowance Call CassetteError Choice Completion Computed Entry FakellmError Framing Handle Insert Opaque Pattern RateLimit Refusal
        Reply ReplyChoice Request Rule Scenario ScenarioError ServerError Stall Step Stop Text Thinking Timing
        ToolCall Transfer Usage Variation When call dump fuzz load on record replay serve spawn
    """,
    "fakellm.faults": """
        BadArguments BatchFault Break ChunkFault Close CompletionFault ConnectionFault ContentFilter ContentLength
        ContentType Drip Empty Eof Error EventFault Fault FinishReason Glued HangUp Html Length Malformed NoCall NoChoices
        NoFinish OnlyComments OnlyDone Refusal Repeat Reset ResponseFault SameId Sent Slow Stall Status Stream
        Surplus Swap Times Truncated UnknownTool Unterminated Whole WireFault
    """,
    "fakellm.strategies": """
        PROFILES answers completions faults framings streams texts transfers variations
    """,
}
"""By module: what its `__all__` has."""

DRIVERS = """
    ai_sdk.mjs anthropic_stream.mjs anthropic_stream.py google_genai.mjs google_genai_stream.py huggingface.mjs
    huggingface_hub_chat.py instructor_partial.py langchain.mjs langchain.py litellm_chunks.py llama_index_chat.py
    loop.mjs loop.py ollama.mjs ollama_chat.py openai.mjs openai_agents.py openai_async.py openai_raw.py
    openai_responses.mjs openai_responses.py openai_stream.mjs openai_stream.py package.json plain_fetch.mjs
    pydantic_ai_stream.py reads.py request.mjs request.py smolagents_stream.py sse_chat.mjs sse_readers.mjs sse_readers.py
    tally.mjs tally.py
"""
"""What `fakellm.drivers` ships: users start these files, and copy them."""


@pytest.mark.parametrize("module", PUBLIC)
def test_a_module_exports_these_names_and_no_others(module: str) -> None:
    names = import_module(module).__all__
    assert sorted(names) == sorted(PUBLIC[module].split())
    assert [name for name in names if not hasattr(import_module(module), name)] == []


def test_the_drivers_are_these_files() -> None:
    folder = ROOT / "fakellm" / "drivers"
    files = {file.name for file in folder.iterdir() if file.is_file()}
    assert files - {"__init__.py", "package-lock.json"} == set(DRIVERS.split())


def test_every_name_is_listed_by_dir_and_no_other_is_there() -> None:
    assert {*PUBLIC["fakellm"].split(), "drivers", "faults", "strategies"} <= set(dir(fakellm))
    with pytest.raises(AttributeError, match="module 'fakellm' has no attribute 'serv'"):
        fakellm.serv  # type: ignore[attr-defined] # noqa: B018 # the look-up is the test


@pytest.mark.parametrize("use", ["fakellm.faults.Reset()", "fakellm.drivers", "fakellm.Reply(content='Hi')"])
def test_a_submodule_needs_no_import_of_its_own_and_stays_light(use: str) -> None:
    assert loaded_by(use) == "[]"


def test_the_strategies_need_no_import_of_their_own_either() -> None:
    assert "hypothesis" in loaded_by("fakellm.strategies.streams()")


def loaded_by(use: str) -> str:
    """Which of the slow imports a fresh interpreter has made after `use`, with fakellm imported and nothing else."""
    slow = ("aiohttp", "asyncio", "hypothesis", "yaml")
    code = f"import sys, fakellm; {use}; print([name for name in {slow} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return ran.stdout.strip()
