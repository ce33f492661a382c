"""Replies in order, by template and by function: what each attempt of a request gets."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakellm
from fakellm import Computed, Reply, Request, Rule, ScenarioError, Step, faults, on
from fakellm.apis.chat.requests.parse import parse
from fakellm.base.errors import ReplyError
from fakellm.engine.ruleset import Script
from fakellm.scenarios.loader import ScenarioSource, dump, load
from fakellm.scenarios.reply import Call
from fakellm.scenarios.templates import check, fill, fill_json
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import chat, handled, post, respond

AGENT = parse(
    chat(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Add {{2}} and 3"},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c-1", "function": {"name": "add", "arguments": '{"a": 2, "b": [3]}'}}],
            },
            {"role": "tool", "tool_call_id": "c-1", "content": '{"sum": 5, "text": "five"}'},
        ],
        metadata={"run": "7"},
    ),
    {"x-run": "nightly"},
)


def app_of(source: ScenarioSource) -> App:
    return App(load(source), strict=True)


def ask(app: App, path: str = "/v1/chat/completions", **fields: Any) -> str | int:
    """The text that comes, or the status of what is no answer."""
    answer = respond(app, HttpRequest("POST", path, chat(**fields)))
    if answer.plan.status != 200:
        return answer.plan.status or 0
    return str(json.loads(answer.plan.body)["choices"][0]["message"]["content"])


IN_ORDER = """
rules:
- reply: {content: One}
  then: [{reply: {content: Two}}, {reply: {content: Three}}]
  after: %s
"""


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("last", ["One", "Two", "Three", "Three", "Three"]),
        ("cycle", ["One", "Two", "Three", "One", "Two"]),
        ("fail", ["One", "Two", "Three", 404, 404]),
    ],
)
def test_replies_come_in_order(after: str, expected: list[object]) -> None:
    app = app_of(IN_ORDER % after)
    assert [ask(app) for _ in expected] == expected


def test_other_requests_and_sessions_have_their_own_turns() -> None:
    app = app_of(IN_ORDER % "last")
    assert [ask(app), ask(app, temperature=1), ask(app, "/s/x/v1/chat/completions")] == ["One", "One", "One"]
    assert [ask(app), ask(app, temperature=1), ask(app, "/s/x/v1/chat/completions")] == ["Two", "Two", "Two"]
    app.handle(HttpRequest("POST", "/_fakellm/reset"))
    assert ask(app) == "One"


def test_a_script_without_further_replies_is_reported_and_counts_as_unmatched() -> None:
    app = app_of("rules:\n- {name: once, reply: {}, after: fail}\n")
    ask(app)
    answer, entry = handled(app, HttpRequest("POST", "/v1/chat/completions", chat()))
    error = json.loads(answer.plan.body)["error"]
    assert error["message"] == (
        "The rule 'once' has sent all its replies to this request, and it sets `after: fail`. Add a reply, or find out "
        "why the application sends the request again."
    )
    assert (error["code"], entry.matched, dict(answer.plan.headers)["x-should-retry"]) == (
        "no_more_replies",
        False,
        "false",
    )


def test_a_fault_is_over_before_the_next_reply() -> None:
    failing = faults.Status(status=429, times=2, after=1)
    rule = Rule(reply=Reply(content="A"), fault=failing, then=(Step(reply=Reply(content="B")),), after="cycle")
    app = app_of(rule)
    assert [ask(app) for _ in range(7)] == ["A", 429, 429, "A", "B", "A", 429]


def test_a_fault_without_end_is_for_one_attempt_of_several() -> None:
    rule = Rule(reply=Reply(), fault=faults.Status(status=503), then=(Step(reply=Reply(content="B")),))
    app = app_of(rule)
    assert [ask(app) for _ in range(3)] == [503, "B", "B"]
    assert [ask(app_of(Rule(reply=Reply(), fault=faults.Status(status=503)))) for _ in range(3)] == [503] * 3


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=4), st.sampled_from(("last", "cycle", "fail")), st.integers(1, 40)
)
def test_attempts_walk_through_the_steps(times: list[int], after: Any, number: int) -> None:
    """A step whose fault strikes n times is for n + 1 attempts, the last of them plain."""
    steps = [Step(reply=Reply(content=str(n)), fault=faults.Status(times=each)) for n, each in enumerate(times)]
    rule = Rule(reply=steps[0].reply, fault=steps[0].fault, then=tuple(steps[1:]), after=after)
    walk = [(step, faulty) for step, each in enumerate(times) for faulty in (*[True] * each, False)]
    place = number - 1 if after != "cycle" else (number - 1) % len(walk)
    beyond = walk[-1] if after == "last" else None
    expected = walk[place] if place < len(walk) else beyond
    attempt = Script(rule).attempt(number, True, 0, "")
    assert (attempt and (attempt.step, attempt.faulty)) == expected


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("You said: {{user}}", "You said: Add {{2}} and 3"),
        ("{{ model }}/{{turn}}/{{attempt}}", "m/2/3"),
        ("{{system}}", "Be brief."),
        ("{{result.add}}", '{"sum": 5, "text": "five"}'),
        ("{{result.c-1.text}} is {{result.add.sum}}", "five is 5"),
        ("{{arguments.add.a}} {{arguments.add.b[0]}} {{arguments.add.b}}", "2 3 [3]"),
        ("{{body.metadata.run}} {{body.messages[-1].role}}", "7 tool"),
        ("{{headers.X-Run}}", "nightly"),
        ("a {{{{user}} b }}", "a {{user}} b }}"),
        ("{{{{{{user}}", "{{Add {{2}} and 3"),
    ],
)
def test_placeholders(text: str, filled: str) -> None:
    assert fill(text, AGENT, 3) == filled


def test_a_value_that_is_only_a_placeholder_keeps_its_type() -> None:
    value = {"a": "{{arguments.add.a}}", "b": ["{{arguments.add.b}}", "n{{turn}}"], "c": None, "d": "{{result.add}}"}
    assert fill_json(value, AGENT, 1) == {"a": 2, "b": [[3], "n2"], "c": None, "d": '{"sum": 5, "text": "five"}'}


@given(st.text(alphabet="{}a u") | st.text())
def test_any_text_can_be_sent(text: str) -> None:
    escaped = text.replace("{{", "{{{{")
    check(escaped)
    assert fill(escaped, AGENT, 1) == text


@pytest.mark.parametrize("gap", ["{{result.multiply}}", "{{result.add.product}}", "{{arguments.f}}", "{{body.seed}}"])
def test_a_placeholder_that_nothing_fills_is_an_error(gap: str) -> None:
    with pytest.raises(ReplyError, match="this request has no such value"):
        fill(gap, AGENT, 1)
    rule = Rule(reply=Reply(content=gap, template=True), name="echo")
    answer, entry = handled(app_of(rule), HttpRequest("POST", "/v1/chat/completions", chat()))
    message = json.loads(answer.plan.body)["error"]["message"]
    assert (
        message
        == f"The rule 'echo' cannot answer this request: its reply contains {gap}, and this request has no such value."
    )
    assert (answer.plan.status, entry.matched) == (400, False)


def test_without_template_a_text_is_itself() -> None:
    assert ask(app_of(Rule(reply=Reply(content="{{user}}")))) == "{{user}}"
    assert ask(app_of(Rule(reply=Reply(content="{{user}} {{attempt}}", template=True)))) == "Hello 1"


def test_a_reply_that_contains_its_attempt_counts_attempts() -> None:
    app = app_of(Rule(reply=Reply(choices=(fakellm.ReplyChoice(content="{{attempt}}", template=True),))))
    assert [ask(app) for _ in range(3)] == ["1", "2", "3"]
    assert ask(app, temperature=1) == "1"


def test_headers_of_a_reply() -> None:
    headers = {"x-request-id": "r1", "content-type": "application/json; charset=utf-8"}
    answer = respond(app_of(Rule(reply=Reply(headers=headers))), HttpRequest("POST", "/v1/chat/completions", chat()))
    said = [(name.lower(), value) for name, value in answer.plan.headers]
    assert [value for name, value in said if name == "content-type"] == ["application/json; charset=utf-8"]
    assert ("x-request-id", "r1") in said


def test_a_function_answers() -> None:
    asked: list[Request] = []

    def reply(request: Request) -> Reply | str:
        asked.append(request)
        return request.user.upper() if len(asked) < 3 else Reply(content="{{turn}}", template=True)

    app = app_of(Rule(reply=Computed(function=reply)))
    assert [ask(app), ask(app), ask(app)] == ["HELLO", "HELLO", "1"]
    assert asked[0].tools == ()


async def cancelled(request: Request) -> str:
    raise asyncio.CancelledError


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda request: request.results["add"], "its function raised KeyError('add')."),
        (
            lambda request: 5,
            "its function returned 5; it must return a text, data to send as JSON (a dict, pydantic model or "
            "dataclass), a Call, a list of Calls or a Reply.",
        ),
        (lambda request: sys.exit(2), "its function raised SystemExit(2)."),
        (cancelled, "its function raised CancelledError()."),
        (lambda request: cancelled(request), "its function raised CancelledError()."),
        (lambda request: next(iter(())), "its function raised StopIteration()."),
        (
            lambda request: Unprintable(),
            "its function returned an object of Unprintable, whose repr raises ValueError; it must return "
            "a text, data to send as JSON (a dict, pydantic model or dataclass), a Call, a list of Calls or a Reply.",
        ),
        (
            lambda request: Reply(content=cast(Any, 5)),
            "its function returned a Reply with a wrong value: content: expected string, got integer.",
        ),
        (
            lambda request: Reply(usage=cast(Any, 3)),
            "its function returned a Reply with a wrong value: usage: expected object | null, got integer.",
        ),
        (
            lambda request: Reply(tool_calls=(Call("f", {"a": object()}),)),
            "its function returned a Reply with a wrong value: tool_calls[0].arguments.a: JSON has no values of the type "
            "'object'; write text, a number, a boolean, null, a list or a mapping.",
        ),
    ],
)
def test_a_function_that_fails_is_reported(function: Any, told: str) -> None:
    rule = Rule(reply=Computed(function=function), name="f")
    answer, entry = handled(app_of(rule), HttpRequest("POST", "/v1/chat/completions", chat()))
    # What it raises is raised again elsewhere: in the journal, its rule has matched.
    assert (answer.plan.status, entry.rule, entry.matched) == (400, "f", "raised" in told)
    assert entry.explanation == f"The rule 'f' cannot answer this request: {told}"


@pytest.mark.parametrize("error", [SystemExit(2), KeyboardInterrupt(), pytest.fail.Exception("no"), GeneratorExit()])
@pytest.mark.parametrize("wait", [False, True])
def test_a_server_survives_whatever_a_function_raises(error: BaseException, wait: bool) -> None:
    def reply(request: Request) -> str:
        raise error

    async def waiting(request: Request) -> str:
        raise error

    with fakellm.serve(on().reply(waiting if wait else reply)) as handle:
        for _ in range(2):
            assert post(f"{handle.base_url}/chat/completions", chat()).status_code == 400
        assert [entry.outcome for entry in handle.journal] == ["sent", "sent"]
        assert handle.raised() == [error, error]  # else the block would raise it at its end


def test_a_fault_that_needs_calls_checks_the_reply_of_a_function() -> None:
    app = app_of(Rule(reply=Computed(function=lambda request: "Hi"), fault=faults.BadArguments(times=1)))
    assert [ask(app), ask(app)] == [400, "Hi"]


def test_only_the_function_of_the_matched_reply_is_called_and_once() -> None:
    calls: list[str] = []

    def function(name: str) -> Callable[[Request], str]:
        def reply(request: Request) -> str:
            calls.append(name)
            return name

        return reply

    app = app_of(on().reply(function("f")).then().reply(function("g")).then().reply("H").rule)
    assert [ask(app) for _ in range(4)] == ["f", "g", "H", "H"]
    assert calls == ["f", "g"]


def test_async_functions_are_awaited_and_blocking_ones_stop_no_other_reply() -> None:
    release = threading.Event()

    async def later(request: Request) -> str:
        await asyncio.sleep(0)
        return "awaited"

    def blocking(request: Request) -> str:
        assert release.wait(30)
        return "released"

    class CallableObject:
        async def __call__(self, request: Request) -> Reply:
            return Reply(content="awaited too")

    rules = [
        on(model="later").reply(later),
        on(model="blocking").reply(blocking),
        on(model="object").reply(CallableObject()),
    ]
    with fakellm.serve(rules) as server, ThreadPoolExecutor(8) as pool:

        def answer(model: str) -> str:
            reply = post(server.base_url + "/chat/completions", chat(model=model)).json()
            return str(reply["choices"][0]["message"]["content"])

        blocked = [pool.submit(answer, "blocking") for _ in range(8)]
        with ThreadPoolExecutor(1) as other:
            assert other.submit(answer, "later").result(timeout=20) == "awaited"
            assert other.submit(answer, "object").result(timeout=20) == "awaited too"
        release.set()
        assert {each.result() for each in blocked} == {"released"}
        assert [entry.rule for entry in server.journal].count("scenario#2") == 8


def test_requests_are_in_the_journal_in_the_order_of_their_arrival() -> None:
    arrived, release = threading.Event(), threading.Event()

    def slow(request: Request) -> str:
        arrived.set()
        assert release.wait(30)
        return "slow"

    with fakellm.serve([on(model="slow").reply(slow), on().reply("quick")]) as server, ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, server.base_url + "/chat/completions", chat(model="slow"))
        assert arrived.wait(30)
        post(server.base_url + "/chat/completions", chat())
        assert [(entry.rule, entry.status, entry.outcome) for entry in server.journal] == [
            (None, None, "sending"),
            ("scenario#2", 200, "sent"),
        ]
        release.set()
        assert first.result().status_code == 200
        assert (server.journal[0].rule, server.journal[0].status) == ("scenario#1", 200)


def test_a_function_that_never_returns_does_not_keep_the_server_from_ending() -> None:
    called = threading.Event()

    def stuck(request: Request) -> str:
        called.set()
        threading.Event().wait()
        return "never"

    with ThreadPoolExecutor(1) as pool:
        with fakellm.serve(on().reply(stuck)) as server:
            reply = pool.submit(post, server.base_url + "/chat/completions", chat())
            assert called.wait(30)
        with pytest.raises(httpx2.HTTPError):
            reply.result(timeout=30)


def test_a_function_serves_only_in_this_process() -> None:
    rule = fakellm.on(user="Hello").reply(lambda request: request.user + "!")
    with fakellm.serve(rule) as server:
        for handle in (server, server.session("mine")):
            handle.load([rule])
            reply = post(handle.base_url + "/chat/completions", chat()).json()
            assert reply["choices"][0]["message"]["content"] == "Hello!"
            assert [entry.rule for entry in handle.journal] == ["scenario#1"]
    with pytest.raises(
        ScenarioError, match=r"rules\[0\]: a reply that is a Python function .* serve it with fakellm.serve"
    ):
        fakellm.spawn(rule).__enter__()
    with fakellm.spawn() as server, pytest.raises(ScenarioError, match="nor leave this process"):
        server.load(rule)


def test_a_scripted_call_may_be_of_a_custom_tool() -> None:
    call = {"name": "code", "arguments": "print(2)", "kind": "custom"}
    scenario = load({"rules": [{"reply": {"tool_calls": [call, {"name": "add"}]}}]})
    assert load(dump(scenario)) == scenario
    body = json.loads(respond(App(scenario), HttpRequest("POST", "/v1/chat/completions", chat())).plan.body)
    custom, function = body["choices"][0]["message"]["tool_calls"]
    assert (custom["type"], custom["custom"]) == ("custom", {"name": "code", "input": "print(2)"})
    assert (function["type"], function["function"]) == ("function", {"name": "add", "arguments": "{}"})
