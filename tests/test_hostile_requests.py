"""Requests that no client sends on purpose: whatever is in a body, it is answered or refused in few words, not a 500."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakellm.apis.chat.requests.chat_body import Chat
from fakellm.base.validation import SHOWN, problems, shortened
from fakellm.base.words.near_miss import near_miss
from fakellm.scenarios.loader import load
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from tests.call_count import calls
from tests.conftest import handled

MOST = 2_500
"""Characters of a message: values are shortened, and few can be in one."""

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CUSTOM = {"type": "custom", "custom": {"name": "g", "format": {"type": "grammar", "grammar": {"syntax": "regex"}}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
FUNCTION = {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (
        "/v1/chat/completions",
        {
            "model": "m",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hi"}], "name": "n"},
                {"role": "assistant", "tool_calls": [CALL]},
                {"role": "tool", "content": "r", "tool_call_id": "c"},
                {"role": "user", "content": "Go on"},
            ],
            "tools": [{"type": "function", "function": FUNCTION}, CUSTOM],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}},
            "stop": ["x"],
            "stream_options": {"include_usage": True},
            "logit_bias": {"1": 2},
            "metadata": {"k": "v"},
            "reasoning_effort": "low",
            "n": 1,
            "stream": True,
        },
    ),
    "functions": (
        "/v1/chat/completions",
        {
            "model": "strict",
            "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "function_call": CALL["function"]}],
            "functions": [FUNCTION],
            "function_call": {"name": "f"},
            "logprobs": True,
            "top_logprobs": 1,
        },
    ),
    "completions": ("/v1/completions", {"model": "m", "prompt": ["Hi"], "suffix": "s", "echo": True, "stop": "x"}),
    "embeddings": ("/v1/embeddings", {"model": "m", "input": ["Hi"], "encoding_format": "float", "dimensions": 8}),
    "moderations": ("/v1/moderations", {"model": "m", "input": [{"type": "text", "text": "Hi"}]}),
}
APP = App(
    load(
        {
            "rules": [
                {"when": {"model": "m", "user": "Go on"}, "reply": {"content": "{{model}} {{user}}", "template": True}},
                {"when": {"model": "strict", "body": {"metadata.k": "v"}}, "reply": {"content": "a"}},
                {"when": {"model": "x*", "user": {"regex": "y"}}, "reply": {"content": "b"}},
            ]
        }
    )
)
APP.offloads = False
STRICT = App(load({"rules": [{"when": {"model": "never", "user": "z"}, "reply": {}}]}), strict=True)
STRICT.offloads = False


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a body, the body itself included."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


def changed(body: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """A copy of a body, in which the parent of the value at a path has been changed."""
    copy = parent = deepcopy(body)
    for step in path[:-1]:
        parent = parent[step]
    change(parent, path[-1])
    return copy


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


SURROGATE = "\ud800"
VALUES: dict[str, Any] = {
    "surrogate": SURROGATE,
    "object": {SURROGATE: SURROGATE},
    "long": "a" * 30_000,
    "long object": {"a" * 30_000: "b" * 30_000},
    "number": 10**400,
    "float": 1e308,
    "array": [SURROGATE] * 3_000,
    "nested": deep(300),
    "null": None,
    "controls": "\x00\x1b[31m\r\n\u2028",
}


def check(app: App, path: str, body: bytes) -> int:
    """The status of the reply to a body. Its message is short, and both it and the entry are valid UTF-8."""
    response, entry = handled(app, HttpRequest("POST", path, body))
    assert response.head.status is not None
    assert response.head.status < 500, response.plan.body[:500]
    msgspec.json.encode(entry)
    if response.head.status >= 400:
        error = json.loads(response.plan.body)["error"]
        assert len(error["message"]) < MOST, error["message"]
        assert len(error["param"] or "") < MOST
        assert len(response.explanation or "") < MOST
    return response.head.status


@pytest.mark.parametrize("name", BODIES)
def test_the_bodies_are_answered(name: str) -> None:
    path, body = BODIES[name]
    assert check(APP, path, json.dumps(body).encode()) == 200


@pytest.mark.parametrize("name", BODIES)
def test_text_that_is_not_utf_8_anywhere_is_refused(name: str) -> None:
    """Also by what estimates the work, which is done for a server alone."""
    path, body = BODIES[name]
    mark = "not UTF-8"
    for place in places(body):
        if place:
            data = json.dumps(changed(body, place, lambda at, key: at.__setitem__(key, mark))).encode()
            assert check(App(), path, data.replace(mark.encode(), b"\xff")) == 400


@pytest.mark.parametrize("app", [APP, STRICT], ids=["lenient", "strict"])
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", BODIES)
def test_a_strange_value_anywhere_is_answered_or_refused(name: str, value: str, app: App) -> None:
    path, body = BODIES[name]
    for place in places(body):
        if place:
            check(
                app, path, json.dumps(changed(body, place, lambda at, key: at.__setitem__(key, VALUES[value]))).encode()
            )


@pytest.mark.parametrize(
    "key", [SURROGATE, "k" * 30_000, "", "\x00\x1b\n"], ids=["surrogate", "long", "empty", "controls"]
)
@pytest.mark.parametrize("name", BODIES)
def test_a_strange_key_anywhere_is_answered_or_refused(name: str, key: str) -> None:
    path, body = BODIES[name]

    def rename(parent: Any, name: Any) -> None:
        if isinstance(parent, dict):
            parent[key] = parent.pop(name)

    for place in places(body):
        if place:
            for app in (APP, STRICT):
                check(app, path, json.dumps(changed(body, place, rename)).encode())


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.sampled_from(sorted(BODIES)), st.data(), JUNK)
def test_any_json_anywhere_is_answered_or_refused(name: str, data: st.DataObject, junk: Any) -> None:
    path, body = BODIES[name]
    place = data.draw(st.sampled_from([each for each in places(body) if each]))
    check(APP, path, json.dumps(changed(body, place, lambda at, key: at.__setitem__(key, junk))).encode())


WRONG: dict[str, Any] = {
    "a role": {"role": 1, "content": "x"},
    "an unknown role": {"role": "usr", "content": "x"},
    "a missing role": {"content": "x"},
    "a content": {"role": "user", "content": 5},
    "a part": {"role": "user", "content": [{"type": 1}]},
    "an unknown part": {"role": "user", "content": [{"type": "tex", "text": ""}]},
    "calls": {"role": "assistant", "tool_calls": 5},
    "a call": {"role": "assistant", "tool_calls": [{"function": {}}]},
    "a result": {"role": "tool", "content": "x"},
    "no object": "x",
}


@pytest.mark.parametrize("name", WRONG)
def test_only_the_first_problem_of_a_body_is_looked_for(name: str) -> None:
    """The number of calls hardly depends on how many more there are."""

    def cost(count: int) -> int:
        body = json.dumps({"model": "m", "messages": [WRONG[name]] * count}).encode()
        assert check(APP, "/v1/chat/completions", body) == 400
        return calls(lambda: APP.handle(HttpRequest("POST", "/v1/chat/completions", body)))

    few, many = cost(100), cost(1_000)
    assert many < few + 8 * 900  # each is read, and looked at at most once


def test_every_problem_of_a_scenario_is_still_found() -> None:
    found = list(problems({"model": 1, "messages": [{"role": 1}, {}], "n": 0}, Chat))
    assert [problem.path for problem in found] == [("model",), ("messages", 0, "role"), ("messages", 1, "role"), ("n",)]


@given(st.text(st.characters(), max_size=300) | st.lists(st.text(st.characters())))
def test_a_value_is_shown_in_few_printable_characters(value: Any) -> None:
    text = shortened(value)
    assert len(text) < SHOWN + 40
    text.encode()
    assert len(value) > 20 or text.startswith(repr(value)[:SHOWN])


def test_a_near_miss_of_a_long_word_is_not_looked_for() -> None:
    assert near_miss("padding" * 10**6, ["padding"]) == ""


def test_a_structure_too_deep_to_show_is_named() -> None:
    assert shortened(deep(100_000)) == "an array that is nested too deeply"
