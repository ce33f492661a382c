"""JSON Schemas from Google's `Schema`, a subset of OpenAPI 3.0 with types in upper case. Knows no requests.

https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

from typing import Any

_FORMATS = ("date-time", "date", "time", "duration")
_KEPT = (
    "title",
    "description",
    "enum",
    "required",
    "pattern",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
)


def json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a `Schema` that was read by `proto.Reader`."""
    found: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
    kind = schema.get("type", "TYPE_UNSPECIFIED")
    if kind != "TYPE_UNSPECIFIED":
        found["type"] = [kind.lower(), "null"] if schema.get("nullable") else kind.lower()
    if schema.get("nullable") and "enum" in found:
        found["enum"] = [*found["enum"], None]
    if schema.get("format") in _FORMATS:
        found["format"] = schema["format"]
    if "items" in schema:
        found["items"] = json_schema(schema["items"] or {})
    if "anyOf" in schema:
        found["anyOf"] = [json_schema(each or {}) for each in schema["anyOf"]]
    if "properties" in schema:
        properties = {name: json_schema(each or {}) for name, each in schema["properties"].items()}
        first = [name for name in schema.get("propertyOrdering", ()) if name in properties]
        found["properties"] = {name: properties[name] for name in (*first, *properties)}
    if "defs" in schema:
        found["$defs"] = {name: json_schema(each or {}) for name, each in schema["defs"].items()}
    if "ref" in schema:
        found["$ref"] = schema["ref"].replace("#/defs/", "#/$defs/")
    if isinstance(schema.get("additionalProperties"), bool):
        found["additionalProperties"] = schema["additionalProperties"]
    return found
