"""The verdict on real clients over real sockets: official SDKs pass as they are, or their finding is documented; loops that
people write around them get the finding of their mistake."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import types

import fakellm
from tests.conftest import chat

USER: Any = {"role": "user", "content": "What is 2 + 2?"}
TOOL: Any = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL = {"name": "add", "arguments": {"a": 2, "b": 2}}
NOW = {"retry-after-ms": "1"}
"""So that no SDK waits for long."""


@pytest.fixture(scope="module")
def shared() -> Iterator[fakellm.Handle]:
    with fakellm.serve() as running:
        yield running


@pytest.fixture
def server(shared: fakellm.Handle, request: pytest.FixtureRequest) -> fakellm.Handle:
    return shared.session(request.node.name)


def fails(
    server: fakellm.Handle, status: int, times: int = 1, headers: dict[str, str] | None = None, **more: Any
) -> None:
    fault = {"kind": "status", "status": status, "times": times, "headers": headers or {}, **more}
    server.load({"rules": [{"reply": {"content": "4"}, "fault": fault}]})


def calls(server: fakellm.Handle, **rule: Any) -> None:
    """The server calls a tool twice, and answers when it has results."""
    reply = {"tool_calls": [CALL, {**CALL, "arguments": {"a": 3}}], **rule.pop("reply", {})}
    first = {"when": {"turn": 1}, "reply": reply, **rule}
    server.load({"rules": [first, {"reply": {"content": "4"}, **rule}]})


def rules(server: fakellm.Handle) -> list[str]:
    return [finding.rule for finding in server.verdict().findings]


def openai_client(server: fakellm.Handle, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="k", **options)


def ask_openai(server: fakellm.Handle, messages: Any = (USER,), **options: Any) -> Any:
    with openai_client(server, **options) as client, suppress(openai.APIError):
        return client.chat.completions.create(model="gpt-4o", messages=messages, tools=[TOOL])
    return None


def ask_anthropic(server: fakellm.Handle, **options: Any) -> None:
    with anthropic.Anthropic(base_url=server.url, api_key="k", **options) as client, suppress(anthropic.APIError):
        client.messages.create(model="claude", max_tokens=100, messages=[USER])


def ask_google(server: fakellm.Handle, **options: Any) -> None:
    settings = types.HttpOptions(base_url=server.url, **options)
    with genai.Client(api_key="k", http_options=settings) as client, suppress(genai.errors.APIError):
        client.models.generate_content(model="gemini", contents="What is 2 + 2?")


Ask = Callable[[fakellm.Handle], Any]
OFFICIAL = pytest.mark.parametrize("ask", [ask_openai, ask_anthropic])


@OFFICIAL
@pytest.mark.parametrize("status", [400, 401, 409, 429, 503, 529])
def test_an_sdk_as_it_is_does_what_is_asked(server: fakellm.Handle, ask: Ask, status: int) -> None:
    fails(server, status, headers=NOW)
    ask(server)
    server.assert_resilient()
    server.assert_called(2 if status >= 409 else 1)


@OFFICIAL
@pytest.mark.parametrize(("header", "status", "sent"), [("false", 503, 1), ("true", 400, 2)])
def test_an_sdk_obeys_x_should_retry(server: fakellm.Handle, ask: Ask, header: str, status: int, sent: int) -> None:
    fails(server, status, headers={**NOW, "x-should-retry": header})
    ask(server)
    server.assert_resilient()
    server.assert_called(sent)


@OFFICIAL
def test_sdks_retry_when_no_quota_is_left(server: fakellm.Handle, ask: Ask) -> None:
    """They decide by the status: docs/reference/verdict.md says so."""
    fails(server, 429, 3, NOW, code="insufficient_quota", type="insufficient_quota")
    ask(server)
    assert rules(server) == ["retried-quota", "retried-quota"]


@OFFICIAL
def test_an_sdk_without_retries_gives_up(server: fakellm.Handle, ask: Callable[..., Any]) -> None:
    fails(server, 429)
    ask(server, max_retries=0)
    assert rules(server) == ["gave-up"]


def test_googles_sdk_retries_if_it_is_set_up(server: fakellm.Handle) -> None:
    """Without `retry_options`, it gives up: docs/reference/verdict.md says so."""
    fails(server, 503)
    ask_google(server)
    assert rules(server) == ["gave-up"]
    fails(server, 503)
    ask_google(server, retry_options=types.HttpRetryOptions(initial_delay=0.15, attempts=2))
    server.assert_resilient()
    server.assert_called(2)


def test_a_lost_connection_is_retried(server: fakellm.Handle) -> None:
    server.load({"rules": [{"reply": {"content": "4"}, "fault": {"kind": "close", "at": "start", "times": 1}}]})
    ask_openai(server)
    server.assert_resilient()
    server.assert_called(2)


# Loops that people write


def post(server: fakellm.Handle, times: int) -> None:
    """Requests one right behind the other on one connection: however busy the machine is, there is no wait between."""
    address = urlsplit(server.base_url)
    body = chat()
    head = f"POST {address.path}/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as connection:
        connection.sendall((head.encode() + body) * times)
        server.wait_for(times, outcome="sent", timeout=30)


@pytest.mark.parametrize(
    ("status", "headers", "rule"),
    [
        (401, {}, "retried-refusal"),
        (503, {}, "no-backoff"),
        (429, {"retry-after": "60"}, "too-early"),
        (503, {"x-should-retry": "false", **NOW}, "ignored-x-should-retry"),
    ],
)
def test_a_loop_that_only_repeats(server: fakellm.Handle, status: int, headers: dict[str, str], rule: str) -> None:
    fails(server, status, headers=headers)
    post(server, 2)
    assert rules(server) == [rule]
    with pytest.raises(AssertionError, match=rf"^1 finding in 2 requests:\n- {rule}: request 1 got status {status}"):
        server.assert_resilient()


def test_a_loop_without_an_end(server: fakellm.Handle) -> None:
    fails(server, 429, 20, NOW)
    with openai_client(server, max_retries=11) as client, pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="m", messages=[USER])
    assert rules(server) == ["too-often"]


# Conversations


@pytest.mark.parametrize("keeps", [True, False])
def test_a_stream_that_breaks_off(server: fakellm.Handle, keeps: bool) -> None:
    broken = {"kind": "close", "frame": 3, "times": 1}
    server.load({"rules": [{"reply": {"content": "The answer is 4."}, "stream": {"split": "words"}, "fault": broken}]})
    with openai_client(server, max_retries=0) as client:
        text = ""
        with suppress(openai.APIConnectionError):
            for chunk in client.chat.completions.create(model="m", messages=[USER], stream=True):
                text += chunk.choices[0].delta.content or ""
        assert text
        answer: list[Any] = [{"role": "assistant", "content": text}] if keeps else []
        client.chat.completions.create(model="m", messages=[USER, *answer, {"role": "user", "content": "Thanks."}])
    assert rules(server) == (["broken-as-whole"] if keeps else [])


def results(reply: Any) -> list[Any]:
    return [{"role": "tool", "tool_call_id": call.id, "content": "4"} for call in reply.tool_calls]


@pytest.mark.parametrize(
    ("goes_on", "found"),
    [
        (lambda reply: [reply, *results(reply)], []),
        (lambda reply: [reply, *results(reply)[:1]], ["unanswered-call"]),
        (lambda reply: [reply, *results(reply), {**results(reply)[0], "tool_call_id": "call_x"}], ["unknown-call"]),
    ],
)
def test_the_results_of_tools(server: fakellm.Handle, goes_on: Callable[[Any], list[Any]], found: list[str]) -> None:
    calls(server)
    reply = ask_openai(server).choices[0].message
    ask_openai(server, [USER, *goes_on(reply)])
    assert rules(server) == found


@pytest.mark.parametrize("keeps", [True, False])
def test_anthropics_thinking(server: fakellm.Handle, keeps: bool) -> None:
    calls(server, reply={"reasoning": "Let me add."})
    asks: Any = {"model": "claude", "max_tokens": 2_000, "thinking": {"type": "enabled", "budget_tokens": 1_024}}
    asks["tools"] = [{"name": "add", "input_schema": {"type": "object"}}]
    with anthropic.Anthropic(base_url=server.url, api_key="k") as client:
        content = client.messages.create(**asks, messages=[USER]).content
        back: Any = [{"type": "tool_result", "tool_use_id": each.id} for each in content if each.type == "tool_use"]
        kept: Any = [each for each in content if keeps or each.type != "thinking"]
        answers: Any = [{"role": "assistant", "content": kept}, {"role": "user", "content": back}]
        client.messages.create(**asks, messages=[USER, *answers])
    assert [each.type for each in content] == ["thinking", "tool_use", "tool_use"]
    assert rules(server) == ([] if keeps else ["dropped-reasoning"])


@pytest.mark.parametrize("keeps", [True, False, "by id"])
def test_openais_reasoning_items(server: fakellm.Handle, keeps: bool | str) -> None:
    calls(server, reply={"reasoning": "Let me add."})
    asks: Any = {"model": "gpt-5", "tools": [{"type": "function", "name": "add", "parameters": {}, "strict": False}]}
    with openai_client(server) as client:
        reply = client.responses.create(**asks, input="What is 2 + 2?")
        back: Any = [
            {"type": "function_call_output", "call_id": item.call_id, "output": "4"}
            for item in reply.output
            if item.type == "function_call"
        ]
        kept: Any = [item for item in reply.output if keeps or item.type != "reasoning"]
        if keeps == "by id":
            client.responses.create(**asks, input=back, previous_response_id=reply.id)
        else:
            client.responses.create(**asks, input=[USER, *kept, *back])
    assert [item.type for item in reply.output] == ["reasoning", "function_call", "function_call"]
    assert rules(server) == ([] if keeps else ["dropped-reasoning"])


@pytest.mark.parametrize("keeps", [True, False])
def test_googles_signatures(server: fakellm.Handle, keeps: bool) -> None:
    signed = {**CALL, "own": {"gemini": {"thoughtSignature": "dGhvdWdodA=="}}}
    blocks = [{"type": "tool_call", **signed}]
    server.load({"rules": [{"when": {"turn": 1}, "reply": {"blocks": blocks}}, {"reply": {"content": "4"}}]})
    declared: Any = [{"function_declarations": [{"name": "add", "parameters": {"type": "OBJECT"}}]}]
    with genai.Client(api_key="k", http_options=types.HttpOptions(base_url=server.url)) as client:
        chat_ = client.chats.create(model="gemini-3", config={"tools": declared})
        reply = chat_.send_message("What is 2 + 2?")
        (part,) = reply.candidates[0].content.parts  # type: ignore[index, union-attr, misc] # there is one
        assert part.thought_signature == b"thought"
        if not keeps:
            part.thought_signature = None
        chat_.send_message(types.Part.from_function_response(name="add", response={"result": 4}))
    assert rules(server) == ([] if keeps else ["dropped-reasoning"])


@pytest.mark.parametrize("keeps", [True, False])
def test_deepseeks_reasoning(server: fakellm.Handle, keeps: bool) -> None:
    calls(server, dialect="deepseek", reply={"reasoning": "Let me add."})
    reply = ask_openai(server).choices[0].message.model_dump()
    assert reply["reasoning_content"] == "Let me add."
    if not keeps:
        del reply["reasoning_content"]
    back = [{"role": "tool", "tool_call_id": call["id"], "content": "4"} for call in reply["tool_calls"]]
    ask_openai(server, [USER, {key: value for key, value in reply.items() if value is not None}, *back])
    assert rules(server) == ([] if keeps else ["dropped-reasoning"])


# Connections


@pytest.mark.parametrize("closes", [True, False])
def test_a_stream_that_is_not_read_to_its_end(server: fakellm.Handle, closes: bool) -> None:
    server.load({"rules": [{"reply": {"content": "a b c"}, "stream": {"split": "words"}, "timing": {"gap": 3_600}}]})
    with openai_client(server) as client:
        stream = client.chat.completions.create(model="m", messages=[USER], stream=True)
        if closes:
            stream.close()
            server.wait_for(outcome="client left")
        assert rules(server) == ([] if closes else ["left-open"])
        stream.close()


def test_a_stall_without_a_timeout(server: fakellm.Handle) -> None:
    server.load({"rules": [{"reply": {"content": "a b c"}, "fault": {"kind": "stall", "frame": 2}}]})
    with openai_client(server) as client, client.chat.completions.create(model="m", messages=[USER], stream=True):
        server.wait_for(outcome="stalled")
        assert rules(server) == ["left-open"]
    server.wait_for(outcome="client left")
    assert rules(server) == []


def test_the_journal_over_http_has_what_a_verdict_needs(server: fakellm.Handle) -> None:
    """So can a test in another language read it."""
    fails(server, 429, headers={"retry-after": "1"})
    post(server, 1)
    (entry,) = json.loads(httpx2.get(server.url + "/_fakellm/journal").text)["entries"]
    assert entry["reply"]["headers"]["retry-after"] == "1"
    assert entry["started"] <= entry["ended"]
