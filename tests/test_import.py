"""Recordings to rules of meaning: what is imported says the same bytes, and says them with as little literal as it can."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import fakellm
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.variation import Variation
from fakellm.base.seed import Source
from fakellm.cli import main
from fakellm.faults import Close, Eof, Error, Fault, Glued, Malformed, Reset, Stall
from fakellm.fuzzing.strategies import completions, variations
from fakellm.importing import long_edits
from fakellm.importing.habit_search import abridged
from fakellm.importing.importer import Imported, imported
from fakellm.model.blocks import Choice, Completion, Stop, Text, Thinking
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats import read_file
from fakellm.scenarios.loader import dump, load
from fakellm.scenarios.scenario import Scenario
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.frame_edits import Edit, edits, patched
from fakellm.wire.plan import Frame, Plan
from fakellm.wire.timing import Timing
from tests.chats import stream
from tests.conftest import post, respond

HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
SSE = (("Content-Type", "text/event-stream"),)


def asked(body: dict[str, Any], url: str = "https://api.example.com/v1/chat/completions") -> RecordedRequest:
    return RecordedRequest("POST", url, (("Authorization", "Bearer sk-secret-0123456789"),), json.dumps(body).encode())


def recording(*replies: tuple[dict[str, Any], Plan]) -> Cassette:
    return Cassette("a.yaml", tuple(Interaction(asked(body), plan) for body, plan in replies))


def streamed(*pieces: bytes) -> Plan:
    return Plan(200, SSE, tuple(map(Frame, pieces)), delimited="chunked")


def answered(scenario: Scenario, request: RecordedRequest) -> bytes:
    """What the scenario, written and read again, answers."""
    return answer(app_of(scenario), request).body


def app_of(scenario: Scenario) -> App:
    """A server of the scenario, written and read again."""
    return App(load(dump(scenario)), strict=True)


def answer(app: App, request: RecordedRequest) -> Plan:
    return respond(app, HttpRequest("POST", "/v1/chat/completions", request.body)).plan


def said(completion: Completion, variation: Variation, dialect: str) -> bytes:
    frames = stream(completion, variation, DIALECTS[dialect], Timing(), Source(1))
    return b"".join(frame.data for frame in frames)


# Laws


@settings(max_examples=8)
@given(st.data(), completions(), st.sampled_from(sorted(DIALECTS)))
def test_whatever_was_recorded_is_sent_again(data: st.DataObject, completion: Completion, dialect: str) -> None:
    body = said(completion, data.draw(variations(completion, "standard")), dialect)
    cassette = recording((HELLO, streamed(body)))
    scenario, _ = imported([cassette])
    assert answered(scenario, cassette.interactions[0].request) == body


@given(st.lists(st.binary(max_size=3), max_size=8), st.lists(st.binary(max_size=3), max_size=8))
def test_edits_make_any_frames_of_any_others(made: list[bytes], wanted: list[bytes]) -> None:
    assert [frame.data for frame in patched([Frame(data) for data in made], edits(made, wanted))] == wanted


FRAMES = st.lists(st.sampled_from([b"a", b"a", b"b", b"1", b"2", b"3", b"4", b"5", b"6", b"7"]), max_size=30)


@given(FRAMES, FRAMES, st.integers(0, 50))
def test_edits_of_long_lists_make_any_frames_of_any_others(made: list[bytes], recorded: list[bytes], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_edits, "MOST_WORK", most)
        patch.setattr(long_edits, "_BLOCK", 4)
        found = long_edits.long_edits(made, recorded)
        assert [frame.data for frame in patched([Frame(data) for data in made], found)] == recorded
        assert long_edits.long_edits(recorded, recorded) == ()


@pytest.mark.parametrize("alike", [b"same", None])
@pytest.mark.parametrize("more", [0, 1, 700])
def test_long_lists_are_compared_in_parts(alike: bytes | None, more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    work = []

    def counted(one: Sequence[bytes], other: Sequence[bytes]) -> tuple[Edit, ...]:
        work.append(long_edits._work(one, other))
        return edits(one, other)

    monkeypatch.setattr(long_edits, "edits", counted)
    for size in (1_000, 10_000):
        made = [alike or b"%d" % number for number in range(size)]
        recorded = [b"odd %d" % number if number % 3 == 0 else frame for number, frame in enumerate(made)]
        recorded += [b"x"] * more
        found = long_edits.long_edits(made, recorded)
        assert [frame.data for frame in patched([Frame(data) for data in made], found)] == recorded
        assert sum(len(edit.frames) for edit in found) <= size * 0.35 + more  # as edits of a few more than a third
    assert sum(work) <= 2 * long_edits.MOST_WORK + 11_000 * 100 * 100


# Examples

CHUNK = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'


def test_a_stream_of_meaning_needs_no_frame_word_for_word() -> None:
    scenario, report = imported([recording((HELLO, streamed(CHUNK, CHUNK, b"data: [DONE]\n\n")))])
    assert report == [Imported("a.yaml#1", "meaning", 0, 3)]
    assert scenario.rules[0].reply.content == "HiHi"
    assert scenario.rules[0].patch == ()


def test_only_what_no_rule_can_express_is_patched() -> None:
    odd = b'data: {"odd":1}  \n\n'
    cassette = recording((HELLO, streamed(CHUNK, odd, CHUNK, b"data: [DONE]\n\n")))
    scenario, report = imported([cassette])
    assert report == [Imported("a.yaml#1", "patch", 1, 4)]
    assert [edit.frames for edit in scenario.rules[0].patch] == [(odd.decode(),)]
    assert answered(scenario, cassette.interactions[0].request) == cassette.interactions[0].response.body


@pytest.mark.parametrize("body", [b"", b"data: \xff\n\n", b"data: {\n\n", b"data: 3\n\n", b": ping\n\n"])
def test_a_stream_without_a_chunk_is_kept_as_it_is(body: bytes) -> None:
    cassette = recording((HELLO, streamed(body)))
    scenario, _ = imported([cassette])
    assert answered(scenario, cassette.interactions[0].request) == body


HEADER_TEXTS = st.text(st.characters(max_codepoint=255), max_size=8) | st.sampled_from(["text/event-stream", "/a", "5"])
HEADER_NAMES = st.sampled_from(["Content-Type", "Location", "retry-after", "x-should-retry", "Content-Length"])
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\ud800", 10**500, "{{x}}"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
URLS = ["https://h/v1/chat/completions", "/api/chat", "/api/generate", "https://h/v1/responses", "/x"]
BODIES = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([CHUNK, CHUNK * 2, CHUNK + b"data: [DONE]\n\n", b'{"choices": [{"message": {"content": "a"}}]}']),
    ODD.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n"),
    st.dictionaries(st.sampled_from(["id", "choices", "message", "error", "usage"]), ODD).map(
        lambda value: json.dumps(value).encode()
    ),
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(URLS),
            st.none() | st.dictionaries(st.sampled_from(["model", "messages", "stream", "tools", "x"]), ODD),
            st.none() | st.integers(100, 999) | st.just(200),
            st.lists(st.tuples(HEADER_NAMES, HEADER_TEXTS), max_size=3),
            st.lists(BODIES, max_size=3),
            st.sampled_from(["complete", "close", "reset", "stall"]),
        ),
        max_size=3,
    )
)
def test_whatever_is_written_loads(interactions: list[Any]) -> None:
    recorded = [
        Interaction(
            RecordedRequest("POST", url, (), b"" if changes is None else json.dumps(HELLO | changes).encode()),
            Plan(status, tuple(headers), tuple(map(Frame, bodies)), "close", end=end),
        )
        for url, changes, status, headers, bodies, end in interactions
    ]
    scenario, report = imported([Cassette("a.yaml", tuple(recorded))])
    assert load(dump(scenario)) == scenario
    assert len(scenario.rules) <= len(report) == len(recorded)


@pytest.mark.parametrize("status", [100, 101, 103, 199])
def test_a_status_that_answers_no_request_is_left_out(status: int) -> None:
    cassette = recording((HELLO, Plan(status, (), ())), (HELLO, streamed(CHUNK)))
    scenario, report = imported([cassette])
    assert [each.outcome for each in report] == ["left out", "meaning"]
    assert f"the status {status} answers no request" in report[0].reason
    assert answered(scenario, cassette.interactions[0].request) == CHUNK
    with fakellm.replay(cassette) as server:
        assert post(server.base_url + "/chat/completions", cassette.interactions[0].request.body).content == CHUNK


def test_an_error_keeps_its_retry_headers() -> None:
    limit = Plan(429, (("Content-Type", "application/json"), ("retry-after", "7")), (Frame(b'{"error":{}}'),))
    cassette = recording((HELLO, limit))
    scenario, report = imported([cassette])
    plan = answer(app_of(scenario), cassette.interactions[0].request)
    assert (plan.status, plan.body) == (429, b'{"error":{}}')
    assert ("retry-after", "7") in plan.headers
    assert report[0].reason == "HTTP 429"


ENDED = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
JSON = (("Content-Type", "application/json"),)
HI = Completion((Choice((Text("Hi there"),), Stop("stop")),))
BODY = b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'
NOT_STREAMED = HELLO | {"stream": False}


@pytest.mark.parametrize(
    ("body", "plan", "fault", "reason"),
    [
        (HELLO, streamed(CHUNK, CHUNK), Eof(frame=2), "it broke off after 2 frames: fault eof"),
        (HELLO, streamed(CHUNK, CHUNK[:30]), Eof(byte=97), "it broke off after 97 bytes: fault eof"),
        (HELLO, replace(streamed(CHUNK), end="close"), Close(frame=1), "it broke off after 1 frame: fault close"),
        (HELLO, replace(streamed(CHUNK), end="reset"), Reset(frame=1), "it broke off after 1 frame: fault reset"),
        (HELLO, replace(streamed(CHUNK), end="stall"), Stall(frame=1), "it broke off after 1 frame: fault stall"),
        (HELLO, replace(streamed(), end="close"), Close(at="headers"), "it broke off after the headers: fault close"),
        (HELLO, Plan(None, (), (), end="close"), Close(at="start"), "HTTP without an answer"),
        (HELLO, Plan(None, (), (), end="reset"), Reset(at="start"), "HTTP without an answer"),
        (
            NOT_STREAMED,
            Plan(200, (*JSON, ("Content-Length", "66")), (Frame(BODY[:40]),), end="close"),
            Close(byte=40),
            "it broke off after 40 bytes: fault close",
        ),
    ],
)
def test_what_broke_a_reply_is_imported_as_a_fault(body: dict[str, Any], plan: Plan, fault: Fault, reason: str) -> None:
    scenario, (report,) = imported([recording((body, plan))])
    assert (scenario.rules[0].fault, report.reason) == (fault, reason)
    sent = answer(app_of(scenario), asked(body))
    assert (sent.status, sent.body, sent.end) == (plan.status, plan.body, plan.end)
    if ("Content-Length", "66") in plan.headers:
        assert ("Content-Length", "66") in sent.headers


@pytest.mark.parametrize("announced", ["10000000000000", "9" * 5000])
def test_a_body_that_broke_off_is_not_padded_to_any_length(announced: str) -> None:
    plan = Plan(200, (*JSON, ("Content-Length", announced)), (Frame(BODY[:40]),), end="close")
    scenario, _ = imported([recording((NOT_STREAMED, plan))])
    assert scenario.rules[0].fault == Close(byte=40)
    sent = answer(app_of(scenario), asked(NOT_STREAMED))
    assert (sent.body, sent.end) == (BODY[:40], "close")


def test_a_reply_without_the_fault_that_broke_it_is_whole() -> None:
    whole = [rule.data for rule in stream(HI, Variation(), DIALECTS["openai"], Timing(), Source(1))]
    request = asked(HELLO, "https://api.openai.com/v1/chat/completions")
    scenario, _ = imported([Cassette("a", (Interaction(request, streamed(*whole[:-2])),))])
    assert scenario.rules[0].fault == Eof(frame=len(whole) - 2)
    repaired = replace(scenario.rules[0], fault=None)
    assert answered(Scenario(rules=(repaired,)), request) == b"".join(whole)


@pytest.mark.parametrize(
    ("error", "literal"),
    [
        (b'data: {"error":{"message":"Overloaded","type":"overloaded","code":"x"}}\n\n', 1),
        (b'event: error\ndata: {"error":{"message":"Overloaded"}}\n\n', 1),
        (b'data: {"error":"Overloaded"}\n\ndata: [DONE]\n\n', 1),
    ],
)
def test_an_error_in_mid_stream_is_imported_as_a_fault(error: bytes, literal: int) -> None:
    cassette = recording((HELLO, streamed(CHUNK, CHUNK, error)))
    scenario, (report,) = imported([cassette])
    fault = scenario.rules[0].fault
    assert isinstance(fault, Error)
    assert (fault.frame, fault.message) == (2, "Overloaded")
    assert (report.reason, report.frames) == ("an error after 2 frames: fault error", literal)
    assert answered(scenario, asked(HELLO)) == CHUNK + CHUNK + error


@pytest.mark.parametrize(
    ("odd", "fault"),
    [
        (CHUNK.rstrip() + CHUNK, Glued(frame=1)),
        (CHUNK.replace(b'"', b"'"), Malformed(frame=1)),
    ],
)
def test_a_damaged_frame_is_imported_as_the_fault_that_damages_it(odd: bytes, fault: Fault) -> None:
    scenario, (report,) = imported([recording((HELLO, streamed(CHUNK, odd, CHUNK, ENDED)))])
    rule = scenario.rules[0]
    assert (rule.fault, rule.patch, report.outcome) == (fault, (), "meaning")
    assert report.reason == f"frame 1 is damaged: fault {fault.kind}"
    assert answered(scenario, asked(HELLO)) == CHUNK + odd + CHUNK + ENDED
    meant = CHUNK * (4 if isinstance(fault, Glued) else 3) + ENDED
    assert answered(Scenario(rules=(replace(rule, fault=None),)), asked(HELLO)) == meant


@settings(max_examples=15)
@given(st.data(), st.sampled_from(["complete", "close", "reset", "stall"]), st.booleans())
def test_a_reply_cut_anywhere_is_sent_again(data: st.DataObject, end: Any, stream: bool) -> None:
    whole = CHUNK * 3 + ENDED if stream else BODY
    body = whole[: data.draw(st.integers(0, len(whole) - 1))]
    plan = Plan(200, SSE if stream else JSON, (Frame(body),), delimited="chunked" if stream else "length", end=end)
    scenario, _ = imported([recording((HELLO | {"stream": stream}, plan))])
    sent = answer(app_of(scenario), asked(HELLO | {"stream": stream}))
    assert (sent.body, sent.end) == (body, end)


def turn(*messages: tuple[str, str]) -> dict[str, Any]:
    return HELLO | {"messages": [{"role": role, "content": text} for role, text in messages]}


@pytest.mark.parametrize(
    ("requests", "conditions"),
    [
        ([turn(("user", "a")), turn(("user", "a"), ("assistant", "b"), ("user", "c"))], {"model", "turn"}),
        ([turn(("user", "a")), turn(("user", "b"))], {"model", "turn", "user"}),
        ([turn(("user", "a")), turn(("user", "a")) | {"stream": False}], {"model", "turn", "user", "stream"}),
        ([turn(("system", "x"), ("user", "a")), turn(("user", "a"))], {"model", "stream", "body"}),
        ([turn(("user", "a")) | {"seed": 1}, turn(("user", "a")) | {"seed": 2}], {"stream", "body"}),
    ],
)
def test_requests_are_distinguished_by_as_few_conditions_as_needed(
    requests: list[dict[str, Any]], conditions: set[str]
) -> None:
    plans = [
        streamed(CHUNK) if body["stream"] else Plan(200, (("Content-Type", "application/json"),), (Frame(b"{}"),))
        for body in requests
    ]
    cassette = recording(*zip(requests, plans, strict=True))
    scenario, _ = imported([cassette])
    when = scenario.rules[0].when
    assert {name for name in when.__struct_fields__ if getattr(when, name) not in (None, {})} == conditions
    for interaction in cassette.interactions:
        assert answered(scenario, interaction.request) == interaction.response.body


def test_the_same_request_again_gets_the_next_reply() -> None:
    again = CHUNK.replace(b"Hi", b"Ho")
    scenario, _ = imported([recording((HELLO, streamed(CHUNK)), (HELLO, streamed(again)))])
    app = app_of(scenario)
    assert [answer(app, asked(HELLO)).body for _ in range(3)] == [CHUNK, again, again]


def test_replies_to_the_same_request_in_several_dialects_are_sent_as_they_were() -> None:
    """All replies of a rule have one dialect."""
    completion = Completion((Choice((Thinking(parts=("Hm.",)), Text("Hi")), Stop("stop")),))
    plans = [
        streamed(*(frame.data for frame in stream(completion, Variation(), DIALECTS[name], Timing(), Source(1))))
        for name in ("azure", "openrouter")
    ]
    scenario, report = imported([recording(*((HELLO, plan) for plan in (plans[0], plans[1], plans[0])))])
    app = app_of(scenario)
    assert [answer(app, asked(HELLO)).body for _ in range(3)] == [plans[0].body, plans[1].body, plans[0].body]
    assert [each.outcome for each in report][::2] == ["meaning", "meaning"]


def test_no_secret_reaches_the_scenario() -> None:
    echo = CHUNK.replace(b"Hi", b"sk-secret-0123456789")
    scenario, _ = imported([recording((HELLO, streamed(echo)))])
    assert "sk-secret" not in dump(scenario)


@pytest.mark.parametrize("kinds", [2, 4, 400])
def test_many_odd_chunks_are_compared_no_more_than_a_hundred(kinds: int) -> None:
    def frame(number: int) -> str:
        odd = {f"odd{number % kinds}": "x"} if number % 2 else {}
        delta = {("content", "reasoning", "refusal")[number % min(kinds, 3)]: f"{number} ", "tool_calls": None} | odd
        return json.dumps({"id": "x", "choices": [{"index": number % kinds, "delta": delta, "finish_reason": None}]})

    for size in (10, 400, 4_000):
        frames = [frame(number) for number in range(size)]
        few = abridged(frames)
        assert len(few) <= 120
        assert [each for each in frames if each in set(few)] == few  # in order
        assert (few[0], few[-1]) == (frames[0], frames[-1])


def test_what_is_not_a_chat_is_left_out_and_reported() -> None:
    models = Interaction(RecordedRequest("POST", "https://x/v1/embeddings", (), b"{}"), Plan(200, (), (Frame(b"{}"),)))
    scenario, report = imported([Cassette("a.yaml", (models,))])
    assert scenario.rules == ()
    assert report[0].outcome == "left out"
    assert "embeddings" in report[0].reason


def test_the_command_writes_a_scenario_and_reports_how(tmp_path: Path) -> None:
    body = tmp_path / "hi.sse"
    body.write_bytes(CHUNK * 2 + b"data: [DONE]\n\n")
    target = tmp_path / "hi.yaml"
    done = CliRunner().invoke(main, ["import", str(body), "-o", str(target)])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        f"{body}#1: by meaning",
        f"{target}: 1 rule of 1 interaction: 1 by meaning",
    ]
    assert load(target).rules[0].reply.content == "HiHi"


def test_the_command_names_a_file_that_is_not_a_recording(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("- 3")
    done = CliRunner().invoke(main, ["import", str(tmp_path / "x.yaml"), "-o", str(tmp_path / "y.yaml")])
    assert done.exit_code == 2
    assert "x.yaml" in done.output


def test_a_scenario_is_exported_as_what_its_rules_send(tmp_path: Path) -> None:
    source, out = tmp_path / "a.yaml", tmp_path / "a.har"
    source.write_text("rules:\n- when: {turn: 1}\n  reply: {content: Hi}\n- when: {turn: 2}\n  reply: {content: Ho}\n")
    done = CliRunner().invoke(main, ["export", str(source), "--format", "har", "-o", str(out)])
    assert done.exit_code == 0, done.output
    scenario, report = imported([read_file(out)])
    assert [rule.reply.content for rule in scenario.rules] == ["Hi", "Ho"]
    assert {each.outcome for each in report} == {"meaning"}


RESPONSE = {"id": "resp_2", "object": "response", "status": "completed", "model": "m", "output": []}


@pytest.mark.parametrize(
    "changes",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"conversation": {"id": "conv_1"}},
        {"background": True},
    ],
)
def test_a_response_that_continues_one_outside_of_the_recording_is_answered(changes: dict[str, Any]) -> None:
    status = "queued" if "background" in changes else "completed"
    body = json.dumps(RESPONSE | {"status": status}).encode()
    request = asked({"model": "m", "input": "Hi"} | changes, "https://api.openai.com/v1/responses")
    cassette = Cassette("a", (Interaction(request, Plan(200, JSON, (Frame(body),))),))
    app = app_of(imported([cassette])[0])
    assert respond(app, HttpRequest("POST", "/v1/responses", request.body)).plan.body == body
    if "previous_response_id" in changes:
        other = request.body.replace(b"resp_1", b"resp_0")
        assert respond(app, HttpRequest("POST", "/v1/responses", other)).plan.status == 400


@pytest.mark.parametrize("host", ["api.writer.com", "api.cohere.com"])
def test_a_path_that_two_providers_have_is_a_chat_only_at_the_one_whose_chats_are_served(host: str) -> None:
    request = asked(HELLO, f"https://{host}/v1/chat")
    _, (report,) = imported([Cassette("a", (Interaction(request, streamed(CHUNK, ENDED)),))])
    assert report.outcome == ("left out" if "cohere" in host else "meaning")


@pytest.mark.parametrize("url", ["https://app.example.org/index.html", "https://api.openai.com/v1/models"])
def test_a_get_without_a_body_is_left_out(url: str) -> None:
    _, (report,) = imported([Cassette("a", (Interaction(RecordedRequest("GET", url), Plan(200, JSON, ())),))])
    assert report.reason == f"not a request for a reply that fakellm serves: GET {url}"
