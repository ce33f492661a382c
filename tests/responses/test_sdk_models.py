"""The models of OpenAI's SDK, in strict mode, and OpenAI's description accept every event and every body.

Both describe OpenAI alone, so replies are drawn in its dialect. Where recordings differ from the description, they are
followed, and `MISSING`, `ADDED` and `NULL` name the places.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from fakellm.apis.protocol import Failure
from fakellm.apis.responses.api import RESPONSES
from fakellm.apis.variation import Variation
from fakellm.model.blocks import Completion
from fakellm.streaming.division import Division
from fakellm.wire.sse import Event
from tests.conftest import ROOT
from tests.responses.draws import COMPLETIONS, Way
from tests.responses.test_laws import answered, events
from tests.test_core_laws import DIVISIONS

OPENAPI = Path(os.environ.get("FAKELLM_OPENAPI") or ROOT.parent / "shared" / "openai-openapi.json")
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
BODY: TypeAdapter[Any] = TypeAdapter(Response)
FEW = settings(max_examples=25, deadline=None)
TEXTS_IN_PIECES = DIVISIONS.filter(lambda division: "surrogates" not in str(division.split))
"""Half a surrogate pair is not text: pydantic refuses it."""
OPENAI = Way("openai", Variation())

MISSING = {"response.function_call_arguments.done": {"name": "f"}}
"""What the description requires and OpenAI's own server does not send, by the type of the event, with a value that
stands for it: the name of a call where its arguments end."""
ADDED: dict[str, dict[str, Any]] = {
    "web_search_call": {"action": {"type": "search", "query": "q"}},
    "image_generation_call": {"result": None},
}
"""The same for an item that is added, by its type: what it gets only when it is done."""
NULL = ("user", "usage")
"""Keys of a response that OpenAI's own server sends as null, where the description has no null."""


@FEW
@given(COMPLETIONS, TEXTS_IN_PIECES)
def test_the_sdk_accepts_every_event(completion: Completion, division: Division) -> None:
    for event in events(answered(completion, OPENAI), division):
        if event.event != "keepalive":  # the SDK passes it on as it is
            EVENT.validate_json(_described(event), strict=True)


@FEW
@given(COMPLETIONS)
def test_the_sdk_accepts_every_body(completion: Completion) -> None:
    BODY.validate_json(RESPONSES.whole(answered(completion, OPENAI)), strict=True)


def _described(event: Event) -> str:
    value = json.loads(event.data)
    if value["type"] == "response.output_item.added":
        value["item"] = ADDED.get(value["item"]["type"], {}) | value["item"]
    if "response" in value:
        value["response"] = _without_nulls(value["response"])
    return json.dumps(MISSING.get(value["type"], {}) | value)


def _without_nulls(response: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in response.items() if not (key in NULL and each is None)}


@cache
def validator(name: str) -> Draft202012Validator:
    """The validator of a clause of OpenAI's description."""
    description = json.loads(OPENAPI.read_text(encoding="utf-8"))
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": description["components"]})


@cache
def clauses() -> dict[str, str]:
    """The clause of each type of event."""
    schemas = json.loads(OPENAPI.read_text(encoding="utf-8"))["components"]["schemas"]
    names = [each["$ref"].rpartition("/")[2] for each in schemas["ResponseStreamEvent"]["anyOf"]]
    return {value: name for name in names for value in schemas[name]["properties"]["type"]["enum"]}


described = pytest.mark.skipif(not OPENAPI.exists(), reason=f"OpenAI's description is not here: no {OPENAPI}")


@described
@FEW
@given(COMPLETIONS, TEXTS_IN_PIECES)
def test_openai_describes_every_event(completion: Completion, division: Division) -> None:
    for event in events(answered(completion, OPENAI), division):
        if event.event != "keepalive":
            validator(clauses()[event.event]).validate(json.loads(_described(event)))


@described
@FEW
@given(COMPLETIONS)
def test_openai_describes_every_body(completion: Completion) -> None:
    validator("Response").validate(_without_nulls(json.loads(RESPONSES.whole(answered(completion, OPENAI)))))


@described
@given(st.sampled_from([400, 401, 403, 404, 429, 500, 503]), st.none() | st.text(max_size=5))
def test_openai_describes_errors(status: int, message: str | None) -> None:
    _, body = RESPONSES.refuse(Failure(status, message), OPENAI.habits)
    validator("ErrorResponse").validate(json.loads(body))
    (flat,), _ = RESPONSES.broken(Failure(status, message), OPENAI.habits, "message", (), 0)
    assert isinstance(flat, Event)
    validator("ResponseErrorEvent").validate(json.loads(flat.data))


@pytest.mark.parametrize("shape", ["message", "data"])
def test_the_sdk_accepts_errors_in_a_stream(shape: str) -> None:
    before = events(answered(Completion(), OPENAI), Division())[:2]
    (error,), _ = RESPONSES.broken(Failure(500), OPENAI.habits, shape, before, 2)
    assert isinstance(error, Event)
    EVENT.validate_json(error.data, strict=True)
