"""Real clients complete the same tasks over every API: a loop with a tool, a structured answer, thinking, a refusal, an
error, and a stream that the client leaves. Streamed and not, synchronous and asynchronous, scripted and generated.

Each client is skipped where it is not installed: `setup.cfg` has two sets of them.
"""

from __future__ import annotations

import asyncio
import gc
from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined] # no public name
from collections.abc import Iterator
from importlib import import_module

import pytest

import fakellm
from fakellm import faults
from fakellm.scenarios.reply import Call, Reply
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.testing.handle import Handle
from tests.clients import adapters
from tests.clients.adapters import Adapter, Answer, Ask, Weather, has_left, replies

pytestmark = pytest.mark.filterwarnings("ignore")  # their warnings are not ours to fix

CLIENTS = {
    "openai": "openai_responses.OpenAIResponses",
    "anthropic": "anthropic_messages.AnthropicMessages",
    "google-genai": "google_gemini.GoogleGemini",
    "ollama": "ollama_chat.OllamaChat",
    "langchain-openai": "langchain_models.on_responses",
    "langchain-anthropic": "langchain_models.on_messages",
    "langchain-google-genai": "langchain_models.on_gemini",
    "langchain-ollama": "langchain_models.on_ollama",
    "pydantic-ai-responses": "pydantic_ai_agents.on_responses",
    "pydantic-ai-messages": "pydantic_ai_agents.on_messages",
    "pydantic-ai-gemini": "pydantic_ai_agents.on_gemini",
    "openai-agents": "openai_agents.OpenAIAgents",
    "litellm-chat": "litellm_models.on_chat",
    "litellm-responses": "litellm_models.on_responses",
    "litellm-messages": "litellm_models.on_messages",
    "litellm-gemini": "litellm_models.on_gemini",
    "litellm-ollama": "litellm_models.on_ollama",
    "llama-index-responses": "llama_index_models.on_responses",
    "llama-index-messages": "llama_index_models.on_messages",
    "llama-index-gemini": "llama_index_models.on_gemini",
    "llama-index-ollama": "llama_index_models.on_ollama",
}
"""By the client's name: its adapter."""
HIDES_THINKING = ("litellm-chat",)
"""Chat completions of OpenAI's dialect have no reasoning unless the rule has one."""
HIDES_REFUSALS = ("litellm-chat", "litellm-responses", "llama-index-responses")
"""Clients that return an empty text for a refusal."""
LOSES_SHAPES = (("llama-index-responses", "streamed"), ("llama-index-responses", "async-streamed"))
"""Clients and modes that lose the call with a structured answer: the last state of LlamaIndex has none."""
STAYS_OPEN = ("pydantic-ai-gemini", "streamed")
"""Pydantic AI closes the connection with google-genai 2, which it requires, but not with 3."""
STREAMS_ASYNCHRONOUSLY = ("openai-agents",)
"""Clients that stream only asynchronously."""
MODES = {"whole": (False, False), "streamed": (True, False), "async": (False, True), "async-streamed": (True, True)}
"""By name: whether the answer is streamed, and whether the client is asynchronous."""


def exists(client: str, mode: str) -> bool:
    """Whether the client has this mode."""
    return not (client in STREAMS_ASYNCHRONOUSLY and mode == "streamed")


CASES = [(client, mode) for client in CLIENTS for mode in MODES if exists(client, mode)]
SHAPED_CASES = [case for case in CASES if case not in LOSES_SHAPES]
STREAMED = [(client, mode) for client, mode in CASES if MODES[mode][0] and (client, mode) != STAYS_OPEN]

SHAPED = '{"city":"Oslo","degrees":3}'
LOOP = Scenario(
    rules=(
        Rule(reply=Reply(tool_calls=(Call("temperature", {"city": "Oslo"}),)), when=fakellm.When(turn=1)),
        Rule(reply=Reply(content="It is 3 °C in Oslo."), when=fakellm.When(turn=2)),
    )
)
SHAPE = Scenario(
    rules=(
        Rule(reply=Reply(tool_calls=(Call("final_result", SHAPED),)), when=fakellm.When(tools=("final_result",))),
        Rule(reply=Reply(tool_calls=(Call("Weather", SHAPED),)), when=fakellm.When(tools=("Weather",))),
        Rule(reply=Reply(content=SHAPED)),
    )
)
"""For clients that have a tool of their own for the answer's shape, and for those that send a schema."""
GENERATED = Scenario(rules=())


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve() as handle:
        yield handle


@pytest.fixture(scope="module", autouse=True)
def environment(server: Handle) -> Iterator[None]:
    """The server's URL and a key, as the fixture of the pytest plugin sets them. Nothing else is configured."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.env.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop for the asynchronous clients. What they leave open is freed here, not in a later test."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    yield made
    for each in gc.get_objects():  # connections of clients that are cached for ever, such as LangChain's
        if type(each) is _SelectorSocketTransport and each._loop is made:
            each.abort()
    made.run_until_complete(_turns(3))
    made.run_until_complete(made.shutdown_asyncgens())
    made.close()
    asyncio.set_event_loop(None)
    gc.collect()


@pytest.fixture(scope="module")
def little_to_collect(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Garbage is looked for only in what is made from now on: with all clients imported, each time takes half a second."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class Asker:
    """Asks a client in one of the modes."""

    def __init__(self, client: str, mode: str, loop: asyncio.AbstractEventLoop) -> None:
        self.name, self.client, self.loop = client, adapter(client), loop
        self.stream, self.asynchronous = MODES[mode]

    def __call__(self, **ask: bool) -> Answer:
        if self.asynchronous:
            return self.loop.run_until_complete(self.client.ask_async(Ask(**ask), self.stream))
        return self.client.ask(Ask(**ask), self.stream)

    def leave(self) -> str:
        """The first text of an answer. What an asynchronous client leaves open is closed as soon as Python collects it."""
        if not self.asynchronous:
            return self.client.leave()
        text = self.loop.run_until_complete(self.client.leave_async())
        gc.collect()
        self.loop.run_until_complete(_turns(100))
        return text


async def _turns(many: int) -> None:
    for _ in range(many):
        await asyncio.sleep(0)


def adapter(client: str) -> Adapter:
    """The client's adapter. Skips the test if the client is not installed."""
    module, name = CLIENTS[client].split(".")
    try:
        return getattr(import_module(f"tests.clients.adapters.{module}"), name)()  # type: ignore[no-any-return]
    except ModuleNotFoundError as missing:
        pytest.skip(f"{missing.name} is not installed: pip install -e '.[clients]', or '.[clients-openai2]'")


@pytest.fixture(params=CASES, ids="-".join)
def ask(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> Asker:
    client, mode = request.param
    return Asker(client, mode, loop)


def answered(server: Handle) -> list[tuple[str | None, int | None]]:
    """The rule and the status of each reply."""
    return [(entry.rule, entry.status) for entry in replies(server)]


def test_a_scripted_tool_loop(ask: Asker, server: Handle) -> None:
    adapters.cities.clear()
    server.load(LOOP)
    assert ask(tool=True).text == "It is 3 °C in Oslo."
    assert adapters.cities == ["Oslo"]
    assert answered(server) == [("scenario#1", 200), ("scenario#2", 200)]
    assert "3 °C" in str(replies(server)[-1].request)


def test_a_generated_tool_loop(ask: Asker, server: Handle) -> None:
    adapters.cities.clear()
    server.load(GENERATED)
    assert ask(tool=True).text
    assert adapters.cities
    assert answered(server) == [("generated", 200), ("generated", 200)]


@pytest.mark.parametrize("ask", SHAPED_CASES, indirect=True, ids="-".join)
def test_a_scripted_structured_answer(ask: Asker, server: Handle) -> None:
    server.load(SHAPE)
    assert ask(shape=True).value == Weather(city="Oslo", degrees=3)


@pytest.mark.parametrize("ask", SHAPED_CASES, indirect=True, ids="-".join)
def test_a_generated_structured_answer(ask: Asker, server: Handle) -> None:
    server.load(GENERATED)
    assert isinstance(ask(shape=True).value, Weather)


def test_scripted_thinking(ask: Asker, server: Handle) -> None:
    server.load(Rule(reply=Reply(reasoning="Hm, well.", content="Cold.")))
    answer = ask(thinks=True)
    assert (answer.thinking, answer.text) == ("Hm, well.", "Cold.")


@pytest.mark.parametrize("ask", [case for case in CASES if case[0] not in HIDES_THINKING], indirect=True, ids="-".join)
def test_generated_thinking(ask: Asker, server: Handle) -> None:
    server.load(GENERATED)
    answer = ask(thinks=True)
    assert answer.thinking
    assert answer.text


def test_a_refusal(ask: Asker, server: Handle) -> None:
    server.load(Rule(reply=Reply(refusal="I will not.")))
    assert ask().text == ("" if ask.name in HIDES_REFUSALS else "I will not.")


def test_an_error(ask: Asker, server: Handle) -> None:
    server.load(Rule(reply=Reply(), fault=faults.Status(status=403, message="Not for you.")))
    with pytest.raises(Exception, match="Not for you") as caught:
        ask()
    assert not isinstance(caught.value, AssertionError)
    assert [status for _, status in answered(server)] == [403]


@pytest.mark.usefixtures("little_to_collect")
@pytest.mark.parametrize("ask", STREAMED, indirect=True, ids="-".join)
def test_a_stream_that_the_client_leaves(ask: Asker, server: Handle) -> None:
    stall = faults.Stall(frame=10, times=1)
    stream = fakellm.Variation(split="words")
    server.load(Rule(reply=Reply(content="word " * 20), stream=stream, fault=stall))
    assert "word" in ask.leave()
    assert has_left(server)
    assert ask().text.split() == ["word"] * 20
