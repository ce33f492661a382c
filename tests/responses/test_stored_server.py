"""What a server keeps of responses: retrieved, continued and polled through the SDK, by session, within a bound."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

import fakellm
from fakellm import Reply, Rule, Scenario, When
from fakellm.engine.stored import SessionStore, StoreShelf
from fakellm.model.request import Request
from fakellm.scenarios.loader import load
from fakellm.scenarios.reply import Computed
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from tests.conftest import respond

RULES = {
    "rules": [
        {"when": {"turn": 2, "message": "I am Ada"}, "reply": {"content": "You are Ada."}},
        {"when": {"api": "responses", "user": "fails"}, "reply": {}, "fault": {"kind": "status", "status": 500}},
        {"reply": {"content": "Hello."}},
    ]
}


@pytest.fixture
def client() -> Iterator[openai.OpenAI]:
    with (
        fakellm.serve(RULES, strict=True) as server,
        openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client,
    ):
        yield client


def test_a_conversation_continues_by_the_id_of_its_last_response(client: openai.OpenAI) -> None:
    first = client.responses.create(model="gpt-5", input="I am Ada")
    second = client.responses.create(model="gpt-5", input="Who am I?", previous_response_id=first.id)
    assert second.output_text == "You are Ada."
    with client.responses.stream(model="gpt-5", input="Who am I?", previous_response_id=first.id) as stream:
        assert stream.get_final_response().output_text == "You are Ada."
    with pytest.raises(openai.BadRequestError, match="Previous response with id 'resp_0' not found") as refused:
        client.responses.create(model="gpt-5", input="Who am I?", previous_response_id="resp_0")
    assert refused.value.code == "previous_response_not_found"


def test_the_same_words_after_another_conversation_are_another_request(client: openai.OpenAI) -> None:
    """The cached reply to one is not sent to the other."""
    ada = client.responses.create(model="gpt-5", input="I am Ada")
    conversation = client.conversations.create(items=[{"type": "message", "role": "user", "content": "I am Ada"}])
    assert client.responses.create(model="gpt-5", input="Who am I?").output_text == "Hello."
    again = client.responses.create(model="gpt-5", input="Who am I?", conversation=conversation.id)
    assert again.output_text == "Hello."  # the first reply of this conversation
    again = client.responses.create(model="gpt-5", input="Who am I?", conversation=conversation.id)
    assert again.output_text == "You are Ada."
    assert client.responses.retrieve(ada.id).output_text == "Hello."


def test_a_response_is_retrieved_listed_and_deleted(client: openai.OpenAI) -> None:
    made = client.responses.create(model="gpt-5", input="Hi")
    assert client.responses.retrieve(made.id) == made
    assert [item.type for item in client.responses.input_items.list(made.id)] == ["message"]
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError, match=f"Response with id '{made.id}' not found"):
        client.responses.retrieve(made.id)


def test_a_response_in_the_background_is_polled(client: openai.OpenAI) -> None:
    made = client.responses.create(model="gpt-5", input="Hi", background=True)
    statuses = [made.status]
    while statuses[-1] != "completed":
        statuses.append(client.responses.retrieve(made.id).status)
    assert statuses == ["queued", "in_progress", "completed"]
    assert client.responses.cancel(client.responses.create(model="m", input="A", background=True).id).status == (
        "cancelled"
    )


def test_a_stream_is_resumed_after_any_of_its_events(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="gpt-5", input="Hi", stream=True, background=True))
    name = next(event.response.id for event in events if event.type == "response.created")
    rest = list(client.responses.retrieve(name, stream=True, starting_after=2))
    assert rest == events[3:]


def test_what_a_fault_breaks_is_not_kept() -> None:
    app = App(load(RULES))
    body = json.dumps({"model": "gpt-5", "input": "this fails"}).encode()
    assert respond(app, HttpRequest("POST", "/v1/responses", body)).plan.status == 500
    assert app.session("").store.size == 0


def test_each_session_keeps_its_own() -> None:
    with fakellm.serve(RULES) as server:
        one, other = (openai.OpenAI(base_url=server.session(name).base_url, api_key="any") for name in ("one", "other"))
        made = one.responses.create(model="gpt-5", input="Hi")
        with pytest.raises(openai.NotFoundError):
            other.responses.retrieve(made.id)
        assert one.responses.retrieve(made.id) == made
        server.session("one").reset()
        with pytest.raises(openai.NotFoundError):
            one.responses.retrieve(made.id)


def test_a_long_request_is_kept_too(client: openai.OpenAI) -> None:
    made = client.responses.create(model="gpt-5", input="I am Ada " + "x" * 100_000)
    assert client.responses.create(model="gpt-5", input="?", previous_response_id=made.id).output_text == "You are Ada."
    long = "Who am I? " + "x" * 100_000
    assert client.responses.create(model="gpt-5", input=long, previous_response_id=made.id).output_text == (
        "You are Ada."
    )


def test_a_function_gets_what_a_long_request_continues() -> None:
    def reply(request: Request) -> str:
        return f"{request.turn} turns: {[len(message.text) for message in request.messages]}"

    rules = (Rule(Computed(function=reply), When(turn=2)), Rule(Reply(content="Hello.")))
    with (
        fakellm.serve(Scenario(rules=rules)) as server,
        openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client,
    ):
        made = client.responses.create(model="gpt-5", input="Hi")
        continued = client.responses.create(model="gpt-5", input="x" * 100_000, previous_response_id=made.id)
    assert continued.output_text == "2 turns: [2, 6, 100000]"


def test_a_long_conversation_is_kept(client: openai.OpenAI) -> None:
    long: Any = {"type": "message", "role": "user", "content": "I am Ada " + "x" * 100_000}
    made = client.conversations.create(items=[long])
    assert len(client.conversations.items.list(made.id).data) == 1
    answer: Any = {**long, "role": "assistant"}
    client.conversations.items.create(made.id, items=[answer])
    assert len(client.conversations.items.list(made.id).data) == 2
    continued = client.responses.create(model="gpt-5", input="Who am I?", conversation=made.id)
    assert continued.output_text == "You are Ada."


def test_a_conversation_goes_on_when_its_call_without_an_output_is_deleted(client: openai.OpenAI) -> None:
    call: Any = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": "{}"}
    made = client.conversations.create(items=[{"type": "message", "role": "user", "content": "I am Ada"}, call])
    with pytest.raises(openai.BadRequestError, match="No tool output found for function call c1"):
        client.responses.create(model="gpt-5", input="Who am I?", conversation=made.id)
    found = client.conversations.items.retrieve("fc_1", conversation_id=made.id)
    assert found.type == "function_call"
    assert client.conversations.items.delete("fc_1", conversation_id=made.id) == made
    with pytest.raises(openai.NotFoundError, match="Item with id 'fc_1' not found"):
        client.conversations.items.delete("fc_1", conversation_id=made.id)
    continued = client.responses.create(model="gpt-5", input="Who am I?", conversation=made.id)
    assert continued.output_text


class Size:
    """A kept value of this size."""

    def __init__(self, size: int) -> None:
        self.size = size


def test_all_sessions_together_have_one_bound() -> None:
    shelf = StoreShelf(1_000)
    stores = [SessionStore(shelf) for _ in range(3)]
    for store in stores:
        assert store.write(None, Size(400))
    assert [store.size for store in stores] == [0, 400, 400]
    assert stores[1].write(stores[1].read(), Size(500))
    assert stores[0].write(None, Size(300))
    assert [store.size for store in stores] == [300, 500, 0]
    stores[1].clear()
    assert stores[2].write(None, Size(600))
    assert [store.size for store in stores] == [300, 0, 600]
