"""Requests to the Messages API: what is refused, in Anthropic's words, and what the others mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis.messages.api import MESSAGES
from fakellm.base.errors import RequestError
from fakellm.model.request import AllowedCalls, JsonOutput, Message, PastCall, Request, Tool
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Decoder
from tests.conftest import respond

USER = {"role": "user", "content": "Hi"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"}
TOOL = {"name": "add", "input_schema": {"type": "object"}}
ASSISTANT = {"role": "assistant", "content": [CALL]}
DOCS = "Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
EMPTY = "all messages must have non-empty content except for the optional final assistant message"


def body(**more: Any) -> dict[str, Any]:
    found = {"model": "claude", "max_tokens": 2048, "messages": [USER], **more}
    return {key: value for key, value in found.items() if value is not ...}


def parsed(**more: Any) -> Request:
    return MESSAGES.parse(json.dumps(body(**more)).encode(), {}, "/v1/messages")


def texts(*roles: str) -> list[dict[str, Any]]:
    return [{"role": role, "content": "Hi"} for role in roles]


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"max_tokens": ...}, "max_tokens: Field required"),
        ({"model": ...}, "model: Field required"),
        ({"messages": ...}, "messages: Field required"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"max_tokens": "9"}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": True}, "max_tokens: Input should be a valid integer"),
        ({"model": 5}, "model: Input should be a valid string"),
        ({"model": ""}, "model: String should have at least 1 character"),
        ({"frequency_penalty": 1}, "frequency_penalty: Extra inputs are not permitted"),
        ({"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
        ({"stop_sequences": "a"}, "stop_sequences: Input should be a valid list"),
        ({"stream": "yes"}, "stream: Input should be a valid boolean"),
        ({"service_tier": "flex"}, "service_tier: Input should be 'auto' or 'standard_only'"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": ["Hi"]}, "messages.0: Input does not match the expected shape."),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{**USER, "name": "x"}]}, "messages.0.name: Extra inputs are not permitted"),
        (
            {"messages": [user({"type": "text", "text": "a", "cache": {}})]},
            "messages.0.content.0.text.cache: Extra inputs are not permitted",
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": [{"type": "thinking", "thinking": "a"}]}]},
            "messages.1.content.0.thinking.signature: Field required",
        ),
        ({"messages": [user({"text": "a"})]}, "messages.0.content.0.type: Field required"),
        ({"messages": texts("system", "user")}, 'messages: Unexpected role "system". The Messages API accepts a top-l'),
        ({"messages": texts("user", "tool")}, 'messages: Unexpected role "tool". Allowed roles are "user" or "assist'),
        ({"messages": texts("assistant", "user")}, 'messages: first message must use the "user" role'),
        ({"messages": [{"role": "user", "content": ""}]}, f"messages.0: {EMPTY}"),
        ({"messages": [user()]}, f"messages.0: {EMPTY}"),
        ({"messages": [user({"type": "text", "text": ""})]}, "messages: text content blocks must be non-empty"),
        ({"messages": [user({"type": "text", "text": " "})]}, "messages: text content blocks must contain non-white"),
        (
            {"messages": [USER, {"role": "assistant", "content": "So "}]},
            "messages: final assistant content cannot end with trailing whitespace",
        ),
        (
            {"messages": [USER, ASSISTANT, USER]},
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. Each "
            "`tool_use` block must have a corresponding `tool_result` block in the next message.",
        ),
        ({"messages": [USER, ASSISTANT]}, "messages.1: `tool_use` ids were found without `tool_result` blocks"),
        (
            {"messages": [user(RESULT)]},
            "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_1. Each `tool_result` "
            "block must have a corresponding `tool_use` block in the previous message.",
        ),
        (
            {"messages": [USER, ASSISTANT, user(RESULT, RESULT)]},
            "messages.2.content.1: each tool_use must have a single result. Found multiple `tool_result` blocks with id",
        ),
        (
            {"messages": [USER, ASSISTANT, user(RESULT), ASSISTANT, user(RESULT)]},
            "messages.3.content.0: `tool_use` ids must be unique",
        ),
        ({"tools": [{"name": "add"}]}, "tools.0.custom.input_schema: Field required"),
        ({"tools": [{**TOOL, "parameters": {}}]}, "tools.0.custom.parameters: Extra inputs are not permitted"),
        ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique."),
        ({"tool_choice": {"type": "any"}}, "tool_choice may only be specified while providing tools."),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}}, "Tool 'x' not found in provided tools"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "required"}},
            "tool_choice: Input tag 'required' found using 'type' does not match any of the expected tags: 'auto', "
            "'any', 'tool', 'none'",
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 512}},
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            f"`max_tokens` must be greater than `thinking.budget_tokens`. {DOCS}#max-tokens-and-context-window-size",
        ),
        (
            {"thinking": {"type": "adaptive"}, "tools": [TOOL], "tool_choice": {"type": "any"}},
            "Thinking may not be enabled when tool_choice forces tool use.",
        ),
        (
            {"thinking": {"type": "adaptive"}, "temperature": 0.5},
            f"`temperature` may only be set to 1 when thinking is enabled. {DOCS}",
        ),
        ({"temperature": "0"}, "temperature: Input should be a valid number"),
        ({"temperature": -1}, "temperature: Input should be greater than or equal to 0"),
        ({"thinking": {"type": "adaptive"}, "top_k": 5}, "`top_k` must be unset when thinking is enabled. "),
        ({"thinking": {"type": "adaptive"}, "top_p": 0.5}, "`top_p` must be greater than or equal to 0.95 or unset wh"),
        ({"output_format": {"type": "json_schema"}}, "output_format.schema: Field required"),
        ({"output_config": {"format": {"type": "json"}}}, "output_config.format.type: Input should be 'json_schema'"),
        ({"thread": {"type": "create"}}, "thread: threads are not kept by this server; send the whole conversation"),
    ],
)
def test_a_wrong_request_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as refused:
        parsed(**more)
    assert refused.value.status == 400
    assert refused.value.message[: max(len(message), 100)].startswith(message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The request body is not valid JSON: "),
        (b"{", "The request body is not valid JSON: "),
        (b"\xff", "The request body is not valid JSON: "),
        (b'{"a": NaN}', "The request body is not valid JSON: NaN is not valid JSON"),
        (b"[]", "Input should be a valid dictionary"),
        (b"[" * 200_000, "The request body is nested too deeply"),
        (b'{"a":' * 200_000, "The request body is nested too deeply"),
    ],
)
def test_what_is_not_an_object_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        MESSAGES.parse(data, {})
    assert refused.value.message.startswith(message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["text", "user", "tool"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(body())) | st.text(), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["messages", "tools", "tool_choice", "thinking", "system", "output_config", "metadata", "stream"]
)


@given(st.dictionaries(KEYS, JSON))
def test_any_body_is_parsed_or_refused(more: dict[str, Any]) -> None:
    assert sent(**more).status in (200, 400)


def test_what_a_request_means() -> None:
    request = parsed(
        system=[{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}],
        messages=[
            USER,
            {"role": "assistant", "content": [{"type": "text", "text": "So"}, CALL]},
            user(
                {**RESULT, "content": [{"type": "text", "text": "3"}], "is_error": False}, {"type": "text", "text": "?"}
            ),
        ],
        tools=[{**TOOL, "type": "custom"}, {"type": "web_search_20250305", "name": "web_search"}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        stop_sequences=["END"],
        stream=True,
    )
    assert request.messages == (
        Message("system", "Be brief."),
        Message("user", "Hi"),
        Message("assistant", "So", (PastCall("toolu_1", "add", '{"a":1}'),)),
        Message("tool", "3", result_of="toolu_1"),
        Message("user", "?"),
    )
    assert (request.api, request.stream, request.max_tokens, request.stop) == ("messages", True, 2048, ("END",))
    assert request.offered == (Tool("add", "function", {"type": "object"}, "tools.0.custom.input_schema"),)
    assert request.tool_choice == "required"
    assert request.allowed_calls == AllowedCalls(("add",), required=True, parallel=False)
    assert (request.system, request.user, request.results) == ("Be brief.", "?", {"toolu_1": "3", "add": "3"})


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "minimal"),
        ({"thinking": {"type": "adaptive"}}, "high"),
        ({"thinking": {"type": "adaptive", "display": "updates"}}, "high"),  # as Claude Code sends it
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "low"),
    ],
)
def test_thinking_is_the_effort(more: dict[str, Any], expected: str | None) -> None:
    assert parsed(**more).effort == expected


def test_a_schema_is_the_format() -> None:
    schema = {"type": "object", "properties": {"a": {"const": 5}}, "required": ["a"], "additionalProperties": False}
    for more in ({"output_config": {"format": {"type": "json_schema", "schema": schema}}},):
        assert parsed(**more).output == JsonOutput(schema, "", "output_config.format.schema")
        assert json.loads(json.loads(sent(**more).body)["content"][0]["text"]) == {"a": 5}


@pytest.mark.parametrize("stream", [False, True])
def test_what_no_rule_answers_is_generated(stream: bool) -> None:
    more = {"tools": [TOOL], "thinking": {"type": "adaptive"}, "stream": stream}
    plan = sent(**more)
    assert plan.status == 200
    assert b"thinking" in plan.body
    assert b'"stop_reason":"tool_use"' in plan.body


def test_no_rule_is_an_error_in_the_shape_of_the_api() -> None:
    plan = respond(
        App(load({"rules": []}), strict=True), HttpRequest("POST", "/v1/messages", json.dumps(body()).encode(), VERSION)
    ).plan
    found = json.loads(plan.body)
    assert (plan.status, found["type"], found["error"]["type"]) == (404, "error", "not_found_error")
    assert found["error"]["message"].startswith("No rule matches this request.")
    headers = dict(plan.headers)
    assert {"anthropic-organization-id", "anthropic-ratelimit-requests-limit"} <= set(headers)
    assert headers["request-id"] == found["request_id"]


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "anthropic-version: header is required"),
        ({"Anthropic-Version": "2024-10-22"}, 'anthropic-version: "2024-10-22" is not a valid version'),
    ],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/anthropic/v1/messages/count_tokens"])
def test_the_version_is_a_header(path: str, headers: dict[str, str], message: str) -> None:
    plan = respond(App(), HttpRequest("POST", path, json.dumps(body()).encode(), headers)).plan
    assert plan.status == 400
    assert json.loads(plan.body)["error"] == {"type": "invalid_request_error", "message": message}


VERSION = {"anthropic-version": "2023-06-01"}


def sent(**more: Any) -> Plan:
    """The response to a request with this body."""
    return respond(App(), HttpRequest("POST", "/v1/messages", json.dumps(body(**more)).encode(), VERSION)).plan


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("stops", "limit", "reason", "sequence"),
    [
        ([], 1000, "end_turn", None),
        (["never"], 1000, "end_turn", None),
        (["", "."], 1000, "stop_sequence", "."),
        ([" a", ".", ","], 1000, "stop_sequence", "any"),
        (["."], 1, "max_tokens", None),
    ],
)
def test_a_generated_text_reports_the_sequence_before_which_it_ends(
    stream: bool, stops: list[str], limit: int, reason: str, sequence: str | None
) -> None:
    message = generated(stream, stop_sequences=stops, max_tokens=limit)
    assert message["stop_reason"] == reason
    assert message["stop_sequence"] in (stops if sequence == "any" else [sequence])
    if sequence:
        assert not any(stop in message["content"][0]["text"] for stop in stops if stop)


def generated(stream: bool, **fields: Any) -> dict[str, Any]:
    """The message of a generated reply; of a stream, what it ends with."""
    body = {"model": "m", "max_tokens": 1000, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    request = HttpRequest(
        "POST", "/v1/messages", json.dumps(body | fields).encode(), {"anthropic-version": "2023-06-01"}
    )
    plan = respond(App(), request).plan
    if not stream:
        return dict(json.loads(plan.body))
    events = [json.loads(event.data) for event in Decoder().feed(plan.body)]
    text = "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")
    (ending,) = (event["delta"] for event in events if event["type"] == "message_delta")
    return {**ending, "content": [{"text": text}]}


@pytest.mark.parametrize(
    ("betas", "wrong"),
    [
        ("interleaved-thinking-2025-05-14", None),
        ("claude-code-20250219, something-new-2031-01-01", None),
        ("interleaved-thinking", "`interleaved-thinking`"),
        ("context-1m-2025-08-07,Foo,x y-2025-01-01", "`Foo`, `x y-2025-01-01`"),
        ("", "``"),
    ],
)
def test_a_beta_that_cannot_exist_is_refused(betas: str, wrong: str | None) -> None:
    headers = {"anthropic-version": "2023-06-01", "Anthropic-Beta": betas}
    for path in ("/v1/messages", "/v1/messages/count_tokens", "/v1/models"):
        method = "GET" if path == "/v1/models" else "POST"
        request = HttpRequest(method, path, json.dumps({"model": "m", "messages": [USER]}).encode(), headers)
        error = json.loads(respond(App(), request).plan.body).get("error")
        if wrong:
            assert error["type"] == "invalid_request_error"
            assert error["message"].startswith(f"Unexpected value(s) {wrong} for the `anthropic-beta` header. ")
        else:
            assert error is None or "max_tokens" in error["message"]
