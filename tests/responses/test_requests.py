"""Requests for a response: what they mean to rules, and how wrong ones are refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis.responses import urls
from fakellm.apis.responses.api import RESPONSES
from fakellm.apis.responses.dialects.providers import DIALECTS
from fakellm.apis.responses.writing.response_object import repeated, tool
from fakellm.apis.target import Target
from fakellm.apis.variation import PLAIN, Variation
from fakellm.base.errors import RequestError
from fakellm.model.request import JsonOutput, Message, PastCall, Request
from tests.responses.draws import Way


def parsed(**body: Any) -> Request:
    return RESPONSES.parse(json.dumps({"model": "gpt-5", "input": "Hi", **body}).encode(), {})


def test_a_text_is_the_users_message_and_instructions_are_the_systems() -> None:
    request = parsed(instructions="Be brief")
    assert request.messages == (Message("system", "Be brief"), Message("user", "Hi"))
    assert (request.user, request.system, request.turn) == ("Hi", "Be brief", 1)


def test_the_items_of_one_turn_are_one_message_of_the_assistant() -> None:
    request = parsed(
        input=[
            {"role": "developer", "content": "Use tools"},
            {"role": "user", "content": [{"type": "input_text", "text": "Add 1"}, {"type": "input_image"}]},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
            {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "run", "input": "ls"},
            {"type": "function_call_output", "call_id": "c1", "output": "2"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "a"}]},
            {"type": "item_reference", "id": "msg_1"},
        ]
    )
    calls = (PastCall("c1", "add", "{}"), PastCall("c2", "run", "ls"))
    assert request.messages == (
        Message("developer", "Use tools"),
        Message("user", "Add 1"),
        Message("assistant", "Let me see.", calls),
        Message("tool", "2", (), "c1"),
        Message("tool", "a", (), "c2"),
    )
    assert request.turn == 2
    assert request.results == {"c1": "2", "add": "2", "c2": "a", "run": "a"}


def test_tools_and_formats_shape_a_generated_reply() -> None:
    schema = {"type": "object", "properties": {}}
    request = parsed(
        tools=[
            {"type": "function", "name": "add", "parameters": schema},
            {"type": "web_search"},
            {"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "regex", "definition": "a+"}},
        ],
        tool_choice={"type": "function", "name": "add"},
        text={"format": {"type": "json_schema", "name": "x", "schema": schema}},
        max_output_tokens=20,
        reasoning={"effort": "low"},
        include=["message.output_text.logprobs"],
        top_logprobs=2,
    )
    assert [(each.name, each.kind) for each in request.offered] == [("add", "function"), ("sql", "custom")]
    assert (request.tool_choice, request.allowed_calls.names) == ("add", ("add",))
    assert request.output == JsonOutput(schema, "x", "text.format.schema")
    assert (request.max_tokens, request.effort, request.top_logprobs) == (20, "low", 2)
    assert request.response_format == ("json_schema", "x")


@pytest.mark.parametrize(
    ("choice", "names", "required"),
    [
        ("auto", ("add", "sub"), False),
        ("none", (), False),
        ("required", ("add", "sub"), True),
        ({"type": "function", "name": "sub"}, ("sub",), True),
        ({"type": "web_search"}, (), False),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "add"}, {"type": "web_search"}],
            },
            ("add",),
            True,
        ),
    ],
)
def test_which_tools_may_be_called(choice: Any, names: tuple[str, ...], required: bool) -> None:
    tools = [{"type": "function", "name": name} for name in ("add", "sub")]
    allowed = parsed(tools=[*tools, {"type": "web_search"}], tool_choice=choice).allowed_calls
    assert (allowed.names, allowed.required) == (names, required)


@pytest.mark.parametrize(
    ("body", "param", "code", "message"),
    [
        ({"model": None}, "model", "missing_required_parameter", "Missing required parameter: 'model'."),
        ({"input": None}, "input", "missing_required_parameter", "One of 'input', 'previous_response_id', 'prompt' or"),
        ({"input": 7}, "input", "invalid_type", "Invalid type for 'input'"),
        ({"input": ["Hi"]}, "input[0]", "invalid_type", "Invalid type for 'input[0]'"),
        ({"temperature": 3}, "temperature", "invalid_value", "Invalid value for 'temperature'"),
        ({"max_output_tokens": 0}, "max_output_tokens", "integer_below_min_value", "Expected a value >= 1, but got 0"),
        ({"truncation": "on"}, "truncation", "invalid_value", "Supported values are: 'auto' and 'disabled'."),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "missing_required_parameter", "'tools[0].name'"),
        ({"background": True, "store": False}, "background", "invalid_value", "must be stored"),
        (
            {"previous_response_id": "a", "conversation": "b"},
            "previous_response_id",
            "mutually_exclusive_parameters",
            "'previous_response_id' and 'conversation'",
        ),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type", "Invalid type for 'metadata.a'"),
    ],
)
def test_a_wrong_request_is_refused(body: dict[str, Any], param: str, code: str, message: str) -> None:
    with pytest.raises(RequestError) as error:
        parsed(**body)
    assert (error.value.status, error.value.param, error.value.code) == (400, param, code)
    assert message in error.value.message


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "add"}}, "tool_choice"),
    ],
)
def test_what_only_a_generated_reply_needs_is_refused_later(body: dict[str, Any], param: str) -> None:
    refusal = parsed(**body).unusable
    assert refusal is not None
    assert refusal.param == param


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["type", "role", "content", "name", "text", "output", "tools"]), inner)
        ),
        max_leaves=8,
    ),
    st.sampled_from(
        ["input", "tools", "tool_choice", "text", "reasoning", "instructions", "include", "stream_options"]
    ),
)
def test_any_value_is_read_or_refused(value: Any, key: str) -> None:
    with contextlib.suppress(RequestError):
        parsed(**{key: value})


@pytest.mark.parametrize("base", ["", "/v1", "/api/v1", "/openai/v1", "/openai", "/backend-api/codex"])
def test_the_routes_are_found_under_every_base_path(base: str) -> None:
    assert urls.target(f"{base}/responses") == Target(urls.CREATE, api="responses")
    assert urls.target(f"{base}/responses/input_tokens") == Target(urls.INPUT_TOKENS, api="responses")
    assert urls.target(f"{base}/responses/resp_1") == Target(urls.ONE, api="responses", id="resp_1")
    assert urls.target(f"{base}/responses/resp_1/cancel") == Target(urls.CANCEL, api="responses", id="resp_1")
    assert urls.target(f"{base}/conversations/a%2Fb/items") == Target(
        urls.CONVERSATION_ITEMS, api="responses", id="a/b"
    )
    assert urls.target(f"{base}/conversations/a/items/b%2Fc") == Target(
        urls.CONVERSATION_ITEM, api="responses", id="a", item="b/c"
    )


@pytest.mark.parametrize("path", ["/v2/responses", "/responses/", "/v1/responses/a/b", "/x/responses", "/v1/response"])
def test_other_paths_are_not_its_routes(path: str) -> None:
    assert urls.target(path) is None


def test_dialects_are_named_where_routes_are() -> None:
    assert set(urls.DIALECTS) == set(RESPONSES.dialects)


_PLACE = {"type": "approximate", "city": None, "country": "US", "region": None, "timezone": None}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (
            {"type": "function", "name": "f", "parameters": {}},
            {"type": "function", "description": None, "name": "f", "parameters": {}, "strict": True},
        ),
        (
            {"type": "web_search"},
            {"type": "web_search", "filters": None, "search_context_size": "medium", "user_location": _PLACE},
        ),
        (
            {"type": "web_search_preview", "search_context_size": "low"},
            {"type": "web_search_preview", "search_context_size": "low", "user_location": _PLACE},
        ),
        (
            {"type": "file_search", "vector_store_ids": ["a"]},
            {
                "type": "file_search",
                "filters": None,
                "max_num_results": 20,
                "ranking_options": {"ranker": "auto", "score_threshold": 0.0},
                "vector_store_ids": ["a"],
            },
        ),
        ({"type": "code_interpreter", "container": {"type": "auto"}}, None),
    ],
)
def test_tools_are_repeated_with_the_defaults_that_were_recorded(sent: Any, expected: Any) -> None:
    assert json.dumps(tool(sent)) == json.dumps(expected or sent)


@pytest.mark.parametrize(("dialect", "fewest"), [("openai", 16), ("azure", 16), ("xai", 1)])
def test_the_lowest_limit_is_the_providers(dialect: str, fewest: int) -> None:
    habits = Way(dialect, Variation()).habits
    RESPONSES.validate(parsed(max_output_tokens=fewest), habits)
    if fewest > 1:
        with pytest.raises(RequestError, match=f"Expected a value >= {fewest}, but got {fewest - 1} instead"):
            RESPONSES.validate(parsed(max_output_tokens=fewest - 1), habits)


@pytest.mark.parametrize(
    ("model", "effort"),
    [
        ("gpt-4o", None),
        ("o4-mini", "medium"),
        ("gpt-5-nano-2025-08-07", "medium"),
        ("gpt-5.2", "none"),
        ("gpt-5.2-chat", "medium"),
        ("gpt-5.2-pro-2025-12-11", "medium"),
        ("gpt-5.6-luna", "medium"),
    ],
)
def test_the_effort_that_models_have_by_default(model: str, effort: str | None) -> None:
    assert repeated({}, DIALECTS["openai"], model)["reasoning"] == {"effort": effort, "summary": None}
    sent = {"reasoning": {"effort": "low", "summary": "auto"}}
    summary = "detailed" if effort else "auto"
    assert repeated(sent, DIALECTS["openai"], model)["reasoning"] == {"effort": "low", "summary": summary}
    assert repeated({}, DIALECTS["openrouter"], model)["reasoning"] is None


CALL = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "2"}
CUSTOM = {"type": "custom_tool_call", "call_id": "c2", "name": "run", "input": "ls"}
CUSTOM_OUTPUT = {"type": "custom_tool_call_output", "call_id": "c2", "output": "a"}
RUN = {"tools": [{"type": "custom", "name": "run"}]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"input": [OUTPUT]}, "No tool call found for function call output with call_id c1."),
        ({"input": [CALL, CUSTOM_OUTPUT]}, "No tool call found for custom tool call output with call_id c2."),
        ({"input": [CALL, {"role": "user", "content": "Hi"}]}, "No tool output found for function call c1."),
        ({"input": [CUSTOM], **RUN}, "No tool output found for custom tool call c2."),
        ({"input": [CALL, {"role": "user", "content": "Hi"}, OUTPUT]}, None),
        ({"input": [CUSTOM, CUSTOM_OUTPUT], **RUN}, None),
        ({"input": [{"type": "item_reference", "id": "fc_1"}, OUTPUT]}, None),
    ],
)
def test_each_call_has_its_output_and_each_output_its_call(body: Any, message: str | None) -> None:
    for dialect in ("openai", "azure"):
        refused = None
        try:
            RESPONSES.validate(parsed(**body), RESPONSES.settings(PLAIN, dialect, parsed(), 0, False).habits)
        except RequestError as error:
            refused = (error.status, str(error), error.code, error.param)
        assert refused == (message and (400, message, None, "input"))
    RESPONSES.validate(parsed(**body), RESPONSES.settings(PLAIN, "xai", parsed(), 0, False).habits)
