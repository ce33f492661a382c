"""Bodies, chunks and errors of every route are as OpenAI's description wants them, whatever was asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from fakellm.apis.unserved import unserved
from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Decoder
from tests import openapi
from tests.conftest import respond

CHAT, TEXTS, EMBEDDINGS, MODERATIONS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/moderations"
WHOLE = {CHAT: openapi.CHAT, TEXTS: openapi.TEXTS, EMBEDDINGS: openapi.EMBEDDINGS, MODERATIONS: openapi.MODERATIONS}
CHUNK = {CHAT: openapi.CHUNK, TEXTS: openapi.TEXTS_CHUNK}

MESSAGES = [{"role": "user", "content": "Hi"}]
USAGE = {"stream": True, "stream_options": {"include_usage": True}}
CALLS = [{"name": "add", "arguments": {"a": 2}}, {"name": "multiply"}]
ANSWERS: dict[str, dict[str, Any]] = {
    "text": {"content": "One two"},
    "nothing": {},
    "calls": {"tool_calls": CALLS},
    "text-and-calls": {"content": "Let me see.", "tool_calls": CALLS},
    "refusal": {"refusal": "I will not."},
    "choices": {"choices": [{"content": "One"}, {"content": "Two", "finish_reason": "length"}]},
    "usage": {"content": "One", "usage": {"prompt": 9, "cached": 4, "completion": 8, "reasoning": 7}},
}
ASKED: list[tuple[str, dict[str, Any]]] = [
    (TEXTS, {"prompt": "Once"}),
    (TEXTS, {"prompt": ["Once", "Twice"], "n": 2, "echo": True, "logprobs": 2}),
    (TEXTS, {"prompt": [1, 2, 3], "max_tokens": 0, "logprobs": 0}),
    (TEXTS, {"prompt": [[1, 2], [3]], "stop": ["a", "b"], "suffix": "end", **USAGE}),
    (TEXTS, {"prompt": None, "stream": True, "logprobs": 5, "echo": True}),
    (EMBEDDINGS, {"input": "Hi"}),
    (EMBEDDINGS, {"input": ["Hi", "Ho"], "dimensions": 3, "encoding_format": "float"}),
    (EMBEDDINGS, {"input": [1, 2], "encoding_format": "base64"}),
    (EMBEDDINGS, {"input": [[1, 2], [3]], "dimensions": 1}),
    (MODERATIONS, {"input": "Hi"}),
    (MODERATIONS, {"input": ["Hi", "Ho"]}),
    (
        MODERATIONS,
        {"input": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "https://a/b"}}]},
    ),
]


def validate(value: Any, schema: openapi.JSON) -> None:
    Draft202012Validator(schema).validate(value)


def answered(app: App, path: str, body: bytes) -> Plan:
    return respond(app, HttpRequest("POST", path, body)).plan


def check(path: str, body: Any, plan: Plan) -> None:
    """Holds a reply of status 200 against the schema of its route, each chunk of a stream by itself."""
    if plan.delimited != "chunked":
        validate(json.loads(plan.body), WHOLE[path])
        return
    *chunks, done = [event.data for event in Decoder().feed(plan.body)]
    assert done == "[DONE]"
    said = [json.loads(chunk) for chunk in chunks]
    for chunk in said:
        validate(chunk, CHUNK[path])
    if (body.get("stream_options") or {}).get("include_usage"):
        assert [chunk["usage"] is None for chunk in said] == [True] * (len(said) - 1) + [False]
        assert said[-1]["choices"] == []
    else:
        assert not any("usage" in chunk for chunk in said)


# Whole chats of `openai-reasoning` are not among them: OpenAI itself sends no logprobs there, as was recorded.
@pytest.mark.parametrize(
    ("path", "dialect", "stream"),
    [
        (CHAT, "openai", {}),
        *(
            (CHAT, dialect, stream)
            for dialect in ("openai", "openai-reasoning")
            for stream in ({"stream": True}, USAGE)
        ),
        *((TEXTS, "openai", stream) for stream in ({}, {"stream": True}, USAGE)),
    ],
)
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_scripted_reply(answer: str, path: str, dialect: str, stream: dict[str, Any]) -> None:
    app = App(load({"dialect": dialect, "rules": [{"reply": ANSWERS[answer]}]}))
    body = {"model": "m", "messages": MESSAGES, "prompt": "Hi", **stream}
    plan = answered(app, path, json.dumps(body).encode())
    assert plan.status == 200
    check(path, body, plan)


@pytest.mark.parametrize(("path", "asked"), ASKED)
def test_a_reply_of_every_other_route(path: str, asked: dict[str, Any]) -> None:
    body = {"model": "m", **asked}
    plan = answered(App(), path, json.dumps(body).encode())
    assert plan.status == 200
    check(path, body, plan)


def test_the_models() -> None:
    app = App(load({"rules": [{"when": {"model": "a/b"}, "reply": {}}]}), strict=True)
    validate(json.loads(respond(app, HttpRequest("GET", "/v1/models")).plan.body), openapi.MODELS)
    validate(json.loads(respond(app, HttpRequest("GET", "/v1/models/a/b")).plan.body), openapi.MODEL)
    validate(json.loads(respond(app, HttpRequest("GET", "/v1/models/a/c")).plan.body), openapi.ERROR)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TEXT = st.text(st.characters(), min_size=1, max_size=9)
TOKENS = st.lists(st.integers(0, 2**17), max_size=3)
INPUT = TEXT | st.lists(TEXT, max_size=3) | TOKENS | st.lists(TOKENS, max_size=3)
PART = st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url"])}, optional={"text": TEXT})
KNOWN = {
    "messages": st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": TEXT}), max_size=2),
    "prompt": INPUT | st.none(),
    "input": INPUT | st.lists(PART, max_size=2),
}
OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "stream": st.booleans(),
    "stream_options": st.just({"include_usage": True}),
    "n": st.integers(1, 3),
    "max_tokens": st.integers(0, 20),
    "stop": TEXT | st.lists(TEXT, max_size=4),
    "echo": st.booleans(),
    "logprobs": st.integers(0, 5) | st.booleans(),
    "dimensions": st.integers(1, 20),
    "encoding_format": st.sampled_from(["float", "base64"]),
    "suffix": TEXT,
}
BODIES = st.fixed_dictionaries(
    {"model": TEXT, **KNOWN},
    optional={key: each | ANY for key, each in OPTIONS.items()} | {"temperature": ANY, "user": ANY},
)
LOOSE = st.dictionaries(st.sampled_from(["model", *KNOWN, *OPTIONS]), ANY)


@settings(max_examples=150)
@given(path=st.sampled_from(list(WHOLE)), body=BODIES | LOOSE | ANY, seed=st.integers())
def test_any_json_is_answered_or_refused_in_openais_format(path: str, body: Any, seed: int) -> None:
    plan = answered(App(seed=seed), path, json.dumps(body).encode())
    if plan.status == 200:
        check(path, body, plan)
    else:
        assert plan.status == 400
        validate(json.loads(plan.body), openapi.ERROR)


@settings(max_examples=50)
@given(path=st.sampled_from(list(WHOLE)), body=st.binary(max_size=20))
def test_any_bytes_are_refused_in_openais_format(path: str, body: bytes) -> None:
    plan = answered(App(), path, body)
    assert plan.status == 400
    validate(json.loads(plan.body), openapi.ERROR)


STEPS = st.sampled_from(
    ["v1", "chat", "completions", "models", "openai", "deployments", "s", "responses", "", "?", "%2F"]
)


@settings(max_examples=50)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    steps=st.lists(STEPS | st.text(st.characters(codec="ascii"), max_size=3), max_size=6),
)
def test_any_url_is_answered_or_refused_in_openais_format(method: str, steps: list[str]) -> None:
    call = HttpRequest(method, "/" + "/".join(steps))
    other = unserved(call.target.url.partition("?")[0])
    assume(not (other and other.foreign))  # /v1/chat is refused in Cohere's format
    plan = respond(App(), call).plan
    if plan.status != 200:
        assert plan.status in (400, 404, 405)
        validate(json.loads(plan.body), openapi.ERROR)
    refused = respond(App(api_keys=["k"]), call).plan
    assert refused.status == 401
    validate(json.loads(refused.body), openapi.ERROR)
