"""When frames are due: asserted on the plan, where a delay is a number. The examples of docs/reference/timing.md are run."""

from __future__ import annotations

import re
import subprocess
import sys
from statistics import fmean, pstdev
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakellm
from fakellm import ScenarioError, Stall, Timing, load
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.providers import DIALECTS
from fakellm.base.seed import Source
from fakellm.fuzzing.strategies import completions, variations
from fakellm.model.blocks import Completion, Thinking, ToolCall
from fakellm.model.deltas import Open, Piece, Start
from fakellm.model.tokens import tokens_in
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.framing import Framing
from fakellm.wire.http.http1 import Burst, bursts
from fakellm.wire.plan import Frame, Plan
from fakellm.wire.spread import Empirical, Gamma, Lognormal, Spread
from fakellm.wire.timing import checked_speed, pace
from tests.chats import batches, stream
from tests.conftest import ROOT, chat, handled, respond

SECONDS = st.floats(0, 100)
PIECES = st.lists(st.binary(max_size=3), max_size=12)
STALLS = st.lists(st.builds(Stall, st.integers(0, 12), SECONDS), max_size=3).map(tuple)
WAITS = SECONDS | st.sampled_from([Lognormal(0.3, 0.1), Gamma(2, 2), Empirical((0.1, 0.4))])
TIMINGS = st.one_of(
    st.builds(
        Timing,
        first=SECONDS,
        gap=SECONDS,
        burst=st.integers(1, 4),
        jitter=st.floats(0, 1),
        stalls=STALLS,
    ),
    st.builds(
        Timing, first=SECONDS, tokens_per_second=st.floats(1, 100), burst=st.integers(1, 4), jitter=st.floats(0, 1)
    ),
    st.builds(Timing, gaps=st.lists(SECONDS, max_size=8).map(tuple), jitter=st.floats(0, 1), stalls=STALLS),
    st.just(Timing(step=True)),
)
WITH_DRAWN = TIMINGS | st.builds(Timing, first=WAITS, gap=WAITS, burst=st.integers(1, 4))


def delays(timing: Timing, frames: int, tokens: tuple[int, ...] = ()) -> list[float]:
    return [frame.delay for frame in pace([b""] * frames, timing, Source(0), tokens)]


@given(PIECES)
def test_by_default_frames_have_no_delay(pieces: list[bytes]) -> None:
    assert pace(pieces, Timing(), Source(0)) == tuple(map(Frame, pieces))


@given(PIECES, WITH_DRAWN, st.integers(), st.lists(st.integers(0, 9), max_size=12))
def test_pace_keeps_the_pieces_and_draws_the_same_again(
    pieces: list[bytes], timing: Timing, seed: int, tokens: list[int]
) -> None:
    frames = pace(pieces, timing, Source(seed), tokens)
    assert [frame.data for frame in frames] == pieces
    assert all(frame.delay >= 0 for frame in frames)
    assert {frame.step for frame in frames} <= {timing.step}
    assert frames == pace(list(pieces), timing, Source(seed), tokens)
    prefix = len(pieces) // 2
    if timing.burst == 1:  # a burst waits for the tokens of all its frames, those to come too
        assert frames[:prefix] == pace(pieces[:prefix], timing, Source(seed), tokens)


@given(PIECES, TIMINGS, st.integers(), st.lists(st.integers(0, 9), max_size=12))
def test_jitter_stays_within_its_fraction_of_each_gap(
    pieces: list[bytes], timing: Timing, seed: int, tokens: list[int]
) -> None:
    steady = msgspec.structs.replace(timing, jitter=0, stalls=())
    shaken = msgspec.structs.replace(timing, stalls=())
    for plain, frame in zip(
        pace(pieces, steady, Source(0), tokens), pace(pieces, shaken, Source(seed), tokens), strict=True
    ):
        assert abs(frame.delay - plain.delay) <= plain.delay * timing.jitter * (1 + 1e-9)


@given(PIECES.filter(bool), SECONDS, SECONDS, st.integers(1, 4), STALLS)
def test_the_sum_of_all_delays(
    pieces: list[bytes], first: float, gap: float, burst: int, stalls: tuple[Stall, ...]
) -> None:
    timing = Timing(first=first, gap=gap, burst=burst, stalls=stalls)
    gaps = (len(pieces) - 1) // burst
    met = sum(stall.seconds for stall in stalls if stall.before < len(pieces))
    assert sum(delays(timing, len(pieces))) == pytest.approx(first + gap * gaps + met)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.floats(0.1, 100), st.integers(1, 4))
def test_tokens_take_their_time_however_they_are_bunched(tokens: list[int], rate: float, burst: int) -> None:
    timing = Timing(first=1, tokens_per_second=rate, burst=burst)
    paced = tokens[1:] if burst == 1 else tokens[burst:]
    assert sum(delays(timing, len(tokens), tuple(tokens))) == pytest.approx(1 + sum(paced) / rate)


@pytest.mark.parametrize(
    ("timing", "tokens", "expected"),
    [
        (Timing(first=1, gap=0.5), (), [1, 0.5, 0.5, 0.5, 0.5]),
        (Timing(first=1, gap=0.5, burst=2), (), [1, 0, 0.5, 0, 0.5]),
        (Timing(first=1, tokens_per_second=4), (0, 2, 1, 0), [1, 0.5, 0.25, 0, 0]),
        (Timing(tokens_per_second=4, burst=2), (9, 9, 2, 1, 1), [0, 0, 0.75, 0, 0.25]),
        (Timing(gaps=(3, 0, 2)), (), [3, 0, 2, 0, 0]),
        (Timing(stalls=(Stall(0, 1), Stall(2, 3), Stall(2, 4), Stall(99, 5))), (), [1, 0, 7, 0, 0]),
        (Timing(gap=1, burst=3, stalls=(Stall(2, 5),)), (), [0, 0, 5, 1, 0]),
        (Timing(first=8, gap=8, jitter=0.5), (), [8, 8.4855661, 7.5684793, 6.4998179, 11.8351656]),
        (Timing(step=True), (), [0, 0, 0, 0, 0]),
    ],
)
def test_when_five_frames_are_due(timing: Timing, tokens: tuple[int, ...], expected: list[float]) -> None:
    assert delays(timing, 5, tokens) == pytest.approx(expected)


SPREADS = [Lognormal(0.3, 0.1), Gamma(0.3, 0.1), Gamma(2, 2), Gamma(0.01, 0.03), Empirical((0.1, 0.1, 0.4))]


@pytest.mark.parametrize("spread", SPREADS, ids=str)
def test_waits_follow_their_distribution(spread: Spread) -> None:
    waits = [Source(1, number).draw("first", spread.drawn) for number in range(4_000)]
    mean, deviation = (0.2, 0.02**0.5) if isinstance(spread, Empirical) else (spread.mean, spread.deviation)
    assert fmean(waits) == pytest.approx(mean, rel=0.1)
    assert pstdev(waits) == pytest.approx(deviation, rel=0.15)
    assert all(0 <= wait == round(wait, 6) for wait in waits)


@given(st.sampled_from(SPREADS), st.sampled_from(SPREADS), st.integers(1, 3), st.integers(0, 9))
def test_waits_are_drawn_by_request_and_frame(first: Spread, gap: Spread, burst: int, frames: int) -> None:
    timing = Timing(first=first, gap=gap, burst=burst, stalls=(Stall(2, 50),))
    waits = delays(timing, frames)
    assert waits == delays(timing, 9)[:frames] == delays(timing, frames)
    assert [wait for number, wait in enumerate(waits) if number % burst and number != 2] == [
        0.0 for number in range(frames) if number % burst and number != 2
    ]
    assert delays(Timing(first=first), frames)[:1] == waits[:1]


def test_a_distribution_is_written_in_yaml_and_differs_from_request_to_request() -> None:
    text = "rules:\n- reply: {content: a b c}\n  timing: {first: {kind: lognormal, mean: 0.3, deviation: 0.1}, gap: 0.02}\n"
    app = App(load(text))

    def waits(words: str) -> list[float]:
        body = chat(stream=True, messages=[{"role": "user", "content": words}])
        return [frame.delay for frame in respond(app, HttpRequest("POST", "/v1/chat/completions", body)).plan.frames]

    assert waits("a") == waits("a") != waits("b")
    assert set(waits("a")[1:]) == {0.02}


REFUSED = [
    ({"first": {"kind": "normal", "mean": 1}}, "timing.first"),
    ({"first": {"kind": "gamma", "mean": 1}}, "timing.first"),
    ({"gap": {"kind": "empirical", "values": []}}, "timing.gap"),
    ({"gap": 1, "tokens_per_second": 9}, "timing.gap: 'gap' beside 'tokens_per_second': both state when"),
    ({"gaps": [1], "first": 1}, "timing.first: 'first' beside 'gaps': the list has the wait before every frame"),
    ({"gaps": [1], "burst": 2}, "timing.burst: 'burst' beside 'gaps'"),
    ({"step": True, "gap": 1}, "timing.gap: 'gap' beside 'step': a frame that waits for a step leaves when the test"),
    ({"step": True, "stalls": [{"before": 1, "seconds": 1}]}, "timing.stalls: 'stalls' beside 'step'"),
    ({"jitter": 1.5}, "timing.jitter: expected number <= 1.0, got 1.5"),
    ({"burst": 0}, "timing.burst: expected integer >= 1, got 0"),
    ({"first": -1}, "timing.first: expected number >= 0.0, got -1"),
    ({"gap": float("nan")}, "timing.gap: expected number >= 0.0, got nan"),
    ({"gap": float("inf")}, "timing.gap: expected number <= 86400.0, got inf"),
    ({"gaps": [1, "x"]}, "timing.gaps[1]: expected number, got string"),
    ({"stalls": [{"befor": 1, "seconds": 1}]}, "unknown key 'befor'; allowed here: before, seconds; did you mean"),
]


@pytest.mark.parametrize(("timing", "message"), REFUSED)
def test_what_contradicts_itself_is_refused(timing: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(message)):
        load({"rules": [{"reply": {}, "timing": timing}]})


@given(TIMINGS)
def test_a_timing_survives_a_dump(timing: Timing) -> None:
    rule = fakellm.Rule(reply=fakellm.Reply(), timing=timing)
    assert load(fakellm.dump(rule)).rules == (rule,)


def test_the_tokens_of_a_batch_are_those_of_all_its_text() -> None:
    call = Open(2, 1, ToolCall("id that does not count", "add", '{"a"'))
    texts = (Piece(1, 0, "text", " two"), Open(1, 1, Thinking(("One",))), Piece(2, 0, "text", "No."))
    assert tokens_in((Start(0), *texts, call)) == 1 + 1 + 2 + 1 + 3
    assert tokens_in(()) == 0


def plan_of(timing: dict[str, Any], **fields: Any) -> Plan:
    scenario = load({"rules": [{"reply": {"content": "One two three"}, "timing": timing}]})
    return respond(
        App(scenario, seed=fields.pop("seed", 0)), HttpRequest("POST", "/v1/chat/completions", chat(**fields))
    ).plan


def waits(timing: dict[str, Any], **fields: Any) -> list[float]:
    return [frame.delay for frame in plan_of(timing, **fields).frames]


def test_text_is_paced_and_the_role_the_finish_and_the_end_are_not() -> None:
    assert waits({"first": 3, "tokens_per_second": 10}, stream=True) == [3, 0.1, 0.1, 0.1, 0, 0]


@given(st.data(), completions(), st.sampled_from(list(DIALECTS.values())))
def test_each_frame_waits_for_the_tokens_that_a_reader_finds_in_it(
    data: st.DataObject, completion: Completion, dialect: Dialect
) -> None:
    variation = msgspec.structs.replace(data.draw(variations(completion, "standard")), done=True, sse=Framing())
    sent = batches(completion, variation, Source(0), dialect)
    frames = stream(completion, variation, dialect, Timing(tokens_per_second=1), Source(0))
    assert [frame.delay for frame in frames] == [0, *map(tokens_in, sent[1:])]


def first_waits(*rules: dict[str, Any], **top: Any) -> list[float]:
    """The wait before the reply of each rule, whose user texts are numbers, and before that to any other request."""
    numbered = [{"when": {"user": f"{number}."}, **rule} for number, rule in enumerate(rules)]
    app = App(load({**top, "rules": numbered}))
    bodies = [chat(messages=[{"role": "user", "content": f"{number}."}]) for number in range(len(rules) + 1)]
    plans = [respond(app, HttpRequest("POST", "/v1/chat/completions", body)).plan for body in bodies]
    return [sum(frame.delay for frame in plan.frames) for plan in plans]


def test_the_timing_of_a_scenario_is_that_of_replies_without_one() -> None:
    slow = {"reply": {}, "timing": {"first": 5}}
    again = {"reply": {}, "timing": {"first": 4}, "then": [{"reply": {}}]}
    assert first_waits({"reply": {}}, slow, again, timing={"first": 3}) == [3, 5, 4, 3]
    assert first_waits({"reply": {}}, slow) == [0, 5, 0]
    rules = load({"timing": {"first": 3}, "rules": [again]}).named_rules()
    assert [step.timing.first for step in rules[0].steps] == [4, 3]


def test_jitter_does_not_depend_on_later_frames_or_on_other_draws() -> None:
    timing = Timing(gap=1, jitter=0.5)
    source = Source(0)
    source.below(2)
    assert [frame.delay for frame in pace([b"-"] * 4, timing, source)] == delays(timing, 9)[:4]


def test_jitter_comes_from_the_seed_and_the_request() -> None:
    timing = {"gap": 1, "jitter": 0.5}
    drawn = waits(timing, stream=True)
    assert drawn == waits(timing, stream=True)
    assert len(set(drawn)) == 6
    assert drawn != waits(timing, stream=True, seed=1)
    assert drawn != waits(timing, stream=True, temperature=1)


@pytest.mark.parametrize(
    "timing",
    [
        {},
        {"first": 2},
        {"first": 1, "gap": 0.5, "jitter": 0.7},
        {"tokens_per_second": 3},
        {"gaps": [1, 2, 3, 4, 5, 6, 7]},
    ],
)
def test_a_whole_reply_is_due_when_its_stream_would_have_ended(timing: dict[str, Any]) -> None:
    streamed = waits(timing, stream=True, stream_options={"include_usage": True})
    assert waits(timing) == [pytest.approx(sum(streamed))]


def test_a_stepped_frame_is_a_burst_of_its_own() -> None:
    plan = plan_of({"step": True}, stream=True)
    head, *ready = bursts(plan)
    assert (head.frames, head.delay, head.step) == (0, 0, False)
    assert [(burst.frames, burst.step) for burst in ready] == [(1, True)] * 6
    head, body = bursts(plan_of({"step": True}))
    assert (head.frames, body.step) == (0, True)
    mixed = Plan(200, (), (Frame(b"a"), Frame(b"b", step=True), Frame(b"c")), delimited="chunked")
    assert bursts(mixed)[1:] == (Burst(b"1\r\nb\r\n1\r\nc\r\n0\r\n\r\n", 0.0, 2, step=True),)


@pytest.mark.parametrize("speed", [0, 0.5, 1, 1000])
def test_a_speed(speed: float) -> None:
    assert checked_speed(speed) == speed


@pytest.mark.parametrize("speed", [-1, float("nan"), float("inf")])
def test_no_speed(speed: float) -> None:
    message = f"speed must be a factor: 1 as written, 2 twice as fast, 0 without delays; got {speed}"
    for start in (fakellm.serve, fakellm.spawn):
        with pytest.raises(ValueError, match=re.escape(message)), start(speed=speed):
            pass


DOC = (ROOT / "docs" / "reference" / "timing.md").read_text(encoding="utf-8")


def examples(language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", DOC, re.DOTALL)
    assert found
    return found


@pytest.mark.parametrize("code", examples("yaml"))
def test_a_scenario_of_the_page_paces_its_replies(code: str) -> None:
    app = App(load(code), strict=True)
    for model in ("slow-1", "bursty"):
        answer, entry = handled(app, HttpRequest("POST", "/v1/chat/completions", chat(model=model, stream=True)))
        assert entry.matched
        assert sum(frame.delay for frame in answer.plan.frames) > 0.4


@pytest.mark.parametrize("code", examples("python"))
def test_a_script_of_the_page_runs(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_page_names_every_key() -> None:
    assert re.findall(r"^\| `(\w+)` \|", DOC, re.MULTILINE) == [field.name for field in msgspec.structs.fields(Timing)]


@pytest.mark.parametrize("kind", ["lognormal", "gamma"])
@pytest.mark.parametrize(("mean", "deviation"), [("1.0e-300", 1), (1, "1.0e-300"), (1, 1001)])
def test_a_deviation_is_of_the_order_of_the_mean(kind: str, mean: Any, deviation: Any) -> None:
    text = f"rules:\n- reply: {{}}\n  timing: {{gap: {{kind: {kind}, mean: {mean}, deviation: {deviation}}}}}\n"
    with pytest.raises(ScenarioError, match="deviation: must be between a thousandth and a thousand times the mean"):
        load(text)
