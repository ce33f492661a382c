"""Skeletons: filling one in gives the same bytes as rendering the reply itself, whatever was rendered before."""

from __future__ import annotations

import gc
import json
import pickle
import tracemalloc
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fakellm.apis.chat.api import CHAT
from fakellm.apis.chat.habits import split
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.requests.parse import parse
from fakellm.apis.events import events_of
from fakellm.apis.ollama.api import OLLAMA
from fakellm.apis.protocol import Answer, Api
from fakellm.apis.route import api_named
from fakellm.apis.skeleton import Fill, fill, skeleton
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.json_text import WordForWord, dumps, spelled, spelled_texts
from fakellm.base.seed import Source
from fakellm.base.template import Hole, HoleNumber, HoleText, template
from fakellm.engine.engine import Engine
from fakellm.engine.memo import Cache, Memo
from fakellm.engine.render import render
from fakellm.engine.response import Response, Work
from fakellm.engine.ruleset import Attempt, Ruleset
from fakellm.faults import Whole
from fakellm.fuzzing.strategies import completions, streams, variations
from fakellm.generate import Generate
from fakellm.model.blocks import Completion, Usage
from fakellm.model.deltas import Batch, Count
from fakellm.model.request import Request
from fakellm.scenarios.reply import Computed, Reply
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.streaming.divide import divide
from fakellm.streaming.score import Counts, Ends, Finishes, Holds, Opens, Run, Score, Starts
from fakellm.streaming.shape import Stretch, call_ids
from fakellm.wire.framing import Framing
from fakellm.wire.timing import Timing
from tests.conftest import chat

ALL = partial(variations, profile="all", most=40)
DRAWN = {"id": "id-1", "created": 17, "model": "openai/m", "system_fingerprint": "fp"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["@0", "@", '"@1"']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=9,
)


def from_scratch(api: Api[Any], batches: Sequence[Batch], answer: Answer[Any]) -> list[str]:
    """The data of the events of batches that stand for themselves, with the values of the answer in them."""
    usages = [next((delta.usage for delta in batch[::-1] if isinstance(delta, Count)), None) for batch in batches]
    stretches = [Stretch(number, usage=usage) for number, usage in enumerate(usages)]
    values = Fill(answer.drawn, answer.source, call_ids(answer.completion), next(filter(None, usages), None))
    return list(fill(skeleton(api.write(batches, answer)), stretches, values))


@given(st.data(), completions(), st.sampled_from(sorted(DIALECTS)), st.sampled_from([*DRAWN, "none"]))
def test_a_filled_skeleton_equals_the_stream_written_from_scratch(
    data: st.DataObject, completion: Completion, name: str, missing: str
) -> None:
    settings = split(data.draw(ALL(completion)), DIALECTS[name])
    completion = CHAT.expressible(completion, settings.habits)
    drawn = {key: value for key, value in DRAWN.items() if key != missing}
    answer = Answer(completion, settings.habits, drawn, Source(5))
    batches = divide(completion, settings.division, CHAT.grammar(settings.habits), Source(3))
    found = events_of(CHAT, batches, answer)
    assert [event.data for events in found for event in events] == from_scratch(CHAT, batches, answer)


@given(streams("all"), st.lists(st.sampled_from(["a", "b", "a long prompt", "é\ud83d"]), min_size=1, max_size=4))
def test_a_reply_does_not_depend_on_those_before_it(scenario: Scenario, users: list[str]) -> None:
    """Whatever its dialect, spelling, fault and timing: the cache is only a cache."""
    ruleset = Ruleset(scenario)
    warm = Engine(ruleset, 0, strict=True, cache=Cache(10**7))
    for user in users:
        for options in ({}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}):
            body = chat(messages=[{"role": "user", "content": user}], model=f"m{len(user)}", **options)
            cold = Engine(ruleset, 0, strict=True)
            response = cold.respond(cold.match(body))
            assert warm.respond(warm.match(body)) == response
            assert isinstance(response, Response)
            if response.head.status == 200:
                rule = ruleset.script(0).at(Attempt())
                assert response.plan.frames == tuple(render(rule, parse(body), 0).frames)


@pytest.mark.parametrize("name", ["chat", "gemini", "messages", "ollama", "responses"])
@pytest.mark.parametrize("text", ["100 % of 1, %b and %%", "{id} {created}", "{created}"])
def test_a_whole_body_does_not_depend_on_those_before_it(name: str, text: str) -> None:
    """Values that are drawn for it are found in the first body, whose text may contain the same."""
    api: Any = api_named(name)
    example = replace(api.parse(json.dumps(api.example()).encode(), {"anthropic-version": "2023-06-01"}), stream=False)
    requests = [replace(example, body=example.body | {"x": number}) for number in range(3)]
    habits = api.settings(Variation(), None, example, 0, False).habits
    drawn = api.answer(Completion(()), requests[0], habits, 0, {}).drawn if name == "chat" else {"id": 1, "created": 2}
    rule = Rule(name="a", reply=Reply(content=text.format(**drawn)))
    memo = Memo(Cache(10**7), "a rule", fixed=True)
    for request in requests:
        assert render(rule, request, 0, api, memo) == render(rule, request, 0, api)


def test_a_value_that_happens_to_be_a_drawn_one_stays_as_it_is_set() -> None:
    drawn = answered(
        Engine(Ruleset(Scenario(rules=(Rule(name="a", reply=Reply(content="Hi")),))), 0, strict=True),
        chat(messages=[{"role": "user", "content": "a"}]),
    )
    rule = Rule(name="a", reply=Reply(content="Hi", system_fingerprint=json.loads(drawn.body)["id"]))
    assert_same_bytes_from_a_warm_engine(rule, ["a", "b"])


@given(
    streams("all"),
    st.sampled_from(
        [Timing(gap=0.5), Timing(tokens_per_second=9), Timing(first=2, gap=1, burst=3, jitter=0.5), Timing(step=True)]
    ),
)
def test_a_paced_stream_has_the_frames_of_one_sent_at_once(scenario: Scenario, timing: Timing) -> None:
    """The frames are the same each time they are read, and as many as the response counts."""
    rule, body = Ruleset(scenario).script(0).at(Attempt()), chat(stream=True)
    if isinstance(rule.fault, Whole):  # a whole body has other frames if it has a delay
        rule = replace(rule, fault=None)
    frames = [frame.data for frame in render(replace(rule, timing=Timing()), parse(body), 0).frames]
    for cache in (Cache(0), Cache(10**7)):
        engine = Engine(Ruleset(Scenario(rules=(replace(rule, timing=timing),))), 0, strict=True, cache=cache)
        paced = answered(engine, body)
        for _ in range(2):
            assert [frame.data for frame in paced.plan.frames] == frames
        assert paced.frames == len(frames)
        assert pickle.loads(pickle.dumps(paced)) == paced


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_generated_replies_do_not_depend_on_those_before_them(dialect: str) -> None:
    warm = Engine(Ruleset(Scenario(rules=(), dialect=dialect)), 7, strict=False, cache=Cache(10**7))
    tools = [{"type": "function", "function": {"name": name}} for name in ("add", "multiply")]
    for number in range(12):
        options = {"tools": tools} if number % 3 == 0 else {}
        messages = [{"role": "user", "content": f"Question {number}"}]
        body = chat(messages=messages, stream=True, stream_options={"include_usage": True}, **options)
        cold = Engine(Ruleset(Scenario(rules=(), dialect=dialect)), 7, strict=False)
        assert warm.respond(warm.match(body)) == cold.respond(cold.match(body))


def assert_same_bytes_from_a_warm_engine(rule: Rule, users: Sequence[str], **options: Any) -> None:
    """Replies to these users' messages, in this order, are those of engines that have rendered nothing before."""
    ruleset = Ruleset(Scenario(rules=(rule,)))
    warm = Engine(ruleset, 0, strict=True, cache=Cache(10**7))
    for user in users:
        body = chat(messages=[{"role": "user", "content": user}], **options)
        assert answered(warm, body) == answered(Engine(ruleset, 0, strict=True), body)


def answered(engine: Engine, body: bytes) -> Response:
    found = engine.respond(engine.match(body))
    if not isinstance(found, Work):
        return found
    reply = found.run()
    return found.then(lambda: reply)


@pytest.mark.parametrize("stream", [False, True])
def test_a_rule_that_generates_its_reply_generates_one_for_each_request(stream: bool) -> None:
    assert_same_bytes_from_a_warm_engine(Rule(reply=Reply(generate=Generate())), "abc", stream=stream)


@pytest.mark.parametrize("first", [None, ""])
@pytest.mark.parametrize("dialect", ["openai", "xai", "azure"])
def test_an_empty_fingerprint_is_not_a_null_one(dialect: str, first: str | None) -> None:
    fingerprints = {"1": first, "2": "" if first is None else None}

    def reply(request: Request) -> Reply:
        return Reply(content="A", system_fingerprint=fingerprints[request.texts[0]])

    assert_same_bytes_from_a_warm_engine(Rule(dialect=dialect, reply=Computed(function=reply)), "12", stream=True)


@pytest.mark.parametrize("users", ["12", "21"])
def test_a_stream_without_usage_has_no_null_usage_though_another_has(users: str) -> None:
    def reply(request: Request) -> Reply:
        return Reply(content="A", usage=None) if request.texts[0] == "1" else Reply(content="A")

    rows = ((Starts(),), (Opens(), Holds(length=1)), (Finishes(),), (Counts(Usage(1, 1)),), (Ends(),))
    stream = Variation(score=Score(tuple(map(Run, rows))), usage_before="null")
    rule = Rule(stream=stream, reply=Computed(function=reply))
    assert_same_bytes_from_a_warm_engine(rule, users, stream=True, stream_options={"include_usage": True})


def test_the_last_of_running_counts_is_that_of_the_reply_itself() -> None:
    """Ollama's has durations, which are drawn for each reply; the counts before it serve all prompts of a length."""
    ruleset = Ruleset(Scenario(rules=(Rule(reply=Reply(content="A b"), stream=Variation(usage="running")),)))
    warm = Engine(ruleset, 0, strict=True, cache=Cache(10**7))
    for user in "ab":
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": user}]}).encode()
        cold = Engine(ruleset, 0, strict=True)
        assert warm.respond(warm.match(body, OLLAMA)) == cold.respond(cold.match(body, OLLAMA))


A_B = Reply(content="A b")


def data_of(reply: Reply = A_B, **rule: Any) -> bytes:
    """The response to a streamed request by this rule."""
    engine = Engine(Ruleset(Scenario(rules=(Rule(reply=reply, **rule),))), 0, strict=True)
    return b"".join(burst.data for burst in answered(engine, chat(stream=True)).bursts)


def test_a_field_of_an_event_may_contain_nul() -> None:
    assert b"}\nx: a\0b\n\n" in data_of(stream=Variation(sse=Framing(fields={"x": "a\0b"})))


def test_a_message_so_far_needs_no_delta_with_the_text() -> None:
    stream = Variation(spelling=Spelling(choice_keys=("message",)))
    assert b'{"role":"assistant","content":"A b"}' in data_of(dialect="perplexity", stream=stream)


@pytest.mark.parametrize(("dialect", "expected"), [("avian", b'"gen-17-'), ("huggingface-novita", b'"ts_us":17')])
def test_the_time_of_the_first_chunk_does_not_tick(dialect: str, expected: bytes) -> None:
    """Each dialect repeats it in every further chunk: in the id, or as the start of a clock of microseconds."""
    reply = Reply(content="A b", created=17)
    plain, ticking = (
        data_of(dialect=dialect, reply=reply, stream=Variation(ticks=ticks)) for ticks in (None, (1, 2, 3))
    )
    assert b'"created":18' in ticking.replace(b" ", b"")
    assert plain.replace(b" ", b"").count(expected) == ticking.replace(b" ", b"").count(expected) > 1


@pytest.mark.parametrize("timing", [Timing(), Timing(gap=1)])
@pytest.mark.parametrize("user", ["{{user}}", "A"])
def test_what_is_kept_takes_no_more_memory_than_it_is_counted_as(user: str, timing: Timing) -> None:
    """Whatever the client sends: the name of a model is in every event, and each character may take four bytes."""
    ruleset = Ruleset(Scenario(rules=(Rule(reply=Reply(content=f"A b {user}", template=True), timing=timing),)))
    cache = Cache(10**8)
    engine = Engine(ruleset, 0, strict=True, cache=cache)
    answered(engine, chat(stream=True))
    before = cache.size
    tracemalloc.start()
    for number in range(8):
        answered(engine, chat(stream=True, model=f"{number}" + "\U0001f30d" * 5_000))
    gc.collect()
    real, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert real < 1.25 * (cache.size - before)


STYLES = st.builds(
    Spelling,
    ascii=st.booleans(),
    html=st.booleans(),
    spaces=st.booleans(),
    floats=st.sampled_from([None, "decimal"]),
    order=st.sampled_from([None, "sorted", "reversed"]),
)


@given(JSON, JSON, st.text(max_size=3), st.integers(), STYLES)
def test_a_filled_template_is_the_json_of_the_filled_value(
    before: Any, inside: Any, text: str, number: int, style: Spelling
) -> None:
    def value(a: Any, b: Any, c: Any) -> dict[str, Any]:
        return {"z": [before, a], "k": WordForWord([b]) if style.order else b, "b": {"y": c, "x": "@0"}, "a": a}

    holes = [Hole(name, str) for name in "abc"]
    made = template(value(holes[0], HoleText(holes[1]), HoleNumber(holes[2])), style)
    values = {"a": spelled(inside, style), "b": spelled(text, style), "c": spelled(number, style)}
    assert made.filled(values).texts == (spelled(value(inside, text, number), style),)


@given(st.lists(st.text(max_size=3) | st.sampled_from(["\ud83d", "é", "<", "\n 1e-07"])), STYLES)
def test_many_texts_are_spelled_as_each_is(texts: list[str], style: Spelling) -> None:
    assert spelled_texts(texts, style) == [spelled(text, style) for text in texts]


@given(JSON, st.sampled_from(["\ud83d", "\udc00\\", "é", "a"]), st.integers(1, 3))
def test_indented_json_is_the_same_value(value: Any, text: str, indent: int) -> None:
    """Lone surrogates are escaped, so that UTF-8 can encode the text."""
    written = dumps({"k": [text, value]}, indent)
    assert json.loads(written.encode()) == {"k": [text, value]}
    assert (
        written
        == json.dumps({"k": [text, value]}, ensure_ascii=False, indent=indent)
        .encode("utf-8", "backslashreplace")
        .decode()
    )
