"""What is kept of responses: retrieved, resumed, deleted, cancelled, continued, and forgotten when it is too much."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis.operation import OperationRequest
from fakellm.apis.responses import urls
from fakellm.apis.responses.api import RESPONSES
from fakellm.apis.responses.requests.tool_results import unpaired
from fakellm.apis.responses.stored import keeping, operations
from fakellm.apis.responses.stored.keeper import KEEPER
from fakellm.apis.responses.stored.routes import STORED, answered
from fakellm.apis.responses.stored.store import Conversation, KeptResponses, StoredResponse
from fakellm.base.errors import RequestError
from fakellm.engine.engine import Engine
from fakellm.engine.response import Response
from fakellm.engine.ruleset import Ruleset
from fakellm.engine.stored import SessionStore, StoreShelf
from fakellm.model.request import Request
from fakellm.scenarios.loader import load
from fakellm.wire.sse import Decoder

CALLS = {"when": {"user": "Add"}, "reply": {"tool_calls": [{"name": "add", "id": "c1"}]}}
RULES = {"rules": [CALLS, {"reply": {"content": "Hello there"}}]}


def posted(kept: KeptResponses, **body: Any) -> tuple[KeptResponses, dict[str, Any], Request]:
    """What is kept after this request, what the client gets at once, and the request."""
    data = json.dumps({"model": "gpt-5", "input": "Hi", **body}).encode()
    engine = Engine(Ruleset(load(RULES)), 0, True)
    response = engine.respond(engine.match(data, RESPONSES, {}))
    assert isinstance(response, Response)
    request = RESPONSES.parse(data, {})
    after = keeping.with_reply(kept, request, response.plan.body)
    sent = keeping.at_once(request, after, response.plan.body)
    return after, json.loads(sent) if not request.stream else {}, request


def new_store() -> SessionStore:
    return SessionStore(StoreShelf(2**20)).open(KEEPER)


def only(kept: KeptResponses) -> str:
    (name,) = kept.responses
    return name


def test_a_response_is_retrieved_and_deleted() -> None:
    kept, sent, _ = posted(KeptResponses())
    assert operations.retrieve(kept, sent["id"]) == (kept, sent)
    kept, reply = operations.delete(kept, sent["id"])
    assert reply == {"id": sent["id"], "object": "response.deleted", "deleted": True}
    with pytest.raises(RequestError, match=rf"^Response with id '{sent['id']}' not found\.$") as error:
        operations.retrieve(kept, sent["id"])
    assert (error.value.status, error.value.code, error.value.param) == (404, None, None)


def test_a_response_that_is_not_to_be_stored_is_not() -> None:
    assert posted(KeptResponses(), store=False)[0] == KeptResponses()


def test_a_stream_resumes_after_any_event() -> None:
    kept, _, _ = posted(KeptResponses(), stream=True)
    whole = operations.events_after(kept, only(kept))
    for number in range(len(whole)):
        rest = operations.events_after(kept, only(kept), number)
        assert rest == whole[number + 1 :]
        if rest:
            assert json.loads(rest[0])["sequence_number"] == number + 1
    assert json.loads(whole[-1])["response"] == operations.retrieve(kept, only(kept))[1]


def test_a_response_in_the_background_gets_on_with_each_poll() -> None:
    kept, sent, _ = posted(KeptResponses(), background=True)
    assert (sent["status"], sent["output"], sent["usage"], sent["completed_at"]) == ("queued", [], None, None)
    statuses = []
    for _ in range(4):
        kept, value = operations.retrieve(kept, sent["id"])
        statuses.append(value["status"])
    assert statuses == ["in_progress", "completed", "completed", "completed"]
    assert value["output"][0]["content"][0]["text"] == "Hello there"


def test_a_response_in_the_background_is_cancelled_until_it_is_completed() -> None:
    kept, sent, _ = posted(KeptResponses(), background=True)
    cancelled, reply = operations.cancel(kept, sent["id"])
    assert (reply["status"], reply["output"], reply["usage"]) == ("cancelled", [], None)
    assert operations.cancel(cancelled, sent["id"]) == operations.retrieve(cancelled, sent["id"]) == (cancelled, reply)
    for _ in range(2):
        kept, _ = operations.retrieve(kept, sent["id"])
    assert operations.cancel(kept, sent["id"])[1]["status"] == "completed"
    other, sent, _ = posted(KeptResponses())
    with pytest.raises(RequestError, match="in the background"):
        operations.cancel(other, sent["id"])


def test_a_conversation_continues_by_the_id_of_its_last_response() -> None:
    kept, first, _ = posted(KeptResponses())
    kept, second, request = posted(kept, input="And?", previous_response_id=first["id"], instructions="Be brief")
    messages = keeping.continued(request, kept).messages
    assert [(each.role, each.text) for each in messages] == [
        ("system", "Be brief"),
        ("user", "Hi"),
        ("assistant", "Hello there"),
        ("user", "And?"),
    ]
    third = RESPONSES.parse(
        json.dumps({"model": "m", "input": "So?", "previous_response_id": second["id"]}).encode(), {}
    )
    assert keeping.continued(third, kept).turn == 3  # instructions are not carried over
    missing = RESPONSES.parse(b'{"model":"m","input":"x","previous_response_id":"resp_x"}', {})
    with pytest.raises(RequestError, match=r"^Previous response with id 'resp_x' not found\.$") as error:
        keeping.continued(missing, kept)
    assert (error.value.status, error.value.code, error.value.param) == (
        400,
        "previous_response_not_found",
        "previous_response_id",
    )


def test_an_output_can_belong_to_a_call_of_the_response_that_is_continued() -> None:
    output = {"type": "function_call_output", "call_id": "c1", "output": "2"}
    kept, first, _ = posted(KeptResponses(), input="Add")
    for sent, message in (([output], None), ("Hi", "No tool output found for function call c1.")):
        body = {"model": "m", "input": sent, "previous_response_id": first["id"]}
        found = unpaired(keeping.continued(RESPONSES.parse(json.dumps(body).encode(), {}), kept))
        assert (found and str(found)) == message


@pytest.mark.parametrize("reference", [{"previous_response_id": "resp_old"}, {"conversation": {"id": "conv_old"}}])
def test_an_output_can_belong_to_a_call_that_is_not_kept(reference: dict[str, Any]) -> None:
    ((key, value),) = reference.items()
    engine = Engine(Ruleset(load({"rules": [{"when": {"body": reference}, "reply": {"content": "3"}}]})), 0, True)
    output = {"type": "function_call_output", "call_id": "c1", "output": "2"}
    for body, status in (({key: value}, 200), ({}, 400)):
        data = json.dumps({"model": "m", "input": [output], **body}).encode()
        request = RESPONSES.parse(data, {})
        assert (unpaired(request) is None) == (status == 200)
        if status == 200:
            matched = engine.match(data, RESPONSES, {}, continued=lambda each: keeping.continued(each, KeptResponses()))
            response = engine.respond(matched)
            assert isinstance(response, Response)
            assert response.plan.status == status


NAMES = st.sampled_from(["r0", "r1", "r2", "c1", "nothing", 'a "quoted" é', ""])
REFERENCES = st.one_of(
    NAMES, NAMES, st.builds(lambda name: {"id": name}, NAMES), st.none(), st.just({"other": 1, "id": "c1"})
)


@given(
    st.lists(st.sampled_from(["r0", "r1", "r2", ""]), min_size=3, max_size=3),
    st.fixed_dictionaries({}, optional={"previous_response_id": REFERENCES, "conversation": REFERENCES}),
    st.sampled_from(["plain", '"conversation"', "conversation", '"previous_response_id": "r1"']),
    st.sampled_from([None, 1]),
)
def test_a_part_of_what_is_kept_is_enough_to_continue(
    previous: list[str], references: dict[str, Any], text: str, indent: int | None
) -> None:
    kept = KeptResponses()
    for number, name in enumerate(previous):
        items = json.dumps([{"type": "message", "role": "user", "content": f"Input {number}"}])
        kept = kept.with_response(StoredResponse(f"r{number}", '{"output": []}', items, previous=name))
        item = json.dumps({"type": "message", "role": "user", "content": f"Item {number}"})
        kept = kept.with_conversation(Conversation(f"c{number}", 1, items=(item,)))
    body = {"model": "m", "input": text, "metadata": {"kind": "conversation"}, **references}
    sent = json.dumps(body, indent=indent, ensure_ascii=False).encode()
    try:
        request = RESPONSES.parse(sent, {})
    except RequestError:
        return
    part = keeping.part(kept, sent)
    assert part.size <= kept.size
    assert outcome_of(request, part) == outcome_of(request, kept)


def outcome_of(request: Any, kept: KeptResponses) -> Any:
    try:
        return keeping.continued(request, kept).messages
    except RequestError as error:
        return str(error)


def test_the_items_of_an_input_have_ids_and_pages() -> None:
    items = [{"role": "user", "content": str(number)} for number in range(5)]
    kept, sent, _ = posted(KeptResponses(), input=items)
    _, every = operations.list_input_items(kept, sent["id"], {"order": "asc"})
    texts = [item["content"][0]["text"] for item in every["data"]]
    assert (texts, every["has_more"]) == (["0", "1", "2", "3", "4"], False)
    assert len({item["id"] for item in every["data"]}) == 5
    _, first = operations.list_input_items(kept, sent["id"], {"limit": "2"})
    _, rest = operations.list_input_items(kept, sent["id"], {"after": first["last_id"]})
    assert [item["content"][0]["text"] for item in first["data"] + rest["data"]] == texts[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    for query in ({"limit": "0"}, {"limit": "x"}, {"order": "up"}, {"after": "msg_x"}):
        with pytest.raises(RequestError, match="Invalid value"):
            operations.list_input_items(kept, sent["id"], query)


def test_a_conversation_collects_the_items_of_its_responses() -> None:
    kept, made = operations.create_conversation(KeptResponses(), "conv_1", 7, {"metadata": {"a": "b"}})
    assert made == {"id": "conv_1", "object": "conversation", "created_at": 7, "metadata": {"a": "b"}}
    kept, sent, _ = posted(kept, conversation="conv_1")
    assert sent["conversation"] == {"id": "conv_1"}
    _, items = operations.list_conversation_items(kept, "conv_1", {"order": "asc"})
    assert [item["role"] for item in items["data"]] == ["user", "assistant"]
    later = RESPONSES.parse(b'{"model":"m","input":"x","conversation":{"id":"conv_1"}}', {})
    assert [each.text for each in keeping.continued(later, kept).messages] == ["Hi", "Hello there", "x"]
    kept, added = operations.add_conversation_items(kept, "conv_1", {"items": [{"role": "user", "content": "More"}]})
    assert [item["content"] for item in added["data"]] == [[{"type": "input_text", "text": "More"}]]
    kept, updated = operations.update_conversation(kept, "conv_1", {"metadata": {}})
    assert operations.retrieve_conversation(kept, "conv_1")[1] == updated
    kept, _ = operations.delete_conversation(kept, "conv_1")
    with pytest.raises(RequestError, match=r"^Conversation with id 'conv_1' not found\.$"):
        operations.retrieve_conversation(kept, "conv_1")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 400), st.booleans()), max_size=20))
def test_what_is_kept_stays_within_its_bound(puts: list[tuple[int, int, bool]]) -> None:
    kept = KeptResponses(most_bytes=4_000)
    for number, size, text in puts:
        if text:
            kept = kept.with_response(StoredResponse(f"resp_{number}", "é" * size))
        else:
            kept = kept.with_conversation(Conversation(f"conv_{number}", 1, "x" * size))
        sizes = [*(each.size for each in kept.responses.values()), *(each.size for each in kept.conversations.values())]
        assert kept.size == sum(sizes) <= kept.most_bytes
    names = [f"resp_{number}" for number, _, text in puts if text]
    if kept.responses:
        assert list(kept.responses)[-1] == names[-1]


def test_a_change_that_another_request_overtook_is_made_again() -> None:
    class Overtaken(SessionStore):
        def write(self, before: Any, after: Any) -> bool:
            if not self.overtaken:
                self.overtaken = True
                super().write(before, before.with_response(StoredResponse("resp_2", "{}")))
                return False
            return super().write(before, after)

        overtaken = False

    store = Overtaken(StoreShelf(2**20)).open(KEEPER)
    assert new_store().write(KeptResponses(), KeptResponses()) is False
    kept, sent, _ = posted(store.read())
    SessionStore.write(store, store.read(), kept)
    plan = answered(store, operation("DELETE", f"/v1/responses/{sent['id']}"), "DELETE")
    assert json.loads(plan.body)["deleted"]
    assert list(store.read().responses) == ["resp_2"]


def operation(method: str, url: str, body: bytes = b"") -> OperationRequest:
    target = urls.target(url.partition("?")[0])
    assert target is not None
    return OperationRequest(target, url, body, {}, 0, (), lambda model: True)


def test_every_route_is_answered() -> None:
    store = new_store()
    kept, sent, _ = posted(store.read())
    kept, _ = operations.create_conversation(kept, "conv_1", 7, {})
    for route, methods in STORED.items():
        for method in methods:
            name = "conv_1" if "conversations" in route else sent["id"]
            store = new_store()
            store.write(store.read(), kept)
            try:
                plan = answered(store, operation(method, route.replace("{id}", name), b"{}"), method)
            except RequestError as error:
                assert "in the background" in error.message  # noqa: PT017 # only a cancellation is refused
            else:
                assert json.loads(plan.body)["object"]


def test_a_stream_is_resumed_over_its_route() -> None:
    store = new_store()
    kept, _, _ = posted(store.read(), stream=True)
    store.write(store.read(), kept)
    plan = answered(store, operation("GET", f"/v1/responses/{only(kept)}?stream=true&starting_after=2"), "GET")
    events = Decoder().feed(plan.body)
    assert [json.loads(event.data)["sequence_number"] for event in events][:2] == [3, 4]
    assert events[-1].event == "response.completed"
    for query in ("starting_after=x", "starting_after=-1"):
        with pytest.raises(RequestError, match="starting_after"):
            answered(store, operation("GET", f"/v1/responses/{only(kept)}?stream=true&{query}"), "GET")


def operated(kept: KeptResponses, path: str, **body: Any) -> Any:
    """The response to an operation on the input of a request; it keeps nothing."""
    request = operation("POST", f"/v1/responses/{path}", json.dumps({"model": "gpt-5", **body}).encode())
    after, value = STORED[request.target.route]["POST"](kept, request)
    assert after is kept
    return value


def test_tokens_are_counted_as_in_the_usage_of_a_reply() -> None:
    _, sent, _ = posted(KeptResponses(), input="What is the weather?")
    counted = sent["usage"]["input_tokens"]
    assert operated(KeptResponses(), "input_tokens", input="What is the weather?") == {
        "object": "response.input_tokens",
        "input_tokens": counted,
    }


def test_a_compacted_conversation_has_the_users_messages_and_a_ciphertext() -> None:
    items = [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hello! How can I help?"}]
    found = operated(KeptResponses(), "compact", input=items)
    assert found["object"] == "response.compaction"
    assert [item["type"] for item in found["output"]] == ["message", "compaction"]
    assert found["output"][1]["encrypted_content"].startswith("gAAAA")


def test_tokens_are_counted_and_compacted_with_the_conversation_before() -> None:
    kept, sent, _ = posted(KeptResponses(), input="What is the weather?")
    alone, after = ({"input": "And tomorrow?"}, {"input": "And tomorrow?", "previous_response_id": sent["id"]})
    usage = sent["usage"]
    counted = operated(kept, "input_tokens", **alone)["input_tokens"] + usage["total_tokens"]
    assert operated(kept, "input_tokens", **after)["input_tokens"] == counted + 3  # the answer is a message too
    assert [item["type"] for item in operated(kept, "compact", **after)["output"]] == ["message"] * 2 + ["compaction"]
    for path in ("input_tokens", "compact"):
        with pytest.raises(RequestError, match="Previous response with id 'resp_0' not found"):
            operated(kept, path, previous_response_id="resp_0")
