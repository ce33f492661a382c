"""A correct client passes, and each client with a bug is caught, for the right cause and by one step."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPResponse
from itertools import chain, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import fakellm
from fakellm import faults
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.variation import Variation
from fakellm.fuzzing import CannotRunError, FuzzError, Outcome, Result, ReturnedChoice
from fakellm.fuzzing.clients.client_function import ClientFunction, FunctionClient
from fakellm.fuzzing.clients.result import NoResult
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.draws.answers import ARGUMENTS, TEXTS
from fakellm.fuzzing.draws.base_answers import CHOICES, REASONED, TEXT
from fakellm.fuzzing.draws.profiles import profile
from fakellm.fuzzing.draws.steps import steps_of
from fakellm.fuzzing.matrix import alone
from fakellm.fuzzing.oracle.normalize import arguments, same_finish
from fakellm.fuzzing.oracle.verdicts import if_contested
from fakellm.fuzzing.reference_client import ReferenceClient
from fakellm.fuzzing.run import replay, run
from fakellm.fuzzing.running.case_order import cases_of
from fakellm.fuzzing.saved_failures import Failures, rules_of, scenario_of
from fakellm.fuzzing.search import ClientFailure, Search
from fakellm.fuzzing.shrinking.shrink import shrink
from fakellm.generate import Generate
from fakellm.scenarios.loader import dump, load
from fakellm.scenarios.reply import Call, Reply, ReplyChoice, reply_of
from fakellm.scenarios.scenario import Rule, Step
from tests import wrong_clients as wrong
from tests.saved_files import saved_files
from tests.wrong_clients import JSON, Careful


def found(client: ClientFunction, profile: str = "all", **search: Any) -> Outcome:
    # Careful waits for each read, however long it takes, so a drip keeps it waiting for ever: a bug, but not the one to find.
    search = {"exclude": ("drip", "stall"), "deadline": 2.0, **search}
    return run(FunctionClient(client), Search(profile=profile, **search))


def names(failure: ClientFailure) -> list[str]:
    return names_of(failure.case.rule)


def names_of(rule: Rule) -> list[str]:
    return [step.name for step in steps_of(rule)]


@pytest.mark.parametrize(
    "profile", ["realistic", "standard", "strict-sse", "contested", "faults", "all", "mistral", "perplexity"]
)
def test_a_correct_client_passes(profile: str) -> None:
    examples = 300 if profile == "all" else 80
    with closing(ReferenceClient(idle=1.0)) as client:
        outcome = found(client, profile, examples=examples, exclude=(), deadline=4.0)
    assert (outcome.failures, outcome.cases) == ([], examples)


@pytest.mark.parametrize("client", [Careful, wrong.ReadsGzip])
def test_a_careful_client_passes(client: type[Careful]) -> None:
    assert found(client()).failures == []


WRONG = [
    (wrong.SplitsEachRead, "transfer.cut"),
    (wrong.DecodesEachRead, "transfer.cut"),
    (wrong.EndsAtCrlfOnly, "sse.line_end: crlf"),
    (wrong.NeedsSpace, "sse.space"),
    (wrong.CrashesOnComments, "sse.insert: comment"),
    (wrong.TakesHeartbeats, "sse.insert: heartbeat"),
    (wrong.OneDataLine, "sse.multiline"),
    (wrong.KeepsTheByteOrderMark, "sse.bom"),
    (wrong.NeedsChoices, "padding: no_choices"),
    (wrong.AppendsTheRole, "role: every"),
    (wrong.NeedsTheRole, "role: never"),
    (wrong.StopsAtEmptyFinish, "unfinished: empty"),
    (wrong.DropsTheLastDelta, "finish: last"),
    (wrong.JoinsTheFinish, "finish: twice"),
    (wrong.OpensNoCallAfterTheFinish, "finish: calls"),
    (wrong.UsageInItsOwnChunk, "usage: finish"),
    (wrong.AddsUsageUp, "usage: both"),
    (wrong.LastCallWins, "together: calls"),
    (wrong.OneCallADelta, "calls.opening: pair"),
    (wrong.NeedsTheIndex, "calls.index: absent"),
    (wrong.OpensAtTheId, "calls.id: repeated"),
    (wrong.TakesEmptyNames, "calls.name: empty"),
    (wrong.WritesNone, "calls.arguments: null"),
    (wrong.FillsInUsage, "usage: none"),
    (wrong.AssumesTheEnd, "eof"),
    (wrong.SkipsErrors, "eof"),
    (wrong.SkipsInvalidFrames, "malformed"),
    (wrong.EmptiesArguments, "length"),
    (wrong.Retries, "close"),
    (wrong.GivesUpOnSilence, "padding"),
    (wrong.GivesUpOnComments, "sse.insert: comment"),
    (wrong.FirstChoiceFirst, "turns"),
    (wrong.ReadsPastDone, "sse.after"),
    (wrong.DropsRepeats, "split.content"),
    (wrong.NeedsAColon, "sse.alone"),
    (wrong.NeedsTheBrace, "sse.space: two"),
    (wrong.NeedsADelta, "padding: null_delta"),
    (wrong.NeedsAListOfChoices, "padding: null_choices"),
    (wrong.NeedsCounts, "usage_before: empty"),
    (wrong.ReadsOneMember, "transfer.gzip: members"),
    (wrong.ReadsOneCoding, "transfer.gzip: twice"),
]
BY_ANOTHER_VALUE = (wrong.NeedsTheBrace, wrong.ReadsOneCoding)
"""The first value of the step does not show them. Each value is tried within 400 cases."""
COUNTING = (wrong.GivesUpOnSilence, wrong.GivesUpOnComments)
"""They fail only on many chunks or comments, so their failures cannot shrink to a few frames."""
PLAINLY_WRONG = [
    (wrong.SplitsLikeStr, "JSONDecodeError"),
    (wrong.MergesChoices, "content"),
    (wrong.StopsAtTheFinish, "usage"),
    (wrong.RoundsNumbers, "tool_calls"),
    (wrong.KeepsNoText, "content"),
    (wrong.UnescapesHtml, "content"),
    (wrong.UnescapesTwice, "content"),
    (wrong.StripsTheText, "content"),
    (wrong.TakesNullForEmpty, "content"),
    (wrong.NeedsTheFinishOfCalls, "tool_calls"),
    (wrong.DropsEqualCalls, "tool_calls"),
    (wrong.SortsCalls, "tool_calls"),
    (wrong.LowersNames, "tool_calls"),
    (wrong.DropsFalseArguments, "tool_calls"),
    (wrong.NeedsTokens, "usage"),
    (wrong.ShortLines, "ValueError"),
    (wrong.AnyFinish, "finish_reason"),
]


@pytest.mark.parametrize(("client", "step"), WRONG, ids=[client.__name__ for client, _ in WRONG])
def test_a_wrong_client_is_caught_by_one_step(client: type[Careful], step: str) -> None:
    (failure,) = found(client(), examples=400 if client in BY_ANOTHER_VALUE else 200).failures
    (name,) = names(failure)
    assert name.startswith(step)
    assert all(len(plan.frames) <= 8 for plan in failure.case.plans) or client in COUNTING


@pytest.mark.parametrize(("client", "field"), PLAINLY_WRONG, ids=[client.__name__ for client, _ in PLAINLY_WRONG])
def test_a_client_that_misreads_plain_streams_is_caught_without_a_step(client: type[Careful], field: str) -> None:
    (failure,) = found(client(), examples=200).failures
    assert names(failure) == []
    assert failure.case.verdict.field == field


def test_of_200_cases_a_fifth_come_from_the_seed_and_the_rest_try_everything_once() -> None:
    what = profile("all")
    first = list(cases.first(what))
    one, other = (list(islice(cases_of(Search(profile="all", seed=seed)), 200)) for seed in (0, 1))
    assert (one[: len(first)], len(first) <= 160) == (first, True)
    assert sum(rule == another for rule, another in zip(one[len(first) :], other[len(first) :], strict=True)) <= 3
    plain = [rule for rule in first if rule.fault is None]
    assert {rule.dialect for rule in plain} == set(DIALECTS)
    tried = [set(names_of(rule)) for rule in plain]
    for single in chain.from_iterable(islice(cases.singles(family, what), 1) for family in what.families):
        assert any(set(names_of(single)) <= steps for steps in tried)
    faulty = {each.name for rule in first if rule.fault for each in steps_of(rule)}
    assert {each.name for rule in cases.broken(what) for each in steps_of(rule)} - faulty == set()
    assert any(rule.timing.gap for rule in plain)


def test_every_text_and_every_argument_is_tried_and_the_hardest_alone() -> None:
    rules = list(cases.first(profile("standard")))
    texts = [rule.reply.content for rule in rules]
    assert all(any(text in each for each in texts) for text in TEXTS)
    assert {call.arguments for rule in rules for call in rule.reply.tool_calls} >= set(ARGUMENTS)
    assert {"null", "0", "false", "[]", "haha", "\n\n a\n"} <= set(texts)
    assert any(call.name == "getWeather" for rule in rules for call in rule.reply.tool_calls)
    assert any(rule.reply.finish_reason == "stop" for rule in rules if rule.reply.tool_calls)


def test_an_excluded_step_is_in_no_payload() -> None:
    rules = list(cases.first(profile("standard", ("split", "padding", "sse"))))
    assert not any(name.startswith(("split", "padding", "sse")) for rule in rules for name in names_of(rule))
    assert any(TEXTS[3] in rule.reply.content for rule in rules)  # the text is tried all the same


class TwiceWrong(wrong.NeedsSpace, wrong.NeedsChoices):
    """Two causes."""


def test_failures_are_grouped_by_their_cause() -> None:
    outcome = found(TwiceWrong(), "standard", max_failures=9, examples=200)
    assert [names(failure) for failure in outcome.failures] == [["sse.space"], ["padding: no_choices"]]
    assert all(failure.count > 1 for failure in outcome.failures)


def test_an_excluded_step_is_not_tried() -> None:
    assert found(wrong.NeedsSpace(), "standard", exclude=("sse.space",), examples=60).failures == []
    assert found(wrong.NeedsSpace(), "standard", exclude=("sse",), examples=60).failures == []


def test_the_same_seed_finds_the_same() -> None:
    one, other = (found(wrong.NeedsChoices(), "standard") for _ in range(2))
    assert (one.cases, one.failures[0].case.rule) == (other.cases, other.failures[0].case.rule)


def test_a_hang_is_a_failure() -> None:
    (failure,) = found(Careful(), "faults", exclude=("stall",), deadline=0.3, examples=60).failures
    assert (names(failure), failure.case.verdict.outcome) == (["drip"], "hung")


def test_an_error_of_python_is_distinguished() -> None:
    outcome = found(Careful(), "faults", examples=50)
    assert outcome.failures == []
    assert outcome.internal["JSONDecodeError"] > 0  # raised at frames that are not valid JSON
    assert "ConnectionError" not in outcome.internal


def test_a_failure_is_reported_saved_and_tried_first(tmp_path: Path) -> None:
    with pytest.raises(FuzzError) as caught:
        fakellm.fuzz(wrong.NeedsSpace(), profile="standard", failures=tmp_path)
    text = str(caught.value)
    (file,) = saved_files(tmp_path)
    assert all(part in text for part in ("sse.space (T1: A4)", "expected", "got", "space: false", "data:{", str(file)))
    assert load(file).rules[0] == caught.value.outcome.failures[0].case.rule
    with pytest.raises(FuzzError) as again:
        fakellm.fuzz(wrong.NeedsSpace(), profile="standard", failures=tmp_path)
    assert again.value.outcome.cases == 1
    assert saved_files(tmp_path) == [file]


def test_a_report_cuts_very_long_lines_and_the_file_does_not(tmp_path: Path) -> None:
    with pytest.raises(FuzzError) as caught:
        fakellm.fuzz(wrong.ShortLines(), failures=tmp_path)
    assert max(map(len, str(caught.value).splitlines())) <= 2100
    assert "more characters" in str(caught.value)
    (file,) = saved_files(tmp_path)
    assert load(file).rules[0].reply == caught.value.outcome.failures[0].case.rule.reply


def test_a_rule_can_be_tried_alone() -> None:
    rule = Rule(reply=reply_of(TEXT), dialect="ollama-2025")
    assert replay(FunctionClient(Careful()), Search(), [rule]).failures == []
    assert len(replay(FunctionClient(wrong.AppendsTheRole()), Search(), [rule]).failures) == 1


def test_what_a_client_does_not_report_is_not_compared() -> None:
    class TextAlone(wrong.StopsAtTheFinish):
        def result(self) -> JSON:
            return {"content": self.text, "finish_reason": super().result()["finish_reason"]}

    assert found(TextAlone(), "standard", examples=50).failures == []


def test_a_client_that_requests_one_choice_is_sent_one() -> None:
    class RequestsOne(wrong.MergesChoices):
        def __call__(self, base_url: str, request: JSON) -> JSON:
            return super().__call__(base_url, {key: value for key, value in request.items() if key != "n"})

    assert found(RequestsOne(), examples=200).failures == []


def test_a_client_that_reads_only_one_call_is_sent_nothing_else() -> None:
    class OneCall(Careful):
        calls_read = 0

        def result(self) -> JSON:
            (call,) = super().result()["tool_calls"] or [None]
            self.calls_read += call is not None
            return {"tool_calls": [call]} if call else {}

    class Opens(OneCall, wrong.OpensAtTheId):
        """Starts a new call at every id."""

    client = OneCall()
    assert found(client, "strict-sse", examples=150).failures == []
    assert client.calls_read > 150  # with those that show what it reports
    assert found(client, "faults", examples=80).failures == []
    (failure,) = found(Opens(), "all", examples=200).failures
    assert names(failure) == ["calls.id: repeated"]
    with pytest.raises(CannotRunError, match="returns no content, and misreads a plain tool call"):
        found(lambda base_url, request: {"tool_calls": []})


def test_a_client_may_be_async() -> None:
    loops = set()

    async def client(base_url: str, request: JSON) -> JSON:
        loops.add(asyncio.get_running_loop())
        return await asyncio.to_thread(Careful(), base_url, request)

    assert found(client, "standard", examples=50).failures == []
    assert len(loops) == 1  # connections belong to their loop


def test_a_client_that_never_returns_is_abandoned() -> None:
    class Waits(wrong.CrashesOnComments):
        def __call__(self, base_url: str, request: JSON) -> JSON:
            try:
                return super().__call__(base_url, request)
            except KeyError:
                threading.Event().wait()
                raise

    with pytest.raises(FuzzError, match="No answer in time"):
        fakellm.fuzz(Waits(), timeout=0.2, failures=None)


def test_a_client_that_waits_for_the_close_of_a_kept_connection_is_ended() -> None:
    def client(base_url: str, request: JSON) -> JSON:
        address, body = urlsplit(base_url), json.dumps(request).encode()
        with socket.create_connection((address.hostname, address.port)) as sock:
            path = f"{address.path}/chat/completions"
            sock.sendall(
                b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body)
            )
            while sock.recv(65536):
                continue
        return {"content": "Hello, world."}

    with pytest.raises(CannotRunError, match="returns no result for a plain stream: its connections had to be closed"):
        found(client, deadline=0.3)


def test_what_a_client_carries_over_is_found_with_the_case_before_it(tmp_path: Path) -> None:
    class CarriesOver(Careful):
        """Returns text of the case before."""

        before = ""

        def result(self) -> JSON:
            result = super().result()
            self.before, before = result["refusal"], self.before
            return {**result, "content": result["content"] + before}

    with pytest.raises(FuzzError, match="the client carries something over") as caught:
        fakellm.fuzz(CarriesOver(), failures=tmp_path)
    (failure,) = caught.value.outcome.failures
    assert failure.before
    assert failure.before.reply.refusal
    (file,) = saved_files(tmp_path)
    again = replay(FunctionClient(CarriesOver()), Search(), list(rules_of(file)))
    assert (again.cases, len(again.failures)) == (2, 1)


def test_what_fails_intermittently_is_a_failure_if_it_does_so_often() -> None:
    class Intermittent(Careful):
        cases = 0

        def result(self) -> JSON:
            self.cases += 1
            return super().result() | ({"content": "oh"} if self.cases % 50 == 0 else {})

    (failure,) = found(Intermittent(), "standard", examples=200).failures
    assert failure.intermittent
    assert failure.count >= 3


def test_a_client_that_ends_the_process_has_raised() -> None:
    class Exits(wrong.CrashesOnComments):
        def __call__(self, base_url: str, request: JSON) -> JSON:
            try:
                return super().__call__(base_url, request)
            except KeyError:
                sys.exit(7)

    (failure,) = found(Exits(), "standard").failures
    assert failure.case.verdict.actual == "SystemExit: 7"


@pytest.mark.parametrize("profile", ["mistral", "perplexity"])
def test_a_contested_habit_of_a_provider_weakens_only_what_it_is_about(profile: str) -> None:
    (failure,) = found(wrong.NeedsSpace(), profile).failures
    assert names(failure) == ["sse.space"]


def test_the_matrix_tries_every_step_fault_and_dialect_alone() -> None:
    rules = list(alone(Search(profile="all")))
    assert {rule.dialect or "openai" for rule in rules} == set(DIALECTS)
    assert all(len(steps_of(rule)) <= 2 for rule in rules)
    assert {rule.fault.kind for rule in rules if rule.fault} >= {"eof", "error", "stall", "whole"}


def test_cuts_at_other_places_are_one_cause() -> None:
    (failure,) = found(wrong.DecodesEachRead(), "standard", max_failures=9, examples=600).failures
    assert failure.count > 1


def test_a_provider_s_habit_is_named_as_a_step_of_the_plain_wire() -> None:
    class NeedsDone(Careful):
        def events(self, response: HTTPResponse) -> Iterator[str]:
            for data in super().events(response):
                yield data
                if data == "[DONE]":
                    return
            raise EOFError

    (failure,) = found(NeedsDone(), "cerebras").failures
    assert (failure.case.rule.dialect, names(failure)) == (None, ["done"])


@pytest.mark.parametrize(
    ("text", "most"),
    [('{"n":9007199254740993}', 12), ('{"a":{"b":[1,{"c":"x"}]},"d":"long text"}', 22), ('{"a":1,"b":true}', 7)],
)
def test_arguments_are_shortened_as_json(text: str, most: int) -> None:
    """Down to one member that still breaks the client, which here depends on the length."""
    call = ReplyChoice(tool_calls=(Call("f", text),))

    def fails(rule: Rule) -> bool:
        (call,) = rule.reply.tool_calls or (Call("f", "{}"),)
        return isinstance(call.arguments, str) and len(call.arguments) >= most

    small = shrink(Rule(reply=Reply(tool_calls=call.tool_calls)), fails).reply.tool_calls[0].arguments
    assert isinstance(small, str)
    assert most <= len(small) <= most + 3
    assert json.loads(small)


@pytest.mark.parametrize(
    ("text", "expected"), [("", "{}"), (" ", "{}"), (None, "{}"), ("null", "null"), ("[]", "[]"), ("0", "0")]
)
def test_no_arguments_are_an_empty_object_and_null_is_not(text: str | None, expected: str) -> None:
    assert arguments(text) == expected


def test_a_fault_shrinks_to_an_early_place_on_every_attempt() -> None:
    late = Rule(reply=Reply(content="a b c"), stream=Variation(usage="finish"), fault=faults.Eof(frame=-4, times=3))
    assert shrink(late, lambda rule: rule.fault is not None) == Rule(
        reply=Reply(content="a"), fault=faults.Eof(frame=0)
    )


NOTHING: JSON = {"content": "", "reasoning": "", "refusal": "", "tool_calls": [], "finish_reason": None, "usage": None}


def test_an_answer_that_shows_it_is_incomplete_may_lack_the_last_event() -> None:
    expected = {**NOTHING, "content": "a b", "finish_reason": "stop"}
    reported = frozenset(("content", "finish_reason"))

    def judged(**fields: Any) -> str:
        return if_contested(expected, Result(**fields), reported, ["sse.ends_with: nothing"]).outcome

    assert judged(content="a", finish_reason=None) == "flagged"
    assert judged(content="a b", finish_reason="stop") == "held"
    assert judged(content="a", finish_reason="stop") == "differs"
    assert judged(content="c", finish_reason=None) == "differs"


def test_two_calls_that_are_needed_shrink_as_far_as_one() -> None:
    calls = (Call("get_weather", '{"a":1}', "call_0"), Call("add", '{"b":[2]}', "call_1"))
    tried = []

    def fails(rule: Rule) -> bool:
        tried.append(rule)
        return len(rule.reply.tool_calls) == 2

    small = shrink(Rule(reply=Reply(content="a b", tool_calls=calls, id="chatcmpl-1")), fails)
    assert [(call.name, call.arguments) for call in small.reply.tool_calls] == [("f", ""), ("f", "")]
    assert (small.reply.content, small.reply.id, len(tried) < 100) == ("", None, True)


@pytest.mark.parametrize("dialect", ["mistral", "perplexity"])
def test_a_fault_does_not_make_a_contested_wire_strict(dialect: str) -> None:
    """A client that sums running usage, and returns thinking as text, is right there."""

    class Other(Careful):
        def chunk(self, chunk: JSON) -> None:
            before = self.usage
            super().chunk(chunk)
            if chunk.get("usage") and before:
                self.usage = {name: before[name] + chunk["usage"][name] for name in wrong.COUNTS}

        def content(self, delta: JSON) -> None:
            parts = delta.get("content") or ""
            thoughts = [] if isinstance(parts, str) else [str(part) for part in parts]
            self.text += parts if isinstance(parts, str) else "".join(thoughts)

    rules = [
        Rule(reply=reply_of(REASONED), dialect=dialect, fault=fault) for fault in (faults.Slow(seconds=0.01), None)
    ]
    assert replay(FunctionClient(Other()), Search(), rules).failures == []


def test_choices_are_compared_under_a_contested_step_too() -> None:
    expected = {**NOTHING, "content": "a", "choices": [{**NOTHING, "content": "a"}, {**NOTHING, "content": "b"}]}
    fields, steps = frozenset(("content", "choices")), ["split: surrogates"]
    right = Result(content="a", choices=(ReturnedChoice(content="a"), ReturnedChoice(content="b")))
    mixed = Result(content="a", choices=(ReturnedChoice(content="a"), ReturnedChoice(content="a")))
    assert [if_contested(expected, result, fields, steps).outcome for result in (right, mixed)] == ["held", "differs"]


def test_a_client_that_is_cancelled_has_raised() -> None:
    class Cancelled(wrong.CrashesOnComments):
        async def __call__(self, base_url: str, request: JSON) -> JSON:  # type: ignore[override] # async on purpose
            try:
                return await asyncio.to_thread(super().__call__, base_url, request)
            except KeyError:
                raise asyncio.CancelledError from None

    (failure,) = found(Cancelled(), "standard").failures
    assert names(failure) == ["sse.insert: comment"]


def test_a_saved_failure_belongs_to_the_profile_that_found_it() -> None:
    """Also if it was shrunk to a habit of the dialect, on OpenAI's wire."""

    class EmptyIds(Careful):
        def piece(self, piece: JSON, place: int) -> None:
            assert piece.get("id") != ""
            super().piece(piece, place)

    (failure,) = found(EmptyIds(), "alibaba").failures
    assert profile("alibaba").contains(failure.case.rule)
    assert not profile("standard").contains(failure.case.rule)


@pytest.mark.parametrize("habit", [{"role": "every"}, {"finish": "early"}, {"unfinished": "empty"}])
def test_habits_are_not_in_the_default_profile(habit: JSON) -> None:
    rule = Rule(reply=Reply(content="a"), stream=Variation(**habit))
    assert [profile(name).contains(rule) for name in ("standard", "all")] == [False, True]


def test_a_comment_of_any_bytes_is_saved_so_that_the_file_loads(tmp_path: Path) -> None:
    (failure,) = found(wrong.NeedsSpace(), "standard").failures
    place = Failures(tmp_path)
    place.save("chat", dump(scenario_of(failure)), "a\x1bb \udcff\nc")
    rules, unreadable = place.rules(Search())
    assert ([rule.stream for rule in rules], unreadable) == ([failure.case.rule.stream], 0)


def test_after_calls_stop_and_tool_calls_are_equivalent() -> None:
    assert same_finish("stop", "tool_calls", [("f", "{}")])
    assert not same_finish("stop", "tool_calls", [])
    assert not same_finish("length", "tool_calls", [("f", "{}")])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"finishReason": "stop"}, "unknown field `finishReason`"),
        ({"tool_calls": [{"function": {"name": "f"}}]}, r"unknown field `function` - at `\$.tool_calls\[0\]`"),
    ],
)
def test_an_unknown_name_in_a_result_is_reported(fields: JSON, message: str) -> None:
    with pytest.raises(CannotRunError, match=message):
        found(lambda base_url, request: fields)


@pytest.mark.parametrize(
    "bad",
    [
        {"examples": 0},
        {"examples": 1.5},
        {"examples": True},
        {"max_failures": -1},
        {"seed": "a"},
        {"timeout": None},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"exclude": "sse.bom"},
        {"exclude": (1,)},
        {"exclude": None},
        {"profile": None},
    ],
)
def test_an_invalid_setting_is_rejected(bad: JSON) -> None:
    with pytest.raises(ValueError, match="|".join(bad)):
        fakellm.fuzz(Careful(), failures=None, **bad)


def test_a_result_is_equivalent_to_a_mapping() -> None:
    def client(base_url: str, request: JSON) -> Result:
        result = Careful()(base_url, request)
        return Result(content=result["content"], finish_reason=result["finish_reason"])

    assert found(client, "standard", examples=50).failures == []


class OnlyBlocks(Careful):
    """Returns nothing but blocks."""

    def result(self) -> JSON:
        result = super().result()
        texts = {"thinking": result["reasoning"], "text": result["content"], "refusal": result["refusal"]}
        calls = [{"type": "tool_call", **call} for call in result["tool_calls"]]
        return {"blocks": [*({"type": kind, "text": text} for kind, text in texts.items()), *calls]}


class OneBlock(OnlyBlocks):
    """Loses all blocks but the last."""

    def result(self) -> JSON:
        return {"blocks": [each for each in super().result()["blocks"] if each.get("text") != ""][-1:]}


def test_a_client_may_return_only_blocks() -> None:
    outcome = found(OnlyBlocks(), "standard", examples=60)
    assert outcome.failures == []
    assert outcome.compared == {"content", "reasoning", "refusal", "tool_calls", "blocks"}
    (failure,) = found(OneBlock(), "standard", examples=60).failures
    assert failure.case.verdict.field == "content"


def test_a_client_that_fails_on_a_plain_stream_cannot_be_tried() -> None:
    def broken(base_url: str, request: JSON) -> JSON:
        raise KeyError("content")

    with pytest.raises(CannotRunError, match="fails on a plain stream: KeyError"):
        found(broken)
    with pytest.raises(CannotRunError, match="misreads a plain stream: got ''\n   expected  'Hello, world"):
        found(lambda base_url, request: {"content": ""})
    with pytest.raises(CannotRunError, match="expected a Result or a mapping"):
        found(lambda base_url, request: None)  # type: ignore[arg-type, return-value] # what is tested
    called = (
        r"\(base_url, request\)\n   expected .*\n   It sent no request. .*, or api=… in Python: completions, gemini"
    )
    with pytest.raises(
        CannotRunError, match=f"takes 1 positional argument but 2 were given; it is called with {called}"
    ):
        found(lambda url: {"content": ""})  # type: ignore[arg-type, misc] # what is tested


@pytest.mark.parametrize(("search", "message"), [({"profile": "standrad"}, "did you mean 'standard'"), ({"exclude": ("sse.spcae",)}, "did you mean 'sse.space'")])  # fmt: skip
def test_an_unknown_name_is_reported(search: JSON, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fakellm.fuzz(Careful(), failures=None, **search)


@pytest.mark.parametrize("value", [{1, 2}, {1: 2, "b": 3}], ids=["a set", "keys of two types"])
def test_arguments_that_are_not_json_are_a_failing_case(value: Any) -> None:
    class ReturnsObjects(Careful):
        def result(self) -> JSON:
            result = super().result()
            return {**result, "tool_calls": [{**call, "arguments": {"a": value}} for call in result["tool_calls"]]}

    (failure,) = found(ReturnsObjects(), "standard", examples=20).failures
    assert failure.case.verdict.outcome == "driver"
    assert "tool_calls[0].arguments is not JSON" in failure.case.verdict.actual


def test_a_report_is_not_lost_with_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(FuzzError, match=r"repeat the call with seed=3; the failure could not be saved: .*File exists"):
        fakellm.fuzz(wrong.NeedsSpace(), profile="standard", failures=file, seed=3)


class AllChoices(Careful):
    """Reports every choice that it has read, and trusts the finish reasons among them."""

    def __call__(self, base_url: str, request: JSON) -> JSON:
        self.choices: dict[int, JSON] = {}
        return super().__call__(base_url, request)

    def chunk(self, chunk: JSON) -> None:
        super().chunk(chunk)
        for part in chunk.get("choices") or ():
            choice = self.choices.setdefault(part["index"], {"content": "", "finish_reason": None})
            choice["content"] += part["delta"].get("content") or ""
            choice["finish_reason"] = part["finish_reason"] or choice["finish_reason"]

    def result(self) -> JSON:
        return {**super().result(), "choices": [self.choices[index] for index in sorted(self.choices)]}


class CountsChoices(AllChoices):
    def __call__(self, base_url: str, request: JSON) -> JSON:
        result = super().__call__(base_url, request)
        if len(self.choices) < request.get("n", 1):
            raise EOFError("the stream ended before every choice began")
        return result


@pytest.mark.parametrize(("client", "outcomes"), [(AllChoices, ["silent"]), (CountsChoices, [])])
def test_a_cut_between_two_choices_must_be_reported(client: type[Careful], outcomes: list[str]) -> None:
    """The finish reason of the first choice does not show that the second is missing."""
    split = Variation(split="whole", interleave="none")
    rules = [Rule(reply=reply_of(CHOICES), stream=split, fault=faults.Eof(frame=frame)) for frame in range(1, 6)]
    failures = replay(FunctionClient(client()), Search(), rules).failures
    assert [failure.case.verdict.outcome for failure in failures] == outcomes
    assert all(
        failure.case.verdict.note == "the response contained fewer choices than requested" for failure in failures
    )


def test_each_reply_of_a_script_is_replayed() -> None:
    script = (Step(reply=Reply(content="b"), stream=Variation(role="every")), Step(reply=Reply(content="c")))
    outcome = replay(FunctionClient(wrong.AppendsTheRole()), Search(), [Rule(reply=Reply(content="a"), then=script)])
    assert outcome.cases == 3
    assert [failure.case.rule.reply.content for failure in outcome.failures] == ["b"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule(reply=Reply(choices=(ReplyChoice(content="{{user}}", template=True),))), r"rules\[0\] has template"),
        (Rule(reply=Reply(), then=(Step(reply=Reply(generate=Generate())),)), r"rules\[0\]\.then\[0\] has generate"),
        (None, "there is no rule to replay"),
    ],
)
def test_a_rule_whose_content_depends_on_the_request_is_not_replayed(rule: Rule | None, message: str) -> None:
    with pytest.raises(CannotRunError, match=message):
        replay(FunctionClient(Careful()), Search(), [rule] if rule else [])


def test_a_driver_that_dies_is_restarted_only_so_often() -> None:
    class Dies:
        requests = 0

        def ask(self, base_url: str, request: JSON) -> Result | NoResult:
            self.requests += 1
            result = FunctionClient(Careful()).ask(base_url, request)
            assert isinstance(result, Result)
            return NoResult("died") if "e" in (result.reasoning or "") else result

        def close(self) -> None:
            pass

    client = Dies()
    long = Reply(content="word " * 100, reasoning="e" * 2000)
    outcome = run(client, Search(examples=1), [Rule(reply=long)])
    assert [failure.case.verdict.outcome for failure in outcome.failures] == ["driver"]
    assert client.requests < 60


def test_a_replayed_fault_applies_to_the_first_attempt() -> None:
    rule = Rule(reply=reply_of(TEXT), fault=faults.Eof(frame=3, after=2))
    (failure,) = replay(FunctionClient(wrong.AssumesTheEnd()), Search(), [rule]).failures
    assert failure.case.verdict.outcome == "silent"
