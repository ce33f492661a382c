"""Each dialect refuses what its provider refuses, names the parameter, and accepts what its provider answered."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.requests.accepts import refusal
from fakellm.apis.chat.requests.parse import parse
from fakellm.apis.openai.urls import with_model
from fakellm.base.errors import RequestError
from fakellm.importing.guess_provider import of_host
from fakellm.recordings.formats import read_file
from fakellm.recordings.request_identity import api
from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import CORPUS, chat, respond

USER = {"role": "user", "content": "Hello"}
ADD = {"name": "add"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
INDEX = CORPUS / "index.json"
CHATS = ("chat/completions", "chat")
EVERYWHERE = ("openai", "mistral", "deepseek", "vllm", "llamacpp", "xai")


def refused(dialect: str, **fields: Any) -> Any:
    """The error of a scripted reply in this dialect; None where it is sent."""
    app = App(load({"dialect": dialect, "rules": [{"reply": {"content": "Hi"}}]}))
    answer = respond(app, HttpRequest("POST", "/v1/chat/completions", chat(**fields)))
    assert answer.plan.status in (200, 400)
    return json.loads(answer.plan.body)["error"] if answer.plan.status == 400 else None


def messages(*others: Any) -> dict[str, Any]:
    return {"messages": [USER, *others]}


def parts(*given: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(given)}]}


def called(*ids: str) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": each} for each in ids]}


def result(name: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": name, "content": "5"}


NO_CALL = messages(result("c1"))
NO_CONTENT = {"messages": [USER, {"role": "user", "text": "Hi"}]}
STRICT = ("openai", "openai-reasoning", "azure")
ORPHAN = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
UNKNOWN = "Invalid parameter: 'tool_call_id' of 'c9' not found in 'tool_calls' of previous message."
UNANSWERED = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
    "The following tool_call_ids did not have response messages: "
)
NULL = "Invalid value for 'content': expected a string, got null."
HOT = "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 99.0 instead."
COLD = "Invalid 'presence_penalty': decimal below minimum value. Expected a value >= -2, but got -3 instead."

NO_FUNCTION = {"tools": [{"type": "function"}]}
NO_TYPE = {"tools": [{"function": ADD}]}
NO_CALL_ID = messages({"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "5"})
CUSTOM = {"tools": [{"type": "custom", "custom": {"name": "code"}}]}
DEVELOPER = {"messages": [{"role": "developer", "content": "Be brief."}, USER]}
UNKNOWN_ROLE = {"messages": [{"role": "usr", "content": "Hello"}]}
IMAGE = parts({"type": "image", "image": "data:,"})
OPENAI_ROLES = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'"
OPENAI_PARTS = "'text', 'image_url', 'input_audio', 'refusal', 'audio', and 'file'"


@pytest.mark.parametrize(
    ("dialect", "fields", "param", "code", "message"),
    [
        *(
            (each, NO_FUNCTION, "tools[0].function", "missing_required_parameter", "'tools[0].function'.")
            for each in EVERYWHERE
        ),
        *(
            (each, NO_TYPE, "tools[0].type", "missing_required_parameter", "'tools[0].type'.")
            for each in ("openai", "azure", "deepseek", "llamacpp")
        ),
        *(
            (
                each,
                NO_CALL_ID,
                "messages.[2].tool_call_id",
                None,
                "Missing parameter 'tool_call_id': messages with role 'tool' must have a 'tool_call_id'.",
            )
            for each in ("openai", "azure", "groq", "mistral")
        ),
        *((each, NO_CALL, "messages.[1].role", None, ORPHAN) for each in STRICT),
        ("openai", messages(called("c1"), result("c1"), USER, result("c1")), "messages.[4].role", None, ORPHAN),
        ("openai", messages(called("c1"), result("c9")), "messages.[2].tool_call_id", None, UNKNOWN),
        ("openai", messages(called("c1", "c2"), USER, result("c1")), "messages.[2].role", None, UNANSWERED + "c1, c2"),
        ("openai", messages(called("c1", "c2"), result("c2"), USER), "messages.[3].role", None, UNANSWERED + "c1"),
        ("openai", messages(called("c1", "c2"), result("c1")), "messages", None, UNANSWERED + "c2"),
        *((each, NO_CONTENT, "messages.[1].content", None, NULL) for each in STRICT),
        ("openai", messages({"role": "assistant", "content": None}), "messages.[1].content", None, NULL),
        ("openai", messages(called("c1"), {**result("c1"), "content": None}), "messages.[2].content", None, NULL),
        *((each, {"temperature": 99.0}, "temperature", "decimal_above_max_value", HOT) for each in STRICT),
        ("openai", {"presence_penalty": -3}, "presence_penalty", "decimal_below_min_value", COLD),
        (
            "openai",
            messages({"role": "function", "content": "5"}),
            "messages.[1].name",
            None,
            "Missing parameter 'name': messages with role 'function' must have a 'name'.",
        ),
        (
            "openai",
            {"tools": [{"type": "web_search"}]},
            "tools[0].type",
            "invalid_value",
            "Invalid value: 'web_search'. Supported values are: 'function' and 'custom'.",
        ),
        ("openai", {"tools": [{"type": "custom"}]}, "tools[0].custom", "missing_required_parameter", ""),
        *((each, CUSTOM, "tools[0].type", "invalid_value", "'custom'") for each in ("mistral", "vllm", "llamacpp")),
        (
            "openai",
            messages({"role": "assistant", "tool_calls": [{**CALL, "type": "custom"}]}),
            "messages[1].tool_calls[0].custom",
            "missing_required_parameter",
            "",
        ),
        (
            "openai",
            messages({"role": "assistant", "tool_calls": [{"id": "1", "function": ADD}]}),
            "messages[1].tool_calls[0].type",
            "missing_required_parameter",
            "",
        ),
        (
            "openai",
            messages({"role": "assistant", "tool_calls": [{"type": "function", "function": ADD}]}),
            "messages[1].tool_calls[0].id",
            "missing_required_parameter",
            "",
        ),
        (
            "openai",
            UNKNOWN_ROLE,
            "messages[0].role",
            "invalid_value",
            f"Invalid value: 'usr'. Supported values are: {OPENAI_ROLES}; did you mean 'user'?",
        ),
        (
            "deepseek",
            DEVELOPER,
            "messages[0].role",
            "invalid_value",
            "Invalid value: 'developer'. Supported values are: 'system', 'user', 'assistant', 'tool', and 'latest_reminder'.",
        ),
        *((each, DEVELOPER, "messages[0].role", "invalid_value", "'developer'") for each in ("mistral", "alibaba")),
        (
            "openai",
            IMAGE,
            "messages[0].content[0].type",
            "invalid_value",
            f"Invalid value: 'image'. Supported values are: {OPENAI_PARTS}; did you mean 'image_url'?",
        ),
        *(
            ("openai", parts({"type": kind}), f"messages[0].content[0].{kind}", "missing_required_parameter", "")
            for kind in ("text", "image_url", "input_audio", "refusal", "file")
        ),
        (
            "mistral",
            parts({"type": "text", "text": "a"}, {"type": "refusal", "refusal": "No."}),
            "messages[0].content[1].type",
            "invalid_value",
            "Invalid value: 'refusal'. Supported values are: 'text', ",
        ),
    ],
)
def test_what_a_provider_refuses(dialect: str, fields: Any, param: str, code: str | None, message: str) -> None:
    error = refused(dialect, **fields)
    assert error is not None
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)
    assert message in error["message"]


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        *((each, NO_TYPE) for each in ("mistral", "vllm", "ollama")),
        *((each, NO_CALL_ID) for each in ("vllm", "llamacpp", "ollama", "xai")),
        *((each, UNKNOWN_ROLE) for each in ("vllm", "llamacpp", "ollama")),
        *((each, IMAGE) for each in ("vllm", "openrouter")),
        *((each, fields) for each in ("xai", "ollama") for fields in (NO_CALL, NO_CONTENT, {"temperature": 99.0})),
        ("openai", messages(called("c1", "c2"), result("c2"), result("c1"), called("c3"), result("c3"), USER)),
        ("openai", {"temperature": 2, "top_p": 0, "presence_penalty": -2, "frequency_penalty": None}),
        ("ollama", NO_FUNCTION),
        ("openai", CUSTOM),
        ("openai", DEVELOPER),
        ("openai", messages({"role": "function", "name": "add", "content": "5"})),
        ("openai", messages({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]})),
        ("openai", parts({"type": "file", "file": {"file_id": "file-1"}}, {"type": "audio"})),
        ("openrouter", {"tools": [{"type": "openrouter:web_search"}]}),
        ("mistral", parts({"type": "document_url", "document_url": "data:,"})),
    ],
)
def test_what_a_provider_accepts(dialect: str, fields: Any) -> None:
    assert refused(dialect, **fields) is None


def test_a_refused_request_is_not_an_attempt() -> None:
    rule = {"reply": {"content": "{{attempt}}", "template": True}}
    app = App(load({"rules": [rule]}))
    for body, status in ((chat(**NO_FUNCTION), 400), (chat(), 200)):
        answer = respond(app, HttpRequest("POST", "/v1/chat/completions", body))
        assert answer.plan.status == status
    assert json.loads(answer.plan.body)["choices"][0]["message"]["content"] == "1"


def test_the_overload_of_a_provider_comes_before_its_validation() -> None:
    app = App(load({"rules": [{"reply": {}, "fault": {"kind": "status", "status": 429}}]}))
    answer = respond(app, HttpRequest("POST", "/v1/chat/completions", chat(**NO_FUNCTION)))
    assert answer.plan.status == 429


def test_no_provider_refuses_a_request_that_it_answered() -> None:
    """Of all recorded requests whose host is known: those that were answered with 200."""
    if not INDEX.exists():
        pytest.skip(f"the recordings are not here: no {INDEX}")
    accepted: Counter[str] = Counter()
    for entry in json.loads(INDEX.read_text(encoding="utf-8"))["entries"]:
        if not any(each["api"] == "chat" for each in entry["exchanges"]):
            continue
        for one in read_file(CORPUS / entry["file"]).interactions:
            name = of_host(one.request.url)
            if name is None or one.response.status != 200 or not one.request.body or api(one.request.url) not in CHATS:
                continue
            request = parse(with_model(one.request.body, "the one in Azure's URL"))
            assert refusal(request, DIALECTS[name].accepts) is None, entry["file"]
            accepted[name] += 1
    assert accepted["openai"] > 40
    assert accepted["mistral"] > 10
    assert accepted["deepseek"] > 10


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["function", "custom", "text"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "function", "custom", "name", "id", "text", "role"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool", "function", "x"]) | st.text(max_size=3)},
        optional={
            "content": ANY_JSON,
            "tool_calls": st.lists(ANY_JSON, max_size=2) | ANY_JSON,
            "tool_call_id": ANY_JSON,
            "function_call": ANY_JSON,
            "name": ANY_JSON,
        },
    ),
    max_size=3,
)
BODIES = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": MESSAGES},
    optional=dict.fromkeys(
        ("tools", "tool_choice", "functions", "function_call", "response_format", "stop", "n", "stream"), ANY_JSON
    ),
)


@given(BODIES, st.sampled_from(sorted(DIALECTS)))
def test_every_body_is_a_request_or_a_refusal(body: Any, dialect: str) -> None:
    try:
        request = parse(json.dumps(body).encode())
    except RequestError:
        return
    for name in ("digest", "turn", "user", "texts", "system", "tools", "results", "arguments"):
        getattr(request, name)
    found = refusal(request, DIALECTS[dialect].accepts)
    assert found is None or (found.status == 400 and found.param)
    assert refusal(request, DIALECTS["ollama"].accepts) is None
