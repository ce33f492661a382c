"""What holds for every API alike: the same rules answer, with the same conditions, templates, attempts, faults, timing,
steps, sessions and journal, streamed and not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

import fakellm
from fakellm.apis.route import DIALECT_NAMES, HOMES, REPLIES, api_named, target
from fakellm.apis.variation import OWN_BLOCKS, Variation
from fakellm.engine.response import Response
from fakellm.engine.what_was_sent import readings
from fakellm.model.blocks import Choice
from fakellm.model.fold import fold
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from fakellm.wire.kinds import SSE, kind_of
from tests.conftest import handled, post

PATHS = {
    "chat": ("/v1/chat/completions", "/v1/chat/completions"),
    "responses": ("/v1/responses", "/v1/responses"),
    "messages": ("/v1/messages", "/v1/messages"),
    "gemini": ("/v1beta/models/fakellm:streamGenerateContent?alt=sse", "/v1beta/models/fakellm:generateContent"),
    "ollama": ("/api/chat", "/api/chat"),
}
"""Where each API's requests for a stream and for a whole body go."""
BOTH = [(name, stream) for name in PATHS for stream in (True, False)]


def request(name: str, stream: bool, user: str = "Hello", **fields: Any) -> HttpRequest:
    """A request of an API whose user says this."""
    body = api_named(name).example()
    if "stream" in body or name != "gemini":
        body["stream"] = stream
    body.pop("stream_options", None)
    if name == "gemini":
        body["contents"] = [{"role": "user", "parts": [{"text": user}]}]
    else:
        body["input" if name == "responses" else "messages"] = [{"role": "user", "content": user}]
    headers = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    return HttpRequest("POST", PATHS[name][not stream], json.dumps(body | fields).encode(), headers)


def answer(name: str, response: Response) -> Choice:
    """What the first choice of a response means to a reader of the API."""
    api = api_named(name)
    assert response.plan.status == 200, response.plan.body
    kind = dict(response.head.headers)["Content-Type"]
    habits = api.settings(Variation(), None, api.parse(json.dumps(api.example()).encode(), {}), 0, True).habits
    if stream := kind_of(kind) or (SSE if response.plan.body.startswith((b"data:", b"event:")) else None):
        batches = api.read(stream.events(response.plan.body), habits)
    else:
        batches = api.read_whole(response.plan.body, habits)
    completion, end = fold(batches)
    assert end is not None
    assert end.error is None
    return completion.choices[0]


def served(name: str, stream: bool, rules: list[dict[str, Any]], text: str = "Hello", **options: Any) -> Response:
    return handled(App(load({"rules": rules}), **options), request(name, stream, text))[0]


def test_every_api_is_tested_here() -> None:
    assert set(PATHS) == set(HOMES) - {"completions"}


@pytest.mark.parametrize("name", HOMES)
def test_an_api_is_as_the_table_states(name: str) -> None:
    api = api_named(name)
    assert set(api.dialects) == set(HOMES[name].dialects) <= set(DIALECT_NAMES)
    assert {key.partition(".")[0] for key in api.stream_keys} <= set(Variation.__struct_fields__)
    assert {key for key in OWN_BLOCKS if key in api.stream_keys} == OWN_BLOCKS & {name}
    routes = [route for route, each in REPLIES.items() if each == name]
    assert routes
    for path in PATHS.get(name, ()):
        found = target(path.partition("?")[0])
        assert (found.api, found.route in routes) == (name, True)


@pytest.mark.parametrize(("name", "stream"), BOTH)
def test_one_rule_answers_every_api(name: str, stream: bool) -> None:
    rules: list[dict[str, Any]] = [
        {"when": {"api": "completions"}, "reply": {"content": "not this one"}},
        {"when": {"user": "Hello", "stream": stream, "turn": 1}, "reply": {"content": "Hi, Ada", "reasoning": "Hm"}},
    ]
    found = answer(name, served(name, stream, rules, strict=True))
    assert (found.content, found.reasoning or "Hm") == ("Hi, Ada", "Hm")


@pytest.mark.parametrize(("name", "stream"), BOTH)
def test_a_rule_for_an_api_answers_only_that(name: str, stream: bool) -> None:
    rules: list[dict[str, Any]] = [{"when": {"api": name}, "reply": {"content": "Yes"}}]
    for other in PATHS:
        response = served(other, stream, rules, strict=True)
        if other == name:
            assert answer(name, response).content == "Yes"
        else:
            assert response.plan.status == 404
            assert f"api: expected '{name}', got '{other}'" in response.plan.body.decode()


@pytest.mark.parametrize(("name", "stream"), BOTH)
def test_a_template_is_filled(name: str, stream: bool) -> None:
    rules = [{"reply": {"content": "{{user}}, {{turn}}", "template": True}}]
    assert answer(name, served(name, stream, rules)).content == "Hello, 1"


@pytest.mark.parametrize(("name", "stream"), BOTH)
def test_a_tool_is_called(name: str, stream: bool) -> None:
    rules = [{"reply": {"content": "One moment", "tool_calls": [{"name": "add", "arguments": {"a": [1, "é"]}}]}}]
    found = answer(name, served(name, stream, rules))
    (call,) = found.tool_calls
    assert (found.content, call.name, json.loads(call.arguments)) == ("One moment", "add", {"a": [1, "é"]})


SCHEMA = {"title": "Event", "type": "object", "properties": {"name": {"type": "string"}}}
FORMATS: dict[str, dict[str, Any]] = {
    "chat": {"response_format": {"type": "json_schema", "json_schema": {"name": "Event", "schema": SCHEMA}}},
    "responses": {"text": {"format": {"type": "json_schema", "name": "Event", "schema": SCHEMA}}},
    "messages": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    "gemini": {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}},
    "ollama": {"format": SCHEMA},
}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("expected", ["json_schema", "Event"])
def test_the_requested_format_is_matched_by_its_type_or_its_name(name: str, expected: str) -> None:
    app = App(load({"rules": [{"when": {"response_format": expected}, "reply": {"content": "{}"}}]}), strict=True)
    assert answer(name, handled(app, request(name, False, **FORMATS[name]))[0]).content == "{}"


@pytest.mark.parametrize(("name", "stream"), BOTH)
def test_attempts_are_counted(name: str, stream: bool) -> None:
    app = App(load({"rules": [{"reply": {"content": "one"}, "then": [{"reply": {"content": "two"}}]}]}))
    texts = [answer(name, handled(app, request(name, stream))[0]).content for _ in range(3)]
    assert texts == ["one", "two", "two"]


@pytest.mark.parametrize(("name", "stream"), BOTH)
def test_an_error_has_the_shape_of_the_api(name: str, stream: bool) -> None:
    rules = [{"reply": {"content": "a"}, "fault": {"kind": "status", "status": 429}}]
    plan = served(name, stream, rules).plan
    error = json.loads(plan.body)["error"]
    assert plan.status == 429
    assert error if isinstance(error, str) else error["message"]


@pytest.mark.parametrize(("name", "stream"), BOTH)
def test_a_request_that_no_rule_matches_is_refused_with_the_nearest(name: str, stream: bool) -> None:
    response, entry = handled(
        App(load({"rules": [{"when": {"user": "weather"}, "reply": {}}]}), strict=True), request(name, stream)
    )
    assert (response.plan.status, entry.matched) == (404, False)
    assert "user: expected 'weather', got 'Hello'" in response.plan.body.decode()


@pytest.mark.parametrize(("name", "stream"), BOTH)
def test_generated_replies_depend_on_seed_and_request_alone(name: str, stream: bool) -> None:
    one, same, other = (handled(App(seed=seed), request(name, stream))[0].plan for seed in (1, 1, 2))
    assert one == same
    assert one.body != other.body
    assert handled(App(seed=1), request(name, stream, "Hello again"))[0].plan.body != one.body


@pytest.mark.parametrize("name", PATHS)
def test_a_stream_and_a_body_mean_the_same(name: str) -> None:
    streamed, whole = (answer(name, handled(App(), request(name, stream))[0]) for stream in (True, False))
    assert streamed == whole


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("fault", [{"kind": "eof"}, {"kind": "close", "frame": 2}, {"kind": "error", "frame": 2}])
def test_a_broken_stream_is_no_whole_answer(name: str, fault: dict[str, Any]) -> None:
    rules = [{"reply": {"content": "One two three"}, "stream": {"split": "words"}, "fault": fault}]
    response = served(name, True, rules)
    api = api_named(name)
    habits = api.settings(Variation(), None, api.parse(json.dumps(api.example()).encode(), {}), 0, True).habits
    found = readings(response.plan, api, habits)
    assert not [each for each in found if each.complete and not each.error]


@pytest.mark.parametrize("name", PATHS)
def test_frames_are_sent_step_by_step(name: str) -> None:
    rules = [{"reply": {"content": "One two"}, "stream": {"split": "words"}, "timing": {"step": True}}]
    with fakellm.serve({"rules": rules}) as server:
        sent = request(name, True)
        received: list[bytes] = []
        reader = threading.Thread(
            target=lambda: received.append(post(server.url + sent.path, sent.body, **sent.headers).content)
        )
        reader.start()
        frames = [*server.step(1), *server.step(None)]
        reader.join()
    assert received[0].decode() == "".join(frames)


@pytest.fixture(scope="module")
def server() -> Iterator[fakellm.Handle]:
    with fakellm.serve() as started:
        yield started


@pytest.mark.parametrize("name", PATHS)
def test_each_session_has_its_own_rules_and_journal(server: fakellm.Handle, name: str) -> None:
    session = server.session(name)
    session.load({"rules": [{"name": "hi", "reply": {"content": f"Hi from {name}"}}]})
    sent = request(name, False)
    assert f"Hi from {name}" in post(session.url + sent.path, sent.body, **sent.headers).text
    (entry,) = session.journal
    assert (entry.rule, entry.status, entry.outcome, entry.request) == ("hi", 200, "sent", json.loads(sent.body))


@pytest.mark.parametrize("name", PATHS)
def test_a_long_request_is_answered_alike(name: str) -> None:
    """It is answered in another process."""
    text = "x" * 70_000
    rules = [{"when": {"user": "xx"}, "reply": {"content": "Long"}}]
    response = served(name, True, rules, text)
    here = App(load({"rules": rules}))
    here.offloads = False
    assert response.plan == handled(here, request(name, True, text))[0].plan
    assert answer(name, response).content == "Long"


def test_a_dialect_that_an_api_lacks_is_its_default() -> None:
    for name in PATHS:
        plain, odd = (
            served(name, True, [{"reply": {"content": "a"}, **more}]) for more in ({}, {"dialect": "perplexity-2025"})
        )
        assert (replace(plain.plan, headers=()) == replace(odd.plan, headers=())) == (name != "chat")


@pytest.mark.parametrize(
    ("name", "before"), {"chat": 1, "responses": 4, "messages": 3, "gemini": 0, "ollama": 0}.items(), ids=str
)
def test_so_many_frames_precede_the_first_word(name: str, before: int) -> None:
    """As docs/reference/faults.md states: the positions of faults count them."""
    frames = served(name, True, [{"reply": {"content": "one two"}, "stream": {"split": "words"}}]).plan.frames
    assert next(number for number, frame in enumerate(frames) if b"one" in frame.data) == before
