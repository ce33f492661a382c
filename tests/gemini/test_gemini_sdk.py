"""Google's SDK against a real server: sync and async, whole and streamed, on AI Studio and on Vertex AI."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fakellm
from fakellm.apis.events import events_of
from fakellm.apis.gemini.api import GEMINI
from fakellm.apis.gemini.habits import GeminiHabits
from fakellm.apis.protocol import Answer
from fakellm.base.seed import Source
from fakellm.model.blocks import Completion, Opaque, Text, Thinking, ToolCall
from fakellm.model.fold import fold
from fakellm.streaming.divide import divide
from fakellm.streaming.division import Division
from tests.gemini.test_gemini_laws import DRAWN, HABITS, MEANT
from tests.test_core_laws import DIVISIONS

genai = pytest.importorskip("google.genai")
types = genai.types
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

MODEL = "gemini-2.5-flash"
RULES: dict[str, Any] = {
    "rules": [
        {
            "when": {"user": "Hi"},
            "reply": {
                "reasoning": "Hm",
                "content": "Hello there",
                "usage": {"prompt": 3, "completion": 2, "reasoning": 4},
            },
            "stream": {"split": "words"},
        },
        {"when": {"user": "Add"}, "reply": {"tool_calls": [{"name": "add", "arguments": {"a": 2, "b": 3}, "id": "x"}]}},
        {"when": {"user": "Fail"}, "reply": {}, "fault": {"kind": "status", "status": 429}},
        {
            "when": {"user": "Break"},
            "reply": {"content": "One two"},
            "stream": {"split": "words"},
            "fault": {"kind": "error", "frame": 1, "status": 503, "message": "Overloaded."},
        },
    ]
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with fakellm.serve(RULES) as server:
        yield server.url


@pytest.fixture(params=["ai-studio", "vertex", "express"])
def client(request: pytest.FixtureRequest, url: str) -> Iterator[Any]:
    options: dict[str, Any] = {"http_options": types.HttpOptions(base_url=url)}
    if request.param == "vertex":
        credentials = pytest.importorskip("google.oauth2.credentials").Credentials(token="any")
        options |= {"vertexai": True, "project": "p", "location": "l", "credentials": credentials}
    else:
        options |= {"api_key": "any"} | ({"vertexai": True} if request.param == "express" else {})
    with genai.Client(**options) as made:
        yield made


def test_the_environment_of_the_handle_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    with fakellm.serve(RULES) as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        for options in ({}, {"vertexai": True}):
            with genai.Client(**options) as client:
                assert client.models.generate_content(model=MODEL, contents="Hi").text == "Hello there"


def texts(response: Any) -> list[tuple[str, bool]]:
    parts = response.candidates[0].content.parts or []
    return [(part.text, bool(part.thought)) for part in parts if part.text]


def test_a_whole_reply(client: Any) -> None:
    reply = client.models.generate_content(model=MODEL, contents="Hi")
    assert texts(reply) == [("Hm", True), ("Hello there", False)]
    assert (reply.text, reply.model_version, reply.candidates[0].finish_reason) == ("Hello there", MODEL, "STOP")
    assert len(reply.response_id) in (22, 23)
    usage = reply.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count) == (3, 2, 4)
    assert usage.total_token_count == 9


def test_a_streamed_reply(client: Any) -> None:
    chunks = list(client.models.generate_content_stream(model=MODEL, contents="Hi"))
    assert [text for chunk in chunks for text in texts(chunk)] == [("Hm", True), ("Hello", False), (" there", False)]
    assert chunks[-1].candidates[0].finish_reason == "STOP"
    assert chunks[-1].usage_metadata.total_token_count == 9
    assert len({chunk.response_id for chunk in chunks}) == 1


def test_async_replies(client: Any) -> None:
    async def ask() -> tuple[str, list[str]]:
        async with client.aio as opened:
            whole = await opened.models.generate_content(model=MODEL, contents="Hi")
            stream = await opened.models.generate_content_stream(model=MODEL, contents="Hi")
            return whole.text, [chunk.text async for chunk in stream if chunk.text]

    assert asyncio.run(ask()) == ("Hello there", ["Hello", " there"])


def test_function_calls(client: Any) -> None:
    (call,) = client.models.generate_content(model=MODEL, contents="Add").function_calls
    assert (call.name, call.args, call.id) == ("add", {"a": 2, "b": 3}, "x")
    chunks = client.models.generate_content_stream(model=MODEL, contents="Add")
    assert [call.args for chunk in chunks for call in chunk.function_calls or ()] == [{"a": 2, "b": 3}]


def test_errors(client: Any) -> None:
    errors = genai.errors
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=MODEL, contents="Fail")
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
    stream = client.models.generate_content_stream(model=MODEL, contents="Break")
    assert next(stream).text == "One"
    with pytest.raises(errors.APIError) as broken:
        next(stream)
    assert broken.value.code == 503
    with pytest.raises(errors.ClientError) as wrong:
        client.models.generate_content(model=MODEL, contents=types.Content(role="robot", parts=[types.Part(text="a")]))
    assert wrong.value.message == "Please use a valid role: user, model."


def test_operations(client: Any) -> None:
    assert client.models.count_tokens(model=MODEL, contents="Hi").total_tokens == 4
    found = client.models.embed_content(
        model="gemini-embedding-001", contents=["a"], config={"output_dimensionality": 3}
    )
    assert [len(each.values) for each in found.embeddings] == [3]


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def test_functions_are_called_automatically_and_the_loop_ends() -> None:
    with fakellm.serve() as server:
        client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=server.url))
        chat = client.chats.create(model=MODEL, config=types.GenerateContentConfig(tools=[add]))
        reply = chat.send_message("What is 2 and 3?")
        history = chat.get_history()
    assert reply.text
    assert [content.role for content in history] == ["user", "model", "user", "model"]
    call, result = history[1].parts[0].function_call, history[2].parts[0].function_response
    assert result.response == {"result": call.args["a"] + call.args["b"]}


def test_a_schema_is_followed() -> None:
    pydantic = pytest.importorskip("pydantic")
    person = pydantic.create_model("Person", name=(str, ...), ages=(list[int], ...))
    with fakellm.serve() as server:
        client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=server.url))
        for schema in ({"response_schema": person}, {"response_json_schema": person.model_json_schema()}):
            config = types.GenerateContentConfig(response_mime_type="application/json", **schema)
            reply = client.models.generate_content(model=MODEL, contents="Who?", config=config)
            person.model_validate_json(reply.text)


def strict_events(completion: Completion, division: Division, habits: GeminiHabits) -> list[Any]:
    """The events of a completion as the SDK's own models read them."""
    batches = divide(completion, division, GEMINI.grammar(habits), Source(0))
    answer = Answer(completion, habits, DRAWN, Source(0))
    return [
        types.GenerateContentResponse.model_validate_json(event.data)
        for events in events_of(GEMINI, batches, answer)
        for event in events
    ]


def signed(completion: Completion) -> bool:
    """Whether its enums are words and its signatures base64, as the SDK's models require."""
    for choice in completion.choices:
        for block in choice.blocks:
            signature = block.signature if isinstance(block, Thinking) else ""
            if signature and base64.b64encode(base64.b64decode(signature)).decode() != signature:
                return False
    return True


def known(habits: GeminiHabits) -> bool:
    """Whether the SDK's models have it all: they lack the `serviceTier` that AI Studio sends, and numbers for enums."""
    return habits.enums == "names" and not habits.spelling.extra and "serviceTier" not in habits.usage


def whole_characters(division: Division) -> bool:
    """Whether no character is cut in two: strict JSON has no half of one."""
    return "surrogates" not in repr(division.split)


@settings(max_examples=50)
@given(
    MEANT.filter(signed),
    DIVISIONS.filter(whole_characters),
    HABITS.filter(known),
    st.booleans(),
)
def test_the_sdks_models_accept_every_event_and_read_the_texts(
    completion: Completion, division: Division, habits: GeminiHabits, whole: bool
) -> None:
    meant = GEMINI.expressible(completion, habits, whole)
    if whole:
        body = GEMINI.whole(Answer(meant, habits, DRAWN, Source(0)))
        read = [types.GenerateContentResponse.model_validate_json(body)]
    else:
        read = strict_events(meant, division, habits)
    found: dict[int, list[Any]] = {}
    for response in read:
        for place, candidate in enumerate(response.candidates or ()):
            parts = candidate.content.parts if candidate.content else None
            found.setdefault(candidate.index or place, []).extend(parts or ())
    for number, choice in enumerate(meant.choices):
        parts = found.get(number, [])
        text = "".join(part.text for part in parts if part.text and not part.thought)
        assert text == "".join(block.text for block in choice.blocks if isinstance(block, Text))
        calls = [part.function_call for part in parts if part.function_call and part.function_call.name is not None]
        assert [call.name for call in calls] == [block.name for block in choice.blocks if isinstance(block, ToolCall)]
        opaque = [block for block in choice.blocks if isinstance(block, Opaque) and "executableCode" in block.value]
        assert sum(part.executable_code is not None for part in parts) == len(opaque)
    assert fold(divide(meant, division, GEMINI.grammar(habits), Source(0)))[0].choices == meant.choices


def test_the_environment_of_the_fixture_warns_of_nothing(
    fakellm: fakellm.Handle, caplog: pytest.LogCaptureFixture
) -> None:
    with genai.Client() as client:
        assert client.models.generate_content(model=MODEL, contents="Hi").text
    assert not [record for record in caplog.records if record.name.startswith("google")]
