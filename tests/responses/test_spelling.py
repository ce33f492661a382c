"""Each key of `stream: {responses: …}` changes how a reply is spelled, and what is no value of it is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakellm.apis.responses.api import RESPONSES
from fakellm.base.errors import ScenarioError
from fakellm.engine.engine import Engine
from fakellm.engine.response import Response
from fakellm.engine.ruleset import Ruleset
from fakellm.scenarios.loader import dump, load
from fakellm.wire.sse import Decoder, Event

BLOCKS = [{"type": "thinking", "parts": ["Hm"]}, {"type": "text", "text": "Hello there"}]


def sent(spelling: dict[str, Any], stream: bool = True, **request: Any) -> bytes:
    """A reply with this spelling."""
    scenario = load({"rules": [{"reply": {"blocks": BLOCKS}, "stream": {"split": "tokens", "responses": spelling}}]})
    assert load(dump(scenario)) == scenario
    engine = Engine(Ruleset(scenario), 0, True)
    body = {"model": "gpt-5", "input": "Hi", "stream": stream, **request}
    response = engine.respond(engine.match(json.dumps(body).encode(), RESPONSES, {}))
    assert isinstance(response, Response)
    return response.plan.body


def events(spelling: dict[str, Any], **request: Any) -> list[Event]:
    return Decoder().feed(sent(spelling, **request))


def values(spelling: dict[str, Any], **request: Any) -> list[dict[str, Any]]:
    return [json.loads(event.data) for event in events(spelling, **request)]


def kinds(spelling: dict[str, Any]) -> list[str]:
    return [value["type"].removeprefix("response.") for value in values(spelling)]


def test_what_precedes_the_first_item() -> None:
    assert kinds({"begins": ["created", "queued"]})[:3] == ["created", "queued", "output_item.added"]
    assert kinds({"begins": []})[0] == "output_item.added"


def test_texts_without_deltas() -> None:
    found = values({"whole": ["content", "reasoning"]})
    assert not [value for value in found if value["type"].endswith(".delta")]
    assert [value["text"] for value in found if value["type"].endswith("text.done")] == ["Hm", "Hello there"]


@pytest.mark.parametrize(
    ("where", "part", "key"),
    [
        ("summary", "reasoning_summary_part", "summary"),
        ("text", "content_part", "content"),
        ("part", "reasoning_part", "content"),
    ],
)
def test_where_reasoning_is(where: str, part: str, key: str) -> None:
    found = values({"reasoning": where})
    assert found[3]["type"] == f"response.{part}.added"
    (item,) = [value["item"] for value in found if value["type"].endswith("item.done") and value["output_index"] == 0]
    assert [each["text"] for each in item[key]] == ["Hm"]


def test_numbers() -> None:
    assert [value.get("sequence_number") for value in values({"numbers": "gaps"})][:3] == [0, 2, 4]
    assert not any("sequence_number" in value for value in values({"numbers": "absent"}))


def test_whether_events_are_named() -> None:
    assert {event.event for event in events({"named": False})} == {"message"}


def test_whole_bodies() -> None:
    assert sent({}, stream=False).startswith(b'{\n  "id"')
    assert sent({"indent": False}, stream=False).startswith(b'{"id"')


def test_the_order_of_keys() -> None:
    delta = next(value for value in values({"events": ["delta", "*", "type"]}) if "delta" in value)
    first, *_, last = delta
    assert (first, last) == ("delta", "type")
    orders = {"message@added": ["type", "id"], "usage": ["total_tokens", "input_tokens"]}
    found = values({"orders": orders})
    added = [value["item"] for value in found if value["type"] == "response.output_item.added"]
    assert list(added[1]) == ["type", "id"]
    assert list(found[-1]["response"]["usage"]) == ["total_tokens", "input_tokens"]


def test_constants_take_the_place_of_defaults_and_not_of_what_was_sent() -> None:
    constants = {
        "response": {"top_p": 0.9, "temperature": 0.3},
        "response@completed": {"service_tier": "flex"},
        "usage": {"cost": 1},
    }
    first, *_, last = values({"constants": constants}, temperature=0.5)
    assert (first["response"]["top_p"], first["response"]["temperature"]) == (0.9, 0.5)
    assert (first["response"]["service_tier"], last["response"]["service_tier"]) == ("auto", "flex")
    assert last["response"]["usage"]["cost"] == 1


def test_recorded_values_take_the_place_of_drawn_ones() -> None:
    recorded = {
        "ids": ["rs_1"],
        "completed_at": 7,
        "obfuscation": {4: "xy"},
        "first": 10,
        "items": {"1@output": {"status": "odd"}},
    }
    found = values({"recorded": recorded})
    assert [value["sequence_number"] for value in found][:2] == [10, 11]
    assert (found[4]["obfuscation"], found[2]["item"]["id"]) == ("xy", "rs_1")
    response = found[-1]["response"]
    assert response["completed_at"] == 7
    assert response["output"][1]["status"] == "odd"
    assert response["output"][1]["id"].startswith("msg_")


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ({"begin": ["created"]}, "unknown key 'begin'"),
        ({"begins": ["start"]}, "'start' is not one of created, queued, in_progress"),
        ({"numbers": "odd"}, "'odd' is not one of counted, gaps, absent"),
        ({"recorded": {"ids": 5}}, "expected array"),
        ({"recorded": {"obfuscation": {"x": "y"}}}, "obfuscation"),
        ({"orders": {"usage": "id"}}, "expected array"),
    ],
)
def test_what_is_no_value_is_refused(spelling: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        sent(spelling)


@pytest.mark.parametrize("annotations", [5, "a", {"a": 1}, [], None])
def test_annotations_that_are_no_list_are_not_sent(annotations: Any) -> None:
    block = {"type": "text", "text": "A", "own": {"responses": {"annotations": annotations}}}
    engine = Engine(Ruleset(load({"rules": [{"reply": {"blocks": [block]}}]})), 0, True)
    response = engine.respond(engine.match(b'{"model":"m","input":"Hi"}', RESPONSES, {}))
    assert isinstance(response, Response)
    assert json.loads(response.plan.body)["output"][0]["content"][0]["annotations"] == []
