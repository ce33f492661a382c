"""The fuzzer finds each wrong client of the Responses API, and shrinks what shows it to one step or to the plain wire."""

from __future__ import annotations

import pytest

from fakellm.apis.responses.api import RESPONSES
from fakellm.fuzzing.clients.client_function import FunctionClient
from fakellm.fuzzing.run import run
from fakellm.fuzzing.search import Search
from tests.responses import wrong_clients as wrong
from tests.responses.clients import Careful

WRONG = [
    (wrong.KeyedById, "id: changing"),
    (wrong.OnlyOutput, "responses.output"),
    (wrong.NeedsCreated, "responses.begins"),
    (wrong.OnlyDeltas, "responses.whole"),
    (wrong.RefusesKeepalives, "padding"),
    (wrong.OnlyNestedErrors, "eof"),
    (wrong.FailedIsCompleted, "error: data"),
    (wrong.CutIsCompleted, "eof"),
    (wrong.OneMessage, "differs: content"),
    (wrong.NeedsNumbers, "responses.numbers"),
    (wrong.LosesRefusals, "differs: refusal"),
    (wrong.ByLines, "sse.space"),
    (wrong.DecodesEachRead, "transfer.cut"),
    (wrong.NeedsSpace, "sse.space"),
    (wrong.OneDataLine, "sse.multiline"),
    (wrong.EndsAtLf, "sse.line_end: crlf"),
    (wrong.SplitsLikeStr, "error: ClientError"),
    (wrong.ParsesEveryEvent, "sse.insert: heartbeat"),
    (wrong.RefusesUnknownEvents, "sse.insert: event"),
    (wrong.NamedByTheLine, "responses.named"),
    (wrong.NeedsEachNumber, "responses.numbers: absent"),
    (wrong.NeedsUsage, "usage: none"),
    (wrong.TextOfDeltas, "only_done"),
    (wrong.TextTwice, "differs: content"),
    (wrong.KeepsTheAddedItem, "responses.whole"),
    (wrong.StopsAtTheFirstItem, "differs: tool_calls"),
    (wrong.RefusesUnknownItems, "error: ClientError"),
    (wrong.RefusesAnnotations, "error: ClientError"),
    (wrong.OnePart, "differs: content"),
    (wrong.ThinksAloud, "differs: content"),  # in a dialect whose reasoning is text
    (wrong.OneCall, "differs: tool_calls"),
    (wrong.CallsByName, "differs: tool_calls"),
    (wrong.TextOrCalls, "differs: content"),
    (wrong.OnlyFunctions, "differs: tool_calls"),
    (wrong.ParsesNoArguments, "error: JSONDecodeError"),
    (wrong.RoundsNumbers, "differs: tool_calls"),
    (wrong.EmptiesArguments, "differs: tool_calls"),
    (wrong.CountsTheCacheTwice, "differs: usage"),
    (wrong.CountsReasoningTwice, "differs: usage"),
]
"""Each wrong client with the step that shows it, or with what it gets wrong on the plain wire. Which copy of a
ciphertext a client keeps is not in a result, so `FirstCiphertext` is only in `test_client_bugs`."""


@pytest.mark.parametrize(("client", "cause"), WRONG, ids=[client.__name__ for client, _ in WRONG])
def test_a_wrong_client_is_caught_by_one_step(client: type[Careful], cause: str) -> None:
    search = Search(profile="all", examples=400, api=RESPONSES)
    (failure,) = run(FunctionClient(client()), search).failures
    plain = f"{failure.case.verdict.outcome}: {failure.case.verdict.field}"
    assert [step.name.startswith(cause) for step in failure.case.steps] == ([] if plain == cause else [True])
