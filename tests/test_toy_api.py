"""An API unlike chat, through everything that knows only the protocol: its bytes, the engine, faults, and recordings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakellm
from fakellm import Rule, Scenario
from fakellm.apis import route
from fakellm.apis.events import events_of
from fakellm.apis.protocol import Answer
from fakellm.apis.target import Target
from fakellm.apis.variation import Variation
from fakellm.base.seed import Source
from fakellm.engine.complete import complete
from fakellm.engine.engine import Engine
from fakellm.engine.render import render
from fakellm.engine.response import Response
from fakellm.engine.ruleset import Ruleset
from fakellm.engine.what_was_sent import readings
from fakellm.faults import Close, Eof, Fault, NoFinish, Reset, Truncated
from fakellm.fuzzing.case_server import CaseServer
from fakellm.fuzzing.clients.client_function import ClientFunction, FunctionClient
from fakellm.fuzzing.oracle.normalize import FIELDS
from fakellm.fuzzing.report import report, run_report
from fakellm.fuzzing.run import run
from fakellm.fuzzing.search import Outcome, Search
from fakellm.fuzzing.strategies import faults, framings, streams
from fakellm.fuzzing.trial import Trial
from fakellm.importing.importer import imported
from fakellm.model.blocks import Completion, ToolCall
from fakellm.model.deltas import Batch, End
from fakellm.model.fold import fold
from fakellm.recordings.formats import read_file
from fakellm.scenarios.loader import dump, load
from fakellm.scenarios.reply import reply_of
from fakellm.server import scenario_app
from fakellm.server.application import HttpRequest
from fakellm.server.request_target import request_target
from fakellm.streaming.divide import divide
from fakellm.streaming.division import Division
from fakellm.streaming.observe import observe
from fakellm.wire.framing import Framing, frame
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Decoder
from tests import toy_clients
from tests.conftest import chat, handled, post
from tests.test_core_laws import COMPLETIONS, DIVISIONS, MIXED
from tests.toy_api import TOY, Habits

HABITS = Habits()


def batches_of(data: bytes) -> list[Batch]:
    return list(TOY.read(Decoder().feed(data), HABITS))


def written(completion: Completion, division: Division, framing: Framing) -> bytes:
    batches = divide(completion, division, TOY.grammar(HABITS), Source(0))
    answer = Answer(completion, HABITS, {"id": "toy-1"}, Source(0))
    return b"".join(frame([event for events in events_of(TOY, batches, answer) for event in events], framing))


@given(COMPLETIONS, DIVISIONS, framings(), st.binary(max_size=9))
def test_bytes_come_back_whole_byte_by_byte_and_with_trailing_bytes(
    completion: Completion, division: Division, framing: Framing, more: bytes
) -> None:
    meant = TOY.expressible(completion, HABITS)
    data = written(meant, division, framing)
    decoder = Decoder()
    singles = [event for place in range(len(data)) for event in decoder.feed(data[place : place + 1])]
    assert fold(batches_of(data)) == fold(TOY.read(singles, HABITS)) == (meant, End())
    assert fold(batches_of(data + b": " + more.replace(b"\n", b"").replace(b"\r", b""))) == (meant, End())


@given(COMPLETIONS, DIVISIONS, framings(), st.data())
def test_a_stream_that_is_cut_has_no_good_end(
    completion: Completion, division: Division, framing: Framing, data: st.DataObject
) -> None:
    whole = written(TOY.expressible(completion, HABITS), division, framing)
    events = Decoder().feed(whole)
    cut = data.draw(st.integers(0, len(events) - 1))
    assert fold(TOY.read(events[:cut], HABITS))[1] is None


@given(COMPLETIONS)
def test_a_whole_body_means_the_same_as_a_stream(completion: Completion) -> None:
    meant = TOY.expressible(completion, HABITS)
    body = TOY.whole(Answer(meant, HABITS, {"id": "toy-1"}, Source(0)))
    assert fold(TOY.read_whole(body, HABITS)) == (meant, End())


@given(COMPLETIONS, DIVISIONS)
def test_a_recorded_stream_plays_again(completion: Completion, division: Division) -> None:
    meant = TOY.expressible(completion, HABITS)
    data = written(meant, division, Framing())
    events = Decoder().feed(data)
    habits, drawn = TOY.infer(events)
    batches = tuple(TOY.read(events, habits))
    scenario = Scenario(
        rules=(Rule(reply=reply_of(fold(batches)[0], drawn), stream=Variation(score=observe(batches))),)
    )
    # Ids that are empty are drawn, as those of any reply are.
    if all(call.id for choice in meant.choices for call in choice.tool_calls):
        again = load(dump(scenario))
        assert again == scenario
        assert served(again)[0] == data


def served(
    scenario: Scenario, stream: bool = True, headers: Mapping[str, str] | None = None
) -> tuple[bytes, str | None]:
    """What an engine answers to a request of this API, and the fault in it."""
    response = respond(scenario, stream, headers)
    return response.plan.body, response.fault


def respond(
    scenario: Scenario | None, stream: bool = True, headers: Mapping[str, str] | None = None, strict: bool = True
) -> Response:
    """The response of an engine to a request of this API."""
    engine = Engine(Ruleset(scenario), 0, strict)
    response = engine.respond(engine.match(json.dumps({"say": "Hi", "stream": stream}).encode(), TOY, headers))
    assert isinstance(response, Response)
    return response


RULES = {
    "rules": [
        {"when": {"user": "Hi"}, "reply": {"content": "Hello", "id": "r", "usage": {"prompt": 1, "completion": 2}}}
    ]
}


def test_the_engine_serves_it() -> None:
    data, _ = served(load(RULES))
    expected = [
        ("start", {"id": "r"}),
        ("block_start", {"n": 0, "type": "text"}),
        ("delta", {"n": 0, "to": "text", "add": "Hello"}),
        ("block_stop", {"n": 0}),
        ("close", {"stop": "stop", "usage": [1, 2, 0, 0, 0]}),
    ]
    assert [(event.event, json.loads(event.data)) for event in Decoder().feed(data)] == expected
    whole, _ = served(load(RULES), stream=False)
    assert [(name, json.loads(text)) for name, text in json.loads(whole)] == expected


def test_blocks_in_yaml_keep_their_order() -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "parts": ["Hm"]},
        {"type": "text", "text": "One"},
        {"type": "tool_call", "id": "a", "name": "f"},
        {"type": "thinking", "parts": ["So"]},
        {"type": "text", "text": "Two"},
        {"type": "tool_call", "id": "b", "name": "g", "arguments": "[1]"},
    ]
    scenario = load({"rules": [{"reply": {"blocks": blocks, "usage": None}}]})
    assert load(dump(scenario)) == scenario
    assert fold(batches_of(served(scenario)[0])) == (MIXED, End())
    assert reply_of(MIXED).blocks == scenario.rules[0].reply.blocks


@pytest.mark.parametrize(
    "stream",
    [
        {"split": "characters"},
        {"split": 2, "padding": 3},
        {"split": "tokens", "sse": {"line_end": "crlf", "ids": True}},
    ],
)
def test_its_streams_are_divided_and_framed_as_any(stream: dict[str, Any]) -> None:
    scenario = load({"rules": [{**RULES["rules"][0], "stream": stream}]})
    completion, end = fold(batches_of(served(scenario)[0]))
    assert (completion.choices[0].content, end) == ("Hello", End())


@given(faults())
def test_faults_of_every_level_break_it_alike_every_time(fault: Fault) -> None:
    reply = {"tool_calls": [{"name": "f", "id": "a"}, {"name": "g", "id": "b"}], "content": "One two"}
    scenario = Scenario(rules=(Rule(reply=load({"rules": [{"reply": reply}]}).rules[0].reply, fault=fault),))
    for stream in (True, False):
        assert served(scenario, stream) == served(scenario, stream)


def test_an_error_in_its_stream_has_its_shape() -> None:
    fault = {"kind": "error", "frame": 3, "message": "Boom"}
    data, kind = served(load({"rules": [{**RULES["rules"][0], "fault": fault}]}))
    assert kind == "error"
    assert Decoder().feed(data)[-1].event == "error"
    assert fold(batches_of(data))[1] == End("Boom")


def test_tokens_are_paced() -> None:
    timing = {"first": 1, "tokens_per_second": 10}
    scenario = load({"rules": [{**RULES["rules"][0], "timing": timing}]})
    answer = respond(scenario)
    assert [frame.delay for frame in answer.plan.frames] == [1, 0, 0.1, 0, 0]
    whole = respond(scenario, stream=False)
    assert sum(frame.delay for frame in whole.plan.frames) == pytest.approx(1.1)


def test_what_no_rule_answers_is_generated() -> None:
    answer = respond(None, strict=False)
    completion, end = fold(batches_of(answer.plan.body))
    assert end == End()
    assert completion.choices[0].content
    assert not any(isinstance(block, ToolCall) for block in completion.choices[0].blocks)


def test_a_refusal_has_the_shape_and_the_headers_of_the_api() -> None:
    response = respond(load({"rules": []}))
    assert (response.plan.status, response.matched) == (404, False)
    assert json.loads(response.plan.body) == {"oops": "No rule matches this request. The scenario has no rules."}
    names = [name for name, _ in response.plan.headers]
    assert names == ["x-fakellm-seed", "x-toy"]


# The journal, recordings, the importer and the fuzzer


@pytest.fixture
def toy_route(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has this API's path too."""
    request_target.cache_clear()
    monkeypatch.setattr(route, "TARGETS", [lambda path: Target(path, api="toy") if path == "/v1/toy" else None])
    monkeypatch.setitem(route.HOMES, "toy", route.ApiHome("tests.toy_api", "TOY"))
    monkeypatch.setitem(route.REPLIES, "/v1/toy", "toy")
    monkeypatch.setitem(scenario_app.ROUTES, "/v1/toy", {"POST": scenario_app.model_reply})


@pytest.mark.usefixtures("toy_route")
def test_it_is_journalled() -> None:
    app = scenario_app.App(load(RULES), strict=True)
    body = json.dumps({"say": "Hi", "stream": True}).encode()
    response, entry = handled(app, HttpRequest("POST", "/v1/toy", body))
    assert (entry.rule, entry.matched, entry.status) == ("scenario#1", True, 200)
    assert json.loads(entry.request.body) == {"say": "Hi", "stream": True}
    assert response.plan.body == served(load(RULES))[0]
    _, unmatched = handled(app, HttpRequest("POST", "/v1/toy", json.dumps({"say": "Ho"}).encode()))
    assert not unmatched.matched


@pytest.mark.usefixtures("toy_route")
def test_keys_without_an_effect_are_in_the_journal() -> None:
    stream = {"split": 2, "role": "never", "calls": {"index": "absent", "order": "given"}, "spelling": {"ascii": True}}
    app = scenario_app.App(load({"rules": [{"reply": {"content": "Hi"}, "stream": stream}]}))
    _, entry = handled(app, HttpRequest("POST", "/v1/toy", json.dumps({"say": "Hi", "stream": True}).encode()))
    assert entry.without_effect == ("role", "calls.index", "calls.order", "spelling.ascii")
    _, entry = handled(app, HttpRequest("POST", "/v1/chat/completions", chat(stream=True)))
    assert entry.without_effect == ()


@pytest.mark.usefixtures("toy_route")
def test_it_is_recorded_and_imported(tmp_path: Path) -> None:
    blocks = [
        {"type": "thinking", "parts": ["Hm"], "signature": "c2ln"},
        {"type": "text", "text": "One two"},
        {"type": "tool_call", "id": "a", "name": "f", "arguments": '{"a":1}'},
        {"type": "text", "text": "three"},
    ]
    rule = {"reply": {"id": "r", "blocks": blocks}, "stream": {"split": "tokens", "padding": 2}}
    file = tmp_path / "toy.jsonl"
    body = json.dumps({"say": "Hi", "stream": True}).encode()
    with fakellm.serve(load({"rules": [rule]})) as server, fakellm.record(server.url + "/v1", file) as recorder:
        sent = post(recorder.url + "/v1/toy", body).content
        whole = post(recorder.url + "/v1/toy", json.dumps({"say": "Hi"}).encode()).content
    assert fold(batches_of(sent))[1] == End()
    scenario, report = imported([read_file(file)])
    assert [each.outcome for each in report] == ["meaning", "meaning"]
    assert [rule.patch for rule in scenario.rules] == [(), ()]
    again = load(dump(scenario))
    assert again == scenario
    assert served(again)[0] == sent
    assert served(again, stream=False)[0] == whole
    edited = dump(scenario).replace("One two", "Six seven eight")
    pieces = [
        json.loads(event.data)["add"]
        for event in Decoder().feed(served(load(edited))[0])
        if event.event == "delta" and json.loads(event.data)["n"] == 1
    ]
    assert pieces == ["Six", " seven eight"]


@given(streams("all", exclude=("sse.ends_with",)))
def test_it_is_fuzzed(scenario: Scenario) -> None:
    """Under a variation its reader finds exactly the completion; a fault never passes as a whole answer that differs."""
    (rule,) = scenario.rules
    request = TOY.parse(json.dumps({"say": "Hi", "stream": True}).encode(), {})
    meant = TOY.expressible(complete(rule.reply, request, 0, TOY.provider(HABITS)), HABITS)
    plan = render(msgspec.structs.replace(rule, name="drawn"), request, 0, TOY)
    if rule.stream.transfer and (rule.stream.transfer.gzip or rule.stream.transfer.encoding):
        return
    found = readings(plan, TOY, HABITS)
    if rule.fault is None:
        expected = meant if rule.stream.usage != "none" else msgspec.structs.replace(meant, usage=None)
        assert expected in [each.completion for each in found if not each.error]
    elif isinstance(rule.fault, (NoFinish, Eof, Close, Reset, Truncated)):
        assert all(each.completion == meant or each.error or not ended(plan) for each in found)


def searched(client: ClientFunction, profile: str) -> Outcome:
    """What the fuzzer finds in a client of this API in 200 cases."""
    return run(FunctionClient(client), Search(profile=profile, api=TOY))


@pytest.mark.usefixtures("toy_route")
@pytest.mark.parametrize("profile", ["standard", "faults", "all"])
def test_a_correct_client_holds(profile: str) -> None:
    outcome = searched(toy_clients.Careful(), profile)
    assert (outcome.cases, outcome.failures, outcome.internal, outcome.unsteady) == (200, [], {}, 0)
    assert outcome.compared == set(FIELDS) - {"choices"}


@pytest.mark.usefixtures("toy_route")
@pytest.mark.parametrize(
    ("client", "cause", "outcome"),
    [
        (toy_clients.DropsTheLastDelta(), "split.content", "differs"),
        (toy_clients.IgnoresErrors(), "error: data", "silent"),
        (toy_clients.ReadsPings(), "padding", "differs"),
    ],
    ids=lambda value: type(value).__name__ if callable(value) else value,
)
def test_a_wrong_client_is_caught_by_one_step(client: ClientFunction, cause: str, outcome: str) -> None:
    found = searched(client, "all")
    (failure,) = found.failures
    assert (failure.cause, failure.case.verdict.outcome) == ((cause,), outcome)
    assert failure.case.rule.dialect is None
    assert [step.rows for step in failure.case.steps] == [()]  # the list of client bugs is of chat's clients
    assert "event: block_start" in report(run_report(found), ["repeat"]) or outcome == "silent"


@pytest.mark.usefixtures("toy_route")
def test_a_step_that_the_api_does_not_have_is_not_judged() -> None:
    """Chat's habits change nothing that this API sends, so a client is not excused by them either."""
    contested = Rule(
        reply=load({"rules": [{"reply": {"content": "a", "reasoning": "b"}}]}).rules[0].reply,
        stream=Variation(reasoning="think", id="changing", split={"content": 1}),
        dialect="mistral",
    )
    with CaseServer(api=TOY) as server:
        case = Trial(FunctionClient(toy_clients.Careful()), server, TOY).judge(contested)
    assert case.rule == msgspec.structs.replace(contested, stream=Variation(split={"content": 1}), dialect=None)
    assert [step.name for step in case.steps] == ["split.content: size"]
    assert case.verdict.outcome == "held"


def ended(plan: Plan) -> bool:
    return fold(batches_of(plan.body))[1] == End()
