"""A conversation in which an agent makes the same calls without end: it is refused, and no other is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fakellm import call, on
from fakellm.model.repeated_calls import MOST_REPEATS, same_arguments
from fakellm.scenarios.builder import On
from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App
from tests.conftest import handled
from tests.test_apis import PATHS, request

Item = dict[str, Any]


def chat_round(number: int, city: str = "Oslo") -> list[Item]:
    made = {
        "id": f"c{number}",
        "type": "function",
        "function": {"name": "look", "arguments": json.dumps({"city": city})},
    }
    return [
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": f"c{number}", "content": f"It is {number} o'clock."},
    ]


def messages_round(number: int) -> list[Item]:
    used = {"type": "tool_use", "id": f"c{number}", "name": "look", "input": {"city": "Oslo"}}
    result = {"type": "tool_result", "tool_use_id": f"c{number}", "content": "3"}
    return [{"role": "assistant", "content": [used]}, {"role": "user", "content": [result]}]


def responses_round(number: int) -> list[Item]:
    return [
        {"type": "reasoning", "id": f"r{number}", "summary": []},
        {"type": "function_call", "call_id": f"c{number}", "name": "look", "arguments": '{"city":"Oslo"}'},
        {"type": "function_call", "call_id": f"d{number}", "name": "see", "arguments": "{}"},
        {"type": "function_call_output", "call_id": f"c{number}", "output": "3"},
        {"type": "function_call_output", "call_id": f"d{number}", "output": "4"},
    ]


def gemini_round(number: int) -> list[Item]:
    return [
        {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {"city": "Oslo"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"result": number}}}]},
    ]


def ollama_round(number: int) -> list[Item]:
    return [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "look", "arguments": {"city": "Oslo"}}}],
        },
        {"role": "tool", "content": str(number), "tool_name": "look"},
    ]


ROUNDS: dict[str, tuple[str, Callable[[int], list[Item]], Item]] = {
    "chat": ("messages", chat_round, {"role": "user", "content": "Hi"}),
    "messages": ("messages", messages_round, {"role": "user", "content": "Hi"}),
    "responses": ("input", responses_round, {"role": "user", "content": "Hi"}),
    "gemini": ("contents", gemini_round, {"role": "user", "parts": [{"text": "Hi"}]}),
    "ollama": ("messages", ollama_round, {"role": "user", "content": "Hi"}),
}
LOOK = on(user="Hi").reply(call("look", city="Oslo"))


def refusal(rule: On, api: str, items: list[Item], strict: bool = True) -> str:
    """Why the request is refused; empty if it is not."""
    app = App(load(rule), strict=strict)
    fields: Any = {ROUNDS[api][0]: items}
    _, entry = handled(app, request(api, False, **fields))
    assert (entry.status, entry.matched) in ((200, True), (400, False))
    return entry.explanation or ""


@pytest.mark.parametrize("api", PATHS)
def test_the_same_calls_are_refused_in_every_api(api: str) -> None:
    _, one, user = ROUNDS[api]
    rounds = [item for number in range(MOST_REPEATS) for item in one(number)]
    message = refusal(LOOK, api, [user, *rounds])
    assert message.startswith("The conversation has the same call of look")
    assert f"{MOST_REPEATS} times in a row, and the rule 'scenario#1' would answer with it again" in message
    assert "add `turn: 1` to it (turn=1 in Python), or put the rule with `result` before it" in message
    first = len(one(0))
    assert refusal(LOOK, api, [user, *rounds[first:]]) == ""


USER = {"role": "user", "content": "Hi"}
LOOP = [item for number in range(MOST_REPEATS) for item in chat_round(number)]
HALF = len(LOOP) // 2

OTHERS: dict[str, tuple[On, list[Item], bool]] = {
    "another answer": (on().reply("It is late."), [USER, *LOOP], True),
    "another call": (on().reply(call("stop")), [USER, *LOOP], True),
    "other arguments": (on().reply(call("look", city="Rome")), [USER, *LOOP], True),
    "a script": (on().script(call("look", city="Oslo"), call("look", city="Oslo")), [USER, *LOOP], True),
    "other arguments in between": (LOOK, [USER, *LOOP[2:], *chat_round(0, "Rome"), *LOOP[:2]], True),
    "a last call without a result": (
        on(user="Hi", dialect="vllm").reply(call("look", city="Oslo")),
        [USER, *LOOP[2:], LOOP[0]],
        True,
    ),
    "the user in between": (LOOK, [USER, *LOOP[:HALF], USER, *LOOP[HALF:]], True),
    "a server that is not strict": (LOOK, [USER, *LOOP], False),
}


@pytest.mark.parametrize("case", OTHERS)
def test_no_other_conversation_is_refused(case: str) -> None:
    rule, items, strict = OTHERS[case]
    assert refusal(rule, "chat", items, strict) == ""


def test_a_function_that_answers_with_the_same_call_is_refused_too() -> None:
    rule = on(user="Hi").reply(lambda _: call("look", city="Oslo"))
    assert refusal(rule, "chat", [USER, *LOOP]).startswith("The conversation has the same call")


SAME: dict[str, tuple[str | Item, str]] = {
    "other spaces": ({"city": "Oslo", "hour": 3}, '{ "hour": 3, "city": "Oslo" }'),
    "none": ({}, ""),
    "the input of a custom tool": ("ls -l", "ls -l"),
    "nested too deep": ("[" * 5000, "[" * 5000),
}


@pytest.mark.parametrize("case", SAME)
def test_arguments_are_compared_as_json(case: str) -> None:
    made, sent = SAME[case]
    assert same_arguments(made, sent)
    assert not same_arguments(made, sent + "x")
