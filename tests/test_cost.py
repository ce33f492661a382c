"""What a request costs, in calls of functions: a number that does not depend on the machine or on how busy it is.

`benchmarks/` measures the same in seconds. A bound here lies about a fifth above what the code needs, so that it fails
when something does more work than before, not when Python's version changes a little. If the code gets cheaper, lower
the bound.
"""

from __future__ import annotations

from functools import partial

import pytest

import fakellm
from fakellm.engine.response import Response
from fakellm.engine.state import Limits
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from tests.call_count import calls
from tests.conftest import chat
from tests.test_apis import request

PER_FRAME = 4
"""Of a first request: for each frame of its stream. This is the bound to lower when rendering gets cheaper."""

PER_REQUEST = 485
"""Of a first request: for what does not depend on its frames."""

WHOLE = 450
"""Of a first request that is not streamed."""

UNKEPT = 900
"""Of a request that is not streamed if nothing can be kept."""

GENERATED = 27
"""Of a first request whose text is generated: for each frame of its stream, all included."""

PER_RULE = 1.5
"""Of a first request: for each rule that it does not match."""

CACHED = 80
"""Of a request that came before, however long its stream."""


def handle(app: App, body: bytes) -> Response:
    outcome, _ = app.handle(HttpRequest("POST", "/v1/chat/completions", body))
    assert isinstance(outcome, Response)
    return outcome


def frames(app: App, body: bytes) -> int:
    """How many frames the stream has that answers a request; all of them are rendered."""
    return len(handle(app, body).plan.frames)


class Asking:
    """An application whose last rule answers with some words, one per frame. The first requests are not counted."""

    def __init__(self, words: int, rules: int = 1, dialect: str = "openai") -> None:
        texts = [{"user": f"item {number:05}"} for number in range(rules)]
        reply = {"content": " ".join(["the"] * words)}
        found = [{"when": when, "reply": reply} for when in texts]
        self.app = App(fakellm.load({"rules": found, "dialect": dialect}), strict=True)
        self._last = rules - 1
        for number in range(2):
            frames(self.app, self.body(number))

    def body(self, number: int) -> bytes:
        messages = [{"role": "user", "content": f"Question {number} on item {self._last:05}"}]
        return chat(stream=True, messages=messages)

    def frames(self, number: int) -> int:
        return frames(self.app, self.body(number))

    def cost(self, number: int) -> int:
        """Of the request with this number and all frames of its stream."""
        return calls(partial(frames, self.app, self.body(number)))


def test_a_first_request_costs_a_bounded_number_of_calls_for_each_frame() -> None:
    short, long = Asking(100), Asking(200)
    assert long.frames(2) - short.frames(2) == 100
    per_frame = (long.cost(3) - short.cost(3)) / 100
    assert per_frame <= PER_FRAME
    assert short.cost(4) - per_frame * short.frames(4) <= PER_REQUEST


@pytest.mark.parametrize(
    ("dialect", "most"), [("perplexity", PER_FRAME), ("openrouter", 6), ("azure", PER_FRAME), ("snowflake", 11)]
)
def test_another_dialect_costs_a_bounded_number_of_calls_for_each_frame(dialect: str, most: float) -> None:
    """Perplexity repeats the text so far and the token counts in each frame; for prompts of the same length, these are
    the same. Openrouter has a comment between frames, and azure random text in each. Snowflake cuts texts at random."""
    short, long = Asking(100, dialect=dialect), Asking(200, dialect=dialect)
    frames = long.frames(3) - short.frames(3)
    assert (long.cost(4) - short.cost(4)) / frames <= most


@pytest.mark.parametrize(("name", "most"), [("responses", 7), ("messages", 2), ("gemini", 1), ("ollama", 3)])
def test_another_api_costs_a_bounded_number_of_calls_for_each_frame(name: str, most: float) -> None:
    """Responses are kept and have random text in each frame, as Messages have spaces and lines of Ollama a time.
    Gemini counts tokens in each frame; for prompts of the same length, the counts are the same."""

    def cost(words: int) -> tuple[int, int]:
        rule = {"reply": {"content": " ".join(["the"] * words)}, "stream": {"split": "tokens"}}
        app = App(fakellm.load({"rules": [rule]}), strict=True)
        for number in range(2):
            app.handle(request(name, True, f"Question {number}"))
        outcome = app.handle(request(name, True, "Question 3"))[0]
        assert isinstance(outcome, Response)
        return len(outcome.plan.frames), calls(partial(app.handle, request(name, True, "Question 4")))

    (frames, short), (more_frames, long) = cost(100), cost(200)
    assert (long - short) / (more_frames - frames) <= most


def test_a_first_request_that_is_not_streamed_costs_a_bounded_number_of_calls() -> None:
    app = App(fakellm.load({"rules": [{"reply": {"content": "A short answer."}}]}), strict=True)
    for number in range(2):
        handle(app, chat(messages=[{"role": "user", "content": f"Question {number}"}]))
    body = chat(messages=[{"role": "user", "content": "Question 2"}])
    assert calls(partial(handle, app, body)) <= WHOLE


def test_a_body_that_cannot_be_kept_for_others_is_written_once() -> None:
    app = App(fakellm.load({"rules": [{"reply": {"content": "Short."}}]}), limits=Limits(cache_bytes=0))
    handle(app, chat())
    assert calls(partial(handle, app, chat())) <= UNKEPT


def test_every_first_request_costs_the_same() -> None:
    asking = Asking(100)
    assert asking.cost(1_002) <= asking.cost(1_001) * 1.01


def test_a_rule_that_does_not_match_costs_a_call() -> None:
    few, many = Asking(10), Asking(10, 1_000)
    assert many.cost(3) - few.cost(3) <= PER_RULE * 1_000


@pytest.mark.parametrize(("words", "rules"), [(10, 1), (1_000, 1), (10, 1_000)])
def test_a_request_that_came_before_costs_the_same_whatever_its_stream_and_the_rules(words: int, rules: int) -> None:
    asking = Asking(words, rules)
    first = asking.cost(3)
    again = calls(partial(handle, asking.app, asking.body(3)))
    assert again <= CACHED
    assert again < first / 2


def test_generated_text_costs_a_bounded_number_of_calls_for_each_frame() -> None:
    app = App()
    bodies = [chat(stream=True, max_tokens=128, user=str(number)) for number in range(60)]
    for body in bodies[:30]:  # the words of the first texts are new to the tokenizer
        frames(app, body)
    cost = sum(calls(partial(frames, app, body)) for body in bodies[30:])
    assert cost <= GENERATED * sum(frames(app, body) for body in bodies[30:])
