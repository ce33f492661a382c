"""What a client did is judged by what the providers ask: a client that does that gets no finding, and each wrong one its own.

Entries are values here; `test_verdict_sdks.py` has real clients.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fakellm.engine.entry import Entry, SentCall, SentReply
from fakellm.testing.verdicts import judge
from fakellm.testing.verdicts.finding import RULES
from tests.call_count import calls
from tests.conftest import ROOT

FAILED = SentReply()
CHAT = "/v1/chat/completions"


def entry(
    number: int,
    started: float,
    status: int | None = 200,
    *,
    seconds: float = 0.01,
    reply: SentReply | None = None,
    messages: Sequence[dict[str, Any]] | str = "hi",
    headers: dict[str, str] | None = None,
    body: dict[str, Any] | None = None,
    **fields: Any,
) -> Entry:
    """The entry of a request that came at `started` and whose reply took so many seconds."""
    sent = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
    request = body if body is not None else {"model": "m", "messages": sent}
    reply = reply or (SentReply(text="Hello", whole=True, finish="stop") if status == 200 else FAILED)
    ended = started + seconds
    usual = {"api": "chat", "dialect": "openai", "outcome": "sent" if status else "reset", "path": CHAT, "ended": ended}
    return Entry(
        method="POST",
        request=request,
        body=json.dumps(request),
        status=status,
        number=number,
        started=started,
        reply=replace(reply, headers={**reply.headers, **(headers or {})}),
        **{**usual, **fields},
    )


def found(*entries: Entry) -> list[str]:
    return [finding.rule for finding in judge(entries).findings]


# A client that does what the providers ask

FAILURES = st.sampled_from(
    [(429, None), (429, 2.0), (503, None), (500, None), (529, 1.0), (408, None), (None, None), (409, None)]
)
REFUSALS = st.sampled_from([400, 401, 403, 404, 413, 422])
CALLS = st.lists(
    st.tuples(st.lists(FAILURES, max_size=4), st.sampled_from(["answer", "refusal", "give up"])), max_size=5
)


def well_behaved(calls: Sequence[tuple[Sequence[tuple[int | None, float | None]], str]]) -> list[Entry]:
    """The entries of a client that waits as long as it is to, with jitter, and repeats only what may be repeated."""
    entries: list[Entry] = []
    now, number = 100.0, 0

    def add(text: str, status: int | None, due: float | None) -> None:
        nonlocal number
        number += 1
        entries.append(entry(number, now, status, messages=text, headers={"retry-after": f"{due:g}"} if due else {}))

    for index, (failures, end) in enumerate(calls):
        text = f"question {index}"
        for retry, (status, due) in enumerate(failures):
            add(text, status, due)
            backoff = 0.5 * 2**retry * (1 - 0.25 * ((7 * number) % 11) / 11)  # drawn, in a real one
            now += 0.01 + (due or 0.0) + backoff
        add(text, {"answer": 200, "refusal": 400, "give up": 503 if len(failures) else 401}[end], None)
        now += 1.0
    return entries


@given(CALLS)
def test_a_client_that_does_what_is_asked_gets_no_finding(calls: Any) -> None:
    verdict = judge(well_behaved(calls))
    assert verdict.findings == ()
    assert verdict.ok
    verdict.check()


@given(CALLS, REFUSALS, st.floats(0.2, 100.0))
def test_a_refusal_that_is_repeated_is_found_among_all_else(calls: Any, status: int, wait: float) -> None:
    entries = well_behaved(calls)
    number, now = len(entries) + 1, 10_000.0
    again = [entry(number, now, status, messages="mine"), entry(number + 1, now + wait, messages="mine")]
    (finding,) = judge([*entries, *again]).findings
    assert (finding.rule, finding.requests) == ("retried-refusal", (number, number + 1))


@given(CALLS, st.floats(0.5, 60.0), st.floats(0.0, 1.0))
def test_only_a_client_that_comes_back_too_early_is_found(calls: Any, due: float, share: float) -> None:
    entries = well_behaved(calls)
    number, now = len(entries) + 1, 10_000.0
    first = entry(number, now, 429, messages="mine", headers={"retry-after-ms": f"{1_000 * due}", "retry-after": "9"})
    for wait in (due * share, due + share):
        rules = found(*entries, first, entry(number + 1, now + 0.01 + wait, messages="mine"))
        assert rules == (["too-early"] if wait < due - 0.02 else [])


@given(CALLS, st.floats(-1e6, 1e6))
def test_only_differences_of_times_count(calls: Any, shift: float) -> None:
    def moved(each: Entry) -> Entry:
        assert each.started is not None
        assert each.ended is not None
        return replace(each, started=each.started + shift, ended=each.ended + shift)

    entries = [*well_behaved(calls), entry(90, 9_000.0, 429, messages="x"), entry(91, 9_000.0, 401, messages="y")]
    assert judge(map(moved, entries)) == judge(entries)


@given(CALLS)
def test_requests_for_no_model_are_not_judged(calls: Any) -> None:
    others = [entry(90 + number, 9_000.0 + number, 404, api=None) for number in range(4)]
    assert judge([*well_behaved(calls), *others]).ok


# Each rule: entries that break it, and the nearest that do not

ONE, TWO = SentCall("call_1", "add", "{}"), SentCall("call_2", "sub", "{}")
CALLED = SentReply(calls=(ONE, TWO), whole=True, finish="tool_calls")
USER = {"role": "user", "content": "hi"}


def assistant(*ids: str, **fields: Any) -> dict[str, Any]:
    calls = [{"id": id_, "type": "function", "function": {"name": "add", "arguments": "{}"}} for id_ in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls, **fields}


def result(id_: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": "4"}


def after_calls(*messages: dict[str, Any], reply: SentReply = CALLED, **fields: Any) -> list[Entry]:
    """A reply with calls, and a request that goes on with these messages."""
    return [entry(1, 1.0, reply=reply, **fields), entry(2, 2.0, messages=[USER, *messages], **fields)]


def chain(*waits: float, status: int | None = 429, start: float = 1.0, first: int = 1, text: str = "hi") -> list[Entry]:
    """A request that is sent again after each of these waits."""
    entries, now = [], start
    for number, wait in enumerate((*waits, None), first):
        entries.append(entry(number, now, 200 if wait is None else status, messages=text))
        now += 0.01 + (wait or 0.0)
    return entries


def stopped(text: str = "One two") -> SentReply:
    return SentReply(kept=True, text=text, whole=False)


def goes_on(text: str, *more: dict[str, Any]) -> list[Entry]:
    """A reply that broke off, and a request with a text of the assistant."""
    broken = entry(1, 1.0, reply=stopped(), outcome="closed", fault="close")
    return [broken, entry(2, 2.0, messages=[USER, {"role": "assistant", "content": text}, *more])]


def with_header(name: str, value: str, status: int, *, again: bool) -> list[Entry]:
    first = entry(1, 1.0, status, headers={name: value})
    return [first, entry(2, 3.0)] if again else [first]


def with_keys(first: str, second: str, status: int = 401) -> list[Entry]:
    """A refusal, and the same request with a key."""
    entries = chain(1.0, status=status)
    for each, key in zip(entries, (first, second), strict=True):
        each.headers = {"authorization": key}
    return entries


def reasoned(api: str, reply: SentReply, sent: dict[str, Any], **fields: Any) -> list[Entry]:
    """A reply with reasoning and a call, and the request with the result of the call."""
    path = {"messages": "/v1/messages", "responses": "/v1/responses"}.get(api, CHAT)
    path = "/v1beta/models/m:generateContent" if api == "gemini" else path
    fields = {"api": api, "path": path, "headers": {}, "dialect": None, **fields}
    return [entry(1, 1.0, reply=reply, body=_EXAMPLES[api], **fields), entry(2, 2.0, body=sent, **fields)]


_EXAMPLES: dict[str, dict[str, Any]] = {
    "messages": {"model": "m", "max_tokens": 2_000, "messages": [USER]},
    "responses": {"model": "m", "input": "hi"},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    "chat": {"model": "m", "messages": [USER]},
}
SIGNED = SentReply(calls=(SentCall("toolu_1", "add", "{}"),), reasoning="Hm.", signatures=("c2ln",), whole=True)
ENCRYPTED = SentReply(calls=(SentCall("call_1", "add", "{}"),), signatures=("gAAA",), reasoned=True, whole=True)
THOUGHT = SentReply(calls=(SentCall(None, "add", "{}", "dGhvdWdodA=="),), whole=True)
REASONED = SentReply(calls=(SentCall("call_1", "add", "{}"),), reasoning="Hm.", whole=True)


def to_anthropic(*before: dict[str, Any], thinking: bool = True) -> dict[str, Any]:
    use = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}
    back = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "4"}
    messages = [USER, {"role": "assistant", "content": [*before, use]}, {"role": "user", "content": [back]}]
    asks = {"thinking": {"type": "enabled", "budget_tokens": 1_024}} if thinking else {}
    return {"model": "m", "max_tokens": 2_000, "messages": messages, **asks}


def to_responses(*before: dict[str, Any], **fields: Any) -> dict[str, Any]:
    call = {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{}"}
    items = [USER, *before, call, {"type": "function_call_output", "call_id": "call_1", "output": "4"}]
    return {"model": "m", "input": items, **fields}


def to_gemini(**of_part: Any) -> dict[str, Any]:
    call = {"functionCall": {"name": "add", "args": {}}, **of_part}
    back = {"functionResponse": {"name": "add", "response": {"result": 4}}}
    turns = [("user", {"text": "hi"}), ("model", call), ("user", back)]
    return {"contents": [{"role": role, "parts": [part]} for role, part in turns]}


def to_deepseek(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [USER, assistant("call_1", **fields), result("call_1")]}


Entries = Callable[[], list[Entry]]
BROKEN: list[tuple[str, Entries]] = [
    ("retried-refusal", lambda: chain(1.0, status=400)),
    ("retried-refusal", lambda: chain(1.0, status=401)),
    ("retried-refusal", lambda: chain(1.0, status=404)),
    ("retried-refusal", lambda: with_keys("Bearer ey12…6789", "Bearer ey12…6789")),
    ("retried-refusal", lambda: with_keys("Bearer ey12…6789", "Bearer ey12…4321", 400)),
    ("retried-quota", lambda: [entry(1, 1.0, 429, reply=quota()), entry(2, 3.0)]),
    ("ignored-x-should-retry", lambda: with_header("x-should-retry", "false", 503, again=True)),
    ("ignored-x-should-retry", lambda: with_header("x-should-retry", "true", 400, again=False)),
    ("gave-up", lambda: [entry(1, 1.0, 429)]),
    ("gave-up", lambda: [entry(1, 1.0, 529)]),
    ("gave-up", lambda: [entry(1, 1.0, None, outcome="client left", fault="stall")]),  # it timed out
    ("gave-up", lambda: [entry(1, 1.0, None)]),
    ("too-early", lambda: [entry(1, 1.0, 429, headers={"retry-after": "2"}), entry(2, 2.0)]),
    ("too-early", lambda: [entry(1, 1.0, 429, headers={"retry-after": "20"}, advanced=20), entry(2, 2.0, advanced=30)]),
    ("no-backoff", lambda: chain(0.01)),
    ("no-backoff", lambda: chain(0.5, 0.01, status=503)),
    ("no-backoff", lambda: chain(0.0, 0.0, status=None)),
    ("no-backoff", lambda: [entry(1, 1.0, 429), entry(2, 1.0099)]),
    ("no-jitter", lambda: chain(1.0, 1.002, 1.001)),
    (
        "no-jitter",
        lambda: [each for n in range(4) for each in chain(2.0, start=10.0 * n + 1, first=2 * n + 1, text=f"{n}")],
    ),
    ("too-often", lambda: chain(*(0.5 * 1.3**n for n in range(11)))),
    ("broken-as-whole", lambda: goes_on("One two", USER)),
    ("broken-as-whole", lambda: broken_call()),
    ("unknown-call", lambda: after_calls(assistant("call_1"), result("call_1"), result("call_9"), reply=called_once())),
    ("unanswered-call", lambda: after_calls(assistant("call_1", "call_2"), result("call_1"))),
    ("unanswered-call", lambda: after_calls(assistant("call_1"), result("call_1"))),
    ("unanswered-call", lambda: after_calls(assistant("call_1", "call_2"), {"role": "user", "content": "never mind"})),
    ("unanswered-call", lambda: [entry(1, 1.0, messages=[USER, assistant("call_9"), USER])]),  # of a saved history
    ("dropped-reasoning", lambda: reasoned("messages", SIGNED, to_anthropic())),
    ("dropped-reasoning", lambda: reasoned("messages", SIGNED, to_anthropic(thought("b3RoZXI=")))),
    ("dropped-reasoning", lambda: reasoned("responses", ENCRYPTED, to_responses())),
    ("dropped-reasoning", lambda: reasoned("gemini", THOUGHT, to_gemini())),
    ("dropped-reasoning", lambda: reasoned("chat", REASONED, to_deepseek(), dialect="deepseek")),
    ("left-open", lambda: [entry(1, 1.0, outcome="stalled", ended=None, reply=stopped())]),
    ("left-open", lambda: [entry(1, 1.0, outcome="sending", ended=None, reply=stopped())]),
    ("left-open", lambda: [entry(1, 1.0, outcome="server stopped", reply=stopped())]),
]
KEPT: list[tuple[str, Entries]] = [
    ("retried-refusal", lambda: [entry(1, 1.0, 400, messages="a"), entry(2, 3.0, messages="b")]),
    ("retried-refusal", lambda: [entry(1, 1.0, 401), entry(2, 1.0)]),  # at the same time
    ("retried-refusal", lambda: chain(1.0, status=409)),
    ("retried-refusal", lambda: with_keys("Bearer ey12…6789", "Bearer ey12…4321")),
    ("retried-quota", lambda: [entry(1, 1.0, 429, reply=quota())]),
    ("ignored-x-should-retry", lambda: with_header("x-should-retry", "false", 503, again=False)),
    ("ignored-x-should-retry", lambda: with_header("x-should-retry", "true", 400, again=True)),
    ("gave-up", lambda: [entry(1, 1.0, 429, headers={"retry-after": "3600"})]),
    ("gave-up", lambda: [entry(1, 1.0, 409)]),
    ("gave-up", lambda: [entry(1, 1.0, 501)]),
    ("gave-up", lambda: [entry(1, 1.0, None, ended=None, outcome="client left")]),
    ("gave-up", lambda: [entry(1, 1.0, 429, headers={"retry-after": "0"}), entry(2, 1.0099)]),  # its end came late
    ("gave-up", lambda: [entry(1, 1.0, 503), entry(2, 1.0099, body={"model": "other", "messages": [USER]})]),
    ("gave-up", lambda: [entry(1, 1.0, None, outcome="client left")]),
    ("gave-up", lambda: [entry(1, 1.0, 429, outcome="client left", fault="status")]),  # before a delayed error
    ("gave-up", lambda: [entry(1, 1.0, 503), entry(2, 1.5, body={"model": "other", "messages": [USER]})]),
    ("gave-up", lambda: [entry(1, 1.0, 503, messages=at("9:00")), entry(2, 1.5, messages=at("9:01"))]),
    ("too-early", lambda: [entry(1, 1.0, 429, headers={"retry-after": "2"}), entry(2, 3.01)]),
    ("too-early", lambda: [entry(1, 1.0, 429, headers={"retry-after": "soon"}), entry(2, 2.0)]),
    ("too-early", lambda: [entry(1, 1.0, 429, headers={"retry-after": "20"}, advanced=5), entry(2, 1.1, advanced=25)]),
    ("no-backoff", lambda: [entry(1, 1.0, 503), entry(2, 1.02, advanced=1)]),
    ("no-jitter", lambda: [entry(number, 1.0 + number / 50, 503, advanced=5 * number) for number in range(1, 6)]),
    ("no-backoff", lambda: chain(0.0, status=None)),
    ("no-backoff", lambda: [entry(1, 1.0, 429, headers={"retry-after": "0"}), entry(2, 1.011)]),
    ("no-jitter", lambda: chain(1.0, 1.1, 1.2)),
    ("no-jitter", lambda: chain(1.0, 1.0)),
    ("too-often", lambda: chain(*(0.5 * 1.3**n for n in range(10)))),
    ("broken-as-whole", lambda: goes_on("One two")),  # it asks for the rest
    ("broken-as-whole", lambda: goes_on("One two three", USER)),
    (
        "broken-as-whole",
        lambda: [replace(each, outcome="client left", fault=None) for each in goes_on("One two", USER)],
    ),
    ("unknown-call", lambda: after_calls(assistant("call_1"), result("call_1"), reply=called_once())),
    ("unknown-call", lambda: reasoned("responses", REASONED, to_responses(previous_response_id="resp_1") | answered())),
    ("unanswered-call", lambda: after_calls(assistant("call_1", "call_2"), result("call_2"), result("call_1"))),
    ("unanswered-call", lambda: after_calls({"role": "user", "content": "something else"})),
    ("unanswered-call", lambda: [entry(1, 1.0, messages=[USER, assistant("call_9"), result("call_9"), USER])]),
    ("dropped-reasoning", lambda: reasoned("messages", SIGNED, to_anthropic(thought("c2ln")))),
    ("dropped-reasoning", lambda: reasoned("messages", SIGNED, to_anthropic(thinking=False))),
    ("dropped-reasoning", lambda: reasoned("responses", ENCRYPTED, to_responses({"type": "reasoning", "summary": []}))),
    ("dropped-reasoning", lambda: reasoned("gemini", THOUGHT, to_gemini(thoughtSignature="dGhvdWdodA=="))),
    ("dropped-reasoning", lambda: reasoned("chat", REASONED, to_deepseek(reasoning_content="Hm."), dialect="deepseek")),
    ("dropped-reasoning", lambda: reasoned("chat", REASONED, to_deepseek(), dialect="groq")),
    ("left-open", lambda: [entry(1, 1.0, outcome="client left", reply=stopped())]),
]


def at(time: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": f"It is {time}."}, USER]


def answered() -> dict[str, Any]:
    return {"input": [{"type": "function_call_output", "call_id": "call_9", "output": "4"}]}


def quota() -> SentReply:
    return SentReply(error={"type": "insufficient_quota", "code": "insufficient_quota"})


def called_once() -> SentReply:
    return SentReply(calls=(ONE,), whole=True)


def thought(signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": "Hm.", "signature": signature}


def broken_call() -> list[Entry]:
    broken = entry(1, 1.0, reply=SentReply(calls=(ONE,)), outcome="reset", fault="reset")
    return [broken, entry(2, 2.0, messages=[USER, assistant("call_1"), result("call_1")])]


@pytest.mark.parametrize(("rule", "entries"), BROKEN)
def test_a_client_that_breaks_a_rule_gets_this_finding_alone(rule: str, entries: Entries) -> None:
    assert found(*entries()) == [rule]


@pytest.mark.parametrize(("rule", "entries"), KEPT)
def test_a_client_that_keeps_a_rule_gets_no_finding(rule: str, entries: Entries) -> None:
    assert found(*entries()) == []


def test_each_rule_has_examples_and_a_section_with_a_source() -> None:
    text = (ROOT / "docs" / "reference" / "verdict.md").read_text(encoding="utf-8")
    sections = {each.partition("\n")[0]: each for each in text.split("\n### ")[1:]}
    assert {rule for rule, _ in BROKEN} == {rule for rule, _ in KEPT} == set(RULES) == set(sections)
    for rule, section in sections.items():
        assert "https://" in section or "a rule of fakellm's own" in section, rule


def test_a_request_that_the_end_of_the_server_ended_was_not_given_up() -> None:
    assert found(entry(1, 1.0, None, outcome="server stopped")) == ["left-open"]


def test_a_long_journal_is_judged_in_proportion_to_its_length() -> None:
    def turns(count: int) -> list[Entry]:
        entries = []
        for number in range(1, count, 2):
            id_ = f"call_{number}"
            reply = SentReply(text=f"text {number}", calls=(SentCall(id_, "add", "{}"),), whole=True)
            sent = [{"role": "user", "content": id_}]
            entries += [
                entry(number, number, reply=reply, messages=sent),
                entry(number + 1, number + 0.5, 429, messages=[*sent, assistant(id_), result(id_)]),
            ]
        return entries

    short, long = (calls(partial(judge, turns(count))) for count in (100, 400))
    assert long < 5 * short


def test_a_verdict_is_readable() -> None:
    verdict = judge([entry(1, 1.0, 429, headers={"retry-after": "2"}), entry(2, 1.49)])
    assert str(verdict) == (
        "1 finding in 2 requests:\n"
        "- too-early: request 1 got status 429 and a Retry-After of 2 s, and was sent again as request 2 0.48 s later. A "
        "client waits at least as long as Retry-After requires: docs/reference/verdict.md#too-early"
    )
    with pytest.raises(AssertionError, match=r"^1 finding in 2 requests:\n- too-early: "):
        verdict.check()
    assert str(judge([])) == "no findings in no requests"
