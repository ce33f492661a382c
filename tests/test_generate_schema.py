"""Every value satisfies its JSON Schema; unsatisfiable schemas are refused with a reason; draws are deterministic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema.validators import validator_for
from pydantic import BaseModel

from fakellm.base.seed import Source
from fakellm.generate.json_schema.instance import UnsatisfiableSchemaError, instance
from fakellm.generate.json_schema.regex import expression, text_for
from tests.conftest import ROOT
from tests.real_schemas import MODELS, UNSATISFIABLE, WRITTEN
from tests.schemas import ANY_SCHEMA, SATISFIABLE, Schema

SEEDS = range(5)


def made(schema: dict[str, Any], seed: int = 0) -> Any:
    return instance(schema, Source(seed))


@pytest.mark.parametrize("name", WRITTEN)
def test_a_written_schema_is_satisfied(name: str) -> None:
    schema = WRITTEN[name]
    values = [made(schema, seed) for seed in SEEDS]
    draft = validator_for(schema, default=jsonschema.Draft202012Validator)
    if name != "draft 4 exclusive, unsaid":  # which is not valid in that draft
        assert [error for value in values for error in draft(_python(schema)).iter_errors(value)] == []
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def _python(schema: Any) -> Any:
    """The schema with named groups in Python's notation, for a plain validator."""
    return json.loads(json.dumps(schema).replace("(?<year>", "(?P<year>").replace("(?<month>", "(?P<month>"))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_model_parses_the_value_for_its_schema(model: type[BaseModel]) -> None:
    for seed in SEEDS:
        model.model_validate_json(json.dumps(made(model.model_json_schema(), seed)))


@pytest.mark.parametrize("name", UNSATISFIABLE)
def test_an_unsatisfiable_schema_is_refused_with_a_reason(name: str) -> None:
    schema, why = UNSATISFIABLE[name]
    with pytest.raises(UnsatisfiableSchemaError) as caught:
        made(schema)
    assert why in str(caught.value)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(SATISFIABLE, st.integers())
def test_a_satisfiable_schema_is_satisfied(schema: dict[str, Any], seed: int) -> None:
    jsonschema.validate(made(schema, seed), schema)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(ANY_SCHEMA)
def test_any_schema_is_satisfied_or_refused(schema: Schema) -> None:
    if isinstance(schema, dict):
        try:
            json.dumps(made(schema), allow_nan=False)
        except UnsatisfiableSchemaError:
            return


@pytest.mark.parametrize("name", ["minContains", "maxContains"])
def test_a_keyword_of_a_newer_draft_may_have_any_value(name: str) -> None:
    """In Draft 7, in which this schema is valid, it is none."""
    assert 5 in made({"type": "array", "contains": {"const": 5}, name: None})


@given(st.sampled_from([model.model_json_schema() for model in MODELS]), st.integers())
@settings(max_examples=30)
def test_the_same_source_gives_the_same_value(schema: dict[str, Any], seed: int) -> None:
    assert made(schema, seed) == made(schema, seed)


PRINT = """
import json
from fakellm.generate.json_schema.instance import instance
from fakellm.base.seed import Source
from tests.real_schemas import WRITTEN
print(json.dumps([instance(schema, Source(7)) for schema in WRITTEN.values()]))
"""


def test_another_process_with_other_hashes_makes_the_same_values() -> None:
    def printed(hashes: str) -> str:
        env = {**os.environ, "PYTHONHASHSEED": hashes, "PYTHONPATH": str(ROOT)}
        return subprocess.run([sys.executable, "-c", PRINT], env=env, capture_output=True, text=True, check=True).stdout

    assert printed("1") == printed("2") == json.dumps([made(schema, 7) for schema in WRITTEN.values()]) + "\n"


def test_values_vary_with_the_seed() -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["city"],
    }
    assert len({json.dumps(made(schema, seed)) for seed in range(50)}) > 20


def test_examples_in_a_schema_are_used() -> None:
    assert made(WRITTEN["examples"]) == {"city": "Bergen", "n": 4}
    assert isinstance(made(WRITTEN["bad example"])["n"], int)


@pytest.mark.parametrize(
    ("schema", "draft"),
    [({"type": "string", "format": name}, name) for name in ("date", "email", "ipv4", "ipv6", "uuid", "regex")],
)
def test_a_format_is_kept(schema: dict[str, Any], draft: str) -> None:
    for seed in SEEDS:
        jsonschema.validate(made(schema, seed), schema, format_checker=jsonschema.FormatChecker([draft]))


@pytest.mark.parametrize(
    "pattern",
    [
        r"^a{2,3}$",
        r"(x|yy)+z?",
        r"^[^a-z]\D\S\W$",
        r"^(ab|c)\1$",
        r"^.{3}$",
        r"^[\d_]*?-$",
        "[à-é]",
        r"^\s$",
        r"^\x41\u0042$",
    ],
)
def test_a_text_is_found_by_its_pattern(pattern: str) -> None:
    for seed in SEEDS:
        assert expression(pattern).search(text_for(pattern, Source(seed), 4))
