"""The same seed and request give the same bytes: in any order, in any process, whatever came before."""

from __future__ import annotations

import json
import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

import fakellm
from fakellm.base.seed import ALNUM, Source
from fakellm.fuzzing.strategies import streams
from fakellm.scenarios.loader import load
from fakellm.scenarios.scenario import Scenario
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import ROOT, chat, post, respond

SCENARIO = ROOT / "scenarios" / "xai-parallel-tools.yaml"

# Scripted replies, gaps to be filled, generated text; streamed and not; one of them twice.
REQUESTS = [
    chat(model=model, n=n, stream=stream, temperature=temperature)
    for model in ("grok-4-fast", "gpt-4o-mini")
    for n in (1, 2)
    for stream in (True, False)
    for temperature in (0, 1)
] + [chat()] * 2


def answers(server: fakellm.Handle, requests: list[bytes]) -> dict[bytes, bytes]:
    return {request: post(server.base_url + "/chat/completions", request).content for request in requests}


def test_two_processes_answer_the_same_whatever_the_order_of_requests() -> None:
    shuffled = random.Random(1).sample(REQUESTS, len(REQUESTS))
    with fakellm.spawn(SCENARIO, seed=7) as one, fakellm.spawn(SCENARIO, seed=7) as other:
        assert one.pid != other.pid
        assert answers(one, REQUESTS) == answers(other, shuffled)
    with fakellm.serve(SCENARIO, seed=7) as thread, fakellm.serve(SCENARIO, seed=8) as reseeded:
        assert answers(thread, REQUESTS) == answers(one_again := thread.session("another"), shuffled)
        assert one_again.journal[0].rule == "generated"
        assert answers(thread, REQUESTS) != answers(reseeded, REQUESTS)


def answer(app: App, body: bytes, path: str = "/v1/chat/completions") -> bytes:
    return respond(app, HttpRequest("POST", path, body)).plan.body


@given(streams("strict-sse"), st.integers())
def test_any_scenario_answers_the_same_twice_and_after_others(scenario: Scenario, seed: int) -> None:
    gaps = msgspec.structs.replace(scenario.rules[0].reply, id=None, created=None, model=None)
    rule = msgspec.structs.replace(scenario.rules[0], reply=gaps)
    scenario = msgspec.structs.replace(scenario, rules=(rule,))
    one, other = App(scenario, seed=seed), App(scenario, seed=seed)
    first = answer(one, chat(stream=True))
    answer(other, chat(stream=True, temperature=1))
    assert first == answer(one, chat(stream=True)) == answer(other, chat(stream=True))
    assert first == answer(one, chat(stream=True), "/s/x/v1/chat/completions")


def test_what_the_seed_draws_is_pinned() -> None:
    """A change here changes every generated id and text of every user: it needs a major version."""
    source = Source(0, "a", 1)
    assert [source.below(1000) for _ in range(4)] == [183, 992, 442, 678]
    assert Source(0, "id").numbers(2) == (-864681571, 1625608516)
    assert Source(0, "id").uuid() == "9d0176cc-44d1-e460-0e77-4864b3151e74"
    assert Source(0, "id").text(ALNUM, 12) == "Hb4sgxQIo5kM"
    assert Source(0, "id").draw(("a", 1), lambda each: each.below(1000)) == 454
    reply = json.loads(answer(App(), chat()))
    assert (reply["id"], reply["created"]) == ("chatcmpl-ZLfSBtd4PM7gv2PO0oIcx9YjjuDVF", 1776863814)
    assert reply["system_fingerprint"] == "fp_24bf8fec9f"
    text = reply["choices"][0]["message"]["content"]
    assert text.startswith("At the same time, the answer starts with a list of names. Put simply, this examp")


def test_labels_keep_draws_apart() -> None:
    draws = {
        Source(*labels).below(2**64) for labels in ((0,), (1,), (0, "a"), (0, "a", "b"), (0, "ab"), (0, 1), (0, "1"))
    }
    assert len(draws) == 7


def test_another_request_gets_another_reply() -> None:
    app = App(load({"rules": [{"reply": {"content": "Hi"}}]}))
    assert answer(app, chat()) == answer(app, chat())
    assert answer(app, chat()) != answer(app, chat(temperature=1))
