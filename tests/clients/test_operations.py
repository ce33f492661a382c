"""What SDKs request beside replies: lists of models, token counts and vectors.

The models are those that the rules name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

import fakellm
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule
from fakellm.testing.handle import Handle

pytestmark = pytest.mark.filterwarnings("ignore")  # their warnings are not ours to fix
MODEL = "a-model"
EQUAL_TEXTS = ["warm", "cold", "warm"]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[Handle]:
    rule = Rule(reply=Reply(content="Hi"), when=fakellm.When(model=MODEL))
    with fakellm.serve(rule) as handle, pytest.MonkeyPatch.context() as patch:
        for name, value in handle.env.items():
            patch.setenv(name, value)
        yield handle


def is_embedding(vectors: list[list[float]]) -> bool:
    """Whether equal texts have equal vectors, and others have others."""
    warm, cold, again = vectors
    return warm == again != cold and len(warm) == len(cold) > 0


def test_openai() -> None:
    openai: Any = pytest.importorskip("openai")
    with openai.OpenAI() as client:
        assert [model.id for model in client.models.list()] == [MODEL]
        assert client.models.retrieve(MODEL).id == MODEL
        embeddings = client.embeddings.create(model="text-embedding-3-small", input=EQUAL_TEXTS)
        assert is_embedding([each.embedding for each in embeddings.data])
        assert client.responses.input_tokens.count(model=MODEL, input="Hello there").input_tokens > 2


def test_anthropic() -> None:
    anthropic: Any = pytest.importorskip("anthropic")
    with anthropic.Anthropic() as client:
        assert [(model.id, model.type) for model in client.models.list()] == [(MODEL, "model")]
        assert client.models.retrieve(MODEL).id == MODEL
        messages = [{"role": "user", "content": "Hello there"}]
        assert client.messages.count_tokens(model=MODEL, messages=messages).input_tokens > 2


def test_google_genai() -> None:
    genai: Any = pytest.importorskip("google.genai")
    with genai.Client() as client:
        assert [model.name for model in client.models.list()] == [f"models/{MODEL}"]
        assert client.models.get(model=MODEL).name == f"models/{MODEL}"
        assert client.models.count_tokens(model=MODEL, contents="Hello there").total_tokens > 2
        embeddings = client.models.embed_content(model="gemini-embedding-001", contents=EQUAL_TEXTS).embeddings
        assert is_embedding([each.values for each in embeddings])


def test_ollama() -> None:
    ollama: Any = pytest.importorskip("ollama")
    with ollama.Client(os.environ["OLLAMA_HOST"]) as client:
        assert [model.model for model in client.list().models] == [MODEL]
        assert is_embedding([list(each) for each in client.embed("a-model", EQUAL_TEXTS).embeddings])


def test_langchain_openai() -> None:
    model = pytest.importorskip("langchain_openai").OpenAIEmbeddings(check_embedding_ctx_length=False)
    assert is_embedding(model.embed_documents(EQUAL_TEXTS))


def test_langchain_anthropic() -> None:
    model = pytest.importorskip("langchain_anthropic").ChatAnthropic(model=MODEL)
    message = pytest.importorskip("langchain_core.messages").HumanMessage("Hello there")
    assert model.get_num_tokens_from_messages([message]) > 2


def test_langchain_google_genai() -> None:
    library = pytest.importorskip("langchain_google_genai")
    embeddings = library.GoogleGenerativeAIEmbeddings(model="gemini-embedding-001")
    assert is_embedding(embeddings.embed_documents(EQUAL_TEXTS))
    assert library.ChatGoogleGenerativeAI(model=MODEL).get_num_tokens("Hello there") > 2


def test_langchain_ollama() -> None:
    library = pytest.importorskip("langchain_ollama")
    model = library.OllamaEmbeddings(model=MODEL, base_url=os.environ["OLLAMA_HOST"])
    assert is_embedding(model.embed_documents(EQUAL_TEXTS))


@pytest.mark.parametrize("model", ["openai/text-embedding-3-small", "gemini/gemini-embedding-001", "ollama/a-model"])
def test_litellm(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    data = pytest.importorskip("litellm").embedding(model=model, input=EQUAL_TEXTS).data
    assert is_embedding([each["embedding"] for each in data])
