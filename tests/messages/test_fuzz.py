"""The fuzzer on clients of the Messages API: correct ones hold, and each wrong one is caught by the step it misreads."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakellm.apis.messages.api import MESSAGES
from fakellm.apis.messages.dialects import dialect_of
from fakellm.apis.messages.habits import settings as settings_of
from fakellm.engine.complete import complete
from fakellm.engine.engine import Engine
from fakellm.engine.memo import Cache
from fakellm.engine.render import render
from fakellm.engine.response import Response
from fakellm.engine.ruleset import Ruleset
from fakellm.engine.what_was_sent import readings
from fakellm.faults import Close, Eof, NoFinish, Reset, Truncated
from fakellm.fuzzing.clients.client_function import ClientFunction, FunctionClient
from fakellm.fuzzing.clients.client_under_test import CannotRunError
from fakellm.fuzzing.oracle.normalize import FIELDS
from fakellm.fuzzing.run import replay, run
from fakellm.fuzzing.search import Outcome, Search
from fakellm.fuzzing.strategies import streams
from fakellm.model.deltas import End
from fakellm.model.fold import fold
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.wire.sse import Decoder
from tests.messages import clients
from tests.messages import wrong_clients as wrong
from tests.messages.test_requests import body


def searched(client: ClientFunction, profile: str, examples: int = 200) -> Outcome:
    """What the fuzzer finds in a client of this API."""
    return run(FunctionClient(client), Search(profile=profile, examples=examples, api=MESSAGES))


@pytest.mark.parametrize("profile", ["standard", "faults", "all"])
def test_a_correct_client_holds(profile: str) -> None:
    outcome = searched(clients.Careful(), profile)
    assert (outcome.cases, outcome.failures, outcome.internal, outcome.unsteady) == (200, [], {}, 0)
    assert outcome.compared == set(FIELDS) - {"choices", "refusal"}


WRONG = [
    (wrong.SplitsEachRead, "transfer.cut"),
    (wrong.DecodesEachRead, "transfer.cut"),
    (wrong.OneDataLine, "sse.multiline"),
    (wrong.NeedsSpace, "sse.space"),
    (wrong.SplitsLikeStr, "error: MessagesError"),
    (wrong.ParsesEveryEvent, "sse.insert: heartbeat"),
    (wrong.RefusesUnknownEvents, "sse.insert: event"),
    (wrong.TrustsTheData, "sse.insert: event"),
    (wrong.NeedsTheTypeFirst, "spelling.order: sorted"),
    (wrong.CountsPings, "padding"),
    (wrong.RefusesUnknownBlocks, "error: MessagesError"),
    (wrong.RefusesUnknownDeltas, "error: MessagesError"),
    (wrong.NeedsThinking, "error: MessagesError"),
    (wrong.ReadsTheSignature, "error: KeyError"),
    (wrong.AddsTheSignature, "differs: reasoning"),
    (wrong.ThinksAloud, "differs: content"),
    (wrong.DropsTheLastPiece, "split.content"),
    (wrong.DropsRepeats, "split.content"),
    (wrong.StripsPieces, "differs: content"),
    (wrong.FirstText, "differs: content"),
    (wrong.LastText, "differs: content"),
    (wrong.JoinsWithLines, "differs: content"),
    (wrong.TextOrCalls, "differs: content"),
    (wrong.TakesTheIndexForTheNumberOfTheCall, "differs: content"),
    (wrong.IgnoresTheInputAtTheStart, "calls.opening: piece"),
    (wrong.AddsTheInputAtTheStart, "differs: tool_calls"),
    (wrong.ParsesNoInput, "error: JSONDecodeError"),
    (wrong.ParsesEachPiece, "split.arguments"),
    (wrong.EmptiesInput, "length"),
    (wrong.RepairsInput, "length"),
    (wrong.RoundsNumbers, "differs: tool_calls"),
    (wrong.OneCall, "differs: tool_calls"),
    (wrong.CallsByName, "differs: tool_calls"),
    (wrong.NeedsToolUse, "differs: tool_calls"),
    (wrong.KnowsTwoReasons, "differs: finish_reason"),
    (wrong.LengthIsTheEnd, "length"),
    (wrong.AnyReasonIsTheEnd, "finish_reason"),
    (wrong.IgnoresErrors, "error: data"),
    (wrong.TakesTheEndOfTheBodyAsTheEnd, "eof"),
    (wrong.Retries, "malformed"),
    (wrong.AddsUsage, "differs: usage"),
    (wrong.KeepsTheFirstUsage, "differs: usage"),
    (wrong.LastUsageAlone, "usage: own"),
    (wrong.NeedsTheInputAgain, "usage: own"),
    (wrong.CountsNoCache, "differs: usage"),
]
"""Each wrong client with the step that shows it, or with what it gets wrong on the plain wire."""


@pytest.mark.parametrize(("client", "cause"), WRONG, ids=[client.__name__ for client, _ in WRONG])
def test_a_wrong_client_is_caught_by_one_step(client: type[clients.Careful], cause: str) -> None:
    (failure,) = searched(client(), "all", 400).failures
    plain = f"{failure.case.verdict.outcome}: {failure.case.verdict.field}"
    assert [step.name.startswith(cause) for step in failure.case.steps] == ([] if plain == cause else [True])


@pytest.mark.parametrize("client", [wrong.ReadsPings, wrong.ComparesBytes], ids=lambda each: each.__name__)
def test_a_client_that_misreads_every_stream_cannot_be_tried(client: type[clients.Careful]) -> None:
    """Pings and the spaces before a brace are in each stream that Anthropic sends."""
    with pytest.raises(CannotRunError, match="the client misreads a plain stream"):
        searched(client(), "standard")


class EndsAtTheReason(clients.Careful):
    """Needs no `message_stop` once it has the `stop_reason`, like Anthropic's SDK for Python; that for Node needs it."""

    def at_the_end(self) -> None:
        if self.reason is None:
            super().at_the_end()


@pytest.mark.parametrize(
    ("client", "frame", "outcomes"),
    [
        (EndsAtTheReason, -1, []),
        (clients.Careful, -1, []),
        (wrong.TakesTheEndOfTheBodyAsTheEnd, -1, []),
        (EndsAtTheReason, -2, []),
        (wrong.TakesTheEndOfTheBodyAsTheEnd, -2, ["silent"]),
    ],
)
def test_after_the_reason_and_the_usage_an_answer_is_whole(
    client: type[clients.Careful], frame: int, outcomes: list[str]
) -> None:
    """Nothing that a client returns comes after `message_delta`, so it may do without `message_stop` or insist on it."""
    rule = Rule(reply=Reply(content="a b"), fault=Eof(frame=frame))
    failures = replay(FunctionClient(client()), Search(api=MESSAGES), [rule]).failures
    assert [failure.case.verdict.outcome for failure in failures] == outcomes


def test_the_official_sdk_holds() -> None:
    """Under every variation that two sane clients read alike. What else it gets wrong is in docs/reference/messages.md."""
    pytest.importorskip("anthropic")
    from fakellm.drivers import anthropic_stream

    def client(base_url: str, request: dict[str, Any]) -> dict[str, Any]:
        return anthropic_stream.answer(base_url, request, 5.0)

    outcome = run(FunctionClient(client), Search(api=MESSAGES, exclude=("sse.event",)))
    assert (outcome.cases, outcome.failures, outcome.internal) == (200, [], {})


def parsed(stream: bool = True) -> Any:
    return MESSAGES.parse(json.dumps(body(stream=stream)).encode(), {})


@given(streams("all", exclude=("sse.ends_with",)))
def test_a_correct_reader_finds_the_completion(scenario: Scenario) -> None:
    """Under a variation it finds exactly the completion; a fault never passes as a whole answer that differs."""
    (rule,) = scenario.rules
    if rule.stream.transfer and (rule.stream.transfer.gzip or rule.stream.transfer.encoding):
        return
    request = parsed()
    dialect = rule.dialect if rule.dialect in MESSAGES.dialects else None
    habits = settings_of(rule.stream, dialect_of(dialect)).habits
    meant = MESSAGES.expressible(complete(rule.reply, request, 0, MESSAGES.provider(habits)), habits)
    plan = render(msgspec.structs.replace(rule, name="drawn"), request, 0, MESSAGES)
    for reading in readings(plan, MESSAGES, habits):
        found = MESSAGES.expressible(without_draws(reading.completion), habits)
        if rule.fault is None and not reading.error:
            assert found == without_draws(meant)
            break
        if isinstance(rule.fault, (NoFinish, Eof, Close, Reset, Truncated)):
            ended = fold(MESSAGES.read(Decoder().feed(plan.body), habits))[1] == End()
            assert found == without_draws(meant) or reading.error or not ended
    else:
        assert rule.fault is not None


def without_draws(completion: Any) -> Any:
    """The completion without ids, signatures and the counts of `message_start`, which are drawn."""
    choices = []
    for choice in completion.choices:
        blocks = tuple(
            msgspec.structs.replace(block, **{key: "" for key in ("id", "signature") if hasattr(block, key)})
            for block in choice.blocks
        )
        choices.append(msgspec.structs.replace(choice, blocks=blocks))
    usage = completion.usage and msgspec.structs.replace(completion.usage, own={})
    return msgspec.structs.replace(completion, choices=tuple(choices), usage=usage)


@settings(max_examples=60)
@given(streams("all"), st.lists(st.sampled_from(["a", "b", "é", "a long prompt"]), min_size=1, max_size=3))
def test_a_reply_does_not_depend_on_those_before_it(scenario: Scenario, users: list[str]) -> None:
    """Whatever its spelling, fault and timing: the cache is only a cache."""
    ruleset = Ruleset(scenario)
    warm = Engine(ruleset, 0, strict=True, cache=Cache(10**7))
    for user in users:
        for stream in (True, False):
            sent = json.dumps(body(stream=stream, messages=[{"role": "user", "content": user}])).encode()
            cold = Engine(ruleset, 0, strict=True)
            response = cold.respond(cold.match(sent, MESSAGES))
            assert warm.respond(warm.match(sent, MESSAGES)) == response
            assert isinstance(response, Response)
