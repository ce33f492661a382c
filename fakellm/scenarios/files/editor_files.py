"""Recognizes what lies beside scenarios for editors: JSON Schemas, such as the one that `fakellm init` writes."""

from __future__ import annotations

import json


def is_json_schema(text: str) -> bool:
    """Whether a text is a JSON object with a `$schema` of json-schema.org. A scenario that names its own schema,
    as some editors want it, has another."""
    if _META not in text:
        return False
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and _META in str(value.get("$schema"))


_META = "json-schema.org/"
"""What the addresses of all versions of JSON Schema have."""
