"""Finds how deep the shallowest value of a schema is. A recursive schema ends through its shallowest option."""

from __future__ import annotations

from typing import Any

from fakellm.generate.json_schema.check import Checker
from fakellm.generate.json_schema.merge import Schema, plain

DEEPEST = 48
"""Levels of the shallowest value; if it has more, it counts as endless."""


class Depths:
    """The depths of the parts of one schema, each computed once."""

    def __init__(self, checker: Checker) -> None:
        self.checker = checker
        self._known: dict[tuple[int, int], tuple[Schema, bool]] = {}

    def endless(self, schema: Schema) -> bool:
        """Whether its shallowest value would never end."""
        return self.of(schema) == DEEPEST

    def of(self, schema: Schema) -> int:
        """The depth of its shallowest value, from 0; DEEPEST if it never ends."""
        return next((depth for depth in range(DEEPEST) if self._fits(schema, depth)), DEEPEST)

    def _fits(self, schema: Schema, depth: int) -> bool:
        """Whether some value of the schema is at most `depth` levels deep."""
        if isinstance(schema, bool):
            return True
        known = self._known.get((id(schema), depth))
        if known is None:
            needs, options = self._needs(schema)
            fits = (not needs and not options) or (
                depth > 0
                and all(self._fits(each, depth - 1) for each in needs)
                and all(any(self._fits(each, depth - 1) for each in some) for some in options)
            )
            known = self._known[id(schema), depth] = (schema, fits)  # the schema too, so that its id is not reused
        return known[1]

    def _needs(self, schema: dict[str, Any]) -> tuple[list[Schema], list[list[Schema]]]:
        """The schemas of parts that every value has, and the lists of options of which each value uses one."""
        schema = plain({key: value for key, value in schema.items() if key in self.checker.keywords})
        if "enum" in schema or "null" in schema.get("type", ()):
            return [], []
        needs = [self.checker.resolve(schema["$ref"])] if "$ref" in schema else []
        needs += schema.get("allOf", ())
        properties = schema.get("properties", {})
        needs += [properties[name] for name in schema.get("required", ()) if name in properties]
        if "items" in schema and schema.get("minItems", 0) > len(schema.get("prefixItems", ())):
            needs.append(schema["items"])
        return needs, [schema[key] for key in ("anyOf", "oneOf") if key in schema]
