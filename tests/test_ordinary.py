"""What a new user writes after README.md and docs/reference/testing.md: ordinary tests of an app, which pass as they stand."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import threading
import unittest
from typing import Any

import anthropic
import ollama
import openai
import pydantic
import pytest
from google import genai

from fakellm import Handle

WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def create(content: str = "Hi", model: str = "gpt-5", **fields: Any) -> Any:
    messages = fields.pop("messages", [{"role": "user", "content": content}])
    with openai.OpenAI() as client:
        return client.chat.completions.create(model=model, messages=messages, **fields)


def text(*arguments: Any, **fields: Any) -> Any:
    return create(*arguments, **fields).choices[0].message.content


def streamed(**fields: Any) -> list[str]:
    with openai.OpenAI() as client:
        messages: Any = [{"role": "user", "content": "Hi"}]
        stream = client.chat.completions.create(model="gpt-5", messages=messages, stream=True, **fields)
        return [choice.delta.content or "" for chunk in stream for choice in chunk.choices]


def test_one_reply(fakellm: Handle) -> None:
    fakellm.reply("Hello, Ada.")
    assert text("I am Ada.") == "Hello, Ada."


def test_replies_by_question(fakellm: Handle) -> None:
    fakellm.on(user="weather").reply("Sunny.")
    fakellm.on(user="time").reply("Noon.")
    assert (text("What time is it?"), text("How is the weather?")) == ("Noon.", "Sunny.")


def test_replies_by_model(fakellm: Handle) -> None:
    fakellm.on(model="gpt-4*").reply("old")
    fakellm.on(model="gpt-5*").reply("new")
    assert (text(model="gpt-4o"), text(model="gpt-5-mini")) == ("old", "new")


def test_the_system_prompt(fakellm: Handle) -> None:
    fakellm.on(system="be brief").reply("Yes.")
    prompt = [{"role": "system", "content": "Please be brief."}, {"role": "user", "content": "Is it?"}]
    assert text(messages=prompt) == "Yes."


def test_turns_of_a_conversation(fakellm: Handle) -> None:
    fakellm.on(turn=1).reply("Who are you?")
    fakellm.on(turn=2).reply("Hello, Ada.")
    messages = [{"role": "user", "content": "Hi"}]
    messages.append({"role": "assistant", "content": text(messages=messages)})
    messages.append({"role": "user", "content": "I am Ada."})
    assert text(messages=messages) == "Hello, Ada."


def test_a_tool_loop(fakellm: Handle) -> None:
    fakellm.on(tools=["weather"], turn=1).reply(fakellm.call("weather", city="Oslo"))
    fakellm.on(result={"weather": "3"}).reply("It is 3 °C.")
    messages: list[Any] = [{"role": "user", "content": "How is the weather in Oslo?"}]
    message = create(messages=messages, tools=[WEATHER]).choices[0].message
    (call,) = message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "3"}]
    assert text(messages=messages, tools=[WEATHER]) == "It is 3 °C."


def test_json(fakellm: Handle) -> None:
    fakellm.reply({"city": "Oslo"})
    assert json.loads(text(response_format={"type": "json_object"})) == {"city": "Oslo"}


class City(pydantic.BaseModel):
    name: str
    celsius: int


def test_structured_output(fakellm: Handle) -> None:
    fakellm.reply(City(name="Oslo", celsius=3))
    with openai.OpenAI() as client:
        messages: Any = [{"role": "user", "content": "Hi"}]
        parsed = client.chat.completions.parse(model="gpt-5", messages=messages, response_format=City)
    assert parsed.choices[0].message.parsed == City(name="Oslo", celsius=3)


@dataclasses.dataclass
class Town:
    name: str


def test_a_dataclass(fakellm: Handle) -> None:
    fakellm.reply(Town("Voss"))
    assert text() == '{"name":"Voss"}'


def test_replies_in_order(fakellm: Handle) -> None:
    fakellm.script("one", "two", "three")
    assert [text(str(number)) for number in range(3)] == ["one", "two", "three"]


def test_a_retry(fakellm: Handle) -> None:
    fakellm.fail(429, times=2, retry_after=0).reply("At last.")
    assert text() == "At last."
    assert len(fakellm.requests) == 3


def test_an_outage(fakellm: Handle) -> None:
    fakellm.fail(500, headers={"retry-after-ms": "1"})
    with pytest.raises(openai.InternalServerError):
        text()


def test_no_retry_of_a_bad_request(fakellm: Handle) -> None:
    fakellm.fail(400)
    with pytest.raises(openai.BadRequestError):
        text()
    fakellm.assert_called(times=1)


def test_a_stream(fakellm: Handle) -> None:
    fakellm.reply("Once upon a time.")
    assert "".join(streamed()) == "Once upon a time."


def test_a_stream_of_letters(fakellm: Handle) -> None:
    fakellm.reply("Hi!").stream(split=1)
    assert [piece for piece in streamed() if piece] == ["H", "i", "!"]


@pytest.mark.fakellm(speed=0)
def test_a_slow_stream_without_waiting(fakellm: Handle) -> None:
    fakellm.reply("Slowly.").timing(first=60)
    assert "".join(streamed()) == "Slowly."


def test_what_was_sent(fakellm: Handle) -> None:
    fakellm.reply("Hi")
    text("I am Ada.", temperature=0)
    assert fakellm.last.request["temperature"] == 0
    assert fakellm.journal[0].request["messages"][-1]["content"] == "I am Ada."


def test_what_was_received(fakellm: Handle) -> None:
    fakellm.on(user="Ada").reply("Hello, Ada.")
    text("I am Ada.")
    (entry,) = fakellm.journal.find(user="Ada")
    assert (entry.status, entry.outcome) == (200, "sent")


def test_how_often(fakellm: Handle) -> None:
    fakellm.reply("Hi")
    text("a"), text("b")
    fakellm.assert_called(times=2)
    fakellm.assert_called(user="a", times=1)
    fakellm.assert_not_called(user="c")


def test_every_rule_is_used(fakellm: Handle) -> None:
    fakellm.on(user="a").reply("A")
    fakellm.on(user="b").reply("B")
    text("a")
    with pytest.raises(AssertionError, match="has answered no request"):
        fakellm.assert_all_used()
    text("b")
    fakellm.assert_all_used()


def test_work_in_the_background(fakellm: Handle) -> None:
    fakellm.reply("Hi")
    worker = threading.Thread(target=text, args=("later",))
    worker.start()
    (entry,) = fakellm.wait_for(user="later")
    worker.join()
    assert entry.request["model"] == "gpt-5"


def test_a_refusal_is_expected(fakellm: Handle) -> None:
    fakellm.on(model="gpt-5").reply("Hi")
    with fakellm.expect_unmatched(), pytest.raises(openai.NotFoundError):
        text(model="gpt-4")


def test_a_function_answers(fakellm: Handle) -> None:
    fakellm.reply(lambda request: request.user.upper())
    assert text("loud") == "LOUD"


def test_rules_in_yaml(fakellm: Handle) -> None:
    fakellm.load("""
        rules:
        - when: {user: weather}
          reply: {content: Sunny.}
    """)
    assert text("weather") == "Sunny."


@pytest.mark.fakellm("fakellm:echo")
def test_a_scenario_of_the_package() -> None:
    assert "Repeat this." in text("Repeat this.")


def test_generated_text_is_the_same_again(fakellm: Handle) -> None:
    assert text("Tell me a story.") == text("Tell me a story.")


def test_messages(fakellm: Handle) -> None:
    fakellm.reply("Hello, Ada.")
    with anthropic.Anthropic() as client:
        messages: Any = [{"role": "user", "content": "I am Ada."}]
        message: Any = client.messages.create(model="claude-sonnet-5", max_tokens=100, messages=messages)
    assert message.content[0].text == "Hello, Ada."


def test_responses(fakellm: Handle) -> None:
    fakellm.reply("Hello, Ada.")
    with openai.OpenAI() as client:
        assert client.responses.create(model="gpt-5", input="I am Ada.").output_text == "Hello, Ada."


def test_gemini(fakellm: Handle) -> None:
    fakellm.reply("Hello, Ada.")
    with genai.Client() as client:
        assert client.models.generate_content(model="gemini-3", contents="I am Ada.").text == "Hello, Ada."


def test_ollama(fakellm: Handle) -> None:
    fakellm.reply("Hello, Ada.")
    with ollama.Client() as client:
        reply = client.chat(model="llama", messages=[{"role": "user", "content": "I am Ada."}])
    assert reply.message.content == "Hello, Ada."


def test_an_async_app(fakellm: Handle) -> None:
    async def app() -> list[Any]:
        async with openai.AsyncOpenAI() as client:
            each = [client.responses.create(model="gpt-5", input=name) for name in "abc"]
            return [reply.output_text for reply in await asyncio.gather(*each)]

    for name in "abc":
        fakellm.on(user=name).reply(name.upper())
    assert asyncio.run(app()) == ["A", "B", "C"]


def test_another_process(fakellm: Handle) -> None:
    fakellm.reply("Hi")
    code = "import os, urllib.request as u; print(u.urlopen(os.environ['OPENAI_BASE_URL'] + '/models').status)"
    env = {**os.environ, **fakellm.env}
    assert subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True).stdout == "200\n"


def test_two_sessions(fakellm: Handle) -> None:
    other = fakellm.session("other")
    fakellm.reply("One")
    other.reply("Two")
    with openai.OpenAI(base_url=other.base_url) as client:
        assert client.responses.create(model="gpt-5", input="Hi").output_text == "Two"
    assert text() == "One"


def test_a_client_that_behaves(fakellm: Handle) -> None:
    fakellm.fail(429, times=1, retry_after=0).reply("Hi")
    text()
    fakellm.assert_resilient()


class TestOfUnittest(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _server(self, fakellm: Handle) -> None:
        self.fakellm = fakellm

    def test_an_answer(self) -> None:
        self.fakellm.reply("Hi")
        assert text() == "Hi"
