"""Quotas: a client never gets more than `limits:` allow, the headers show what is left, and time brings it back."""

from __future__ import annotations

import asyncio
import json
from fractions import Fraction
from time import time_ns
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakellm
from fakellm.apis.protocol import Api
from fakellm.apis.route import api_named
from fakellm.base.errors import ScenarioError
from fakellm.cli import serve_command
from fakellm.engine.response import Response, Work, give_up
from fakellm.quotas.buckets import Quotas
from fakellm.quotas.quota import Demand, Left
from fakellm.scenarios.loader import dump, load
from fakellm.server.application import HttpRequest
from fakellm.server.offload import offload
from fakellm.server.scenario_app import App
from tests.conftest import chat, handled, respond
from tests.test_apis import PATHS, request

MINUTE = 60_000
STEPS = st.lists(st.tuples(st.integers(0, 90_000), st.integers(1, 12)), max_size=40)
"""Milliseconds that pass, and what is requested then."""


def demand(amount: int, limit: int = 10, period: int = MINUTE, key: str = "") -> Demand:
    return Demand((key,), "requests", limit, period, amount)


@given(STEPS, st.integers(1, 11))
def test_no_stretch_of_time_has_more_than_the_quota_and_what_comes_back_in_it(
    steps: list[tuple[int, int]], limit: int
) -> None:
    quotas, now = Quotas(), 0
    taken: list[tuple[int, int]] = []
    for passed, amount in steps:
        now += passed
        (left,) = quotas.take("", [demand(amount, limit)], now)
        if left.wait == 0:
            taken.append((now, amount))
    for place, (start, _) in enumerate(taken):
        for end, (last, _) in enumerate(taken[place:], place + 1):
            total = sum(amount for _, amount in taken[place:end])
            assert total <= limit * (1 + Fraction(last - start, MINUTE))


@given(STEPS, st.integers(1, 11))
def test_a_request_is_refused_only_if_it_does_not_fit_and_what_is_left_is_exact(
    steps: list[tuple[int, int]], limit: int
) -> None:
    quotas, now, room = Quotas(), 0, Fraction(limit)
    for passed, amount in steps:
        now += passed
        room = min(room + Fraction(passed * limit, MINUTE), Fraction(limit))
        (left,) = quotas.take("", [demand(amount, limit)], now)
        fits = amount <= room
        assert (left.wait == 0) == fits
        room -= amount if fits else 0
        assert left.remaining == int(room)
        full = limit - room
        assert left.reset - 1 < full * MINUTE / limit <= left.reset


@given(STEPS, st.integers(1, 11))
def test_after_the_wait_a_refused_request_fits_and_not_a_millisecond_sooner(
    steps: list[tuple[int, int]], limit: int
) -> None:
    for early in (0, 1):
        quotas, now = Quotas(), 0
        for passed, amount in steps:
            now += passed
            (left,) = quotas.take("", [demand(amount, limit)], now)
            if left.wait is None:
                assert amount > limit
            elif left.wait:
                now += left.wait - early
                (again,) = quotas.take("", [demand(amount, limit)], now)
                assert again.wait == early


@given(st.lists(st.integers(1, 6), min_size=2, max_size=4))
def test_a_request_takes_all_or_nothing(amounts: list[int]) -> None:
    """Whichever of the quotas it does not fit into."""
    quotas = Quotas()
    each = [demand(amount, 5, key=str(number)) for number, amount in enumerate(amounts)]
    each += [Demand(("held",), "concurrent", 5, 0, amounts[0])]
    left = quotas.take("", each, 0)
    fits = max(amounts) <= 5
    assert [one.remaining for one in left] == [5 - one.amount if fits else 5 for one in each]
    quotas.give_back("", each if fits else ())
    assert quotas.take("", [Demand(("held",), "concurrent", 5, 0, 5)], 0) == (Left("concurrent", 5, 0),)


@given(st.lists(st.tuples(st.integers(0, 90_000), st.integers(1, 12))), st.integers(1, 11))
def test_a_clock_that_is_set_back_uses_nothing_up(steps: list[tuple[int, int]], limit: int) -> None:
    quotas = Quotas()
    for now, amount in steps:
        (left,) = quotas.take("", [demand(amount, limit)], now)
        assert left.remaining >= 0
        assert left.reset <= MINUTE


def test_quotas_are_bounded_and_the_one_used_longest_ago_is_forgotten() -> None:
    quotas = Quotas(most=2)
    for key in "abac":
        quotas.take("", [demand(1, 3, key=key)], 0)
    left = {key: quotas.take("", [demand(0, 3, key=key)], 0)[0].remaining for key in "cab"}
    assert left["b"] == 3
    assert left["c"] == 2


def test_the_quotas_of_owners_that_have_ended_push_out_none_of_the_others() -> None:
    quotas = Quotas(most=2)
    for owner in ("stays", "a", "b", "c"):
        quotas.take(owner, [demand(1, 3)], 0)
        if owner != "stays":
            quotas.end(owner)
    assert quotas.take("stays", [demand(0, 3)], 0)[0].remaining == 2


def served(limits: str, reply: str = "{content: Hello.}") -> App:
    return App(load(f"limits: [{limits}]\nrules: [{{reply: {reply}}}]"))


def headers(response: Response) -> dict[str, str]:
    """The headers as the journal has them, which are those on the wire."""
    shown = {name.lower(): value for name, value in response.head.headers}
    written = response.bursts[0].data.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    on_wire = [line.partition(": ")[::2] for line in written]
    assert {name.lower(): value for name, value in on_wire}.items() >= shown.items()
    assert len({name.lower() for name, _ in on_wire}) >= len(on_wire) - 2  # Google sends `vary` three times
    return shown


def sent(app: App, name: str = "chat", stream: bool = False, **more: Any) -> Response:
    found = request(name, stream, **more)
    return respond(app, found)


def advance(app: App, seconds: float, path: str = "") -> None:
    respond(app, HttpRequest("POST", f"{path}/_fakellm/advance?seconds={seconds}"))


@given(st.lists(st.one_of(st.just("request"), st.integers(1, 100)), max_size=12), st.sampled_from([True, False]))
def test_the_headers_show_what_is_left(steps: list[int | str], stream: bool) -> None:
    app, room = served("{per_minute: {requests: 3}}"), Fraction(3)
    for step in steps:
        if isinstance(step, int):
            advance(app, step)
            room = min(room + Fraction(step, 20), Fraction(3))
            continue
        response = sent(app, stream=stream)
        assert response.head.status == (200 if room >= 1 else 429)
        room -= room >= 1
        shown = headers(response)
        assert shown["x-ratelimit-limit-requests"] == "3"
        assert shown["x-ratelimit-remaining-requests"] == str(int(room))
        if response.head.status == 429:
            assert shown["retry-after-ms"] == str(int((1 - room) * 20_000))
        else:
            assert "retry-after" not in shown


HEADERS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "chat": (
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m0s"},
        {"x-ratelimit-remaining-requests": "0", "retry-after": "60", "retry-after-ms": "60000"},
    ),
    "responses": (
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m0s"},
        {"x-ratelimit-remaining-requests": "0", "retry-after": "60", "retry-after-ms": "60000"},
    ),
    "messages": (
        {
            "anthropic-ratelimit-requests-limit": "1",
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2026-01-01T00:01:00Z",
        },
        {"anthropic-ratelimit-requests-remaining": "0", "retry-after": "60"},
    ),
    "gemini": ({}, {}),
    "ollama": ({}, {}),
}
"""By API: the headers of the only reply per minute, and those of the refusal after it."""

BODIES: dict[str, dict[str, Any]] = {
    "chat": {"error": {"type": "requests", "param": None, "code": "rate_limit_exceeded"}},
    "responses": {"error": {"type": "requests", "param": None, "code": "rate_limit_exceeded"}},
    "messages": {"type": "error", "error": {"type": "rate_limit_error"}},
    "gemini": {
        "error": {
            "code": 429,
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "60s"}],
        }
    },
    "ollama": {},
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", PATHS)
def test_each_api_refuses_in_its_own_shape(name: str, stream: bool) -> None:
    app = served("{per_minute: {requests: 1}}")
    first, second = sent(app, name, stream), sent(app, name, stream)
    assert (first.head.status, second.head.status) == (200, 429)
    for response, expected in zip((first, second), HEADERS[name], strict=True):
        assert headers(response).items() >= expected.items()
    body = json.loads(second.body)
    body = body[0] if isinstance(body, list) else body
    message = "on requests per minute: limit 1, used 1, requested 1. Please try again in 60s."
    assert message in json.dumps(body)
    for place, expected_part in BODIES[name].items():
        part = body[place]
        assert part == expected_part if isinstance(part, str) else part.items() >= expected_part.items()
    assert second.matched
    assert second.rule is None


def keys(value: Any) -> Any:
    """The keys of a JSON value, and of what is in it."""
    return {key: keys(each) for key, each in value.items()} if isinstance(value, dict) else None


@pytest.mark.parametrize("dialect", ["azure", "groq", "mistral", "openrouter"])
def test_a_dialect_refuses_as_its_provider_does(dialect: str) -> None:
    """As with a fault of this status."""
    app = App(load(f"dialect: {dialect}\nlimits: [{{per_minute: {{requests: 1}}}}]\nrules: [{{reply: {{}}}}]"))
    sent(app)
    refused = json.loads(sent(app).body)
    fault = {"dialect": dialect, "rules": [{"reply": {}, "fault": {"kind": "status", "status": 429}}]}
    usual = json.loads(sent(App(load(fault))).body)
    assert keys(refused) == keys(usual)


@pytest.mark.parametrize(
    ("unit", "reply", "fits"),
    [
        ("tokens: 20", "{content: Hi, usage: {prompt: 4, completion: 6}}", 2),
        ("input_tokens: 20", "{content: Hi, usage: {prompt: 4, completion: 6}}", 5),
        ("output_tokens: 20", "{content: Hi, usage: {prompt: 4, completion: 6}}", 3),
        ("input_tokens: 8", "{content: one two three}", 2),  # the prompt has 4 tokens
        ("output_tokens: 8", "{content: one two three}", 2),  # counted
        ("output_tokens: 2", "{content: one two three}", 0),  # never fits
    ],
)
def test_tokens_are_those_of_the_usage(unit: str, reply: str, fits: int) -> None:
    app = served(f"{{per_minute: {{{unit}}}}}", reply)
    responses = [sent(app) for _ in range(6)]
    assert [each.head.status for each in responses] == [200] * fits + [429] * (6 - fits)
    limit = unit.partition(": ")[2]
    assert headers(responses[0])["x-ratelimit-limit-tokens"] == limit
    if not fits:
        assert "No wait helps: the request is larger than the limit." in responses[0].body.decode()
        assert "retry-after" not in headers(responses[0])


def test_an_error_uses_no_tokens_and_a_function_those_of_its_prompt() -> None:
    fault = "{kind: status, status: 500, times: 2}"
    app = App(
        load(
            f"limits: [{{per_minute: {{output_tokens: 3}}}}]\nrules: [{{reply: {{content: one two}}, fault: {fault}}}]"
        )
    )
    assert [sent(app).head.status for _ in range(4)] == [500, 500, 200, 429]
    limit = fakellm.RateLimit(per_minute=fakellm.Allowance(tokens=9))
    computed = fakellm.on().reply(lambda request: "one two three four five six").rule
    app = App(load(fakellm.Scenario(limits=(limit,), rules=(computed,))))
    assert [sent(app).head.status for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("{per_minute: {requests: 1}}", [200, 429, 429, 429]),
        ("{by: key, per_minute: {requests: 1}}", [200, 200, 429, 429]),
        ("{by: model, per_minute: {requests: 1}}", [200, 429, 200, 429]),
        ("{model: b*, per_minute: {requests: 1}}", [200, 200, 200, 429]),
        ("{by: key, model: b*, per_minute: {requests: 1}}", [200, 200, 200, 200]),
        ("{per_day: {requests: 1}}", [200, 429, 429, 429]),
    ],
)
def test_a_quota_is_that_of_a_session_a_key_or_a_model(limit: str, expected: list[int]) -> None:
    app = served(limit)

    def status(model: str, key: str, path: str = "") -> int | None:
        headers = {"Authorization": f"Bearer {key}"}
        return respond(app, HttpRequest("POST", f"{path}/v1/chat/completions", chat(model=model), headers)).head.status

    assert [status(model, key) for model in ("a", "b") for key in ("k", "l")] == expected
    assert status("a", "k", "/s/other") == 200


def test_a_day_has_a_day_and_each_session_its_own_time() -> None:
    app = served("{per_day: {requests: 24}}")
    assert [sent(app).head.status for _ in range(25)] == [200] * 24 + [429]
    advance(app, 3600, "/s/other")
    assert sent(app).head.status == 429
    advance(app, 3599)
    assert headers(sent(app))["retry-after"] == "1"
    advance(app, 1)
    assert headers(sent(app))["x-ratelimit-reset-requests"] == "24h0m0s"
    assert sent(app).head.status == 429


def test_a_refused_request_is_not_an_attempt() -> None:
    script = "{script: [{reply: {content: one}}, {reply: {content: two}}, {reply: {content: three}}]}"
    app = App(load(f"limits: [{{per_minute: {{requests: 1}}}}]\nrules: [{script}]"))
    found: list[str] = []
    for _ in range(3):
        response = sent(app)
        assert response.head.status == 200
        found.append(json.loads(response.body)["choices"][0]["message"]["content"])
        if len(found) < 3:
            assert sent(app).head.status == 429
            advance(app, 60)
    assert found == ["one", "two", "three"]
    assert sent(app).head.status == 404  # after the end of the script; no quota counts it


def test_a_session_is_full_again_after_a_reset_and_a_load_and_not_after_added_rules() -> None:
    app = served("{per_minute: {requests: 1}}")
    assert [sent(app).head.status for _ in range(2)] == [200, 429]
    respond(app, HttpRequest("POST", "/_fakellm/reset"))
    assert [sent(app).head.status for _ in range(2)] == [200, 429]
    added = b'{"limits": [{"per_minute": {"requests": 9}}], "rules": [{"when": {"user": "no"}, "reply": {}}]}'
    with pytest.raises(ScenarioError, match="no request reaches this rule"):
        app.extended(app.session("").content, load(added.decode()), None, False)
    more = load('{"limits": [{"per_minute": {"requests": 9}}], "rules": []}')
    app.change("", app.extended(app.session("").content, more, None, False))
    assert len(app.session("").content.limits) == 2
    assert sent(app).head.status == 429


def test_time_passes_by_itself_if_the_server_has_a_clock() -> None:
    now = [1_800_000_000_000]
    app = App(load("limits: [{per_minute: {requests: 1}}]\nrules: [{reply: {}}]"), time=lambda: now[0])
    assert headers(sent(app, "messages"))["anthropic-ratelimit-requests-reset"] == "2027-01-15T08:01:00Z"
    now[0] += 59_000
    assert headers(sent(app, "messages"))["retry-after"] == "1"
    now[0] += 1_000
    assert sent(app, "messages").head.status == 200


def test_the_time_of_a_server_goes_on_when_the_clock_of_the_machine_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    time = serve_command._passing()
    before = time()
    assert abs(before - time_ns() // 10**6) < 60_000
    monkeypatch.setattr(serve_command, "time_ns", lambda: 0)
    assert time() >= before


@pytest.mark.parametrize("seconds", ["", "-1", "nan", "inf", "x", "1e10"])
def test_a_time_that_cannot_pass_is_refused(seconds: str) -> None:
    response = respond(App(), HttpRequest("POST", f"/_fakellm/advance?seconds={seconds}"))
    assert response.head.status == 400
    assert "Invalid value for 'seconds': expected a number from 0 to 1,000,000,000" in response.body.decode()


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ("[{}]", "limits[0]: this limits nothing; set 'per_minute', 'per_day' or 'concurrent'"),
        ("[{per_minute: {}}]", "limits[0]: this limits nothing; set 'per_minute', 'per_day' or 'concurrent'"),
        ("[{per_minute: {requests: 0}}]", "limits[0].per_minute.requests"),
        ("[{per_minute: {request: 1}}]", "did you mean 'requests'?"),
        ("[{by: user, concurrent: 1}]", "'user' is not one of session, key, model"),
    ],
)
def test_a_wrong_limit_is_refused_with_its_place(limits: str, problem: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(f"limits: {limits}\nrules: []")
    assert problem in str(caught.value)


def test_limits_are_dumped_and_those_of_several_files_all_apply(tmp_path: Any) -> None:
    texts = ["limits: [{by: key, per_minute: {requests: 5}}]\nrules: []", "limits: [{concurrent: 2}]\nrules: []"]
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yaml").write_text(text)
    both = load(tmp_path)
    assert both.limits == (*load(texts[0]).limits, *load(texts[1]).limits)
    assert load(dump(both)) == both


def test_a_long_request_is_within_limits_too() -> None:
    """Another process reads it, and counts its tokens."""
    app = served("{per_minute: {requests: 2, input_tokens: 100_000}}")
    user = "word " * 20_000
    responses = [handled(app, request("chat", True, user))[0] for _ in range(3)]
    left = [headers(each) for each in responses]
    assert [each.head.status for each in responses] == [200, 200, 429]
    assert [each["x-ratelimit-remaining-requests"] for each in left] == ["1", "0", "0"]
    used = 100_000 - int(left[0]["x-ratelimit-remaining-tokens"])
    assert 19_000 < used < 45_000
    assert int(left[1]["x-ratelimit-remaining-tokens"]) == 100_000 - 2 * used


@pytest.mark.parametrize("user", ["word " * 20_000, "a" * 18 + "!"])
def test_a_long_request_that_is_never_answered_holds_nothing(user: str) -> None:
    """Another process reads or matches it."""
    rules = [{"when": {"user": {"regex": "^(a+)+$"}}, "reply": {}}, {"reply": {}}]
    app = App(load(json.dumps({"limits": [{"concurrent": 1}], "rules": rules})))
    responses = []
    for _ in range(2):
        work, _ = app.handle(request("chat", False, user))
        assert isinstance(work, Work)
        result = asyncio.run(offload(work.run))
        responses.append(work.then(result))
        give_up(work)  # the client has left before the event loop took the response
    assert [each.head.status for each in responses] == [200, 200]


SLOW = """
limits: [{by: key, concurrent: 2}]
rules:
- when: {user: stepped}
  reply: {content: one two}
  timing: {step: true}
- reply: {content: Hello.}
"""


def test_concurrent_requests_end_with_their_replies_however_these_end() -> None:
    with fakellm.serve(SLOW) as server, openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:

        def ask(user: str, stream: bool) -> Any:
            messages: Any = [{"role": "user", "content": user}]
            return client.chat.completions.create(model="m", messages=messages, stream=stream)

        streams = [ask("stepped", True) for _ in range(2)]
        with pytest.raises(openai.RateLimitError, match="on concurrent requests: limit 2, used 2, requested 1"):
            ask("Hi", False)
        with openai.OpenAI(base_url=server.base_url, api_key="l") as other:
            other.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
        server.step(None, request=1)
        list(streams[0])  # to its end
        ask("Hi", False)
        streams.append(ask("stepped", True))
        streams[1].close()  # the client leaves
        server.wait_for(outcome="client left")
        for _ in range(3):
            ask("Hi", False)
        server.step(None)
        list(streams[2])


def test_sdks_raise_what_they_raise_for_their_provider(fakellm: fakellm.Handle) -> None:
    fakellm.load("limits: [{per_minute: {requests: 1}}]\nrules: [{reply: {content: Hello.}}]")
    messages: Any = [{"role": "user", "content": "Hi"}]
    with openai.OpenAI(max_retries=0) as client:
        client.chat.completions.create(model="m", messages=messages)
        with pytest.raises(openai.RateLimitError) as refused:
            client.chat.completions.create(model="m", messages=messages)
        assert refused.value.response.headers["retry-after-ms"] == "60000"
        assert fakellm.advance(60) == 60.0
        client.chat.completions.create(model="m", messages=messages)
        assert [entry.advanced for entry in fakellm.journal] == [0.0, 0.0, 60.0]
        fakellm.assert_resilient()
    with anthropic.Anthropic(max_retries=0) as other:
        with pytest.raises(anthropic.RateLimitError) as also:
            other.messages.create(model="m", messages=messages, max_tokens=9)
        assert also.value.response.headers["retry-after"] == "60"
        assert also.value.response.headers["anthropic-ratelimit-requests-reset"] == "2026-01-01T00:02:00Z"


def test_every_api_has_its_headers() -> None:
    apis: list[Api[Any]] = [api_named(name) for name in PATHS]
    assert HEADERS.keys() == BODIES.keys() == {each.name for each in apis}
