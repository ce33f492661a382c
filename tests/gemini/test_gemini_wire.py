"""What the Gemini API sends: frames, the JSON array, errors and headers, and golden bytes for each dialect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fakellm.apis.gemini.api import GEMINI
from fakellm.apis.gemini.frames.infer import usual_habits
from fakellm.apis.gemini.habits import VERTEX as VERTEX_DIALECT
from fakellm.model.fold import fold
from fakellm.wire.json_array import ItemDecoder
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Event
from tests.conftest import ROOT
from tests.gemini.samples import AI_STUDIO, ARRAY_STREAM, HI, STREAM, VERTEX, WHOLE, frames, plan, reply

GOLDEN = ROOT / "tests" / "golden"
BASES = {"ai-studio": AI_STUDIO, "vertex": VERTEX}
REPLIES: dict[str, dict[str, Any]] = {
    "text": {
        "blocks": [
            {"type": "thinking", "parts": ["I should say how warm it is, in the unit of the place."]},
            {
                "type": "text",
                "text": "It is 5 °C <b>& windy</b>. " * 4,
                "own": {"gemini": {"thoughtSignature": "c2ln"}},
            },
        ],
        "usage": {"prompt": 9, "completion": 30, "reasoning": 12, "cached": 4},
    },
    "tools": {
        "content": "Let me look.",
        "tool_calls": [
            {"name": "weather", "arguments": {"city": "Köln", "days": [1, 2]}},
            {"name": "time", "id": "whZntcQw"},
        ],
    },
}
CASES = [(dialect, name, kind) for dialect in BASES for name in REPLIES for kind in (STREAM, ARRAY_STREAM, WHOLE)]
FILES = {STREAM: "sse", ARRAY_STREAM: "array", WHOLE: "json"}


def sent(dialect: str, name: str, kind: str) -> bytes:
    return reply(REPLIES[name], kind, BASES[dialect]).body


def file_of(dialect: str, name: str, kind: str) -> Path:
    return GOLDEN / dialect / f"{name}.{FILES[kind]}"


@pytest.mark.parametrize(("dialect", "name", "kind"), CASES)
def test_a_dialect_sends_its_golden_bytes(dialect: str, name: str, kind: str) -> None:
    assert sent(dialect, name, kind) == file_of(dialect, name, kind).read_bytes()


def test_two_processes_send_the_same_bytes() -> None:
    code = "from tests.gemini import test_gemini_wire as t; print([t.sent(*case) for case in t.CASES])"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_the_url_chooses_the_framing() -> None:
    events = reply({"content": "Hi"}, STREAM)
    array = reply({"content": "Hi"}, ARRAY_STREAM)
    assert events.body.startswith(b'data: {"candidates": [{"content": {"parts": [{"text": "Hi"}],"role": "model"},"fin')
    assert events.body.endswith(b"}\r\n\r\n")
    assert array.body.startswith(b'[{\n  "candidates": [\n    {\n      "content": {\n')
    assert array.body.endswith(b"\n}\n]")
    assert frames(events) == frames(array)
    assert [dict(each.headers)["Content-Type"] for each in (events, array)] == [
        "text/event-stream",
        "application/json; charset=UTF-8",
    ]


def test_an_item_leaves_as_soon_as_it_is_written() -> None:
    array = reply({"content": "One two"}, ARRAY_STREAM, stream={"split": "words"})
    decoder = ItemDecoder()
    assert [len(decoder.feed(frame.data)) for frame in array.frames] == [1, 1, 0]
    assert decoder.closed


def test_the_url_chooses_the_dialect_unless_the_rule_does() -> None:
    assert "createTime" not in frames(reply({"content": "Hi"}, STREAM))[0]
    assert "createTime" in frames(reply({"content": "Hi"}, STREAM, VERTEX))[0]
    assert "createTime" in frames(reply({"content": "Hi"}, STREAM, dialect="vertex"))[0]
    assert "createTime" not in frames(reply({"content": "Hi"}, STREAM, VERTEX, dialect="ai-studio"))[0]


def test_the_time_of_a_reply_is_in_its_id() -> None:
    (frame,) = frames(reply({"content": "Hi", "id": "StwRadyROZ3qptQPg8OiiQU"}, STREAM, VERTEX))
    assert (frame["createTime"], frame["responseId"]) == ("2025-11-10T12:36:26.936156Z", "StwRadyROZ3qptQPg8OiiQU")
    (frame,) = frames(reply({"content": "Hi", "created": 1_000_000_000}, STREAM, VERTEX))
    assert frame["createTime"].startswith("2001-09-09T01:46:40.")


def test_usage_runs_on_ai_studio_and_comes_last_on_vertex() -> None:
    usage = {"prompt": 3, "completion": 2, "reasoning": 4}
    text = {"content": "One two", "usage": usage}
    running = [each["usageMetadata"] for each in frames(reply(text, STREAM, stream={"split": "words"}))]
    assert [each.get("candidatesTokenCount") for each in running] == [1, 2]
    assert [each["totalTokenCount"] for each in running] == [8, 9]
    last = [each["usageMetadata"] for each in frames(reply(text, STREAM, VERTEX, stream={"split": "words"}))]
    assert last[0] == {"trafficType": "ON_DEMAND"}
    assert last[1]["totalTokenCount"] == 9


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        (
            [{"type": "thinking", "parts": ["Hm. So."]}, {"type": "text", "text": "One two three"}],
            [(None, None, 3), (None, None, 3), (1, 4, 8), (2, 4, 9), (5, 4, 12)],
        ),
        (
            [{"type": "thinking", "parts": ["Hm."]}, {"type": "tool_call", "name": "f"}, {"type": "text", "text": "A"}],
            [(None, None, 3), (1, 4, 8), (5, 4, 12)],
        ),
        (
            [
                {"type": "opaque", "api": "gemini", "value": {"executableCode": {"language": "PYTHON", "code": "1"}}},
                {"type": "text", "text": "A"},
            ],
            [(1, 4, 8), (5, 4, 12)],
        ),
    ],
)
def test_a_running_count_has_the_thoughts_apart(
    blocks: list[dict[str, Any]], expected: list[tuple[int | None, int | None, int]]
) -> None:
    """As recorded: no count of them while there are only thoughts, then all of them."""
    thinking = {**HI, "generationConfig": {"thinkingConfig": {"includeThoughts": True}}}
    said = {"blocks": blocks, "usage": {"prompt": 3, "completion": 5, "reasoning": 4}}
    names = ("candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount")
    counts = [each["usageMetadata"] for each in frames(reply(said, STREAM, body=thinking, stream={"split": "words"}))]
    assert [tuple(map(each.get, names)) for each in counts] == expected


def test_calls_share_a_frame_on_vertex() -> None:
    calls = {"tool_calls": [{"name": "f"}, {"name": "g", "id": "a"}]}

    def called(base: str) -> list[list[Any]]:
        return [
            [part["functionCall"] for part in each["candidates"][0]["content"]["parts"]]
            for each in frames(reply(calls, STREAM, base))
        ]

    assert called(VERTEX) == [[{"name": "f", "args": {}}, {"name": "g", "args": {}, "id": "a"}]]
    assert called(AI_STUDIO) == [[{"name": "f", "args": {}}], [{"name": "g", "args": {}, "id": "a"}]]


def test_calls_get_ids_if_the_rule_says_so() -> None:
    calls = {"tool_calls": [{"name": "f"}, {"name": "f"}]}
    (whole,) = [json.loads(reply(calls, WHOLE, stream={"gemini": {"call_ids": True}}).body)]
    ids = [part["functionCall"]["id"] for part in whole["candidates"][0]["content"]["parts"]]
    assert len({*ids}) == 2
    assert all(len(each) == 8 for each in ids)


def test_arguments_are_streamed_if_the_request_asks_for_it() -> None:
    arguments = {"city": "Köln am schönen Rhein", "days": [1, {"rain": True}], "note": None}
    calls = {"tool_calls": [{"name": "weather", "arguments": arguments}, {"name": "time"}]}
    mode = {"functionCallingConfig": {"mode": "AUTO", "streamFunctionCallArguments": True}}
    body = {**HI, "tools": [{"functionDeclarations": [{"name": "weather"}, {"name": "time"}]}], "toolConfig": mode}
    sent = frames(reply(calls, STREAM, VERTEX, body))
    more = {"willContinue": True}
    assert [part["functionCall"] for each in sent for part in each["candidates"][0]["content"]["parts"]] == [
        {"name": "weather", **more},
        {"partialArgs": [{"jsonPath": "$.city", "stringValue": "Köln am schönen ", **more}], **more},
        {"partialArgs": [{"jsonPath": "$.city", "stringValue": "Rhein"}], **more},
        {"partialArgs": [{"jsonPath": "$.days[0]", "numberValue": 1}], **more},
        {"partialArgs": [{"jsonPath": "$.days[1].rain", "boolValue": True}], **more},
        {"partialArgs": [{"jsonPath": "$.note", "nullValue": "NULL_VALUE"}], **more},
        {},
        {"name": "time", "args": {}},
    ]
    assert [each["candidates"][0].get("finishReason") for each in sent] == [None] * 6 + ["STOP"]
    events = [Event(json.dumps(frame)) for frame in sent]
    weather, _ = fold(GEMINI.read(events, usual_habits(VERTEX_DIALECT)))[0].choices[0].tool_calls
    assert json.loads(weather.arguments) == arguments
    whole = json.loads(reply(calls, WHOLE, VERTEX, body).body)
    assert whole["candidates"][0]["content"]["parts"][0] == {"functionCall": {"name": "weather", "args": arguments}}


def test_arguments_that_are_not_an_object_are_a_malformed_call() -> None:
    (frame,) = frames(reply({"tool_calls": [{"name": "f", "arguments": '{"a":'}]}, STREAM))
    assert frame["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"
    cut = {"tool_calls": [{"name": "f", "arguments": '{"a":'}], "finish_reason": "length"}
    (frame,) = frames(reply(cut, STREAM))
    assert frame["candidates"][0] == {
        "content": {"parts": [{"text": ""}], "role": "model"},
        "finishReason": "MAX_TOKENS",
        "index": 0,
    }


@pytest.mark.parametrize(
    ("reason", "word"),
    [("stop", "STOP"), ("length", "MAX_TOKENS"), ("content_filter", "SAFETY"), ("RECITATION", "RECITATION")],
)
def test_a_finish_reason_is_googles_word(reason: str, word: str) -> None:
    (frame,) = frames(reply({"content": "Hi", "finish_reason": reason}, STREAM))
    assert frame["candidates"][0]["finishReason"] == word


def test_enums_are_numbers_if_the_request_asks_for_them() -> None:
    url = "?$alt=json;enum-encoding=int"
    (frame,) = frames(reply({"content": "Hi"}, ARRAY_STREAM + url))
    assert frame["candidates"][0]["finishReason"] == 1
    assert frame["usageMetadata"]["promptTokensDetails"][0]["modality"] == 1
    blocked = json.loads(reply({"content": "Hi", "finish_reason": "BLOCKLIST"}, WHOLE + url, VERTEX).body)
    assert blocked["candidates"][0]["finishReason"] == 6


def test_padding_is_an_empty_text() -> None:
    found = frames(reply({"content": "Hi"}, STREAM, stream={"padding": 2}))
    assert [each["candidates"][0]["content"]["parts"] for each in found].count([{"text": ""}]) == 2


def test_log_probabilities_are_the_candidates() -> None:
    tokens = [["One", -0.5, [["One", -0.5], ["Two", -1.5]]], [" two", -0.25]]
    (whole,) = [json.loads(reply({"content": "One two", "logprobs": tokens}, WHOLE).body)["candidates"]]
    assert whole[0]["avgLogprobs"] == -0.375
    result = whole[0]["logprobsResult"]
    assert result["chosenCandidates"][1] == {"token": " two", "logProbability": -0.25}
    assert [each["token"] for each in result["topCandidates"][0]["candidates"]] == ["One", "Two"]
    asked = {**HI, "generationConfig": {"responseLogprobs": True, "logprobs": 2}}
    generated = json.loads(plan(None, f"{AI_STUDIO}:generateContent", asked, strict=False).body)["candidates"][0]
    assert len(generated["logprobsResult"]["topCandidates"][0]["candidates"]) == 2
    assert "logprobsResult" not in plan(None, f"{AI_STUDIO}:generateContent", strict=False).body.decode()


ERROR = {"kind": "error", "frame": 1, "status": 503, "message": "The model is overloaded."}
OVERLOADED = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


def test_an_error_in_a_stream_is_bare_json() -> None:
    body = reply({"content": "One two"}, STREAM, stream={"split": "words"}, fault=ERROR).body
    good, _, rest = body.partition(b"\r\n\r\n")
    assert json.loads(good.removeprefix(b"data: "))["candidates"]
    assert json.loads(rest) == OVERLOADED
    event = reply({"content": "One two"}, STREAM, stream={"split": "words"}, fault={**ERROR, "shape": "data"})
    assert frames(event)[1] == OVERLOADED


def test_an_error_in_an_array_is_an_item() -> None:
    body = reply({"content": "One two"}, ARRAY_STREAM, stream={"split": "words"}, fault=ERROR).body
    assert ItemDecoder().feed(body)[1].data == json.dumps(OVERLOADED, indent=2)
    assert not body.endswith(b"]")


@pytest.mark.parametrize("url", [STREAM, ARRAY_STREAM, WHOLE])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 504])
def test_an_error_before_the_reply_has_googles_shape(url: str, status: int) -> None:
    response = reply({"content": "Hi"}, url, fault={"kind": "status", "status": status})
    value = json.loads(response.body)
    assert isinstance(value, list) == (url == ARRAY_STREAM)
    error = (value[0] if isinstance(value, list) else value)["error"]
    assert (response.status, error["code"]) == (status, status)
    assert error["status"].isupper()


def test_what_no_rule_matches_is_refused_in_googles_shape() -> None:
    response = plan({"rules": [{"when": {"user": "Bye"}, "reply": {}}]}, f"{AI_STUDIO}:generateContent")
    error = json.loads(response.body)["error"]
    assert (response.status, error["code"], error["status"]) == (404, 404, "NOT_FOUND")
    assert "user" in error["message"]


def error_in(response: Plan, array: bool) -> dict[str, Any]:
    """The error in a body, which is the item of an array or stands alone."""
    value = json.loads(response.body)
    assert isinstance(value, list) == array
    (error,) = (value[0] if array else value).values()
    assert isinstance(error, dict)
    return error


@pytest.mark.parametrize("base", [AI_STUDIO, VERTEX])
@pytest.mark.parametrize("url", [STREAM, ARRAY_STREAM, WHOLE])
def test_a_refusal_has_the_shape_of_an_error_before_the_reply(base: str, url: str) -> None:
    rules = [{"when": {"user": "Bye"}, "reply": {}}]
    refused = error_in(plan({"rules": rules}, f"{base}:{url}"), url == ARRAY_STREAM)
    sent = error_in(reply({}, url, base, fault={"kind": "status", "status": 404}), url == ARRAY_STREAM)
    assert refused | {"message": ""} == sent | {"message": ""}
    assert refused.get("details") == ([] if base == VERTEX else None)


@pytest.mark.parametrize("url", [STREAM, ARRAY_STREAM, WHOLE])
@pytest.mark.parametrize(
    ("method", "body", "status"), [("POST", b"{", 400), ("POST", {"a": 1}, 400), ("GET", None, 405)]
)
def test_what_is_no_request_is_refused_in_an_array_where_a_stream_is_one(
    url: str, method: str, body: Any, status: int
) -> None:
    error = error_in(plan(None, f"{AI_STUDIO}:{url}", body, method=method), url == ARRAY_STREAM)
    assert error["code"] == status


def test_headers_are_googles() -> None:
    headers = reply({"content": "Hi"}, STREAM).headers
    assert [value for name, value in headers if name == "vary"] == ["Origin", "X-Origin", "Referer"]
    assert dict(headers)["server-timing"].startswith("gfet4t7; dur=")


OPERATIONS = [
    ("countTokens", HI, {"totalTokens": 4, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}]}),
    ("countTokens", {"generateContentRequest": {"model": "models/m", **HI}}, {"totalTokens": 4}),
]


@pytest.mark.parametrize(("method", "body", "expected"), OPERATIONS)
def test_tokens_are_counted_as_usage_counts_them(method: str, body: Any, expected: dict[str, Any]) -> None:
    found = json.loads(plan(None, f"{AI_STUDIO}:{method}", body).body)
    assert {key: found[key] for key in expected} == expected
    usage = json.loads(reply({"content": "Hi"}, WHOLE).body)["usageMetadata"]
    assert usage["promptTokenCount"] == found["totalTokens"]
    assert json.loads(plan(None, f"{VERTEX}:{method}", body).body)["totalBillableCharacters"] == 2


def test_embeddings_are_unit_vectors_from_the_seed() -> None:
    one = {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 3}
    (values,) = json.loads(plan(None, f"{AI_STUDIO}:embedContent", one).body)["embedding"].values()
    assert len(values) == 3
    assert sum(value * value for value in values) == pytest.approx(1)
    many = json.loads(plan(None, f"{AI_STUDIO}:batchEmbedContents", {"requests": [one, one]}).body)
    assert many == {"embeddings": [{"values": values}] * 2}
    predicted = {"instances": [{"content": "a"}], "parameters": {"outputDimensionality": 3}}
    (found,) = json.loads(plan(None, f"{VERTEX}:predict", predicted).body)["predictions"]
    assert found["embeddings"]["values"] == values
    usual = json.loads(plan(None, f"{AI_STUDIO}:embedContent", {"content": one["content"]}).body)
    assert len(usual["embedding"]["values"]) == 3072


def test_models_are_those_of_the_scenario() -> None:
    scenario = {"rules": [{"when": {"model": "gemini-x"}, "reply": {}}]}
    listed = json.loads(plan(scenario, "/v1beta/models", method="GET").body)
    assert [each["name"] for each in listed["models"]] == ["models/gemini-x"]
    assert json.loads(plan(scenario, "/v1beta/models/gemini-x", method="GET").body) == listed["models"][0]
    assert plan(scenario, "/v1beta/models/other", method="GET").status == 404


def test_a_rule_can_name_the_api() -> None:
    rules = [
        {"when": {"api": "chat"}, "reply": {"content": "A"}},
        {"when": {"api": GEMINI.name}, "reply": {"content": "B"}},
    ]
    whole = json.loads(plan({"rules": rules}, f"{AI_STUDIO}:generateContent").body)
    assert whole["candidates"][0]["content"]["parts"] == [{"text": "B"}]


if __name__ == "__main__":
    for case in CASES:
        file_of(*case).parent.mkdir(exist_ok=True)
        file_of(*case).write_bytes(sent(*case))
