"""Whole bodies of chat to rules of meaning: the reply has the texts, and the `stream:` block how they were spelled."""

from __future__ import annotations

import json
import re
from collections import Counter
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
from fakellm.importing.replies.patched_texts import in_reply_and_patch
from fakellm.model.blocks import Completion
from fakellm.recordings.cassette import Cassette, Interaction
from fakellm.recordings.formats import read_file
from fakellm.recordings.redaction import redacted
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.wire.plan import Frame, Plan
from tests.chats import DRAWN, chat_choice
from tests.conftest import CORPUS, ROOT
from tests.test_import import EXCEPTIONS as OF_STREAMS
from tests.test_import import HELLO, RECORDED, answered, asked, recorded, served

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


# The recordings of real providers

BODIES = recorded("wire", "body", stream=False)
REWRITTEN = recorded("norm", "frames", stream=False)
"""Their JSON was written anew by the recorder."""

# How many of them are literal, and why.
EXCEPTIONS = {
    "azure": (3, "errors with the status 200"),
    "other": (1, "a body that is not JSON"),
    "writer": (1, "the time as text, and spaces within brackets"),
}
REWRITTEN_EXCEPTIONS = {"deepseek": (1, "log probabilities without a refusal")}


@pytest.mark.skipif(not BODIES, reason=f"the recordings are not here: no {CORPUS / 'index.json'}")
@pytest.mark.parametrize("provider", sorted(BODIES) or ["none"])
def test_recorded_bodies_come_back_and_nearly_all_of_them_by_meaning(provider: str) -> None:
    exceptions, _ = EXCEPTIONS.get(provider, (0, ""))
    assert outcomes(BODIES[provider]) == Counter(
        {"meaning": len(BODIES[provider]) - exceptions, **({"literal": exceptions} if exceptions else {})}
    )


@pytest.mark.skipif(not REWRITTEN, reason=f"the recordings are not here: no {CORPUS / 'index.json'}")
@pytest.mark.parametrize("provider", sorted(REWRITTEN) or ["none"])
def test_bodies_that_a_recorder_wrote_anew_come_back_too(provider: str) -> None:
    exceptions, _ = REWRITTEN_EXCEPTIONS.get(provider, (0, ""))
    assert outcomes(REWRITTEN[provider])["meaning"] == len(REWRITTEN[provider]) - exceptions


def outcomes(places: list[tuple[str, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for file, place in places:
        cassette = read_file(CORPUS / file)
        one = redacted(cassette.interactions[place])
        scenario, (became,) = imported([Cassette(cassette.name, (one,))])
        found[became.outcome] += 1
        assert served(scenario, one.request, ASKED) == one.response.body, file
        assert not list(in_reply_and_patch(scenario.named_rules()[0])), file
    return found


def test_the_documentation_has_these_numbers() -> None:
    text = (ROOT / "docs" / "recordings.md").read_text(encoding="utf-8")
    text = text[text.index("### How much is imported") : text.index("## Record\n")]
    everything = {name: (int(streams), int(bodies)) for name, streams, bodies in _ALL.findall(text)}
    rows = {row[1]: row[2] + " " + row[3] for row in _ROW.finditer(text)}
    assert set(rows) == {*EXCEPTIONS, *OF_STREAMS}
    for name, numbers in rows.items():
        unlike = (OF_STREAMS.get(name, (0,))[0], EXCEPTIONS.get(name, (0,))[0])
        assert sum(int(total) - int(some) for some, total in _SHARE.findall(numbers)) == sum(unlike)
    if BODIES:
        counts = {name: (len(RECORDED.get(name, ())), len(BODIES.get(name, ()))) for name in {*RECORDED, *BODIES}}
        assert everything == {name: count for name, count in counts.items() if name not in rows}
        shares = {name: [int(total) for _, total in _SHARE.findall(numbers)] for name, numbers in rows.items()}
        assert shares == {name: [count for count in counts[name] if count] for name in rows}


_ALL = re.compile(r"([a-z0-9-]+)\s(\d+)/(\d+)[,.]")
_ROW = re.compile(r"^\| ([a-z-]+) \| ([^|]*\d of[^|]*|none) \| ([^|]*\d of[^|]*|none) \|", re.MULTILINE)
_SHARE = re.compile(r"(\d+) of (\d+)")
