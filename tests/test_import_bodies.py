"""Whole bodies of chat to rules of meaning: the reply has the texts, and the `stream:` block how they were spelled."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakellm.apis.chat.habits import split
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.whole import write_body
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.seed import Source
from fakellm.fuzzing.strategies import completions
from fakellm.importing.importer import Imported, imported
from fakellm.model.blocks import Completion
from fakellm.recordings.cassette import Cassette, Interaction
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.wire.plan import Frame, Plan
from tests.chats import DRAWN, chat_choice
from tests.test_import import HELLO, answered, asked

ASKED = HELLO | {"stream": False}


def cassette_of(body: bytes) -> Cassette:
    plan = Plan(200, (("Content-Type", "application/json"),), (Frame(body),), delimited="length")
    return Cassette("a.yaml", (Interaction(asked(ASKED), plan),))


def rule_of(value: Any, **style: Any) -> Rule:
    """The only rule of the import of this value, which must be by meaning and send the same bytes."""
    body = json.dumps(value, ensure_ascii=False, **style).encode()
    cassette = cassette_of(body)
    scenario, report = imported([cassette])
    assert report == [Imported("a.yaml#1", "meaning", 0, 1)]
    assert answered(scenario, cassette.interactions[0].request) == body
    return scenario.rules[0]


# Laws

KEYS = st.lists(st.sampled_from(["id", "model", "object", "created", "choices", "usage", "x"]), unique=True, max_size=7)
VALUES: st.SearchStrategy[Any] = st.sampled_from([None, "", "x", 0.00002, [], {"y": [1, "é <b>"]}])
SPELLINGS = st.builds(
    Spelling,
    keys=st.none() | KEYS.map(tuple),
    delta_keys=st.none() | st.just(("content", "role", "refusal", "audio")),
    function_keys=st.none() | st.just(("arguments", "name")),
    ascii=st.none() | st.booleans(),
    html=st.none() | st.booleans(),
    spaces=st.sampled_from([None, True, "colons"]),
    floats=st.sampled_from([None, "decimal", "shortest"]),
    order=st.sampled_from([None, "sorted"]),
    indent=st.sampled_from([None, 0, 2, 4]),
    extra=st.none() | st.dictionaries(st.sampled_from(["x", "id", "choice.x", "delta.audio", "call.x"]), VALUES),
)
REASONING = st.sampled_from([None, "reasoning_content", "reasoning", "both", ("reasoning_content", "reasoning")])


@settings(max_examples=30)
@given(completions(), st.sampled_from(sorted(DIALECTS)), SPELLINGS, REASONING)
def test_a_body_of_any_dialect_and_spelling_is_imported_and_sent_again(
    completion: Completion, dialect: str, spelling: Spelling, reasoning: Any
) -> None:
    habits = split(Variation(spelling=spelling, reasoning=reasoning), DIALECTS[dialect]).habits
    body = write_body(DIALECTS[dialect], completion, DRAWN, Source(1), None, habits.own_spelling, habits.own_reasoning)
    cassette = cassette_of(body)
    scenario, _ = imported([cassette])
    assert answered(scenario, cassette.interactions[0].request) == body


@given(completions(), st.sampled_from(sorted(DIALECTS)))
def test_the_usual_body_of_a_dialect_is_imported_by_meaning(completion: Completion, dialect: str) -> None:
    cassette = cassette_of(write_body(DIALECTS[dialect], completion, DRAWN, Source(1)))
    _, report = imported([cassette])
    assert report[0].outcome == "meaning"


# Examples

MESSAGE = {"role": "assistant", "content": "Hi"}
CHOICE = {"index": 0, "message": MESSAGE, "finish_reason": "stop"}
BODY = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE]}
CALL = {"id": "i", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def with_message(**fields: Any) -> dict[str, Any]:
    return BODY | {"choices": [CHOICE | {"message": MESSAGE | fields}]}


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        dict(reversed(BODY.items())),
        BODY | {"usage": None, "service_tier": "flex", "odd": {"a": [1, 2.5, "x"]}},
        BODY | {"usage": {"total_tokens": 3, "prompt_tokens": 1, "completion_tokens": 2, "cost": 0.00001}},
        BODY | {"id": "", "created": 0, "model": "", "system_fingerprint": ""},
        {"choices": [{"message": {"content": "Hi"}}]},
        with_message(refusal=None, audio=None, function_call=None, tool_calls=[], annotations=[]),
        with_message(content=None, tool_calls=[CALL, CALL | {"id": "j"}]),
        with_message(content="", tool_calls=[{"index": 0} | CALL], reasoning_content="Hm"),
        with_message(tool_calls=[{"function": {"arguments": "{}", "name": "f"}, "id": ""}]),
        with_message(tool_calls=[{"id": "i", "type": "custom", "custom": {"input": "x", "name": "f"}}]),
        with_message(tool_calls=[CALL | {"x": 1}, CALL | {"id": "j", "x": 2}]),
        with_message(reasoning="Hm", reasoning_details=[{"type": "reasoning.text", "text": "Hm", "signature": "s"}]),
        with_message(reasoning_content="Hm", reasoning="Hm"),
        with_message(extra_content={"google": {"thought_signature": "x"}}),
        with_message(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}], "closed": True}]),
        BODY | {"choices": [CHOICE | {"seed": 1}, CHOICE | {"index": 1, "seed": 2}]},
        BODY | {"choices": [CHOICE | {"stop": "x"}, CHOICE | {"index": 1}]},
        BODY | {"choices": [CHOICE, CHOICE | {"index": 1, "message": {"role": "assistant", "content": None}}]},
        BODY | {"choices": [{"index": 0, "finish_reason": "content_filter"}]},
        BODY | {"choices": [CHOICE | {"finish_reason": "", "delta": MESSAGE | {"content": ""}}]},
    ],
)
def test_keys_in_any_order_absent_null_or_additional_need_no_patch(body: Any) -> None:
    rule_of(body, separators=(",", ":"))


@pytest.mark.parametrize(
    "style",
    [{"separators": (",", ":")}, {}, {"indent": 2}, {"indent": 4, "sort_keys": True}, {"separators": (",", ": ")}],
)
def test_the_white_space_of_a_body_is_imported(style: Any) -> None:
    assert rule_of(BODY | {"x": "a, b: c <é>"}, **style).reply.content == "Hi"


def test_the_dialect_that_needs_no_keys_is_found_among_all() -> None:
    for name in ("xai", "together", "mistral", "openai-reasoning"):
        completion = Completion((chat_choice("Hello", finish_reason="stop"),))
        body = write_body(DIALECTS[name], completion, DRAWN, Source(1))
        scenario, _ = imported([cassette_of(body)])
        assert scenario.rules[0].dialect == name or scenario.rules[0].stream == Variation()


def test_an_edited_content_is_sent() -> None:
    rule = rule_of(with_message(refusal=None, audio=None), indent=1)
    assert rule.patch == ()
    edited = Rule(reply=type(rule.reply)(content="Changed"), stream=rule.stream, dialect=rule.dialect)
    body = answered(Scenario(rules=(edited,)), asked(ASKED))
    assert json.loads(body)["choices"][0]["message"] == MESSAGE | {"content": "Changed", "refusal": None, "audio": None}
