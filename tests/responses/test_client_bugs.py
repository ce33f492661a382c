"""Streams that broke real clients: a correct client reads them, and a client with the bug does not.

The rows are those of reports against public clients: G1 vercel/ai by BerriAI/litellm PR 30072; G2
NousResearch/hermes-agent PR 5689; G3 BerriAI/litellm#9545; G4 BerriAI/litellm#27144; G5 openai/openai-node#1964; G6
Menci/Floway PR 330; G7 pipecat-ai/pipecat PR 5141; G8 langchain-ai/langchainjs PR 10845; G9 langchain4j/langchain4j#6399;
G10 diegosouzapw/OmniRoute#13964; G11 BerriAI/litellm#39203.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from fakellm.apis.responses.api import RESPONSES
from fakellm.apis.variation import Variation
from fakellm.engine.complete import complete
from fakellm.engine.engine import Engine
from fakellm.engine.render import render
from fakellm.engine.response import Response
from fakellm.engine.ruleset import Ruleset
from fakellm.engine.what_was_sent import readings
from fakellm.faults import Close, Eof, NoFinish, Reset, Truncated
from fakellm.fuzzing.clients.client_function import FunctionClient
from fakellm.fuzzing.run import run
from fakellm.fuzzing.search import Search
from fakellm.fuzzing.strategies import streams
from fakellm.scenarios.loader import load
from fakellm.scenarios.scenario import Scenario
from fakellm.wire.plan import Frame, Plan
from tests.responses import clients
from tests.responses import wrong_clients as wrong

BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "signature": "gAAAAABciphertext"},
    {"type": "text", "text": "Let me see.", "own": {"responses": {"phase": "commentary"}}},
    {"type": "tool_call", "name": "add", "arguments": '{"a":1}'},
    {"type": "text", "text": "It is 5.", "own": {"responses": {"phase": "final_answer"}}},
]
EVERYTHING = {"reply": {"blocks": BLOCKS}, "stream": {"split": "tokens"}}
REFUSAL = {"reply": {"refusal": "I will not."}}


def sent(rule: dict[str, Any]) -> bytes:
    """What a streamed request gets from this rule."""
    engine = Engine(Ruleset(load({"rules": [rule]})), 0, True)
    response = engine.respond(engine.match(json.dumps(RESPONSES.example(("add",))).encode(), RESPONSES, {}))
    assert isinstance(response, Response)
    return response.plan.body


def with_stream(**stream: Any) -> dict[str, Any]:
    return {**EVERYTHING, "stream": {"split": "tokens", **stream}}


def with_fault(**fault: Any) -> dict[str, Any]:
    return {**EVERYTHING, "fault": fault}


def outcome(client: clients.Careful, data: bytes) -> Any:
    """What a client makes of a stream; None for an error."""
    try:
        found = client.read(data)
    except (clients.ClientError, KeyError):
        return None
    ciphertexts = [item.get("encrypted_content") for item in client.items.values() if item.get("type") == "reasoning"]
    return {key: value for key, value in found.items() if key != "usage"} | {"ciphertexts": ciphertexts}


PLAIN = outcome(clients.Careful(), sent(EVERYTHING))


def test_the_plain_stream_is_read() -> None:
    assert PLAIN == {
        "content": "Let me see.It is 5.",
        "refusal": "",
        "reasoning": "",
        "tool_calls": [{"name": "add", "arguments": '{"a":1}'}],
        "finish_reason": "tool_calls",
        "ciphertexts": ["gAAAAABciphertext"],
    }


@pytest.mark.parametrize(
    ("row", "client", "rule"),
    [
        ("G1", wrong.KeyedById, with_stream(id="changing")),
        ("G2", wrong.OnlyOutput, with_stream(responses={"output": False})),
        ("G3", wrong.NeedsCreated, with_stream(responses={"begins": []})),
        ("G4", wrong.OnlyDeltas, with_stream(responses={"whole": ["arguments"]})),
        ("G5", wrong.RefusesKeepalives, with_stream(padding=2)),
        ("G8", wrong.FirstCiphertext, EVERYTHING),
        ("G9", wrong.OneMessage, EVERYTHING),
        ("G10", wrong.NeedsNumbers, with_stream(responses={"numbers": "absent"})),
        ("G10", wrong.NeedsNumbers, with_stream(responses={"numbers": "gaps"})),
        ("", wrong.DropsTheLastDelta, with_stream(split="characters")),
        ("", wrong.ByLines, with_stream(responses={"named": False})),
        ("", wrong.ByLines, with_stream(sse={"data_first": True})),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_a_variation_keeps_the_meaning(row: str, client: type[clients.Careful], rule: dict[str, Any]) -> None:
    data = sent(rule)
    assert outcome(clients.Careful(), data) == PLAIN
    assert outcome(client(), data) != PLAIN
    if rule is not EVERYTHING and not issubclass(client, wrong.DropsTheLastDelta):
        assert outcome(client(), sent(EVERYTHING))["content"] == PLAIN["content"]


@pytest.mark.parametrize(
    ("row", "client", "rule"),
    [
        ("G6", wrong.OnlyNestedErrors, with_fault(kind="error", shape="message", frame=9)),
        ("G7", wrong.FailedIsCompleted, with_fault(kind="error", shape="data", frame=9)),
        ("G7", wrong.CutIsCompleted, with_fault(kind="eof", frame=9)),
        ("G7", wrong.CutIsCompleted, with_fault(kind="no_finish")),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_a_fault_is_no_success(row: str, client: type[clients.Careful], rule: dict[str, Any]) -> None:
    data = sent(rule)
    assert outcome(clients.Careful(), data) is None
    assert outcome(client(), data) is not None


def test_without_the_start_of_a_part_the_answer_is_whole() -> None:
    """A comment swallowed the event, and what follows repeats all of it; a client may ignore such events anyway."""
    stream = {"responses": {"named": False}, "sse": {"insert": [{"before": [3], "comment": "ping"}]}}
    data = sent({"reply": {"content": "One moment"}, "stream": stream, "fault": {"kind": "glued", "frame": 3}})
    assert b': pingdata: {"type":"response.content_part.added"' in data
    request = RESPONSES.parse(json.dumps(RESPONSES.example()).encode(), {})
    habits = RESPONSES.settings(Variation(), None, request, 0, True).habits
    (reading,) = readings(Plan(200, (), (Frame(data),)), RESPONSES, habits)
    assert (reading.complete, reading.error, reading.completion.choices[0].content) == (True, None, "One moment")


def test_incomplete_is_no_completed_response() -> None:
    data = sent({"reply": {"content": "One two", "finish_reason": "length"}})
    assert outcome(clients.Careful(), data)["finish_reason"] == "length"
    assert outcome(wrong.FailedIsCompleted(), data)["finish_reason"] == "stop"  # G7


def test_a_refusal_is_read() -> None:
    data = sent(REFUSAL)
    assert outcome(clients.Careful(), data)["refusal"] == "I will not."
    assert outcome(wrong.LosesRefusals(), data)["refusal"] == ""  # G11


@settings(max_examples=60, deadline=None)
@given(streams("all", exclude=("sse.ends_with",)))
def test_it_is_fuzzed(scenario: Scenario) -> None:
    """Under a variation its reader finds exactly the completion; a fault never passes as a whole answer that differs."""
    (rule,) = scenario.rules
    request = RESPONSES.parse(json.dumps(RESPONSES.example()).encode(), {})
    dialect = rule.dialect if rule.dialect in RESPONSES.dialects else None
    habits = RESPONSES.settings(rule.stream, dialect, request, 0, True).habits
    if rule.stream.transfer and (rule.stream.transfer.gzip or rule.stream.transfer.encoding):
        return
    named = Scenario(rules=(rule,)).named_rules()[0]
    plan = render(_in_dialect(named, dialect), request, 0, RESPONSES)
    meant = RESPONSES.expressible(complete(rule.reply, request, 0, RESPONSES.provider(habits)), habits)
    meant = RESPONSES.answer(meant, request, habits, 0, {}).completion
    found = readings(plan, RESPONSES, habits)
    if rule.fault is None:
        expected = meant if rule.stream.usage != "none" else _without_usage(meant)
        assert expected in [each.completion for each in found if not each.error]
    elif isinstance(rule.fault, (NoFinish, Eof, Close, Reset, Truncated)):
        assert all(each.completion == meant or each.error or not each.complete for each in found)


def _in_dialect(rule: Any, dialect: str | None) -> Any:
    return msgspec.structs.replace(rule, dialect=dialect)


def _without_usage(completion: Any) -> Any:
    return msgspec.structs.replace(completion, usage=None)


@pytest.mark.parametrize("profile", ["standard", "faults"])
def test_a_correct_client_holds_in_the_fuzzer(profile: str) -> None:
    found = run(FunctionClient(clients.Careful()), Search(profile=profile, examples=100, api=RESPONSES))
    assert (found.failures, found.internal, found.unsteady) == ([], {}, 0)


def test_the_fuzzer_catches_a_wrong_client() -> None:
    found = run(FunctionClient(wrong.LosesRefusals()), Search(examples=100, api=RESPONSES))
    assert found.failures


@pytest.mark.parametrize(
    ("client", "cause", "row"),
    [
        (wrong.KeyedById, "id: changing", "G1"),
        (wrong.OnlyOutput, "responses.output", "G2"),
        (wrong.NeedsCreated, "responses.begins", "G3"),
        (wrong.OnlyDeltas, "responses.whole", "G4"),
        (wrong.RefusesKeepalives, "padding", "G5"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_the_fuzzer_finds_the_step_that_breaks_a_client(client: type[clients.Careful], cause: str, row: str) -> None:
    (failure,) = run(FunctionClient(client()), Search(profile="all", examples=800, api=RESPONSES)).failures
    assert failure.cause == (cause,)
    assert [step.rows for step in failure.case.steps] == [(row,)]
