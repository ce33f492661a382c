"""Each SDK, built without arguments, reaches the session of a test: the environment has all that it needs."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fakellm
from fakellm.testing import pytest_plugin
from fakellm.testing.handle import Handle
from fakellm.testing.sdk_environment import point_to

MESSAGES: Any = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve("rules: [{reply: {content: Hello}}]", strict=True) as server:
        yield server


def of_openai(name: str) -> str | None:
    import openai

    if not hasattr(openai, name):
        pytest.skip(f"this release of openai has no {name}")
    with getattr(openai, name)() as client:
        reply = client.chat.completions.create(model="m", messages=MESSAGES)
        return reply.choices[0].message.content  # type: ignore[no-any-return]


def of_responses() -> str:
    import openai

    with openai.OpenAI() as client:
        return client.responses.create(model="m", input="Hi").output_text


def of_anthropic(name: str) -> str:
    import anthropic

    if not hasattr(anthropic, name):
        pytest.skip(f"this release of anthropic has no {name}")
    with getattr(anthropic, name)() as client:
        return client.messages.create(model="m", max_tokens=9, messages=MESSAGES).content[0].text  # type: ignore[no-any-return]


def of_google(vertexai: bool) -> str | None:
    from google import genai

    with genai.Client(vertexai=vertexai) as client:
        text: str | None = client.models.generate_content(model="m", contents="Hi").text
        return text


def of_ollama() -> str | None:
    import ollama

    with ollama.Client() as client:
        content: str | None = client.chat(model="m", messages=MESSAGES).message.content
        return content


CLIENTS: dict[str, Callable[[], str | None]] = {
    "OpenAI": lambda: of_openai("OpenAI"),
    "AzureOpenAI": lambda: of_openai("AzureOpenAI"),
    "BedrockOpenAI": lambda: of_openai("BedrockOpenAI"),
    "responses": of_responses,
    "Anthropic": lambda: of_anthropic("Anthropic"),
    "AnthropicFoundry": lambda: of_anthropic("AnthropicFoundry"),
    "Google": lambda: of_google(False),
    "Vertex AI": lambda: of_google(True),
    "Ollama": of_ollama,
}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_without_arguments_reaches_the_server(
    name: str, server: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for diverting in ("GEMINI_API_KEY", "ANTHROPIC_FOUNDRY_RESOURCE", "AZURE_OPENAI_AD_TOKEN"):
        monkeypatch.setenv(diverting, "of-the-developer")
    for proxy in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # where nothing listens
    for bypass in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(bypass, "example.org")
    point_to(server, monkeypatch, records=False)
    assert CLIENTS[name]() == "Hello"


def test_the_options_are_the_settings() -> None:
    """The plugin has a copy of the names, since it must not import the settings until the fixture is used."""
    from fakellm.testing.fixture.settings import FixtureSettings

    assert set(pytest_plugin._SETTINGS) == set(FixtureSettings.__struct_fields__)
    tree = ast.parse(inspect.getsource(pytest_plugin.pytest_configure))
    described = next(
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and "*, seed" in str(node.value)
    )
    assert all(name in str(described) for name in FixtureSettings.__struct_fields__)
