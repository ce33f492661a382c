"""How deep the least value of a schema is. Owns the search; a recursive schema ends by the least of its choices."""

from __future__ import annotations

from typing import Any

from fakellm.generate.json_schema.check import Judge
from fakellm.generate.json_schema.merge import Schema, plain

DEEPEST = 48
"""Parts within parts of the least value: what has more has no end."""


class Heights:
    """Of the parts of one schema, each found once."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self._known: dict[tuple[int, int], tuple[Schema, bool]] = {}

    def endless(self, schema: Schema) -> bool:
        """Whether its least value would have no end."""
        return self.of(schema) == DEEPEST

    def of(self, schema: Schema) -> int:
        """How deep its least value is, from 0; DEEPEST where it never ends."""
        return next((fuel for fuel in range(DEEPEST) if self._fits(schema, fuel)), DEEPEST)

    def _fits(self, schema: Schema, fuel: int) -> bool:
        if isinstance(schema, bool):
            return True
        known = self._known.get((id(schema), fuel))
        if known is None:
            needs, options = self._needs(schema)
            fits = (not needs and not options) or (
                fuel > 0
                and all(self._fits(each, fuel - 1) for each in needs)
                and all(any(self._fits(each, fuel - 1) for each in some) for some in options)
            )
            known = self._known[id(schema), fuel] = (schema, fits)  # kept, so that its id stays its own
        return known[1]

    def _needs(self, schema: dict[str, Any]) -> tuple[list[Schema], list[list[Schema]]]:
        """What every value of it holds, and the choices that it leaves."""
        schema = plain({key: value for key, value in schema.items() if key in self.judge.keywords})
        if "enum" in schema or "null" in schema.get("type", ()):
            return [], []
        needs = [self.judge.resolve(schema["$ref"])] if "$ref" in schema else []
        needs += schema.get("allOf", ())
        properties = schema.get("properties", {})
        needs += [properties[name] for name in schema.get("required", ()) if name in properties]
        if "items" in schema and schema.get("minItems", 0) > len(schema.get("prefixItems", ())):
            needs.append(schema["items"])
        return needs, [schema[key] for key in ("anyOf", "oneOf") if key in schema]
