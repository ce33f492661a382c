"""Frameworks on Ollama's own API: what they read of text, thinking and calls, streamed or not.

Each is skipped where it is not installed: langchain-ollama is in the extra `clients`, litellm in `clients-openai2`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

import fakellm
from fakellm.testing.handle import Handle

pytestmark = pytest.mark.filterwarnings("ignore")  # their warnings are not ours to fix

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
SAID = {"reasoning": "Hm, well.", "content": "It is 5 °C.", "usage": {"prompt": 5, "completion": 7}}
CALLED = {"tool_calls": [{"name": "weather", "arguments": {"city": "Oslo"}}, {"name": "weather"}]}
CALLS = [("weather", {"city": "Oslo"}), ("weather", {})]
STREAMS: list[dict[str, Any]] = [{}, {"together": ["calls"]}, {"together": ["calls"], "finish": "last"}]


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve() as handle:
        yield handle


class TestLangchain:
    @pytest.fixture
    def model(self, server: Handle) -> Any:
        return pytest.importorskip("langchain_ollama").ChatOllama(model="m", base_url=server.url, reasoning=True)

    def test_a_text(self, server: Handle, model: Any) -> None:
        server.load({"rules": [{"reply": SAID}]})
        whole = model.invoke("Hi")
        streamed: Any = None
        for chunk in model.stream("Hi"):
            streamed = chunk if streamed is None else streamed + chunk
        for found in (whole, streamed):
            assert (found.content, found.additional_kwargs["reasoning_content"]) == ("It is 5 °C.", "Hm, well.")
            assert found.response_metadata["done_reason"] == "stop"
            assert (found.usage_metadata["input_tokens"], found.usage_metadata["output_tokens"]) == (5, 7)

    @pytest.mark.parametrize("stream", STREAMS, ids=str)
    def test_calls(self, server: Handle, model: Any, stream: dict[str, Any]) -> None:
        server.load({"rules": [{"reply": CALLED, "stream": stream}]})
        found = model.bind_tools(TOOLS).invoke("Hi")
        assert [(call["name"], call["args"]) for call in found.tool_calls] == CALLS

    def test_async(self, server: Handle, model: Any) -> None:
        server.load({"rules": [{"reply": SAID}]})
        assert asyncio.run(model.ainvoke("Hi")).content == "It is 5 °C."


class TestLitellm:
    @pytest.fixture
    def complete(self, server: Handle, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        litellm = pytest.importorskip("litellm")

        def complete(**fields: Any) -> Any:
            messages = [{"role": "user", "content": "Hi"}]
            return litellm.completion(model="ollama_chat/m", api_base=server.url, messages=messages, **fields)

        return complete

    def test_a_text(self, server: Handle, complete: Any) -> None:
        server.load({"rules": [{"reply": SAID}]})
        whole = complete()
        assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == ("It is 5 °C.", "stop")
        assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (5, 7)
        chunks = list(complete(stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "It is 5 °C."

    @pytest.mark.parametrize("stream", [False, True])
    def test_calls(self, server: Handle, complete: Any, stream: bool) -> None:
        server.load({"rules": [{"reply": {"tool_calls": CALLED["tool_calls"][:1]}}]})
        found = complete(tools=TOOLS, stream=stream)
        messages = [chunk.choices[0].delta for chunk in found] if stream else [found.choices[0].message]
        calls = [call for message in messages for call in message.tool_calls or ()]
        assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == CALLS[:1]
