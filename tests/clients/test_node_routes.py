"""What SDKs for Node do besides replies: models, embeddings, what a server keeps, and the chat of Google's SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import fakellm
from fakellm.testing.handle import Handle
from tests.clients.node_sdks import Program
from tests.clients.test_node_tasks import answers

RULES = [
    {"when": {"model": "a", "turn": 1}, "reply": {"content": "One two three"}, "stream": {"split": "words"}},
    {"when": {"model": "a", "turn": 2}, "reply": {"content": "Again."}},
    {"when": {"model": "b"}, "reply": {}},
]
MODELS = ["a", "b"]
LENGTHS = {
    "openai": 1536,
    "google": 3072,
    "ollama": 768,
    "ai_sdk openai": 1536,
    "ai_sdk google": 3072,
    "langchain openai": 1536,
    "langchain google": 3072,
    "langchain ollama": 768,
}
"""The numbers in a vector, by the SDK."""


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    found = Program("routes")
    yield found
    found.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve({"rules": RULES}, strict=True) as handle:
        yield handle


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("openai models", MODELS),
        ("anthropic models", MODELS),
        ("google models", ["models/a", "models/b"]),
        ("ollama models", MODELS),
        ("openai model", "model"),
        ("anthropic model", "model"),
        ("google model", "models/a"),
        ("ollama model", "gguf"),
        ("openai background", ["queued", "in_progress", "completed", "One two three"]),
        ("openai conversation", ["Again.", *["message"] * 4]),
        ("google chat", "Again."),
    ],
)
def test_a_route(program: Program, server: Handle, route: str, expected: Any) -> None:
    assert answers(program.perform(server.url, False, route=route)) == [expected]


@pytest.mark.parametrize("sdk", LENGTHS)
def test_embeddings_are_unit_vectors(program: Program, server: Handle, sdk: str) -> None:
    (vectors,) = answers(program.perform(server.url, False, route=f"{sdk} embeddings"))
    assert [len(vector) for vector in vectors] == [LENGTHS[sdk]] * 2
    for vector in vectors:
        assert sum(number * number for number in vector) == pytest.approx(1, abs=1e-5)
