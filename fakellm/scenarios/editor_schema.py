"""Makes the JSON Schema of scenario files, for editors.

Descriptions come from docstrings, everything else from the types.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from fakellm.apis.chat.providers import DIALECTS
from fakellm.scenarios.scenario import ScenarioFile

_ENTRY = re.compile(r"^((?:\w+, )*\w+): (.+(?:\n    .*)*)", re.MULTILINE)


def scenario_schema() -> dict[str, Any]:
    """The schema of scenario files (JSON Schema 2020-12), with the descriptions of the Python types."""
    schema = msgspec.json.schema(ScenarioFile)
    for definition in schema["$defs"].values():
        _describe(definition)
        if "dialect" in definition.get("properties", {}):
            dialect = definition["properties"]["dialect"]
            dialect["enum"] = [*DIALECTS, *([None] if "anyOf" in dialect else [])]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _describe(definition: dict[str, Any]) -> None:
    """Moves the entry of each key in a docstring (`key: …`, or `key, key: …`) to that key."""
    text = re.sub(r"\n {4}", "\n", definition.get("description", ""))
    for keys, description in _ENTRY.findall(text):
        for key in keys.split(", "):
            if key in definition["properties"]:
                definition["properties"][key]["description"] = " ".join(description.split())
    if text:
        definition["description"] = " ".join(text.partition("\n\n")[0].split())
