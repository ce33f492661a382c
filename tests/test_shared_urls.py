"""Which API a request belongs to: by its URL, and where several APIs share that, by what their clients send."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis import base_paths
from fakellm.apis.operation import OperationRequest
from fakellm.apis.route import target
from fakellm.apis.target import Target
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from fakellm.wire.plan import Plan
from tests.conftest import ROOT, chat, respond

RULES = {"rules": [{"when": {"model": name}, "reply": {"content": name}} for name in ("a", "b", "c")]}
ANTHROPIC = {"anthropic-version": "2023-06-01", "x-api-key": "k"}
GOOGLE = {"x-goog-api-key": "k"}


def sent(method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"", **options: Any) -> Plan:
    return respond(App(load(RULES), **options), HttpRequest(method, path, body, headers or {})).plan


def shape(plan: Plan) -> str:
    """Whose error this is."""
    value, headers = json.loads(plan.body), {name.lower() for name, _ in plan.headers}
    match value:
        case {"type": "error", "error": {"type": _, "message": _}, "request_id": _}:
            return "anthropic"
        case {"error": {"code": int(), "message": _, "status": _}}:
            return "google"
        case {"error": {"message": _, "type": _, "param": _, "code": _}}:
            return "openai"
        case {"error": str()}:
            return "ollama"
        case {"id": _, "message": _}:
            return "cohere"
        case {"message": _} if "x-amzn-errortype" in headers:
            return "bedrock"
    raise AssertionError(value)


def message(plan: Plan) -> str:
    value = json.loads(plan.body)
    found = value.get("error", value)
    return str(found if isinstance(found, str) else found["message"])


# Models


@pytest.mark.parametrize(
    ("path", "headers", "key", "ids"),
    [
        ("/v1/models", {}, "object", "id"),
        ("/v1/models", {"authorization": "Bearer k", "x-api-key": "k"}, "object", "id"),
        ("/v1/models", ANTHROPIC, "has_more", "id"),
        ("/v1/models", {"anthropic-version": "2023-06-01", "authorization": "Bearer k"}, "has_more", "id"),
        ("/anthropic/v1/models", ANTHROPIC, "has_more", "id"),
        ("/v1/models", GOOGLE, "models", "name"),
        ("/v1/models?key=k", {}, "models", "name"),
        ("/v1beta/models", {}, "models", "name"),
        ("/v1beta/openai/models", GOOGLE, "object", "id"),
        ("/api/v1/models", ANTHROPIC, "object", "id"),
    ],
)
def test_the_client_decides_how_models_are_listed(path: str, headers: dict[str, str], key: str, ids: str) -> None:
    value = json.loads(sent("GET", path, headers).body)
    assert key in value
    listed = value.get("data") or value["models"]
    assert [each[ids].removeprefix("models/") for each in listed] == ["a", "b", "c"]
    one = path.replace("/models", "/models/b")
    assert json.loads(sent("GET", one, headers).body)[ids].removeprefix("models/") == "b"
    plan = sent("GET", path.replace("/models", "/models/z"), headers, strict=True)
    assert (plan.status, shape(plan)) == (404, {"object": "openai", "has_more": "anthropic", "models": "google"}[key])


@given(
    st.lists(st.integers(0, 99), unique=True, max_size=9).map(lambda each: [f"m{n}" for n in each]), st.integers(1, 4)
)
def test_pages_of_anthropics_list_have_every_model_once(names: list[str], size: int) -> None:
    from fakellm.apis.messages.http.models import listed

    def page(query: str) -> Any:
        url = f"/v1/models?limit={size}{query}"
        request = OperationRequest(Target("/v1/models"), url, b"", {}, 0, names, lambda name: True)
        return json.loads(listed(request).body)

    forth, found = [page("")], []
    while forth[-1]["has_more"]:
        forth.append(page(f"&after_id={forth[-1]['last_id']}"))
    found = [each["id"] for one in forth for each in one["data"]]
    assert found == names
    if names:
        back = [page(f"&before_id={names[-1]}")]
        while back[-1]["has_more"]:
            back.append(page(f"&before_id={back[-1]['first_id']}"))
        assert [each["id"] for one in reversed(back) for each in one["data"]] == names[:-1]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=-1", "after_id=z", "before_id=z"])
def test_a_wrong_page_is_refused(query: str) -> None:
    plan = sent("GET", f"/v1/models?{query}", ANTHROPIC)
    assert (plan.status, shape(plan)) == (400, "anthropic")


# Errors

UNSERVED = [
    ("POST", "/v2/chat", {}, "cohere", "fakellm does not serve Cohere's API. It serves the base path"),
    ("POST", "/v1/chat", {}, "cohere", "/compatibility/v1"),
    ("POST", "/v2/embed", {}, "cohere", "Cohere's API"),
    ("POST", "/v1/rerank", {}, "cohere", "Cohere's API"),
    ("POST", "/model/amazon.nova-lite-v1%3A0/converse", {}, "bedrock", "does not serve Bedrock's Converse API"),
    (
        "POST",
        "/model/amazon.nova-lite-v1:0/converse-stream",
        {},
        "bedrock",
        "serves /model/{id}/invoke for Anthropic's",
    ),
    ("POST", "/model/anthropic.claude/converse", {}, "bedrock", "/model/{id}/invoke"),
    ("POST", "/model/amazon.nova-lite-v1:0/invoke", {}, "bedrock", "/model/{id}/invoke"),
    ("POST", "/model/meta.llama/invoke-with-response-stream", {}, "bedrock", "binary streams"),
    ("GET", "/v1/realtime?model=gpt-realtime", {}, "openai", "does not serve the Realtime API. It serves /v1/chat/"),
    ("POST", "/v1/images/generations", {}, "openai", "pictures. It serves /v1/chat/completions"),
    ("POST", "/v1/audio/speech", {}, "openai", "speech"),
    ("POST", "/openai/v1/audio/transcriptions", {}, "openai", "speech"),
    ("POST", "/v1/videos", {}, "openai", "videos"),
    ("POST", "/v1/files", {}, "openai", "files"),
    ("POST", "/v1/files", ANTHROPIC, "anthropic", "files"),
    ("GET", "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent", {}, "google", "Live API"),
    ("POST", "/v1beta/models/veo:predictLongRunning", {}, "google", "videos"),
    ("POST", "/v1beta/models/g:batchGenerateContent", {}, "google", "batches"),
    ("POST", "/v1beta/cachedContents", {}, "google", "cached contents"),
    ("POST", "/upload/v1beta/files", {}, "google", "files"),
    ("POST", "/v1beta/interactions", {}, "google", "the Interactions API"),
    ("POST", "/v1/messages/batches", {}, "anthropic", "does not serve Anthropic's batches."),
    ("POST", "/v1/complete", {}, "anthropic", "Text Completions API"),
    ("POST", "/v1/messages/nope", {}, "anthropic", "this part of the Messages API"),
    ("POST", "/v1beta/x", {}, "google", "Unknown request URL: POST /v1beta/x"),
    ("POST", "/v1beta/models/g:nope", {}, "google", "Unknown request URL"),
    ("POST", "/api/nope", {}, "ollama", "Unknown request URL"),
    ("POST", "/api/v1/nope", {}, "openai", "Unknown request URL"),
    ("POST", "/v1/nope", {}, "openai", "Unknown request URL"),
    ("POST", "/v1/nope", ANTHROPIC, "anthropic", "Unknown request URL"),
    ("POST", "/v1/nope", GOOGLE, "google", "Unknown request URL"),
    ("POST", "/v1/responses/a/b/c", {}, "openai", "this part of the Responses API"),
]


@pytest.mark.parametrize(("method", "path", "headers", "expected", "named"), UNSERVED)
def test_what_is_not_served_is_refused_in_the_shape_of_its_api(
    method: str, path: str, headers: dict[str, str], expected: str, named: str
) -> None:
    plan = sent(method, path, headers)
    assert (plan.status, shape(plan)) == (404, expected)
    assert named in message(plan)
    assert shape(sent(method, f"/s/other{path}", headers)) == expected
    assert shape(sent(method, path, headers, b" " * 70_000)) == expected  # another process refuses it


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/messages", "anthropic"),
        ("/v1beta/models/g:generateContent", "google"),
        ("/api/chat", "ollama"),
        ("/v1/responses", "openai"),
        ("/v1/chat/completions", "openai"),
    ],
)
def test_a_wrong_method_is_refused_in_the_shape_of_its_api(path: str, expected: str) -> None:
    plan = sent("GET", path, {"anthropic-version": "2023-06-01"})
    assert (plan.status, shape(plan), dict(plan.headers)["Allow"]) == (405, expected, "POST")


@pytest.mark.parametrize(("path", "status"), [("/v1/realtime", 404), ("/v1/responses", 405)])
def test_a_websocket_is_refused_by_its_name(path: str, status: int) -> None:
    plan = sent("GET", path, {"Connection": "Upgrade", "Upgrade": "websocket"})
    assert plan.status == status
    assert message(plan).endswith("fakellm serves no WebSockets.")
    assert "WebSocket" not in message(sent("GET", path))


@pytest.mark.parametrize(
    ("path", "setting"),
    [
        ("/v1/v1/chat/completions", "`base_url` or OPENAI_BASE_URL of OpenAI's SDKs"),
        ("/v1/v1/messages", "`base_url` or ANTHROPIC_BASE_URL of Anthropic's SDKs"),
        (
            "/v1/messages/v1/messages",
            "it must be the address of the server alone. Your base URL is in `base_url` or ANTHROPIC_BASE_URL",
        ),
        (
            "/v1/chat/completions/chat/completions",
            "it must end in /v1. Your base URL is in `base_url` or OPENAI_BASE_URL",
        ),
        (
            "/v1/api/chat",
            "The route is /api/chat: the base URL must be the address of the server alone. Your base URL is in `host` or",
        ),
        ("/v7/chat/completions", "OPENAI_BASE_URL"),
        ("/proxy/v1/chat/completions", "The route is /v1/chat/completions: the base URL must end in /v1."),
        ("/proxy/v1/embeddings", "The route is /v1/embeddings: the base URL must end in /v1."),
        ("/proxy/v1/responses", "The route is /v1/responses: the base URL must end in /v1."),
        ("/proxy/v1/messages", "The route is /v1/messages: the base URL must be the address of the server alone."),
    ],
)
def test_a_remedy_names_the_setting_of_the_sdk(path: str, setting: str) -> None:
    assert setting in message(sent("POST", path))


# Base paths


def example(base: str) -> str:
    return re.sub(r"{(\w+)}", r"my-\1", base)


@pytest.mark.parametrize("base", base_paths.OPENAI)
def test_openais_routes_are_served_under_every_base_path(base: str) -> None:
    plan = sent("POST", f"{example(base)}/chat/completions", body=chat(model="b"), strict=True)
    assert json.loads(plan.body)["choices"][0]["message"]["content"] == "b"
    assert json.loads(sent("GET", f"{example(base)}/models").body)["object" if base != "/models" else "id"]


@pytest.mark.parametrize(
    ("bases", "route", "api"),
    [(base_paths.RESPONSES, "/responses", "responses"), (base_paths.ANTHROPIC, "/messages", "messages")],
)
def test_so_are_the_other_apis(bases: Mapping[str, str], route: str, api: str) -> None:
    for base in bases:
        assert target(example(base) + route) == Target(f"/v1{route}", api=api)


def test_the_documentation_names_every_base_path() -> None:
    text = (ROOT / "docs" / "reference" / "routes.md").read_text(encoding="utf-8")
    for bases in (base_paths.OPENAI, base_paths.RESPONSES, base_paths.ANTHROPIC):
        for base, providers in bases.items():
            assert f"| `{base}` | {providers} |" in text.replace("| (none) |", "| `` |")
