"""The scenarios that are shipped, each through the OpenAI SDK as its users know it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

import fakellm
from fakellm.testing.handle import Handle
from tests.conftest import ROOT

SCENARIOS = ROOT / "scenarios"


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve(strict=True, speed=0) as running:
        yield running


@pytest.fixture
def session(server: Handle, request: pytest.FixtureRequest) -> Handle:
    """A session with the scenario that the test is named for."""
    name = request.function.__name__.removeprefix("test_").replace("_", "-")
    session = server.session(name)
    session.load(SCENARIOS / f"{name}.yaml")
    return session


@pytest.fixture
def client(session: Handle) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=session.base_url, api_key="any", max_retries=0) as client:
        yield client


def user(text: str = "Hello") -> Any:
    return [{"role": "user", "content": text}]


def streamed(client: openai.OpenAI, messages: Any, **fields: Any) -> Any:
    """The completion that the SDK itself puts together from a stream."""
    with client.chat.completions.stream(model="m", messages=messages, **fields) as stream:
        return stream.get_final_completion()


def whole(client: openai.OpenAI, messages: Any, **fields: Any) -> Any:
    return client.chat.completions.create(model="m", messages=messages, **fields)


def test_every_scenario_has_a_test() -> None:
    tested = {name.removeprefix("test_").replace("_", "-") for name in globals() if name.startswith("test_")}
    assert {file.stem for file in SCENARIOS.glob("*.yaml")} <= tested


def test_agent_parallel_tools(client: openai.OpenAI) -> None:
    tools: Any = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("weather", "time")]
    answers = {"weather": '{"degrees": 3}', "time": "12:00"}
    for ask in (streamed, whole):
        messages = user("What is it like in Oslo?")
        message = ask(client, messages, tools=tools).choices[0].message
        calls = message.tool_calls
        assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == [
            ("weather", {"city": "Oslo", "unit": "celsius"}),
            ("time", {"zone": "Europe/Oslo"}),
        ]
        messages.append({"role": "assistant", "tool_calls": [call.to_dict() for call in calls]})
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": answers[call.function.name]} for call in calls
        ]
        last = ask(client, messages, tools=tools).choices[0]
        assert last.message.content == "It is 12:00 in Oslo, at 3 degrees."


def test_retry_then_success(session: Handle) -> None:
    client = openai.OpenAI(base_url=session.base_url, api_key="any", max_retries=2)
    reply = client.chat.completions.create(model="m", messages=user())
    assert reply.choices[0].message.content == "Here I am."
    assert [(entry.status, entry.fault) for entry in session.journal] == [(429, "status"), (429, "status"), (200, None)]


def test_reasoning(client: openai.OpenAI) -> None:
    for reply in (streamed(client, user()), whole(client, user())):
        message = reply.choices[0].message
        assert message.reasoning_content.startswith("17 is odd.")
        assert message.content == "Yes, 17 is prime."
    assert reply.usage.completion_tokens_details.reasoning_tokens == 24


def test_structured_output(client: openai.OpenAI) -> None:
    class Event(BaseModel):
        name: str
        date: str
        participants: list[str]

    parsed = client.chat.completions.parse(model="m", messages=user(), response_format=Event).choices[0].message.parsed
    assert parsed == Event(name="Science Fair", date="2026-03-14", participants=["Alice", "Bob"])
    assert streamed(client, user(), response_format=Event).choices[0].message.parsed == parsed
    plain = client.chat.completions.create(model="m", messages=user()).choices[0].message.content
    assert plain is not None
    assert "Ask for the schema Event" in plain


def test_refusal(client: openai.OpenAI) -> None:
    for reply in (streamed(client, user()), whole(client, user())):
        message = reply.choices[0].message
        assert message.refusal == "I'm sorry, I can't help with that."
        assert not message.content


def test_several_choices(client: openai.OpenAI) -> None:
    tools: Any = [{"type": "function", "function": {"name": "flip", "parameters": {}}}]
    first, second, third = client.chat.completions.create(model="m", messages=user(), n=3, tools=tools).choices
    assert (first.finish_reason, second.finish_reason, third.finish_reason) == ("stop", "length", "tool_calls")
    assert third.message.tool_calls
    texts = ["", "", ""]
    for chunk in client.chat.completions.create(model="m", messages=user(), n=3, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [first.message.content, second.message.content, ""]


@pytest.fixture
def catalogue(server: Handle) -> Iterator[openai.OpenAI]:
    session = server.session("errors")
    session.load(SCENARIOS / "errors.yaml")
    with openai.OpenAI(base_url=session.base_url, api_key="any", max_retries=0) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "error", "code"),
    [
        ("bad key", openai.AuthenticationError, "invalid_api_key"),
        ("forbidden", openai.PermissionDeniedError, "unsupported_country_region_territory"),
        ("no such model", openai.NotFoundError, "model_not_found"),
        ("too long", openai.BadRequestError, "context_length_exceeded"),
        ("rate limit", openai.RateLimitError, "rate_limit_exceeded"),
        ("no quota", openai.RateLimitError, "insufficient_quota"),
        ("broken", openai.InternalServerError, None),
        ("overloaded", openai.InternalServerError, None),
        ("proxy", openai.InternalServerError, None),
    ],
)
def test_errors(catalogue: openai.OpenAI, name: str, error: type[openai.APIStatusError], code: str | None) -> None:
    with pytest.raises(error) as caught:
        catalogue.chat.completions.create(model="m", messages=user(f"Please fail: {name}"))
    assert caught.value.code == code


def test_an_error_in_mid_stream(catalogue: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError):
        streamed(catalogue, user("Please fail: in mid-stream"))
    reply = catalogue.chat.completions.create(model="m", messages=user("in mid-stream"))
    assert reply.choices[0].message.content == "No error has this name."


def test_echo(client: openai.OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(model="gpt-5", messages=user("Is anybody there?"))
    assert answer.headers["x-echo"] == "yes"
    assert answer.parse().choices[0].message.content == "gpt-5, turn 1: Is anybody there?"


def test_slow_stream(client: openai.OpenAI, session: Handle) -> None:
    assert streamed(client, user()).choices[0].message.content.startswith("Slowly, word by word, ")
    from fakellm.engine.render import render
    from fakellm.importing.example_request import sample

    (rule,) = fakellm.load(SCENARIOS / "slow-stream.yaml").named_rules()
    delays = [frame.delay for frame in render(rule, sample(rule), 0).frames]
    assert delays[0] == 1.5
    assert 3 < delays[8] < 3.1
    assert 4.5 < sum(delays) < 6


def test_broken_stream(client: openai.OpenAI, session: Handle) -> None:
    with pytest.raises(openai.APIConnectionError):
        streamed(client, user())
    assert streamed(client, user()).choices[0].message.content == "One, two, three, four, five."
    assert [entry.outcome for entry in session.journal] == ["closed", "sent"]


def test_polling(client: openai.OpenAI) -> None:
    asked = [client.chat.completions.create(model="m", messages=user("Is it done yet?")) for _ in range(4)]
    said = [reply.choices[0].message.content for reply in asked]
    assert said == ["It is queued.", "It runs, attempt 2.", "It is done.", "It is done."]


def test_long_text(client: openai.OpenAI) -> None:
    with client.chat.completions.create(model="m", messages=user(), stream=True) as stream:
        chunks = [choice for chunk in stream for choice in chunk.choices]
    text = "".join(choice.delta.content or "" for choice in chunks)
    assert (len(chunks) > 150, text[-14:], chunks[-1].finish_reason) == (True, "middle of a wo", "length")
    assert "👩‍🚀" in text


def test_quirks(client: openai.OpenAI) -> None:
    for reply in (streamed(client, user()), whole(client, user())):
        (call,) = reply.choices[0].message.tool_calls or []
        assert reply.choices[0].message.content == "All is well."
        assert json.loads(call.function.arguments) == {"text": '{"deep": [1, 2]}'}


def test_xai_parallel_tools(client: openai.OpenAI) -> None:
    tools: Any = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("add", "multiply")]
    with client.chat.completions.stream(model="grok-4-fast", messages=user(), tools=tools) as stream:
        calls = stream.get_final_completion().choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["add", "multiply"]


@pytest.mark.parametrize("file", sorted(SCENARIOS.glob("*.yaml")), ids=lambda file: file.stem)
def test_each_scenario_opens_with_its_purpose(file: Any) -> None:
    assert re.match(r"# [A-Z]", file.read_text(encoding="utf-8"))
