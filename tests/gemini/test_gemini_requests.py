"""Requests to the Gemini API: what they mean, and what Google refuses, in its words."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis.gemini.api import GEMINI
from fakellm.apis.gemini.requests.schema import json_schema
from fakellm.apis.gemini.urls import mode, target
from fakellm.apis.target import Target
from fakellm.base.errors import RequestError
from fakellm.model.request import AllowedCalls, JsonOutput, Message, PastCall, Request
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from tests.conftest import respond
from tests.gemini.samples import AI_STUDIO, HI, VERTEX, WHOLE, plan, reply

GENERATE = f"{AI_STUDIO}:generateContent"


def parsed(body: dict[str, Any], url: str = GENERATE) -> Request:
    return GEMINI.parse(json.dumps(body).encode(), {}, url)


def config(**fields: Any) -> dict[str, Any]:
    return {**HI, "generationConfig": fields}


@pytest.mark.parametrize(
    ("path", "method", "model", "vertex"),
    [
        ("/v1beta/models/gemini-2.5-flash:generateContent", "generateContent", "gemini-2.5-flash", False),
        ("/v1/models/gemini-2.5-flash:streamGenerateContent", "streamGenerateContent", "gemini-2.5-flash", False),
        ("/v1beta/models/gemini%2D2.5:generateContent", "generateContent", "gemini-2.5", False),
        ("/v1beta/models/g%3AgenerateContent", "generateContent", "g", False),
        ("/v1beta/tunedModels/mine:generateContent", "generateContent", "tunedModels/mine", False),
        (f"{VERTEX}:countTokens", "countTokens", "gemini-2.5-flash", True),
        ("/v1beta1/publishers/google/models/g:embedContent", "embedContent", "g", True),
        (
            "/v1/projects/p/locations/l/endpoints/7:generateContent",
            "generateContent",
            "projects/p/locations/l/endpoints/7",
            True,
        ),
        ("/router/v2/google/v1beta/models/g:generateContent", "generateContent", "g", False),
    ],
)
def test_a_url_names_the_model_and_the_provider(path: str, method: str, model: str, vertex: bool) -> None:
    assert target(path) == Target(f"/v1beta/models/{{model}}:{method}", model, "gemini")
    assert (mode(path).model, mode(path).vertex) == (model, vertex)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/models",
        "/v1/models/gpt-5",
        "/v1beta/models/g:unknown",
        "/v1/projects/p/locations/l/publishers/anthropic/models/claude:rawPredict",
        "/v1beta/openai/chat/completions",
        "/_fakellm/health",
    ],
)
def test_other_urls_are_not_geminis(path: str) -> None:
    assert target(path) is None


@pytest.mark.parametrize(
    ("query", "array", "numbers"),
    [
        ("", True, False),
        ("?alt=sse", False, False),
        ("?key=k&alt=sse", False, False),
        ("?$alt=json;enum-encoding=int", True, True),
        ("?%24alt=json%3Benum-encoding%3Dint", True, True),
        ("?$alt=sse;enum-encoding=int", False, True),
    ],
)
def test_the_query_sets_the_framing_and_the_enums(query: str, array: bool, numbers: bool) -> None:
    found = mode(f"{AI_STUDIO}:streamGenerateContent{query}")
    assert (found.stream, found.array, found.numbers) == (True, array, numbers)


def test_a_conversation_is_read() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": 1}, "id": "x"}}
    result = {"functionResponse": {"name": "f", "id": "x", "response": {"result": "done"}}}
    other = {"functionResponse": {"name": "g", "response": {"a": 1, "b": 2}}}
    contents = [
        {"parts": {"text": "Hi"}},
        {"role": "model", "parts": [{"text": "Hm", "thought": True}, {"text": "Yes"}, call]},
        {"role": "user", "parts": [result, other]},
    ]
    for body in (
        {"systemInstruction": {"parts": [{"text": "Be"}, {"text": " kind"}]}, "contents": contents},
        {"system_instruction": {"parts": [{"text": "Be kind"}]}, "contents": contents},
    ):
        request = parsed(body)
        assert request.messages == (
            Message("system", "Be kind"),
            Message("user", "Hi"),
            Message("assistant", "Yes", (PastCall("x", "f", '{"a":1}'),)),
            Message("tool", "done", (), "x", "f"),
            Message("tool", '{"a":1,"b":2}', (), "g", "g"),
        )
        assert (request.model, request.api, request.stream) == ("gemini-2.5-flash", "gemini", False)
    assert request.results == {"x": "done", "f": "done", "g": '{"a":1,"b":2}'}


@given(st.lists(st.integers(0, 2), min_size=1, max_size=6), st.data())
def test_the_chunks_of_a_stream_that_are_sent_back_are_one_turn(kinds: list[int], data: st.DataObject) -> None:
    """Google's SDKs keep each chunk of a stream as a content of its own."""
    samples = ({"text": "Hm", "thought": True}, {"text": "Yes"}, {"functionCall": {"name": "f", "args": {}, "id": "x"}})
    parts = [samples[kind] for kind in kinds]
    cuts = [0, *sorted(data.draw(st.sets(st.integers(1, len(parts))))), len(parts)]
    chunks = [parts[start:end] for start, end in pairwise(cuts) if start < end]
    question, answer = {"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": parts}
    sent_back = [{"role": "model", "parts": chunk} for chunk in chunks]
    request = parsed({"contents": [question, *sent_back, question]})
    assert request.messages == parsed({"contents": [question, answer, question]}).messages
    assert request.turn == 2


def test_a_stream_has_the_digest_of_a_whole_reply_and_another_model_has_not() -> None:
    whole, stream = parsed(HI), parsed(HI, f"{AI_STUDIO}:streamGenerateContent?alt=sse")
    assert (whole.stream, stream.stream) == (False, True)
    assert whole.digest == stream.digest != parsed(HI, "/v1beta/models/other:generateContent").digest


def test_limits_are_read_in_both_spellings() -> None:
    camel = parsed(config(maxOutputTokens="7", candidateCount=2, stopSequences=["a", "b"]))
    snake = parsed(
        {**HI, "generation_config": {"max_output_tokens": 7, "candidate_count": 2, "stop_sequences": ["a", "b"]}}
    )
    for request in (camel, snake):
        assert (request.max_tokens, request.choices, request.stop) == (7, 2, ("a", "b"))


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [
        ({}, None),
        ({"thinkingBudget": 0}, "none"),
        ({"thinkingBudget": 100}, "low"),
        ({"thinkingBudget": 20000}, "high"),
        ({"thinkingBudget": -1}, "medium"),
        ({"thinkingLevel": "HIGH"}, "high"),
        ({"thinking_level": "low"}, "low"),
        ({"includeThoughts": True}, "medium"),
    ],
)
def test_thinking_is_an_effort(thinking: dict[str, Any], effort: str | None) -> None:
    assert parsed(config(thinkingConfig=thinking)).effort == effort


TOOLS = [{"functionDeclarations": [{"name": "f"}, {"name": "g", "parameters": {"type": "OBJECT"}}]}]


@pytest.mark.parametrize(
    ("mode", "choice", "allowed"),
    [
        ({}, "auto", AllowedCalls(("f", "g"))),
        ({"mode": "ANY"}, "required", AllowedCalls(("f", "g"), required=True)),
        ({"mode": "ANY", "allowedFunctionNames": ["g"]}, "g", AllowedCalls(("g",), required=True, named=True)),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["g"]}, "auto", AllowedCalls(("g",))),
        ({"mode": "NONE"}, "none", AllowedCalls()),
    ],
)
def test_the_mode_sets_which_functions_are_called(mode: dict[str, Any], choice: str, allowed: AllowedCalls) -> None:
    request = parsed({**HI, "tools": TOOLS, "toolConfig": {"functionCallingConfig": mode}})
    assert (request.tools, request.tool_choice, request.allowed_calls) == (("f", "g"), choice, allowed)


SCHEMA = {
    "type": "OBJECT",
    "properties": {
        "b": {"type": "string", "nullable": True, "maxLength": "3"},
        "a": {"type": "ARRAY", "items": {"type": "INTEGER"}},
    },
    "propertyOrdering": ["a", "b"],
    "required": ["a"],
}
JSON_SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": "array", "items": {"type": "integer"}},
        "b": {"type": ["string", "null"], "maxLength": 3},
    },
    "required": ["a"],
}


def test_a_schema_becomes_a_json_schema() -> None:
    mime = {"responseMimeType": "application/json"}
    for fields in ({"responseSchema": SCHEMA}, {"response_schema": SCHEMA}, {"responseJsonSchema": JSON_SCHEMA}):
        output = parsed(config(**mime, **fields)).output
        assert isinstance(output, JsonOutput)
        assert output.schema == JSON_SCHEMA
        properties = (output.schema or {})["properties"]
        assert list(properties) == ["a", "b"]
    assert parsed(config(**mime)).output == JsonOutput(param="generation_config.response_schema")
    assert parsed(HI).output is None
    assert json_schema({"anyOf": [{"type": "STRING", "enum": ["a"], "nullable": True}], "ref": "#/defs/x"}) == {
        "anyOf": [{"type": ["string", "null"], "enum": ["a", None]}],
        "$ref": "#/$defs/x",
    }


@given(st.integers(0, 30))
def test_a_generated_reply_follows_the_schema(number: int) -> None:
    body = {
        "contents": [{"parts": [{"text": str(number)}]}],
        "generationConfig": {"responseMimeType": "application/json", "responseSchema": SCHEMA},
    }
    (candidate,) = json.loads(plan(None, GENERATE, body, strict=False).body)["candidates"]
    value = json.loads(candidate["content"]["parts"][0]["text"])
    assert all(type(each) is int for each in value["a"])


def test_a_value_of_an_enum_is_sent_without_quotes() -> None:
    schema = {"type": "STRING", "enum": ["red", "green"]}
    body = config(responseMimeType="text/x.enum", responseSchema=schema)
    (candidate,) = json.loads(plan(None, GENERATE, body, strict=False).body)["candidates"]
    assert candidate["content"]["parts"][0]["text"] in ("red", "green")


UNKNOWN = "Invalid JSON payload received. Unknown name"
REFUSED: list[tuple[Any, str]] = [
    (b"{", "Invalid JSON payload received. Unexpected token. "),
    (b"[]", "Invalid JSON payload received. Expected an object at the root."),
    (b"\xff", "Invalid JSON payload received. Unexpected token. "),
    ({}, "* GenerateContentRequest.contents: contents is not specified\n"),
    ({"contents": []}, "* GenerateContentRequest.contents: contents is not specified\n"),
    ({**HI, "messages": []}, f'{UNKNOWN} "messages": Cannot find field.'),
    (
        {**HI, "generationConfig": {"max_tokens": 1}},
        f"{UNKNOWN} \"max_tokens\" at 'generation_config': Cannot find field.",
    ),
    (
        {"contents": [{"parts": [{"text": "a", "kind": 1}]}], "seed": 1},
        f'{UNKNOWN} "kind" at \'contents[0].parts[0]\': Cannot find field.\n{UNKNOWN} "seed": Cannot find field.',
    ),
    (
        {**HI, "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"properties": {"a": {"const": 1}}}}]}]},
        f"{UNKNOWN} \"const\" at 'tools[0].function_declarations[0].parameters.properties[0].value': Cannot find field.",
    ),
    (
        config(responseSchema={"type": ["STRING", "NULL"]}),
        f"{UNKNOWN} \"type\" at 'generation_config.response_schema': Proto field is not repeating, cannot start list.",
    ),
    (config(temperature="hot"), "Invalid value at 'generation_config.temperature' (TYPE_FLOAT), \"hot\""),
    (config(maxOutputTokens=1.5), "Invalid value at 'generation_config.max_output_tokens' (TYPE_INT32), 1.5"),
    (config(responseLogprobs="yes"), "Invalid value at 'generation_config.response_logprobs' (TYPE_BOOL), \"yes\""),
    (
        config(responseSchema={"type": "DICT"}),
        "Invalid value at 'generation_config.response_schema.type' "
        '(type.googleapis.com/google.ai.generativelanguage.v1beta.Type), "DICT"',
    ),
    ({"contents": [{"parts": [{"text": 5}]}]}, "Invalid value at 'contents[0].parts[0].text' (TYPE_STRING), 5"),
    (
        {"contents": "Hi"},
        "Invalid value at 'contents[0]' (type.googleapis.com/google.ai.generativelanguage.v1beta.Content), \"Hi\"",
    ),
    (config(candidateCount=9), "* GenerateContentRequest.generation_config.candidate_count: candidate_count must be"),
    (config(logprobs=99), "* GenerateContentRequest.generation_config.logprobs: logprobs must be between 0 and 20"),
    ({**HI, "x" * 500: 1}, f'{UNKNOWN} "{"x" * 120}": Cannot find field.'),
    ({"contents": [{"role": "assistant", "parts": [{"text": "a"}]}]}, "Please use a valid role: user, model."),
    (
        {"contents": [{"role": "user"}]},
        "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.\n",
    ),
    (
        {"contents": [{"parts": [{}]}]},
        "* GenerateContentRequest.contents[0].parts[0].data: required oneof field 'data' must have one initialized field\n",
    ),
]


@pytest.mark.parametrize(("body", "message"), REFUSED)
def test_what_google_refuses_is_refused_in_its_words(body: Any, message: str) -> None:
    response = plan(None, GENERATE, body, strict=False)
    error = json.loads(response.body)["error"]
    assert (response.status, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert error["message"].startswith(message)


def test_each_problem_is_a_field_violation() -> None:
    body = {"contents": [{"parts": [{"text": "a", "kind": 1}]}], "seed": 1}
    (detail,) = json.loads(plan(None, GENERATE, body).body)["error"]["details"]
    assert detail == {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [
            {
                "field": "contents[0].parts[0]",
                "description": f"{UNKNOWN} \"kind\" at 'contents[0].parts[0]': Cannot find field.",
            },
            {"description": f'{UNKNOWN} "seed": Cannot find field.'},
        ],
    }


def test_vertex_words_a_missing_prompt_in_another_way() -> None:
    error = json.loads(plan(None, f"{VERTEX}:generateContent", {}).body)["error"]
    assert error["message"].startswith("Unable to submit request because at least one contents field is required.")


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "contents parts text role tools functionDeclarations name parameters type properties toolConfig "
                "functionCallingConfig mode allowedFunctionNames generationConfig responseSchema items x".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    JSON
    | st.fixed_dictionaries(
        {"contents": st.just(HI["contents"])},
        optional={"tools": JSON, "toolConfig": JSON, "generationConfig": JSON, "systemInstruction": JSON},
    )
)
def test_a_body_is_read_or_refused(body: Any) -> None:
    try:
        request = GEMINI.parse(json.dumps(body).encode(), {}, GENERATE)
    except RequestError:
        return
    assert request.digest


OPERATIONS = ["countTokens", "embedContent", "batchEmbedContents", "predict"]
BODIES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        "contents content requests instances parameters generateContentRequest embedContentConfig".split(), JSON
    ),
)


@given(st.sampled_from(OPERATIONS), JSON | BODIES)
def test_an_operation_answers_or_refuses(method: str, body: Any) -> None:
    assert plan(None, f"{AI_STUDIO}:{method}", body).status in (200, 400)


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_a_body_that_is_nested_too_deeply_is_refused(depth: int) -> None:
    body = b'{"contents":' + b"[" * depth + b"]" * depth + b"}"
    response = plan(None, GENERATE, body)
    assert response.status == 400


def test_an_api_key_is_checked_where_googles_clients_send_it() -> None:
    assert reply({"content": "Hi"}, WHOLE + "?key=any").status == 200


@pytest.mark.parametrize(
    ("headers", "query", "status", "reason"),
    [
        ({"x-goog-api-key": "wrong"}, "", 400, "API_KEY_INVALID"),
        ({}, "?key=wrong", 400, "API_KEY_INVALID"),
        ({}, "", 403, None),
        ({"authorization": "Bearer wrong"}, "", 401, None),
        ({"x-goog-api-key": "right"}, "", 200, None),
        ({"authorization": "Bearer right"}, "", 200, None),
    ],
)
def test_a_key_is_refused_as_google_does(headers: dict[str, str], query: str, status: int, reason: str | None) -> None:
    for path in ("/v1beta/models/g:generateContent", "/v1beta/models/g:streamGenerateContent"):
        request = HttpRequest("POST", path + query, json.dumps(HI).encode(), headers)
        plan = respond(App(api_keys=["right"]), request).plan
        assert plan.status == status
        if status != 200:
            value = json.loads(plan.body)
            error = (value[0] if "stream" in path else value)["error"]
            assert error["code"] == status
            assert [each["reason"] for each in error.get("details", ()) if "reason" in each] == [reason] * bool(reason)
            assert "wr***" in error["message"] or status == 403
