"""What SDKs move from a schema into its descriptions holds for generated values, which they check against their schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakellm
from fakellm.apis.messages.requests.described_constraints import restored

Constraints = dict[str, Any]


def from_python(constraints: Constraints) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in constraints.items()) + "}"


def from_node(constraints: Constraints) -> str:
    return "{" + ", ".join(f"{key}: {json.dumps(value)}" for key, value in constraints.items()) + "}"


def from_the_ai_sdk(constraints: Constraints) -> str:
    names = {key: re.sub("[A-Z]", lambda letter: f" {letter[0].lower()}", key) for key in constraints}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in constraints.items()}
    return "; ".join(f"{names[key]}: {texts[key]}" for key in constraints) + "."


SPELLINGS = (from_python, from_node, from_the_ai_sdk)
CONSTRAINTS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("minimum", "exclusiveMaximum"), st.integers() | st.floats(-1e9, 1e9)),
        **dict.fromkeys(("minLength", "maxItems", "minProperties"), st.integers(0, 99)),
        "multipleOf": st.sampled_from([1, 0.5, 10]),
        "pattern": st.sampled_from(["^a+$", r"^\d{3}, [A-Z]: x;$", "^[^.]{1,3}[.]$"]),
        "format": st.just("phone"),
        "uniqueItems": st.booleans(),
    },
)


@pytest.mark.parametrize("spell", SPELLINGS)
@given(constraints=CONSTRAINTS, before=st.sampled_from(["", "Of the wind.", "In {m/s}.\nOr not: ever."]))
def test_constraints_are_read_back(spell: Callable[[Constraints], str], constraints: Constraints, before: str) -> None:
    break_ = "\n" if spell is from_the_ai_sdk else "\n\n"
    parts = [part for part in (before, spell(constraints) if constraints else "") if part]
    schema = {"type": "string", "description": break_.join(parts)}
    for wrap in (lambda part: part, lambda part: {"items": part}, lambda part: {"anyOf": [part]}):
        assert restored(wrap(schema)) == wrap({**schema, **constraints})
    named = {"properties": {"description": schema}, "$defs": {"enum": schema}}
    assert restored(named) == {
        key: {name: {**part, **constraints} for name, part in parts.items()} for key, parts in named.items()
    }


@pytest.mark.parametrize(
    "description",
    [
        "",
        "minimum: 3",
        "The minimum: 3, or less.",
        "{minimum: many}",
        "{maxItems: -1, uniqueItems: 2, multipleOf: 0, enum: [], pattern: (}",
        "{title: x, default: 3, minimum}",
        "{minimum: 3} is least",
    ],
)
def test_any_other_description_constrains_nothing(description: str) -> None:
    assert restored({"description": description}) == {"description": description}


def test_a_schema_keeps_its_own_constraints() -> None:
    schema = {"type": "integer", "minimum": 5, "description": "{minimum: 1, maximum: 9}"}
    assert restored(schema) == {**schema, "maximum": 9}


@pytest.mark.parametrize("stream", [False, True])
def test_the_sdk_accepts_what_is_generated_for_a_model_with_bounds(stream: bool) -> None:
    anthropic = pytest.importorskip("anthropic")
    pydantic = pytest.importorskip("pydantic")

    class Wind(pydantic.BaseModel):  # type: ignore[misc,name-defined]
        knots: Annotated[int, pydantic.Field(ge=40, le=44)]
        gusts: Annotated[list[float], pydantic.Field(min_length=2, max_length=3)]
        station: Annotated[str, pydantic.Field(pattern="^[A-Z]{4}$")]

    request = {"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": "Hi"}], "output_format": Wind}
    with fakellm.serve() as server, anthropic.Anthropic(base_url=server.url, api_key="any") as client:
        if stream:
            with client.messages.stream(**request) as events:
                found = events.get_final_message().parsed_output
        else:
            found = client.messages.parse(**request).parsed_output
    assert 40 <= found.knots <= 44
