"""What is refused, and how: every error says where and why, in OpenAI's shape, and the server goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis.chat.requests.parse import parse
from fakellm.apis.openai.error_body import error_type
from fakellm.engine.render import render
from fakellm.model.request import Request, digest
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import chat, handled, respond

USER = {"role": "user", "content": "Hello"}
ASSISTANT = {"role": "assistant", "content": "Hi"}


def messages(*given: Any) -> bytes:
    return chat(messages=list(given))


def without(key: str) -> bytes:
    body = json.loads(chat())
    del body[key]
    return json.dumps(body).encode()


REFUSED = [
    (b"", 400, None, "invalid_json", "could not parse the JSON body of your request: Expecting value"),
    (b'{"model": "m",', 400, None, "invalid_json", "line 1 column 15"),
    (b'{"model": NaN}', 400, None, "invalid_json", "NaN is not valid JSON"),
    (b'{"model": ' + b"9" * 5000 + b"}", 400, None, "invalid_json", "digits"),
    (b'{"model": "\xff"}', 400, None, "invalid_utf8", "byte 0xff at offset 11"),
    (b"[" * 100_000, 400, None, "invalid_json", "nested too deeply"),
    (b"[]", 400, None, "invalid_type", "expected a JSON object, got an array"),
    (b'"text"', 400, None, "invalid_type", "got a string"),
    (b"null", 400, None, "invalid_type", "got null"),
    (b"true", 400, None, "invalid_type", "got a boolean"),
    (b"1.5", 400, None, "invalid_type", "got a number"),
    (without("model"), 400, "model", "missing_required_parameter", "Missing required parameter: 'model'"),
    (chat(model=""), 400, "model", "invalid_value", "expected the name of a model"),
    (chat(model=None), 400, "model", "invalid_type", "expected string, got null"),
    (without("messages"), 400, "messages", "missing_required_parameter", "'messages'"),
    (chat(messages=[]), 400, "messages", "empty_array", "empty array"),
    (chat(messages="Hello"), 400, "messages", "invalid_type", "expected array, got string"),
    (messages("Hello"), 400, "messages[0]", "invalid_type", "expected object, got string"),
    (messages(USER, {"content": "x"}), 400, "messages[1].role", "missing_required_parameter", "'messages[1].role'"),
    (messages({"role": "usr"}), 400, "messages[0].role", "invalid_value", "did you mean 'user'"),
    (messages({"role": 1}), 400, "messages[0].role", "invalid_type", "integer"),
    (messages({"role": "user", "content": 5}), 400, "messages[0].content", "invalid_type", "string | array | null"),
    (
        messages({"role": "user", "content": [{"text": "x"}]}),
        400,
        "messages[0].content[0].type",
        "missing_required_parameter",
        "",
    ),
    (
        messages({**ASSISTANT, "tool_calls": [{}]}),
        400,
        "messages[0].tool_calls[0].id",
        "missing_required_parameter",
        "",
    ),
    (chat(stream="yes"), 400, "stream", "invalid_type", "expected boolean | null, got string"),
    (chat(stream_options={"include_usage": 1}), 400, "stream_options.include_usage", "invalid_type", "boolean"),
    (chat(temperature="hot"), 400, "temperature", "invalid_type", "expected number | null, got string"),
    (chat(n=0), 400, "n", "invalid_value", ">= 1"),
    (chat(n=1_000_000_000), 400, "n", "invalid_value", "<= 128"),
    (
        chat(tools=[{"type": "function", "function": {}}]),
        400,
        "tools[0].function.name",
        "missing_required_parameter",
        "",
    ),
    (chat(tools={}), 400, "tools", "invalid_type", "expected array | null, got object"),
    (chat(stop=["a", 1]), 400, "stop[1]", "invalid_type", "expected string, got integer"),
    (chat(metadata={"a": 1}), 400, "metadata.a", "invalid_type", "expected string, got integer"),
]


@pytest.mark.parametrize(("body", "status", "param", "code", "message"), REFUSED)
def test_what_is_refused(body: bytes, status: int, param: str | None, code: str, message: str) -> None:
    app = App()
    answer, entry = handled(app, HttpRequest("POST", "/v1/chat/completions", body))
    error = json.loads(answer.plan.body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (answer.plan.status, error["param"], error["code"]) == (status, param, code)
    assert message in error["message"]
    assert error["type"] == "invalid_request_error"
    assert dict(answer.plan.headers)["Content-Type"] == "application/json"
    assert entry.explanation == error["message"]
    answer = respond(app, HttpRequest("POST", "/v1/chat/completions", chat()))
    assert answer.plan.status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "message"),
    [
        ("POST", "/v1/chat/completion", 404, "unknown_url", "did you mean '/v1/chat/completions'"),
        ("POST", "/chat/completion", 404, "unknown_url", "did you mean '/v1/chat/completions'"),
        ("GET", "/", 404, "unknown_url", "POST /v1/chat/completions, POST /v1/completions"),
        ("POST", "/s/a/v1/nothing", 404, "unknown_url", "/s/a/v1/nothing"),
        ("GET", "/s/a", 404, "unknown_url", "/s/a"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed", "the method here is POST"),
        ("DELETE", "/v1/models", 405, "method_not_allowed", "the method here is GET"),
        ("POST", "/_fakellm/health", 405, "method_not_allowed", "the method here is GET"),
        ("GET", "/_fakellm/nothing", 404, "unknown_url", "/_fakellm/nothing"),
    ],
)
def test_routes_and_methods_that_are_not_there(method: str, path: str, status: int, code: str, message: str) -> None:
    answer = respond(App(), HttpRequest(method, path))
    error = json.loads(answer.plan.body)["error"]
    assert (answer.plan.status, error["type"], error["code"]) == (status, "invalid_request_error", code)
    assert message in error["message"]
    if status == 405:
        assert dict(answer.plan.headers)["Allow"] in message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
FIELDS = ("model", "messages", "stream", "tools", "n", "stop", "stream_options", "metadata", "logit_bias")


@given(
    JSON
    | st.dictionaries(st.sampled_from(FIELDS), JSON)
    | st.fixed_dictionaries(
        {"model": st.text(), "messages": st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": JSON}))}
    )
)
def test_no_body_breaks_the_server(body: Any) -> None:
    answer = respond(App(), HttpRequest("POST", "/v1/chat/completions", json.dumps(body).encode()))
    assert answer.plan.status in (200, 400)
    if answer.plan.status == 400:
        assert set(json.loads(answer.plan.body)["error"]) == {"message", "type", "param", "code"}


@given(st.binary())
def test_no_bytes_break_the_server(body: bytes) -> None:
    assert respond(App(), HttpRequest("POST", "/v1/chat/completions", body)).plan.status == 400


def understood(body: bytes) -> Request:
    return parse(body)


def test_the_turn_is_read_from_the_conversation() -> None:
    assert understood(messages(USER)).turn == 1
    assert understood(messages(USER, ASSISTANT, USER, ASSISTANT, {"role": "tool", "tool_call_id": "1"})).turn == 3


def test_tools_and_parts_are_understood() -> None:
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
    request = understood(
        chat(
            tools=tools,
            messages=[
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}],
                }
            ],
        )
    )
    assert request.tools == ("add",)
    assert request.chat.messages[0].text == "ab"


def test_fields_that_openai_does_not_document_are_accepted() -> None:
    assert understood(chat(provider={"order": ["x"]}, n=None)).body["provider"] == {"order": ["x"]}


def test_the_digest_identifies_the_request() -> None:
    body = json.loads(chat(temperature=0))
    streamed = chat(temperature=0, stream=True, stream_options={"include_usage": True})
    spaced = json.dumps(dict(reversed(body.items())), indent=3).encode()
    same = {understood(each).digest for each in (chat(temperature=0), spaced, streamed)}
    assert len(same) == 1
    assert understood(chat(temperature=1)).digest not in same


def test_a_prompt_is_read_only_where_its_usage_is_sent() -> None:
    """A prompt of a megabyte has 200,000 tokens to count."""
    usage = {"stream_options": {"include_usage": True}}
    for fields, is_read in (({"stream": True}, False), ({"stream": True, **usage}, True), ({}, True)):
        request = understood(chat(**fields))
        render(Rule(name="x", dialect="openai", reply=Reply(content="Hi")), request, 0)
        assert ("texts" in vars(request)) == is_read, fields


def test_an_error_of_the_server_is_a_server_error() -> None:
    assert error_type(500) == "server_error"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(10**40), 10**40) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def turned(value: Any) -> Any:
    """The value with the keys of every object in reverse order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text(), VALUES), VALUES)
def test_the_digest_depends_on_values_and_not_on_the_order_of_keys(body: dict[str, Any], more: Any) -> None:
    assert digest(turned(body)) == digest(body) == digest(body | {"stream": more})
    assert digest(body | {"more": [more]}) != digest({key: body[key] for key in body if key != "more"})


NUMBERS = ["-0", "-0.0", "1E5", "1e400", "18446744073709551616", "-9223372036854775809", "0.1e-5", "5e-324", "9" * 400]
STRINGS = [r'"\ud800"', r'"\ud83d\ude00"', r'"\u007f\/\b"', '"\x7f\u2028"']
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)


@given(st.sampled_from(NUMBERS + STRINGS) | st.builds(json.dumps, TREES), st.sampled_from([None, 1]))
def test_a_body_is_read_as_python_reads_json(value: str, indent: int | None) -> None:
    sent = {"model": "m", "messages": [{"role": "user"}]}
    text = json.dumps(sent, indent=indent)[:-1] + f', "extra": {value}, "model": "n"}}'
    body = understood(text.encode()).body
    assert repr(body) == repr(json.loads(text))


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (
            lambda request: request.messages[-1].content,
            "'Message' object has no attribute 'content'; did you mean .text?",
        ),
        (lambda request: request.messages[-1]["content"], "a Message is not a dict: write .text"),
        (lambda request: request.messages[-1]["role"], "a Message is not a dict: write .role"),
        (lambda request: request.mesages, "'Request' object has no attribute 'mesages'; did you mean 'messages'?"),
        (lambda request: request.content, "'Request' object has no attribute 'content'; did you mean .user?"),
        (
            lambda request: request["messages"],
            "a Request is not a dict: write .body['messages'] for a value of its JSON",
        ),
    ],
)
def test_what_the_function_of_a_reply_takes_a_request_for(read: Callable[[Any], Any], message: str) -> None:
    with pytest.raises((AttributeError, TypeError)) as error:
        read(parse(chat()))
    assert str(error.value) == message
