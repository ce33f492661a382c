"""A report shows on the wire what the failing steps changed, leaves out what repeats, and names odd characters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fakellm
from fakellm import faults
from fakellm.apis.route import HOMES
from fakellm.apis.variation import Variation
from fakellm.engine.render import render
from fakellm.fuzzing import FuzzError
from fakellm.fuzzing.clients.client_function import FunctionClient
from fakellm.fuzzing.draws.characters import characters_of, named, odd, without
from fakellm.fuzzing.draws.profiles import profile
from fakellm.fuzzing.draws.steps import excludes, plain_wire, steps_of, usual
from fakellm.fuzzing.endpoints import example_request, fuzzed_api
from fakellm.fuzzing.report import report, run_report
from fakellm.fuzzing.reports.wire_dump import dumped, legend
from fakellm.fuzzing.run import run
from fakellm.fuzzing.running.case_order import cases_of
from fakellm.fuzzing.search import Search
from fakellm.fuzzing.strategies import answers, streams
from fakellm.fuzzing.tiers import steps
from fakellm.scenarios.reply import Reply, reply_of
from fakellm.scenarios.scenario import Rule
from fakellm.testing.reruns.vary import LEFT_OUT, runs
from tests import wrong_clients as wrong
from tests.wrong_clients import JSON, Careful


def dump(stream: JSON, fault: Any = None, api: str = "chat") -> list[str]:
    """The lines of a dump of an answer in a variation, or with a fault."""
    route = fuzzed_api(api)
    dialect = "openai" if api == "chat" else None
    rule = Rule(Reply(content="Hi"), stream=msgspec.convert(stream, Variation), name="a", dialect=dialect, fault=fault)
    plain = msgspec.structs.replace(rule, stream=Variation(), fault=None)
    plans = (render(each, example_request(route), 0, route) for each in (rule, plain))
    return dumped(*plans).split("\n")


# Laws


@pytest.mark.parametrize("api", HOMES)
@settings(max_examples=15)
@given(data=st.data())
def test_a_dump_has_a_line_for_each_write_and_marks_none_without_a_step(api: str, data: st.DataObject) -> None:
    route = fuzzed_api(api)
    scenario = data.draw(streams("all", api=api))
    rule = msgspec.structs.replace(scenario.rules[0], name="a", dialect=scenario.dialect)
    plan = render(rule, example_request(route), 0, route)
    lines = dumped(plan, plan).split("\n")
    assert len(lines) == 1 + min(len(plan.frames), 40) + (len(plan.frames) > 40) + (plan.end != "complete")
    assert not any(line.startswith((">>>", "    ^")) for line in lines)


@settings(max_examples=30)
@given(answers(), st.text(min_size=1, max_size=3))
def test_excluded_characters_are_in_no_text(completion: Any, characters: str) -> None:
    reply = without(reply_of(completion), characters)
    assert not set(odd(reply)) & set(characters)
    assert without(reply, characters) == reply


# Examples


def test_what_a_step_changed_is_marked() -> None:
    lines = dump({"sse": {"space": False}})
    first, second, *_ = [number for number, line in enumerate(lines) if line.startswith(">>>")]
    assert lines[first].startswith('>>> data:{"id":"chatcmpl-')
    assert lines[first + 1] == "         ^"
    assert lines[second].startswith('>>> data:{…,"choices":[{"index":0,"delta":{"content":"Hi"}')


@pytest.mark.parametrize(
    ("stream", "fault", "expected"),
    [
        ({"padding": 1}, None, '>>> data: {…,"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":null}],"usage":null}\\n\\n'),
        ({"done": False}, None, ">>> not sent: data: [DONE]\\n\\n"),
        ({"transfer": {"cut": [8]}}, None, '>>> data: {"┊'),
        ({}, faults.Close(frame=1), ">>> <close>"),
        ({"sse": {"line_end": "crlf"}}, None, ">>> data: [DONE]\\r\\n\\r\\n"),
    ],
)  # fmt: skip
def test_a_line_of_its_own_is_marked_as_a_whole(stream: JSON, fault: Any, expected: str) -> None:
    assert expected in dump(stream, fault)


def test_a_member_that_repeats_is_left_out_unless_it_has_content_or_changed() -> None:
    lines = dump({}, api="responses")
    assert lines[2].startswith('    event: response.in_progress\\ndata: {"type":"response.in_progress","response":{…')
    changed = dump({"id": "changing"})
    assert sum('"id":"chatcmpl-' in line for line in changed) == 4  # each has an id of its own
    assert all(line.startswith(">>>") for line in changed[2:] if '"id":"chatcmpl-' in line)


def test_the_legend_has_only_the_marks_that_are_shown() -> None:
    assert legend("\n".join(dump({"done": False}))) == (
        "; … as in an event above; >>> changed by the steps above, at ^ if that is a part of the line; "
        "not sent: left out by them"
    )
    assert legend("data: [DONE]") == ""


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\x85", "U+0085 NEXT LINE"),
        ("\u2028", "U+2028 LINE SEPARATOR"),
        ("🌍", "U+1F30D EARTH GLOBE EUROPE-AFRICA"),
        ("\x01", "U+0001"),
    ],
)
def test_a_character_has_a_code_point_and_a_name(character: str, name: str) -> None:
    assert named(character) == name
    assert characters_of([name.split()[0], "sse.bom"]) == character


class NextLine(Careful):
    """Fails on U+0085, however it is sent."""

    def content(self, delta: JSON) -> None:
        assert "\x85" not in (delta.get("content") or "")
        super().content(delta)


def test_a_character_that_breaks_a_client_is_named_with_its_row_and_can_be_excluded() -> None:
    with pytest.raises(FuzzError) as caught:
        fakellm.fuzz(NextLine(), failures=None)
    text = str(caught.value)
    assert "\n1. U+0085 NEXT LINE (A11) in the reply, on the plain wire\n   A11: " in text
    (failure,) = caught.value.outcome.failures
    outcome = run(FunctionClient(NextLine()), Search(exclude=("U+0085",), examples=60), [failure.case.rule])
    assert (outcome.failures, outcome.skipped) == ([], 1)


def test_an_error_of_the_language_is_shown_with_its_case_although_it_passes() -> None:
    class NeedsText(Careful):
        """Appends content to a text, which some providers send as a list."""

        def content(self, delta: JSON) -> None:
            self.text = self.text + (delta.get("content") or "")

    outcome = run(FunctionClient(NeedsText()), Search(examples=60))
    shown = report(run_report(outcome), [])
    assert "TypeError, the first time: reasoning: thinking (T5: B16)" in shown
    assert "sent by mistral" in shown
    assert 'can only concatenate str (not "list") to str' in shown
    assert "       stream: {reasoning: thinking}" in shown


# What is excluded is tried nowhere


def tried(api: str, name: str, step: str) -> Iterator[Rule]:
    """Cases that a run or a strategy would try."""
    route = fuzzed_api(api)
    search = Search(profile=name, exclude=(step,), api=route)
    yield from (rule for rule, _ in zip(cases_of(search), range(120), strict=False))


@pytest.mark.parametrize(
    ("api", "name", "step"),
    [
        ("chat", "realistic", "usage: finish"),  # also a habit of dialects
        ("chat", "realistic", "ticks"),
        ("chat", "all", "sse.insert: comment"),  # also among the ids, and a habit of OpenRouter
        ("chat", "all", "sse.line_end: crlf"),
        ("chat", "contested", "split: surrogates"),
        ("messages", "all", "usage: own"),
        ("gemini", "realistic", "together: calls"),
    ],
)
def test_an_excluded_step_is_tried_nowhere(api: str, name: str, step: str) -> None:
    route = fuzzed_api(api)
    first = profile(name, (), route).dialects[0]
    drawn = profile(name, (step,), route)
    for rule in tried(api, name, step):
        wire = rule.stream.over(usual(rule.dialect, route))
        names = {each.name for each in (*steps(wire, usual(first, route), api), *steps_of(rule, route))}
        assert not any(excludes((step,), each) for each in names - {each.name for each in _plainly(first, api)})
    saved = [rule for rule in tried(api, name, "transfer") if step in {each.name for each in steps_of(rule, route)}]
    assert not any(map(drawn.contains, saved))


def _plainly(dialect: str | None, api: str) -> list[Any]:
    """The steps that the first dialect takes from the plain wire anyway."""
    route = fuzzed_api(api)
    return steps(usual(dialect, route), plain_wire(route), api)


def test_no_run_of_a_test_takes_what_a_client_may_rightly_notice() -> None:
    route = fuzzed_api("chat")
    rule = Rule(reply_of_text := Reply(content="Hi", usage=None), name="a", dialect="openai")
    assert reply_of_text.content
    for varied in runs(40):
        changed = varied(rule, example_request(route), route, 0)
        assert not any(excludes(LEFT_OUT, step.name) for step in steps_of(changed, route))


def test_every_wrong_client_can_be_excluded_by_the_name_in_its_report() -> None:
    for client, name in ((wrong.NeedsSpace, "standard"), (wrong.UsageInItsOwnChunk, "realistic")):
        found = run(FunctionClient(client()), Search(profile=name, examples=80)).failures
        (step,) = (each.name for each in found[0].case.steps)
        again = run(FunctionClient(client()), Search(profile=name, examples=80, exclude=(step,))).failures
        assert step not in {each.name for failure in again for each in failure.case.steps}
