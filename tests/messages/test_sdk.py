"""The real anthropic SDK, unmodified, over real sockets: whole, streamed, sync and async, its tool runner, its errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fakellm
from fakellm.apis.messages.api import MESSAGES
from fakellm.apis.messages.dialects import DIALECTS, dialect_of
from fakellm.apis.messages.habits import settings as settings_of
from fakellm.apis.messages.meaning import input_object
from fakellm.apis.variation import Variation
from fakellm.model.blocks import Completion, Opaque, Text, Thinking, ToolCall
from fakellm.scenarios.reply import reply_of
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.streaming.division import Division
from fakellm.testing.handle import Handle
from tests.messages.completions import VARIATIONS, answer_to, batches_of, events_in, sdk_completions
from tests.test_core_laws import DIVISIONS

anthropic: Any = pytest.importorskip("anthropic")

HELLO = [{"role": "user", "content": "Hello"}]
ADD = {
    "name": "add",
    "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
}
LOOP = {
    "rules": [
        {
            "when": {"turn": 1},
            "reply": {
                "blocks": [
                    {"type": "thinking", "parts": ["Add first."]},
                    {"type": "text", "text": "I'll add."},
                    {"type": "tool_call", "name": "add", "arguments": {"a": 2, "b": 3}},
                ],
                "usage": {"prompt": 30, "completion": 12, "cached": 10, "cache_write": 5, "reasoning": 4},
            },
            "stream": {"split": 3, "padding": 1},
        },
        {"when": {"turn": 2}, "reply": {"content": "The sum is {{result.add}}.", "template": True}},
    ]
}


@pytest.fixture
def server() -> Iterator[Handle]:
    with fakellm.serve(fakellm_load(LOOP)) as running:
        yield running


def fakellm_load(value: dict[str, Any]) -> Scenario:
    from fakellm.scenarios.loader import load

    return load(value)


@pytest.fixture
def client(server: Handle) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=server.url, api_key="x", max_retries=0) as running:
        yield running


def request(**options: Any) -> dict[str, Any]:
    return {"model": "claude-sonnet-5", "max_tokens": 1024, "messages": HELLO, **options}


def assert_calls_add(message: Any) -> None:
    thinking, text, call = message.content
    assert (thinking.type, thinking.thinking, text.text) == ("thinking", "Add first.", "I'll add.")
    assert thinking.signature
    assert (call.name, call.input) == ("add", {"a": 2, "b": 3})
    assert call.id.startswith("toolu_01")
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (15, 10, 5)
    assert (usage.output_tokens, usage.output_tokens_details.thinking_tokens) == (12, 4)


def test_whole(client: Any) -> None:
    message = client.messages.create(**request(tools=[ADD]))
    assert message.id.startswith("msg_01")
    assert message.model == "claude-sonnet-5"
    assert_calls_add(message)


def test_streamed_with_the_helper(client: Any) -> None:
    with client.messages.stream(**request(tools=[ADD])) as stream:
        assert "".join(stream.text_stream) == "I'll add."
        assert_calls_add(stream.get_final_message())


def test_raw_events(client: Any) -> None:
    kinds = [event.type for event in client.messages.create(**request(tools=[ADD], stream=True))]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-2:] == ["message_delta", "message_stop"]


def test_async(server: Handle) -> None:
    async def both() -> tuple[Any, Any]:
        async with anthropic.AsyncAnthropic(base_url=server.url, api_key="x", max_retries=0) as client:
            async with client.messages.stream(**request(tools=[ADD])) as stream:
                streamed = await stream.get_final_message()
            return streamed, await client.messages.create(**request(tools=[ADD]))

    for message in asyncio.run(both()):
        assert_calls_add(message)


@pytest.mark.parametrize("stream", [False, True])
def test_the_tool_runner_ends_its_loop(client: Any, server: Handle, stream: bool) -> None:
    def add(a: int, b: int) -> str:
        """Adds."""
        return str(a + b)

    runner = client.beta.messages.tool_runner(**request(tools=[anthropic.beta_tool(add)], stream=stream))
    assert_the_loop_ended(runner.until_done(), server)


@pytest.mark.parametrize("stream", [False, True])
def test_the_asynchronous_tool_runner_ends_its_loop(server: Handle, stream: bool) -> None:
    async def add(a: int, b: int) -> str:
        """Adds."""
        return str(a + b)

    async def run() -> Any:
        async with anthropic.AsyncAnthropic(base_url=server.url, api_key="x", max_retries=0) as client:
            tools = [anthropic.beta_async_tool(add)]
            return await client.beta.messages.tool_runner(**request(tools=tools, stream=stream)).until_done()

    assert_the_loop_ended(asyncio.run(run()), server)


def assert_the_loop_ended(final: Any, server: Handle) -> None:
    assert final.content[0].text == "The sum is 5."
    assert [(entry.status, entry.rule) for entry in server.journal] == [
        (400, None),  # the runner asks for a thread first, and goes on without one
        (200, "scenario#1"),
        (200, "scenario#2"),
    ]


def test_tokens_are_counted(client: Any) -> None:
    count = client.messages.count_tokens(model="claude", messages=HELLO, system="Be brief.")
    assert count.input_tokens == 3 + 1 + 3 + 3


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, "BadRequestError", "invalid_request_error"),
        (401, "AuthenticationError", "authentication_error"),
        (403, "PermissionDeniedError", "permission_error"),
        (404, "NotFoundError", "not_found_error"),
        (413, "RequestTooLargeError", "request_too_large"),
        (429, "RateLimitError", "rate_limit_error"),
        (500, "InternalServerError", "api_error"),
        (504, "DeadlineExceededError", "timeout_error"),
        (529, "OverloadedError", "overloaded_error"),
    ],
)
def test_errors_by_status(status: int, error: str, kind: str) -> None:
    scenario = fakellm_load({"rules": [{"reply": {}, "fault": {"kind": "status", "status": status}}]})
    with fakellm.serve(scenario) as server:
        client = anthropic.Anthropic(base_url=server.url, api_key="x", max_retries=0)
        with pytest.raises(anthropic.APIStatusError) as raised:
            client.messages.create(**request())
    expected = getattr(anthropic, error, None) or getattr(anthropic._exceptions, error)
    assert isinstance(raised.value, expected)
    assert raised.value.body["type"] == "error"
    assert raised.value.body["error"]["type"] == raised.value.type == kind
    assert raised.value.body["request_id"].startswith("req_011C")
    assert raised.value.request_id.startswith("req_011C")


def test_a_stream_that_fails_raises(client: Any, server: Handle) -> None:
    rule = {"reply": {"content": "One two"}, "stream": {"split": "words"}}
    server.load({"rules": [{**rule, "fault": {"kind": "error", "frame": 4, "status": 529}}]})
    texts: list[str] = []
    with client.messages.stream(**request()) as stream, pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        texts.extend(stream.text_stream)
    assert texts == ["One"]


def test_a_wrong_request_is_refused_in_the_words_of_anthropic(client: Any) -> None:
    with pytest.raises(anthropic.BadRequestError) as raised:
        client.messages.create(**request(messages=[{"role": "user", "content": [{"type": "text", "txt": "a"}]}]))
    assert raised.value.body["error"] == {
        "type": "invalid_request_error",
        "message": "messages.0.content.0.text.text: Field required",
    }


def test_vertex(server: Handle) -> None:
    client = anthropic.AnthropicVertex(
        base_url=server.url + "/v1", region="us-east5", project_id="p", access_token="t", max_retries=0
    )
    with client.messages.stream(**request(tools=[ADD])) as stream:
        message = stream.get_final_message()
    assert message.id.startswith("msg_vrtx_01")
    assert message.content[-1].input == {"a": 2, "b": 3}
    assert client.messages.create(**request(tools=[ADD])).content[-1].id.startswith("toolu_vrtx_01")
    assert client.messages.count_tokens(model="claude", messages=HELLO).input_tokens == 4


@pytest.fixture(scope="module")
def drawn_server() -> Iterator[Handle]:
    with fakellm.serve() as running:
        yield running


@settings(max_examples=60)
@given(sdk_completions(), VARIATIONS)
def test_it_reads_every_drawn_reply(drawn_server: Handle, completion: Completion, variation: Variation) -> None:
    """What the SDK makes of a reply is what was meant, streamed and whole, and its models accept all of it."""
    rule = Rule(reply=reply_of(completion, {}), stream=variation)
    drawn_server.load(Scenario(rules=(rule,)))
    habits = settings_of(variation, dialect_of(None)).habits
    client = anthropic.Anthropic(base_url=drawn_server.url, api_key="x", max_retries=0)
    with client.messages.stream(**request()) as stream:
        streamed = stream.get_final_message()
    whole = client.messages.create(**request())
    for message, in_body in ((streamed, False), (whole, True)):
        meant = MESSAGES.expressible(completion, habits, in_body)
        assert list(map(read_block, message.content)) == list(map(expected, meant.choices[0].blocks))
        assert type(message).model_validate(json.loads(message.model_dump_json()), strict=True)


def read_block(block: Any) -> Any:
    match block.type:
        case "text":
            return block.text
        case "thinking":
            return "thinking", block.thinking
        case "tool_use" | "server_tool_use":
            return block.type, block.name, block.input
    return block.type


def expected(block: Any) -> Any:
    match block:
        case Text(text):
            return text
        case Thinking(parts):
            return "thinking", "".join(parts)
        case ToolCall(_, name, arguments, kind):
            return "tool_use" if kind == "function" else kind, name, input_object(arguments)
        case Opaque(_, value):
            return value["type"]
    return None


@given(sdk_completions(), DIVISIONS, st.sampled_from(sorted(DIALECTS)))
def test_its_models_accept_every_drawn_event(completion: Completion, division: Division, dialect: str) -> None:
    from anthropic.types import RawMessageStreamEvent
    from pydantic import TypeAdapter

    assume("surrogates" not in repr(division.split))
    model: Any = TypeAdapter(RawMessageStreamEvent)
    answer = answer_to(completion, settings_of(Variation(), DIALECTS[dialect]).habits)
    for event in events_in(answer, batches_of(answer, division)):
        if event.event not in ("ping", "message"):  # it skips pings, and `[DONE]`
            model.validate_json(event.data, strict=True)
