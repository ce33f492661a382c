"""Official SDKs of three APIs list models of one server, and read why it refuses them."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

import fakellm

RULES = {"rules": [{"when": {"model": name}, "reply": {"content": name}} for name in ("a", "b", "c")]}


@pytest.fixture(scope="module")
def server() -> Iterator[fakellm.Handle]:
    with fakellm.serve(RULES, strict=True) as running:
        yield running


def test_anthropics_sdk_lists_models(server: fakellm.Handle) -> None:
    anthropic = pytest.importorskip("anthropic")
    with anthropic.Anthropic(base_url=server.url, api_key="any", max_retries=0) as client:
        assert [each.id for each in client.models.list(limit=2)] == ["a", "b", "c"]
        assert client.models.retrieve("b").type == "model"
        with pytest.raises(anthropic.NotFoundError, match="model: z") as caught:
            client.models.retrieve("z")
        assert caught.value.body["error"]["type"] == "not_found_error"
        with pytest.raises(anthropic.NotFoundError, match="fakellm does not serve Anthropic's batches"):
            client.messages.batches.list()


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_googles_sdk_lists_models(server: fakellm.Handle, version: str) -> None:
    genai = pytest.importorskip("google.genai")
    options = genai.types.HttpOptions(base_url=server.url, api_version=version)
    with genai.Client(api_key="any", http_options=options) as client:
        assert [each.name for each in client.models.list()] == ["models/a", "models/b", "models/c"]
        assert client.models.get(model="b").name == "models/b"
        with pytest.raises(genai.errors.ClientError, match="fakellm does not serve cached contents") as caught:
            client.caches.get(name="cachedContents/1")
        assert caught.value.status == "NOT_FOUND"


@pytest.mark.parametrize("base", ["/v1", "/v1beta/openai", "/api/paas/v4", "/compatible-mode/v1", "/inference/v1"])
def test_openais_sdk_lists_models(server: fakellm.Handle, base: str) -> None:
    with openai.OpenAI(base_url=server.url + base, api_key="any", max_retries=0) as client:
        assert [each.id for each in client.models.list()] == ["a", "b", "c"]
        reply = client.chat.completions.create(model="b", messages=[{"role": "user", "content": "Hi"}])
        assert reply.choices[0].message.content == "b"
        with pytest.raises(openai.NotFoundError, match="fakellm does not serve pictures"):
            client.images.generate(prompt="A cat")


@pytest.mark.parametrize(("path", "status"), [("/v1/realtime?model=gpt-realtime", 404), ("/v1/responses", 405)])
def test_a_client_of_websockets_reads_why_it_is_refused(server: fakellm.Handle, path: str, status: int) -> None:
    client = pytest.importorskip("websockets.sync.client")
    with pytest.raises(client.InvalidStatus) as caught:
        client.connect(f"ws{server.url.removeprefix('http')}{path}", open_timeout=30)
    assert caught.value.response.status_code == status
    assert b"fakellm serves no WebSockets." in caught.value.response.body
