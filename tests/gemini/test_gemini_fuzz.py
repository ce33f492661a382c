"""The fuzzer tries clients of the Gemini API: a correct one holds, and each of ten wrong ones is caught."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fakellm import Rule, Scenario
from fakellm.apis.gemini.api import GEMINI
from fakellm.engine.complete import complete
from fakellm.engine.engine import Engine
from fakellm.engine.memo import Cache
from fakellm.engine.render import render
from fakellm.engine.response import Response
from fakellm.engine.ruleset import Ruleset
from fakellm.engine.what_was_sent import readings
from fakellm.faults import Close, Eof, Fault, NoFinish, Reset, Truncated
from fakellm.fuzzing.clients.client_function import ClientFunction, FunctionClient
from fakellm.fuzzing.run import replay, run
from fakellm.fuzzing.search import Outcome, Search
from fakellm.fuzzing.strategies import faults, streams
from fakellm.model.blocks import Block, Completion, ToolCall
from fakellm.model.request import Request
from fakellm.scenarios.loader import load
from fakellm.scenarios.reply import Reply, reply_of
from tests.gemini import clients
from tests.gemini.samples import AI_STUDIO, ARRAY_STREAM, HI, STREAM, VERTEX, WHOLE
from tests.gemini.test_gemini_laws import MEANT, PLAIN_HABITS

URLS = [f"{base}:{method}" for base in (AI_STUDIO, VERTEX) for method in (STREAM, ARRAY_STREAM, WHOLE)]
BODY = json.dumps(HI).encode()


def parsed(url: str) -> Request:
    return GEMINI.parse(BODY, {}, url)


def in_order(completion: Completion) -> Completion:
    """The completion with arguments as JSON values: `spelling.order` rearranges their keys too."""

    def ordered(block: Block) -> Block:
        if not isinstance(block, ToolCall):
            return block
        return replace(block, arguments=json.dumps(json.loads(block.arguments), sort_keys=True))

    choices = (replace(each, blocks=tuple(map(ordered, each.blocks))) for each in completion.choices)
    return replace(completion, choices=tuple(choices))


@given(streams("all", exclude=("sse.ends_with",)), st.sampled_from(URLS))
def test_it_is_fuzzed(scenario: Scenario, url: str) -> None:
    """Under a variation its reader finds exactly the completion; a fault never passes as a whole answer that differs."""
    (rule,) = scenario.rules
    request = parsed(url)
    habits = GEMINI.settings(rule.stream, None, request, 0, request.stream).habits
    completion = complete(rule.reply, request, 0, GEMINI.provider(habits))
    meant = GEMINI.expressible(completion, habits, not request.stream)
    plan = render(msgspec.structs.replace(rule, name="drawn"), request, 0, GEMINI)
    if rule.stream.transfer and (rule.stream.transfer.gzip or rule.stream.transfer.encoding):
        return
    found = readings(plan, GEMINI, habits, len(meant.choices))
    if rule.fault is None:
        counted = rule.stream.usage != "none" or not request.stream
        expected = meant if counted else msgspec.structs.replace(meant, usage=None)
        assert in_order(expected) in [in_order(each.completion) for each in found if not each.error]
    elif isinstance(rule.fault, (NoFinish, Eof, Close, Reset, Truncated)):
        assert all(in_order(each.completion) == in_order(meant) or each.error or not each.complete for each in found)


@given(faults(), st.sampled_from(URLS))
def test_faults_of_every_level_break_it_alike_every_time(fault: Fault, url: str) -> None:
    calls = ({"name": "f", "id": "a"}, {"name": "g", "arguments": '{"a":1}'})
    reply = msgspec.convert({"tool_calls": calls, "content": "One two"}, Reply)
    rule = Rule(reply=reply, fault=fault, name="drawn")
    assert render(rule, parsed(url), 0, GEMINI) == render(rule, parsed(url), 0, GEMINI)


@given(MEANT, st.lists(st.sampled_from(URLS), min_size=1, max_size=4), st.sampled_from(["a", "{{user}}"]))
def test_a_reply_does_not_depend_on_those_before_it(completion: Any, urls: list[str], text: str) -> None:
    """The cache is only a cache."""
    replies = [reply_of(GEMINI.expressible(completion, PLAIN_HABITS)), Reply(content=text, template=True)]
    for reply in replies:
        ruleset = Ruleset(Scenario(rules=(Rule(reply=reply),)))
        warm = Engine(ruleset, 0, strict=True, cache=Cache(10**7))
        for url in urls:
            for user in ("a", "a long prompt", "é"):
                body = json.dumps({"contents": [{"parts": [{"text": user}]}]}).encode()
                cold = Engine(ruleset, 0, strict=True)
                response = cold.respond(cold.match(body, GEMINI, url=url))
                assert warm.respond(warm.match(body, GEMINI, url=url)) == response
                assert isinstance(response, Response)


def sent(**stream: Any) -> list[dict[str, Any]]:
    """The frames of a short answer on the usual wire of Vertex AI."""
    rule = msgspec.convert({"name": "a", "dialect": "vertex", "reply": {"content": "a"}, "stream": stream}, Rule)
    lines = render(rule, parsed(URLS[0]), 0, GEMINI).body.splitlines()
    return [json.loads(line[6:]) for line in lines if line]


def test_padding_behind_the_token_counts_does_not_revoke_them() -> None:
    *_, counted, padding = sent(padding=[{"before": [99]}])
    assert counted["usageMetadata"]["totalTokenCount"] > 0
    assert "usageMetadata" not in padding


def test_padding_without_choices_is_a_frame_without_candidates() -> None:
    first, _ = sent(padding=[{"before": "content", "choices": False}])
    assert set(first) == {"usageMetadata", "modelVersion", "createTime", "responseId"}
    first, _ = sent(padding=[{"before": "content", "delta": {"content": ""}}])
    assert first["candidates"] == [{"content": {"role": "model", "parts": [{"text": ""}]}}]


def searched(client: ClientFunction, profile: str) -> Outcome:
    """What the fuzzer finds in a client of this API in 200 cases."""
    return run(FunctionClient(client), Search(profile=profile, api=GEMINI))


class InventsACall(clients.Careful):
    """Returns a call that was not sent."""

    def read(self, frames: Iterator[dict[str, Any]]) -> dict[str, Any]:
        return {**super().read(frames), "tool_calls": [{"name": "g", "arguments": "{}"}]}


def test_a_last_event_without_its_blank_line_may_be_discarded_if_the_answer_looks_whole_before_it() -> None:
    """The standard discards it, and a finish that came early does not show that a call is missing."""
    blocks = [{"type": "text", "text": "a"}, {"type": "tool_call", "name": "f"}]
    stream = {"finish": "early", "sse": {"ends_with": "line_end"}}
    rules = load({"rules": [{"reply": {"blocks": blocks}, "stream": stream}]}).rules
    assert replay(FunctionClient(clients.Careful()), Search(api=GEMINI), rules).failures == []
    (failure,) = replay(FunctionClient(InventsACall()), Search(api=GEMINI), rules).failures
    assert failure.case.verdict.field == "tool_calls"


@pytest.mark.parametrize("profile", ["standard", "faults", "all"])
def test_a_correct_client_holds(profile: str) -> None:
    outcome = searched(clients.Careful(), profile)
    assert (outcome.cases, outcome.failures, outcome.internal, outcome.unsteady) == (200, [], {}, 0)


@pytest.mark.parametrize(
    "client",
    [
        clients.ReadsTheFirstPart(),
        clients.NeedsParts(),
        clients.MixesThoughts(),
        clients.StopsAtFirstFinish(),
        clients.AcceptsACut(),
        clients.IgnoresErrors(),
        clients.SumsUsage(),
        clients.OneCallPerName(),
        clients.OneCandidate(),
        clients.ReadsLines(),
    ],
    ids=lambda client: type(client).__name__,
)
def test_a_wrong_client_is_caught(client: ClientFunction) -> None:
    assert searched(client, "all").failures
