"""The routes besides the chat's, without a server: what they say, where they stand, and who may ask."""

from __future__ import annotations

import json
import math
import struct
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fakellm.apis.chat.reader import read_body, read_stream
from fakellm.apis.openai.api_keys import shortened
from fakellm.apis.openai.legacy_completions import LEGACY
from fakellm.base import tokenizer
from fakellm.fuzzing.strategies import streams
from fakellm.scenarios.loader import load
from fakellm.scenarios.scenario import Scenario
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Decoder
from tests.conftest import chat, inflated, respond
from tests.test_laws import read_from

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


def sent(app: App, path: str, body: Any = None, method: str = "POST", **headers: str) -> Plan:
    data = b"" if body is None else json.dumps(body).encode()
    return respond(app, HttpRequest(method, path, data, headers)).plan


def said(plan: Plan) -> Any:
    return json.loads(plan.body)


def chunks(plan: Plan) -> list[str]:
    """The data of the events of a stream, but for its [DONE]."""
    return [event.data for event in Decoder().feed(plan.body)][:-1]


# Embeddings


def vectors(given: Any, seed: int = 0, model: str = "m", **options: Any) -> list[list[float]]:
    reply = said(sent(App(seed=seed), "/v1/embeddings", {"model": model, "input": given, **options}))
    assert [each["index"] for each in reply["data"]] == list(range(len(reply["data"])))
    return [each["embedding"] for each in reply["data"]]


@given(st.lists(TEXTS, min_size=1, max_size=3), st.integers(1, 20), st.integers())
def test_equal_texts_have_equal_unit_vectors(texts: list[str], dimensions: int, seed: int) -> None:
    together = vectors(texts, seed, dimensions=dimensions)
    assert together == [vectors(text, seed, dimensions=dimensions)[0] for text in texts]
    for each in together:
        assert math.isclose(math.hypot(*each), 1, rel_tol=1e-6)


@given(TEXTS, st.integers(1, 20), st.integers(0, 20))
def test_a_shorter_vector_is_the_start_of_a_longer_one(text: str, dimensions: int, more: int) -> None:
    [short], [long] = vectors(text, dimensions=dimensions), vectors(text, dimensions=dimensions + more)
    length = math.hypot(*long[:dimensions])
    assert short == pytest.approx([number / length for number in long[:dimensions]], abs=1e-6)


def test_what_a_vector_depends_on() -> None:
    kinds = [vectors("a"), vectors("b"), vectors("a", seed=1), vectors("a", model="n"), vectors([1]), vectors([[1, 2]])]
    assert len({tuple(each[0]) for each in kinds}) == len(kinds)
    assert vectors([1, 2]) == vectors([[1, 2]])
    assert vectors("a", user="someone") == vectors("a")


@pytest.mark.parametrize(
    ("model", "length"),
    [("text-embedding-3-small", 1536), ("text-embedding-3-large", 3072), ("openai/text-embedding-3-large", 3072)],
)
def test_a_model_has_its_usual_length(model: str, length: int) -> None:
    assert len(vectors("a", model=model)[0]) == length


def test_base64_holds_the_same_numbers() -> None:
    [coded] = vectors("a", encoding_format="base64")
    assert [*struct.unpack("<1536f", b64decode(str(coded)))] == vectors("a", encoding_format="float")[0]


def test_the_body_is_written_as_openai_writes_it() -> None:
    """As recorded from text-embedding-3-small in 2026, but for the numbers."""
    body = {"input": ["Capital of France"], "model": "text-embedding-3-small", "encoding_format": "base64"}
    wire = sent(App(), "/v1/embeddings", body).body.decode()
    coded = json.loads(wire)["data"][0]["embedding"]
    written = f"""{{
  "object": "list",
  "data": [
    {{
      "object": "embedding",
      "index": 0,
      "embedding": "{coded}"
    }}
  ],
  "model": "text-embedding-3-small",
  "usage": {{
    "prompt_tokens": 3,
    "total_tokens": 3
  }}
}}
"""
    assert wire == written


def test_usage_counts_the_tokens_of_all_inputs() -> None:
    app = App()
    for given_, count in [("One two", 2), (["One two", "three"], 3), ([5, 6, 7], 3), ([[5, 6], [7]], 3)]:
        usage = said(sent(app, "/v1/embeddings", {"model": "m", "input": given_}))["usage"]
        assert usage == {"prompt_tokens": count, "total_tokens": count}


@pytest.mark.parametrize(
    ("path", "body", "param", "message"),
    [
        ("/v1/embeddings", {"model": "m"}, "input", "Missing required parameter: 'input'."),
        ("/v1/embeddings", {"input": "a"}, "model", "Missing required parameter: 'model'."),
        ("/v1/embeddings", {"model": "", "input": "a"}, "model", "Invalid 'model': expected the name of a model"),
        ("/v1/embeddings", {"model": "m", "input": ""}, "input", "input cannot be an empty string"),
        ("/v1/embeddings", {"model": "m", "input": []}, "input", "empty array"),
        ("/v1/embeddings", {"model": "m", "input": [[1], []]}, "input[1]", "empty array"),
        ("/v1/embeddings", {"model": "m", "input": ["a", 1]}, "input", "only strings, only token ids or only arrays"),
        ("/v1/embeddings", {"model": "m", "input": [1, [2]]}, "input", "only strings, only token ids or only arrays"),
        ("/v1/embeddings", {"model": "m", "input": ["a"] * 2049}, "input", "at most 2048 inputs, but got 2049"),
        ("/v1/embeddings", {"model": "m", "input": 1}, "input", "Invalid type for 'input': "),
        ("/v1/embeddings", {"model": "m", "input": "a", "dimensions": 0}, "dimensions", "got 0"),
        (
            "/v1/embeddings",
            {"model": "m", "input": "a", "encoding_format": "hex"},
            "encoding_format",
            "'hex' is not one of float, base64",
        ),
        ("/v1/completions", {"model": "m"}, "prompt", "Missing required parameter: 'prompt'."),
        ("/v1/completions", {"model": "m", "prompt": ["a"] * 100, "n": 128}, "n", "more than 2048 choices"),
        ("/v1/completions", {"model": "m", "prompt": "a", "logprobs": 6}, "logprobs", "got 6"),
        ("/v1/moderations", {}, "input", "Missing required parameter: 'input'."),
        ("/v1/moderations", {"input": []}, "input", "empty array"),
        ("/v1/moderations", {"input": ["a", {"type": "text"}]}, "input", "only strings or only parts"),
        ("/v1/moderations", {"input": [{"type": "video"}]}, "input[0].type", "'video' is not one of text, image_url"),
    ],
)
def test_what_is_refused_and_how(path: str, body: Any, param: str, message: str) -> None:
    plan = sent(App(), path, body)
    error = said(plan)["error"]
    assert (plan.status, error["param"]) == (400, param)
    assert message in error["message"]


# Legacy completions

RULE = {"rules": [{"when": {"model": "m"}, "reply": {"content": "One two three"}}]}


def complete(app: App, **fields: Any) -> Plan:
    return sent(app, "/v1/completions", {"model": "m", "prompt": "Once", **fields})


def texts(plan: Plan) -> list[str]:
    return [choice["text"] for choice in said(plan)["choices"]]


@pytest.mark.parametrize(
    "options", [{}, {"n": 2}, {"echo": True}, {"prompt": ["a", "b"]}, {"max_tokens": 0}, {"logprobs": 1}]
)
@pytest.mark.parametrize("scenario", [None, RULE])
def test_a_stream_and_a_whole_body_mean_the_same(scenario: Any, options: dict[str, Any]) -> None:
    app = App(scenario and load(scenario))
    usage = {"stream": True, "stream_options": {"include_usage": True}}
    streamed = chunks(complete(app, **options, **usage))
    assert read_stream(LEGACY, streamed) == read_body(LEGACY, complete(app, **options).body)


def test_a_rule_answers_a_prompt_as_a_message() -> None:
    app = App(load(RULE), strict=True)
    assert texts(complete(app)) == ["One two three"]
    choices = [json.loads(chunk)["choices"][0] for chunk in chunks(complete(app, stream=True))]
    assert [choice["text"] for choice in choices] == ["One", " two", " three", ""]
    assert [choice["finish_reason"] for choice in choices] == [None, None, None, "stop"]
    assert said(complete(app, model="x"))["error"]["code"] == "no_matching_rule"


def test_a_rule_sets_how_its_text_is_divided_timed_and_broken() -> None:
    rule = {"reply": {"content": "abc"}, "stream": {"split": 1}, "timing": {"gap": 0.5}}
    plan = complete(App(load({"rules": [rule]})), stream=True)
    assert [json.loads(chunk)["choices"][0]["text"] for chunk in chunks(plan)] == ["a", "b", "c", ""]
    assert [frame.delay for frame in plan.frames] == [0.0, 0.5, 0.5, 0.5, 0.5]
    app = App(load({"rules": [{"reply": {}, "fault": {"kind": "status", "status": 429, "times": 1}}]}))
    assert [complete(app).status for _ in range(2)] == [429, 200]


@settings(max_examples=50)
@given(streams("strict-sse"))
def test_any_rule_sends_its_texts_however_it_divides_them(scenario: Scenario) -> None:
    reply = scenario.rules[0].reply
    expected = [choice.content + choice.refusal for choice in reply.choices or (reply,)]
    app = App(scenario)
    plan = complete(app, stream=True)
    pieces = [frame.data for frame in plan.frames]
    codings = [each for name, value in plan.headers if name == "Content-Encoding" for each in value.split(", ")]
    for _ in codings:
        pieces = inflated(pieces)
    assert [choice.content for choice in read_from(LEGACY, *pieces).choices] == expected


def test_headers_placeholders_and_turns_are_for_this_route_too() -> None:
    rule = {
        "when": {"headers": {"X-Run": "7"}, "body": {"prompt": "Once"}},
        "reply": {"content": "{{user}}, {{headers.x-run}}, {{attempt}}", "template": True, "headers": {"x-my": "own"}},
        "then": [{"reply": {}, "fault": {"kind": "status", "status": 429}}],
    }
    app = App(load({"rules": [rule]}), strict=True)
    first, second = (sent(app, "/v1/completions", {"model": "m", "prompt": "Once"}, **{"x-run": "7"}) for _ in range(2))
    assert (texts(first), dict(first.headers)["x-my"]) == (["Once, 7, 1"], "own")
    assert second.status == 429
    assert sent(app, "/v1/completions", {"model": "m", "prompt": "Once"}, **{"x-run": "8"}).status == 404


def test_only_text_is_sent() -> None:
    reply = {"content": "A", "reasoning": "Hm", "tool_calls": [{"name": "f"}]}
    [choice] = said(complete(App(load({"rules": [{"reply": reply}]}))))["choices"]
    assert choice == {"text": "A", "index": 0, "logprobs": None, "finish_reason": "stop"}


def test_each_prompt_has_its_choices() -> None:
    app = App(load(RULE))
    assert texts(complete(app, prompt=["a", "b"], echo=True)) == ["aOne two three", "bOne two three"]
    assert texts(complete(app, prompt=[5, 6], echo=True)) == ["5 6One two three"]
    both = {"rules": [{"reply": {"choices": [{"content": "A"}, {"content": "B"}]}}]}
    assert texts(complete(App(load(both)), prompt=["a", "b"])) == ["A", "B"]
    assert texts(complete(App(load(both)), prompt=["a", "b", "c"])) == ["A", "B"] * 3
    assert said(complete(app, prompt=["a b", "c"]))["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 6,
        "total_tokens": 9,
    }


@given(st.integers(0, 100), st.integers(1, 4), st.integers())
def test_a_generated_text_is_no_longer_than_requested(most: int, n: int, seed: int) -> None:
    app = App(seed=seed)
    reply = said(complete(app, prompt=["Once"] * n, max_tokens=most))
    assert len(reply["choices"]) == n
    for choice in reply["choices"]:
        count = tokenizer.count(choice["text"])
        assert count <= most
        assert count == most if choice["finish_reason"] == "length" else choice["text"].endswith(".")


def test_a_generated_text_ends_before_a_stop() -> None:
    app = App()
    [whole] = texts(complete(app, max_tokens=100))
    stop = tokenizer.split(whole)[4]
    [choice] = said(complete(app, max_tokens=100, stop=["never said", stop]))["choices"]
    assert stop not in choice["text"]
    assert choice["finish_reason"] == "stop"
    assert tokenizer.count(texts(complete(app))[0]) == 16


@pytest.mark.parametrize("echo", [True, False])
def test_logprobs_name_each_token_with_its_offset(echo: bool) -> None:
    app = App(load(RULE))
    whole = said(complete(app, logprobs=2, echo=echo))["choices"][0]
    probabilities = whole["logprobs"]
    assert probabilities["tokens"] == (["OnceOne", " two", " three"] if echo else ["One", " two", " three"])
    for token, offset in zip(probabilities["tokens"], probabilities["text_offset"], strict=True):
        assert whole["text"].startswith(token, offset)
    pairs = list(zip(probabilities["token_logprobs"], probabilities["top_logprobs"], strict=True))
    assert [pair == (None, None) for pair in pairs] == [echo, False, False]
    for number, (logprob, top) in enumerate(pairs[echo:], echo):
        assert len(top) == 2
        assert logprob == top[probabilities["tokens"][number]] == max(top.values()) < 0
    streamed = [
        json.loads(each)["choices"][0]["logprobs"] for each in chunks(complete(app, logprobs=2, echo=echo, stream=True))
    ]
    for key, values in probabilities.items():
        assert [value for each in streamed if each for value in each[key]] == values


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [([5], ["5"]), ([50256, 11, 9], ["50256", " 11", " 9"]), ([[5, 6], [7]], ["5", " 6"])],
)
@pytest.mark.parametrize("reply", ["One two", ""])
def test_a_token_id_that_is_echoed_is_one_token(prompt: Any, tokens: list[str], reply: str) -> None:
    app = App(load({"rules": [{"reply": {"content": reply}}]}))
    whole = said(complete(app, prompt=prompt, logprobs=2, echo=True))["choices"][0]
    probabilities = whole["logprobs"]
    assert probabilities["tokens"] == [*tokens, *tokenizer.split(reply)]
    assert "".join(probabilities["tokens"]) == whole["text"]
    for token, offset in zip(probabilities["tokens"], probabilities["text_offset"], strict=True):
        assert whole["text"].startswith(token, offset)
    assert [value is None for value in probabilities["token_logprobs"]] == [
        True,
        *[False] * (len(probabilities["tokens"]) - 1),
    ]
    streamed = [
        choice["logprobs"]
        for each in chunks(complete(app, prompt=prompt, logprobs=2, echo=True, stream=True))
        for choice in json.loads(each)["choices"]
        if choice["index"] == 0
    ]
    for key, values in probabilities.items():
        assert [value for each in streamed if each for value in each[key]] == values


def test_each_of_several_prompts_of_token_ids_has_its_own_tokens() -> None:
    reply = said(complete(App(), prompt=[[5, 6], [7, 8]], n=2, logprobs=1, echo=True))
    first = [choice["logprobs"]["tokens"][:2] for choice in reply["choices"]]
    assert first == [["5", " 6"], ["5", " 6"], ["7", " 8"], ["7", " 8"]]


# Moderations


def test_moderations_flag_nothing_and_read_parts_together() -> None:
    app = App()
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    one, several, mixed = (
        said(sent(app, "/v1/moderations", {"input": each})) for each in ("a", ["a", "b", "c"], parts)
    )
    assert [len(reply["results"]) for reply in (one, several, mixed)] == [1, 3, 1]
    for result in (*one["results"], *several["results"], *mixed["results"]):
        assert not result["flagged"]
        assert not any(result["categories"].values())
        assert all(0 < score < 0.001 for score in result["category_scores"].values())
    kinds = mixed["results"][0]["category_applied_input_types"]
    assert (kinds["violence"], kinds["hate"]) == (["text", "image"], ["text"])
    assert one == said(sent(app, "/v1/moderations", {"input": "a"}))


# Models


def test_a_model_exists_if_a_request_for_it_would_be_answered() -> None:
    scenario = load({"rules": [{"when": {"model": "gpt-*"}, "reply": {"model": "gpt-5-2026"}}]})
    for strict, model, status in [
        (True, "gpt-5", 200),
        (True, "other", 404),
        (False, "other", 200),
        (False, "a/b%20c", 200),
    ]:
        plan = sent(App(scenario, strict=strict), f"/v1/models/{model}", method="GET")
        assert plan.status == status
        assert status == 404 or said(plan)["id"] == model.replace("%20", " ")
    error = said(sent(App(scenario, strict=True), "/v1/models/other", method="GET"))["error"]
    assert error == {
        "message": "The model 'other' does not exist: no rule answers for it.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


# Where routes stand

BASES = ["", "/v1", "/api/v1", "/openai/v1", "/s/other/v1", "/s/other", "/openai/deployments/m"]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/chat/completions", json.loads(chat())),
        ("/completions", {"model": "m", "prompt": "a"}),
        ("/embeddings", {"model": "m", "input": "a", "dimensions": 2}),
    ],
)
def test_a_route_is_served_under_every_usual_base(base: str, route: str, body: dict[str, Any]) -> None:
    expected = sent(App(), "/v1" + route, body)
    assert expected.status == 200
    assert sent(App(), f"{base}{route}?api-version=2024-10-21", body) == expected


def test_a_deployment_is_the_model_where_the_body_names_none() -> None:
    app = App()
    url = "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"
    body = json.loads(chat())
    assert said(sent(app, url, body))["model"] == "m"
    del body["model"]
    assert said(sent(app, url, body))["model"] == said(sent(app, url, body | {"model": None}))["model"] == "my gpt"
    for broken in (b"{", b"[]", b"\xff", b"[" * 10**5):
        plan = respond(app, HttpRequest("POST", url, broken)).plan
        assert (plan.status, plan.body) == (
            400,
            respond(app, HttpRequest("POST", "/v1/chat/completions", broken)).plan.body,
        )


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("/v1/v1/chat/completions", "It has /v1 twice: your base URL ends in /v1 and your client adds it; "),
        ("/v1//chat/completions", "There is a slash too many: the route is /v1/chat/completions."),
        ("/v1/embeddings/", "There is a slash too many: the route is /v1/embeddings."),
        (
            "/v1/chat/completions/models",
            "Your base URL ends in /chat/completions, and your client adds a route itself: ",
        ),
        ("/v1/chat/completions/v1/chat/completions", "Your base URL ends in /chat/completions, and your client adds"),
        (
            "/v1/completions/chat/completions",
            "Your base URL ends in /completions, and your client adds a route itself: ",
        ),
        ("/v1/chat/completions/responses", "Your base URL ends in /chat/completions, and your client adds"),
        ("/v1/chat/completions/chatcmpl-1", "fakellm does not serve stored chat completions."),
        ("/v1/chat/completions/chatcmpl-1/messages", "fakellm does not serve stored chat completions."),
        ("/v1/v1/files/file-1", "It has /v1 twice: your base URL ends in /v1"),
        ("/api/chat/completions", "The route is /v1/chat/completions: the base URL must end in /v1."),
        ("/v7/chat/completions", "The route is /v1/chat/completions: the base URL must end in /v1."),
        ("/v1/chat/completion", "did you mean '/v1/chat/completions'?"),
        ("/v1/responses/a/b/c", "fakellm does not serve this part of the Responses API."),
        ("/v1/realtime", "fakellm does not serve the Realtime API."),
        ("/v1/images/generations", "fakellm does not serve pictures."),
        ("/openai/v1/audio/speech", "fakellm does not serve speech."),
        ("/v1/messages/batches", "fakellm does not serve Anthropic's batches."),
        ("/", "there are POST /v1/chat/completions, "),
    ],
)
def test_an_unknown_url_gets_a_remedy(path: str, remedy: str) -> None:
    plan = sent(App(), path)
    assert plan.status == 404
    assert remedy in said(plan)["error"]["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions/chatcmpl-1",
        "/v1/v1/nothing",
        "/v1/a/v1/v1/b",
        "/v1/embeddings/7",
        "/v1/completions/cmpl-1",
    ],
)
def test_no_hint_blames_a_base_url_that_may_be_right(path: str) -> None:
    assert "base URL" not in said(sent(App(), path))["error"]["message"]


# Keys

KEYS = ["sk-first-0123456789", "second"]


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        ({}, None, "You didn't provide an API key: send one as 'Authorization: Bearer KEY'"),
        ({"authorization": "Bearer "}, None, "You didn't provide an API key"),
        ({"authorization": "Basic second"}, None, "You didn't provide an API key"),
        (
            {"authorization": "Bearer sk-other-0123456789"},
            "invalid_api_key",
            "Incorrect API key provided: sk-other*******6789.",
        ),
        ({"Api-Key": "third"}, "invalid_api_key", "Incorrect API key provided: th***."),
    ],
)
def test_without_its_key_a_request_is_refused(headers: dict[str, str], code: str | None, message: str) -> None:
    app = App(api_keys=KEYS)
    plan = respond(app, HttpRequest("POST", "/v1/chat/completions", chat(), headers)).plan
    error = said(plan)["error"]
    assert (plan.status, error["type"], error["param"], error["code"]) == (401, "invalid_request_error", None, code)
    assert message in error["message"]


@pytest.mark.parametrize(
    "header",
    [
        *[("Authorization", "Bearer {}"), ("authorization", "bearer {}")],
        *[(name, "{}") for name in ("api-key", "X-Api-Key", "x-goog-api-key")],
    ],
)
@pytest.mark.parametrize("key", KEYS)
def test_with_its_key_it_is_answered(key: str, header: tuple[str, str]) -> None:
    call = HttpRequest("POST", "/v1/chat/completions", chat(), {header[0]: header[1].format(key)})
    assert respond(App(api_keys=KEYS), call).plan == respond(App(), call).plan


def test_control_routes_and_preflights_need_no_key() -> None:
    app = App(api_keys=KEYS)
    assert sent(app, "/_fakellm/health", method="GET").status == 200
    assert sent(app, "/s/a/_fakellm/journal", method="GET").status == 200
    assert sent(app, "/v1/chat/completions", method="OPTIONS").status == 200


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1))
def test_a_key_is_shortened_to_its_own_length(key: str) -> None:
    short = shortened(key)
    assert len(short) == len(key)
    if len(key) > 12:
        assert (short[:8], short[-4:], set(short[8:-4])) == (key[:8], key[-4:], {"*"})
    else:
        assert (short[:2], set(short[2:])) in ((key[:2], {"*"}), (key, set()))


# Headers

OPENAI = {"x-request-id", "openai-version", "openai-processing-ms"} | {
    f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")
}


def headers(plan: Plan) -> dict[str, str]:
    found = {name.lower(): value for name, value in plan.headers}
    assert len(found) == len(plan.headers)
    return found


def test_every_reply_has_openais_headers_and_may_be_read_by_any_page() -> None:
    app = App()
    plans = [
        sent(app, "/v1/chat/completions", json.loads(chat())),
        sent(app, "/v1/chat/completions", json.loads(chat(stream=True))),
        sent(app, "/v1/completions", {"model": "m", "prompt": "a"}),
        sent(app, "/v1/embeddings", {"model": "m", "input": "a"}),
        sent(app, "/v1/moderations", {"input": "a"}),
        sent(app, "/v1/models", method="GET"),
        sent(app, "/v1/nothing"),
        sent(app, "/v1/embeddings", {}),
        sent(App(api_keys=KEYS), "/v1/models", method="GET"),
    ]
    for plan in plans:
        assert headers(plan).keys() >= OPENAI
        assert headers(plan)["access-control-allow-origin"] == "*"
    assert {name.lower() for name, _ in sent(app, "/_fakellm/health", method="GET").headers} == {"content-type"}


def test_a_request_has_its_id_from_the_seed() -> None:
    def ids(seed: int) -> list[str]:
        bodies = [json.loads(chat()), json.loads(chat(n=2)), {}]
        return [headers(sent(App(seed=seed), "/v1/chat/completions", body))["x-request-id"] for body in bodies]

    assert ids(0) == ids(0)
    assert len({*ids(0), *ids(1)}) == 6


def test_a_rate_limit_has_nothing_left_and_a_faults_own_header_is_kept() -> None:
    fault = {"kind": "status", "status": 429, "headers": {"X-Request-Id": "mine"}}
    plan = sent(App(load({"rules": [{"reply": {}, "fault": fault}]})), "/v1/chat/completions", json.loads(chat()))
    assert headers(plan)["x-ratelimit-remaining-requests"] == "0"
    assert headers(plan)["x-request-id"] == "mine"


def test_a_browser_may_send_the_headers_it_names() -> None:
    app = App()
    asked = {"Origin": "http://localhost:3000", "Access-Control-Request-Headers": "authorization,x-stainless-os"}
    plan = sent(app, "/v1/chat/completions", method="OPTIONS", **asked)
    assert (plan.status, headers(plan)["access-control-allow-origin"]) == (200, "*")
    assert headers(plan)["access-control-allow-headers"] == "authorization,x-stainless-os"
    bad = sent(app, "/v1/models", method="OPTIONS", **{"access-control-request-headers": "a\r\nx: y"})
    assert headers(bad)["access-control-allow-headers"] == "authorization, content-type"
    assert [*app.session("").journal] == []
    assert sent(app, "/_fakellm/scenario", method="OPTIONS", **asked).status == 405


def test_a_key_may_be_in_the_url() -> None:
    call = HttpRequest("POST", "/v1/chat/completions?key=second", chat())
    assert respond(App(api_keys=KEYS), call).plan.status == 200
    assert respond(App(api_keys=KEYS), replace(call, path="/v1/chat/completions?key=third")).plan.status == 401
