"""The real openai SDK at every route, sync and async, and its Azure client; keys and browsers over real sockets."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx2
import openai
import pytest

import fakellm
from fakellm.testing.handle import Handle
from tests.conftest import chat, post
from tests.test_handle import outcome

RULES = {"rules": [{"when": {"model": "gpt-*"}, "reply": {"content": "One two three"}}]}


@pytest.fixture
def server(fakellm_server: Handle) -> Iterator[Handle]:
    session = fakellm_server.session("doors", strict=True)
    session.load(RULES)
    yield session
    session.reset()


@pytest.fixture
def client(server: Handle) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as running:
        yield running


def test_models(client: openai.OpenAI) -> None:
    assert client.models.retrieve("gpt-5").id == "gpt-5"
    with pytest.raises(openai.NotFoundError, match="The model 'other' does not exist") as missing:
        client.models.retrieve("other")
    assert missing.value.code == "model_not_found"


def test_embeddings_are_base64_unless_the_request_sets_another_format(client: openai.OpenAI, server: Handle) -> None:
    coded = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    assert server.journal[-1].request["encoding_format"] == "base64"
    plain = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"], encoding_format="float")
    assert [each.embedding for each in coded.data] == [each.embedding for each in plain.data]
    assert [len(each.embedding) for each in coded.data] == [1536, 1536]
    assert math.isclose(math.hypot(*coded.data[0].embedding), 1, rel_tol=1e-6)
    assert client.embeddings.create(model="m", input=[1, 2, 3], dimensions=8).usage.prompt_tokens == 3


def test_completions(client: openai.OpenAI) -> None:
    whole = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", logprobs=1)
    assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("One two three", "stop")
    assert whole.choices[0].logprobs
    assert whole.choices[0].logprobs.tokens == ["One", " two", " three"]
    stream = client.completions.create(
        model="gpt-3.5-turbo-instruct", prompt="Once", stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    assert [chunk.choices[0].text for chunk in chunks] == ["One", " two", " three", ""]
    assert last.usage == whole.usage


def test_moderations(client: openai.OpenAI) -> None:
    [result] = client.moderations.create(input="a").results
    assert not result.flagged
    assert 0 < result.category_scores.self_harm_intent < 0.001
    assert result.category_applied_input_types.violence == ["text"]


def test_the_headers_that_the_sdk_reads(client: openai.OpenAI) -> None:
    raw = client.embeddings.with_raw_response.create(model="m", input="a")
    assert raw.request_id
    assert raw.request_id.startswith("req_")
    assert raw.headers["x-ratelimit-limit-requests"] == "10000"
    with pytest.raises(openai.BadRequestError) as bad:
        client.embeddings.create(model="m", input="")
    assert bad.value.request_id
    assert bad.value.request_id.startswith("req_")


def test_the_async_client(server: Handle) -> None:
    async def ask() -> tuple[Any, ...]:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x") as client:
            stream = await client.completions.create(model="gpt-4", prompt="Once", stream=True)
            return (
                "".join([chunk.choices[0].text async for chunk in stream]),
                [model.id async for model in client.models.list()],
                (await client.models.retrieve("gpt-4")).id,
                len((await client.embeddings.create(model="m", input="a", dimensions=3)).data[0].embedding),
                (await client.moderations.create(input=["a", "b"])).results[1].flagged,
            )

    assert asyncio.run(ask()) == ("One two three", ["fakellm"], "gpt-4", 3, False)


@pytest.mark.parametrize("deployment", [None, "gpt-mine"])
def test_the_azure_client(server: Handle, deployment: str | None) -> None:
    options: dict[str, Any] = {} if deployment is None else {"azure_deployment": deployment}
    with openai.AzureOpenAI(azure_endpoint=server.url, api_key="x", api_version="2024-10-21", **options) as client:
        reply = client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "Hi"}])
        assert reply.choices[0].message.content == "One two three"
        path = f"/s/doors/openai/deployments/{deployment or 'gpt-5'}/chat/completions?api-version=2024-10-21"
        assert server.journal[-1].path == path
        assert client.completions.create(model="gpt-5", prompt="Once").choices[0].text == "One two three"
        assert client.embeddings.create(model="m", input="a", dimensions=2).model == "m"
        assert [model.id for model in client.models.list()] == ["fakellm"]


def test_azures_newer_url_is_for_the_plain_client(server: Handle) -> None:
    with openai.OpenAI(base_url=server.url + "/openai/v1/", api_key="x") as client:
        assert client.completions.create(model="gpt-5", prompt="Once").choices[0].text == "One two three"


Start = Callable[..., AbstractContextManager[Handle]]


@pytest.mark.parametrize("start", [fakellm.serve, fakellm.spawn])
def test_a_server_with_a_key(start: Start) -> None:
    with start(RULES, api_key="-sk-0123456789-abcd") as server:
        with openai.OpenAI(base_url=server.base_url, api_key="sk-wrong-0123456789") as client:
            with pytest.raises(openai.AuthenticationError, match=r"provided: sk-wrong\*{7}6789\.") as refused:
                client.models.list()
            assert refused.value.code == "invalid_api_key"
            assert client.with_options(api_key="-sk-0123456789-abcd").models.retrieve("gpt-5").id == "gpt-5"
        with openai.AzureOpenAI(
            azure_endpoint=server.url, api_key="-sk-0123456789-abcd", api_version="2024-10-21"
        ) as azure:
            assert azure.embeddings.create(model="m", input="a", dimensions=2).data[0].index == 0
        assert [entry.status for entry in server.journal] == [401, 200, 200]


def test_a_key_that_no_header_can_hold_is_refused() -> None:
    with (
        pytest.raises(ValueError, match="an API key must be visible ASCII without spaces; got 'a b'"),
        fakellm.serve(api_key="a b"),
    ):
        pass
    code, _, complained = outcome("serve", "--api-key", "")
    assert code == 2
    assert "an API key must be visible ASCII without spaces; got ''" in complained


def test_a_browser_sends_a_preflight_request(server: Handle) -> None:
    wanted = {"origin": "http://localhost:3000", "access-control-request-method": "POST"}
    preflight = httpx2.options(server.base_url + "/chat/completions", headers=wanted)
    assert (preflight.status_code, preflight.content) == (200, b"")
    assert preflight.headers["access-control-allow-origin"] == "*"
    reply = post(
        server.base_url + "/chat/completions", chat(model="gpt-5", stream=True), origin="http://localhost:3000"
    )
    assert reply.headers["access-control-allow-origin"] == "*"
    assert len(server.journal) == 1
