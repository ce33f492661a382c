"""Makes the JSON Schema of scenario files, for editors: types, bounds and descriptions come from the Python values."""

from __future__ import annotations

from typing import Any

import msgspec

from fakellm.scenarios.scenario import Rule, ScenarioFile


def scenario_schema() -> dict[str, Any]:
    """The schema of scenario files (JSON Schema 2020-12), with the descriptions of the Python types."""
    schema = msgspec.json.schema(ScenarioFile)
    for definition in schema["$defs"].values():
        if "description" in definition:  # of the docstring, what it is; the rest is for readers of the code
            definition["description"] = " ".join(definition["description"].partition("\n\n")[0].split())
        for field in definition.get("properties", {}).values():
            if {"type": "null"} in field.get("anyOf", ()) and "null" in _words(field):
                field["anyOf"].remove({"type": "null"})  # the word must be in quotes
                field.pop("default", None)
    schema["$defs"]["Rule"]["anyOf"] = [{"required": [key]} for key in Rule.one_of]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _words(field: dict[str, Any]) -> set[Any]:
    return {word for member in field["anyOf"] for word in member.get("enum", ())}
