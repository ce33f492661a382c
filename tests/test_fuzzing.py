"""A correct client survives, and each client that is wrong on purpose is caught, for its cause and by one step."""

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
from fakellm.apis.chat.variation import Variation
from fakellm.fuzzing import Answer, CannotRunError, FuzzError, Outcome, Result
from fakellm.fuzzing.clients.client_function import Client, Function
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.draws.answers import ARGUMENTS, TEXTS
from fakellm.fuzzing.draws.cases import REASONED, TEXT
from fakellm.fuzzing.draws.profiles import profile
from fakellm.fuzzing.draws.steps import steps_of
from fakellm.fuzzing.matrix import alone
from fakellm.fuzzing.normalize import arguments
from fakellm.fuzzing.reference_client import Reference
from fakellm.fuzzing.run import _cases, replay, run
from fakellm.fuzzing.saved_failures import rules_of, save, saved
from fakellm.fuzzing.search import Failure, Search
from fakellm.fuzzing.shrinking.shrink import shrink
from fakellm.fuzzing.verdicts import if_contested, same_finish
from fakellm.scenarios.loader import load
from fakellm.scenarios.scenario import Call, Reply, ReplyChoice, Rule, reply_of
from tests import wrong_clients as wrong
from tests.wrong_clients import JSON, Careful


def found(client: Client, profile: str = "all", **search: Any) -> Outcome:
    # Careful waits for each read as long as it takes, so a drip keeps it for ever: a bug, but not the one looked for.
    search = {"exclude": ("drip", "stall"), "deadline": 2.0, **search}
    return run(Function(client), Search(profile=profile, **search))


def names(failure: Failure) -> list[str]:
    return names_of(failure.tried.rule)


def names_of(rule: Rule) -> list[str]:
    return [step.name for step in steps_of(rule)]


@pytest.mark.parametrize("profile", ["default", "strict-sse", "contested", "faults", "all", "mistral", "perplexity"])
def test_a_correct_client_survives(profile: str) -> None:
    examples = 300 if profile == "all" else 80
    with closing(Reference(idle=1.0)) as client:
        outcome = found(client, profile, examples=examples, exclude=(), deadline=4.0)
    assert (outcome.failures, outcome.cases) == ([], examples)


def test_a_careful_client_survives() -> None:
    assert found(Careful()).failures == []


WRONG = [
    (wrong.SplitsEachRead, "transfer.cut"),
    (wrong.DecodesEachRead, "transfer.cut"),
    (wrong.EndsAtCrlfOnly, "sse.line_end: crlf"),
    (wrong.WantsSpace, "sse.space"),
    (wrong.CrashesOnComments, "sse.insert: comment"),
    (wrong.TakesHeartbeats, "sse.insert: heartbeat"),
    (wrong.OneDataLine, "sse.multiline"),
    (wrong.KeepsTheMark, "sse.bom"),
    (wrong.WantsChoices, "padding: no_choices"),
    (wrong.AppendsTheRole, "role: every"),
    (wrong.WantsTheRole, "role: never"),
    (wrong.StopsAtEmptyFinish, "unfinished: empty"),
    (wrong.DropsTheLastDelta, "finish: last"),
    (wrong.JoinsTheFinish, "finish: twice"),
    (wrong.UsageInItsOwnChunk, "usage: finish"),
    (wrong.AddsUsageUp, "usage: both"),
    (wrong.LastCallWins, "together: calls"),
    (wrong.OneCallADelta, "calls.opening: pair"),
    (wrong.NeedsTheIndex, "calls.index: absent"),
    (wrong.OpensAtTheId, "calls.id: repeated"),
    (wrong.TakesEmptyNames, "calls.name: empty"),
    (wrong.WritesNone, "calls.arguments: null"),
    (wrong.FillsInUsage, "usage: none"),
    (wrong.EndsWell, "eof"),
    (wrong.PassesOverErrors, "eof"),
    (wrong.PassesOverNonsense, "malformed"),
    (wrong.EmptiesArguments, "length"),
    (wrong.TriesAgain, "close"),
    (wrong.GivesUpOnSilence, "padding"),
    (wrong.GivesUpOnComments, "sse.insert: comment"),
    (wrong.FirstChoiceFirst, "turns"),
    (wrong.GoesOn, "sse.after"),
    (wrong.DropsRepeats, "split.content"),
]
COUNTING = (wrong.GivesUpOnSilence, wrong.GivesUpOnComments)
"""They fail once there is too much of a thing, which is as small as it gets."""
PLAINLY_WRONG = [
    (wrong.SplitsLikeStr, "JSONDecodeError"),
    (wrong.MergesChoices, "content"),
    (wrong.StopsAtTheFinish, "usage"),
    (wrong.RoundsNumbers, "tool_calls"),
    (wrong.KeepsNoText, "content"),
    (wrong.UnescapesHtml, "content"),
    (wrong.UnescapesTwice, "content"),
    (wrong.StripsTheText, "content"),
    (wrong.TakesNullForNothing, "content"),
    (wrong.WantsTheFinishOfCalls, "tool_calls"),
    (wrong.AsksOnce, "tool_calls"),
    (wrong.SortsCalls, "tool_calls"),
    (wrong.LowersNames, "tool_calls"),
    (wrong.DropsFalseArguments, "tool_calls"),
    (wrong.WantsTokens, "usage"),
    (wrong.ShortLines, "ValueError"),
    (wrong.AnyFinish, "finish_reason"),
]


@pytest.mark.parametrize(("client", "step"), WRONG, ids=[client.__name__ for client, _ in WRONG])
def test_a_wrong_client_is_caught_by_one_step(client: type[Careful], step: str) -> None:
    (failure,) = found(client(), examples=200).failures
    (name,) = names(failure)
    assert name.startswith(step)
    assert all(len(plan.frames) <= 8 for plan in failure.tried.plans) or client in COUNTING


@pytest.mark.parametrize(("client", "field"), PLAINLY_WRONG, ids=[client.__name__ for client, _ in PLAINLY_WRONG])
def test_a_client_that_reads_plain_streams_wrong_is_caught_by_none(client: type[Careful], field: str) -> None:
    (failure,) = found(client(), examples=200).failures
    assert names(failure) == []
    assert failure.tried.verdict.field == field


def test_of_200_cases_a_fifth_come_from_the_seed_and_the_rest_try_everything_once() -> None:
    what = profile("all")
    first = list(cases.first(what))
    one, other = (list(islice(_cases(Search(profile="all", seed=seed)), 200)) for seed in (0, 1))
    assert (one[: len(first)], len(first) <= 160) == (first, True)
    assert sum(rule == another for rule, another in zip(one[len(first) :], other[len(first) :], strict=True)) <= 3
    plain = [rule for rule in first if rule.fault is None]
    assert {rule.dialect for rule in plain} == set(DIALECTS)
    tried = [set(names_of(rule)) for rule in plain]
    for single in chain.from_iterable(islice(cases.singles(family, what), 1) for family in what.families):
        assert any(set(names_of(single)) <= steps for steps in tried)
    struck = {each.name for rule in first if rule.fault for each in steps_of(rule)}
    assert {each.name for rule in cases.broken(what) for each in steps_of(rule)} - struck == set()
    assert any(rule.timing.gap for rule in plain)


def test_every_text_and_every_argument_is_said_and_the_nastiest_alone() -> None:
    rules = list(cases.first(profile("default")))
    texts = [rule.reply.content for rule in rules]
    assert all(any(text in said for said in texts) for text in TEXTS)
    assert {call.arguments for rule in rules for call in rule.reply.tool_calls} >= set(ARGUMENTS)
    assert {"null", "0", "false", "[]", "haha", "\n\n a\n"} <= set(texts)
    assert any(call.name == "getWeather" for rule in rules for call in rule.reply.tool_calls)
    assert any(rule.reply.finish_reason == "stop" for rule in rules if rule.reply.tool_calls)


def test_a_step_that_is_left_out_makes_no_payload() -> None:
    rules = list(cases.first(profile("default", ("split", "padding", "sse"))))
    assert not any(name.startswith(("split", "padding", "sse")) for rule in rules for name in names_of(rule))
    assert any(TEXTS[3] in rule.reply.content for rule in rules)  # said all the same


class TwiceWrong(wrong.WantsSpace, wrong.WantsChoices):
    """Two causes."""


def test_failures_are_grouped_by_their_cause() -> None:
    outcome = found(TwiceWrong(), "default", max_failures=9, examples=200)
    assert [names(failure) for failure in outcome.failures] == [["sse.space"], ["padding: no_choices"]]
    assert all(failure.count > 1 for failure in outcome.failures)


def test_a_step_that_is_left_out_is_not_tried() -> None:
    assert found(wrong.WantsSpace(), "default", exclude=("sse.space",), examples=60).failures == []
    assert found(wrong.WantsSpace(), "default", exclude=("sse",), examples=60).failures == []


def test_the_same_seed_finds_the_same() -> None:
    one, other = (found(wrong.WantsChoices(), "default") for _ in range(2))
    assert (one.cases, one.failures[0].tried.rule) == (other.cases, other.failures[0].tried.rule)


def test_a_hang_is_a_failure() -> None:
    (failure,) = found(Careful(), "faults", exclude=("stall",), deadline=0.3, examples=60).failures
    assert (names(failure), failure.tried.verdict.outcome) == (["drip"], "hung")


def test_an_error_of_python_is_told_apart() -> None:
    outcome = found(Careful(), "faults", examples=50)
    assert outcome.failures == []
    assert outcome.leaked["JSONDecodeError"] > 0  # raised at frames that are no JSON
    assert "ConnectionError" not in outcome.leaked


def test_a_failure_is_told_kept_and_tried_first(tmp_path: Path) -> None:
    with pytest.raises(FuzzError) as caught:
        fakellm.fuzz(wrong.WantsSpace(), failures=tmp_path)
    text = str(caught.value)
    (file,) = tmp_path.iterdir()
    assert all(part in text for part in ("sse.space (T1: A4)", "expected", "got", "space: false", "data:{", str(file)))
    assert load(file).rules[0] == caught.value.outcome.failures[0].tried.rule
    with pytest.raises(FuzzError) as again:
        fakellm.fuzz(wrong.WantsSpace(), failures=tmp_path)
    assert again.value.outcome.cases == 1
    assert list(tmp_path.iterdir()) == [file]


def test_a_report_cuts_very_long_lines_and_the_file_does_not(tmp_path: Path) -> None:
    with pytest.raises(FuzzError) as caught:
        fakellm.fuzz(wrong.ShortLines(), failures=tmp_path)
    assert max(map(len, str(caught.value).splitlines())) <= 2100
    assert "characters more" in str(caught.value)
    (file,) = tmp_path.iterdir()
    assert load(file).rules[0].reply == caught.value.outcome.failures[0].tried.rule.reply


def test_a_rule_can_be_tried_alone() -> None:
    rule = Rule(reply=reply_of(TEXT), dialect="ollama-2025")
    assert replay(Function(Careful()), Search(), [rule]).failures == []
    assert len(replay(Function(wrong.AppendsTheRole()), Search(), [rule]).failures) == 1


def test_what_a_client_has_no_notion_of_does_not_count() -> None:
    class TextAlone(wrong.StopsAtTheFinish):
        def result(self) -> JSON:
            return {"content": self.text, "finish_reason": super().result()["finish_reason"]}

    assert found(TextAlone(), "default", examples=50).failures == []


def test_a_client_that_asks_for_one_choice_is_sent_one() -> None:
    class AsksForOne(wrong.MergesChoices):
        def __call__(self, base_url: str, request: JSON) -> JSON:
            return super().__call__(base_url, {key: value for key, value in request.items() if key != "n"})

    assert found(AsksForOne(), examples=200).failures == []


def test_a_client_that_reads_one_call_alone_is_asked_for_nothing_else() -> None:
    class OneCall(Careful):
        asked = 0

        def result(self) -> JSON:
            (call,) = super().result()["tool_calls"] or [None]
            self.asked += call is not None
            return {"tool_calls": [call]} if call else {}

    class Opens(OneCall, wrong.OpensAtTheId):
        """Takes each id for a new call."""

    client = OneCall()
    assert found(client, "strict-sse", examples=150).failures == []
    assert client.asked > 150  # with those that tell what it has a notion of
    assert found(client, "faults", examples=80).failures == []
    (failure,) = found(Opens(), "all", examples=200).failures
    assert names(failure) == ["calls.id: repeated"]
    with pytest.raises(CannotRunError, match="gives no content, and reads a plain tool call wrong"):
        found(lambda base_url, request: {"tool_calls": []})


def test_a_client_may_be_async() -> None:
    loops = set()

    async def client(base_url: str, request: JSON) -> JSON:
        loops.add(asyncio.get_running_loop())
        return await asyncio.to_thread(Careful(), base_url, request)

    assert found(client, "default", examples=50).failures == []
    assert len(loops) == 1  # connections belong to their loop


def test_a_client_that_never_comes_back_is_given_up() -> None:
    class Waits(wrong.CrashesOnComments):
        def __call__(self, base_url: str, request: JSON) -> JSON:
            try:
                return super().__call__(base_url, request)
            except KeyError:
                threading.Event().wait()
                raise

    with pytest.raises(FuzzError, match="no answer in time"):
        fakellm.fuzz(Waits(), timeout=0.2, failures=None)


def test_a_client_that_reads_to_the_close_of_a_kept_connection_is_ended() -> None:
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

    with pytest.raises(CannotRunError, match="gives no answer to a plain stream: it had to be cut off"):
        found(client, deadline=0.3)


def test_what_a_client_carries_over_is_found_with_the_case_before(tmp_path: Path) -> None:
    class CarriesOver(Careful):
        """Shows the text of a call that was made before."""

        held = ""

        def result(self) -> JSON:
            said = super().result()
            self.held, held = said["refusal"], self.held
            return {**said, "content": said["content"] + held}

    with pytest.raises(FuzzError, match="something is carried over") as caught:
        fakellm.fuzz(CarriesOver(), failures=tmp_path)
    (failure,) = caught.value.outcome.failures
    assert failure.before
    assert failure.before.reply.refusal
    (file,) = tmp_path.iterdir()
    again = replay(Function(CarriesOver()), Search(), list(rules_of(file)))
    assert (again.cases, len(again.failures)) == (2, 1)


def test_what_fails_now_and_then_is_a_failure_where_it_does_so_often() -> None:
    class NowAndThen(Careful):
        asked = 0

        def result(self) -> JSON:
            self.asked += 1
            return super().result() | ({"content": "oh"} if self.asked % 50 == 0 else {})

    (failure,) = found(NowAndThen(), "default", examples=200).failures
    assert failure.sometimes
    assert failure.count >= 3


def test_a_client_that_ends_the_process_has_raised() -> None:
    class Exits(wrong.CrashesOnComments):
        def __call__(self, base_url: str, request: JSON) -> JSON:
            try:
                return super().__call__(base_url, request)
            except KeyError:
                sys.exit(7)

    (failure,) = found(Exits(), "default").failures
    assert failure.tried.verdict.got == "SystemExit: 7"


@pytest.mark.parametrize("profile", ["mistral", "perplexity"])
def test_a_contested_habit_of_a_provider_weakens_only_what_it_is_about(profile: str) -> None:
    (failure,) = found(wrong.WantsSpace(), profile).failures
    assert names(failure) == ["sse.space"]


def test_the_matrix_tries_every_step_fault_and_dialect_alone() -> None:
    rules = list(alone(Search(profile="all")))
    assert {rule.dialect or "openai" for rule in rules} == set(DIALECTS)
    assert all(len(steps_of(rule)) <= 2 for rule in rules)
    assert {rule.fault.kind for rule in rules if rule.fault} >= {"eof", "error", "stall", "whole"}


def test_cuts_at_other_places_are_one_cause() -> None:
    (failure,) = found(wrong.DecodesEachRead(), "default", max_failures=9, examples=600).failures
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
    assert (failure.tried.rule.dialect, names(failure)) == (None, ["done"])


@pytest.mark.parametrize(
    ("text", "most"),
    [('{"n":9007199254740993}', 12), ('{"a":{"b":[1,{"c":"x"}]},"d":"long text"}', 22), ('{"a":1,"b":true}', 7)],
)
def test_arguments_are_shortened_as_json(text: str, most: int) -> None:
    """Down to one member that still has what breaks the client: here, a value that is no text."""
    call = ReplyChoice(tool_calls=(Call("f", text),))

    def fails(rule: Rule) -> bool:
        (call,) = rule.reply.tool_calls or (Call("f", "{}"),)
        return isinstance(call.arguments, str) and len(call.arguments) >= most

    small = shrink(Rule(reply=Reply(tool_calls=call.tool_calls)), fails).reply.tool_calls[0].arguments
    assert isinstance(small, str)
    assert most <= len(small) <= most + 3
    assert json.loads(small)


@pytest.mark.parametrize(
    ("said", "expected"), [("", "{}"), (" ", "{}"), (None, "{}"), ("null", "null"), ("[]", "[]"), ("0", "0")]
)
def test_no_arguments_are_an_empty_object_and_null_is_not(said: str | None, expected: str) -> None:
    assert arguments(said) == expected


def test_a_fault_is_made_smaller_to_an_early_place_on_every_attempt() -> None:
    late = Rule(reply=Reply(content="a b c"), stream=Variation(usage="finish"), fault=faults.Eof(frame=-4, times=3))
    assert shrink(late, lambda rule: rule.fault is not None) == Rule(
        reply=Reply(content="a"), fault=faults.Eof(frame=0)
    )


NOTHING: JSON = {"content": "", "reasoning": "", "refusal": "", "tool_calls": [], "finish_reason": None, "usage": None}


def test_an_answer_that_says_that_it_is_not_whole_may_lack_the_last_event() -> None:
    meant = {**NOTHING, "content": "a b", "finish_reason": "stop"}
    asked = frozenset(("content", "finish_reason"))

    def judged(**said: Any) -> str:
        return if_contested(meant, Result(**said), asked, ["sse.ends_with: nothing"]).outcome

    assert judged(content="a", finish_reason=None) == "flagged"
    assert judged(content="a b", finish_reason="stop") == "held"
    assert judged(content="a", finish_reason="stop") == "differs"
    assert judged(content="c", finish_reason=None) == "differs"


def test_two_calls_that_are_needed_are_made_as_small_as_one() -> None:
    calls = (Call("get_weather", '{"a":1}', "call_0"), Call("add", '{"b":[2]}', "call_1"))
    asked = []

    def fails(rule: Rule) -> bool:
        asked.append(rule)
        return len(rule.reply.tool_calls) == 2

    small = shrink(Rule(reply=Reply(content="a b", tool_calls=calls, id="chatcmpl-1")), fails)
    assert [(call.name, call.arguments) for call in small.reply.tool_calls] == [("f", ""), ("f", "")]
    assert (small.reply.content, small.reply.id, len(asked) < 100) == ("", None, True)


@pytest.mark.parametrize("dialect", ["mistral", "perplexity"])
def test_a_fault_does_not_make_a_contested_wire_strict(dialect: str) -> None:
    """A client that sums running usage, and shows thinking as text, is in the right there."""

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
    assert replay(Function(Other()), Search(), rules).failures == []


def test_choices_are_compared_under_a_contested_step_too() -> None:
    meant = {**NOTHING, "content": "a", "choices": [{**NOTHING, "content": "a"}, {**NOTHING, "content": "b"}]}
    fields, steps = frozenset(("content", "choices")), ["split: surrogates"]
    right = Result(content="a", choices=(Answer(content="a"), Answer(content="b")))
    mixed = Result(content="a", choices=(Answer(content="a"), Answer(content="a")))
    assert [if_contested(meant, got, fields, steps).outcome for got in (right, mixed)] == ["held", "differs"]


def test_a_client_that_is_cancelled_has_raised() -> None:
    class Cancelled(wrong.CrashesOnComments):
        async def __call__(self, base_url: str, request: JSON) -> JSON:  # type: ignore[override] # async on purpose
            try:
                return await asyncio.to_thread(super().__call__, base_url, request)
            except KeyError:
                raise asyncio.CancelledError from None

    (failure,) = found(Cancelled(), "default").failures
    assert names(failure) == ["sse.insert: comment"]


def test_what_is_kept_is_of_the_profile_that_found_it() -> None:
    """Also where it was made smaller to a habit of the dialect, on OpenAI's wire."""

    class EmptyIds(Careful):
        def piece(self, piece: JSON, place: int) -> None:
            assert piece.get("id") != ""
            super().piece(piece, place)

    (failure,) = found(EmptyIds(), "alibaba").failures
    assert profile("alibaba").holds(failure.tried.rule)
    assert not profile("default").holds(failure.tried.rule)


@pytest.mark.parametrize("habit", [{"role": "every"}, {"finish": "early"}, {"unfinished": "empty"}])
def test_habits_are_not_of_the_default_profile(habit: JSON) -> None:
    rule = Rule(reply=Reply(content="a"), stream=Variation(**habit))
    assert [profile(name).holds(rule) for name in ("default", "all")] == [False, True]


def test_a_note_of_any_bytes_is_kept_so_that_it_loads(tmp_path: Path) -> None:
    (failure,) = found(wrong.WantsSpace(), "default").failures
    save(tmp_path, failure, "a\x1bb \udcff")
    assert [rule.stream for rule in saved(tmp_path)] == [failure.tried.rule.stream]


def test_after_calls_stop_and_tool_calls_say_the_same() -> None:
    assert same_finish("stop", "tool_calls", [("f", "{}")])
    assert not same_finish("stop", "tool_calls", [])
    assert not same_finish("length", "tool_calls", [("f", "{}")])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"finishReason": "stop"}, "unknown field `finishReason`"),
        ({"tool_calls": [{"function": {"name": "f"}}]}, r"unknown field `function` - at `\$.tool_calls\[0\]`"),
    ],
)
def test_a_name_that_is_none_is_told(said: JSON, told: str) -> None:
    with pytest.raises(CannotRunError, match=told):
        found(lambda base_url, request: said)


@pytest.mark.parametrize(
    "bad", [{"examples": 0}, {"timeout": None}, {"max_failures": -1}, {"exclude": "sse.bom"}, {"examples": 1.5}]
)
def test_a_setting_that_makes_no_sense_is_told(bad: JSON) -> None:
    with pytest.raises(ValueError, match="|".join(bad)):
        fakellm.fuzz(Careful(), failures=None, **bad)


def test_a_result_says_the_same_as_a_mapping() -> None:
    def client(base_url: str, request: JSON) -> Result:
        said = Careful()(base_url, request)
        return Result(content=said["content"], finish_reason=said["finish_reason"])

    assert found(client, "default", examples=50).failures == []


def test_a_client_that_fails_on_a_plain_stream_cannot_be_tried() -> None:
    def broken(base_url: str, request: JSON) -> JSON:
        raise KeyError("content")

    with pytest.raises(CannotRunError, match="fails on a plain stream already: KeyError"):
        found(broken)
    with pytest.raises(CannotRunError, match="reads a plain stream wrong already: said 'Hello, world"):
        found(lambda base_url, request: {"content": ""})
    with pytest.raises(CannotRunError, match="expected a Result or a mapping"):
        found(lambda base_url, request: None)  # type: ignore[arg-type, return-value] # what is tested


@pytest.mark.parametrize(("search", "told"), [({"profile": "defualt"}, "did you mean 'default'"), ({"exclude": ("sse.spcae",)}, "did you mean 'sse.space'")])  # fmt: skip
def test_a_wrong_name_is_told(search: JSON, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        fakellm.fuzz(Careful(), failures=None, **search)
