"""Draws a value of a JSON Schema: it picks options, follows references, and fills objects and lists.

Every value is checked against the part of the schema that it was drawn for, and drawn again if that does not allow it.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.base.budget import BUDGET
from fakellm.base.seed import Source
from fakellm.generate.json_schema import scalars
from fakellm.generate.json_schema.check import Checker
from fakellm.generate.json_schema.depth import DEEPEST, Depths
from fakellm.generate.json_schema.merge import ExhaustedError, NoValueError, Schema, all_of, both, of_property, plain
from fakellm.generate.json_schema.regex import text_for

_ATTEMPTS = 8
_STEPS = 4_000
"""Parts of the schema that are visited for one value; a schema that needs more is refused, so that none blocks the
server."""
_OTHERS = ("additionalProperties", "unevaluatedProperties")
_SPREAD = {"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "dependentSchemas", "dependencies", "not"}
"""Keywords with schemas that may have an `enum` of their own."""
_HINTS = {
    "object": {"properties", "required", "additionalProperties", "patternProperties", "minProperties", "propertyNames"},
    "array": {"items", "prefixItems", "minItems", "contains", "uniqueItems"},
    "string": {"patterns", "format", "minLength", "maxLength"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}


class Place(Struct, frozen=True):
    """A position in the value: the name of the field, the references that led to it, the number of lists around it."""

    name: str = ""
    trail: tuple[str, ...] = ()
    lists: int = 0

    @property
    def recurs(self) -> bool:
        """Whether a reference leads into itself here: then only what is required is filled, so that the value ends."""
        return len(set(self.trail)) < len(self.trail)


class Grower:
    """Draws the values of one schema."""

    def __init__(self, checker: Checker, source: Source) -> None:
        self.checker = checker
        self.source = source
        self.steps = _STEPS
        self.characters = BUDGET.generated_characters
        self.depths = Depths(checker)

    def grow(self, schema: Schema, place: Place) -> Any:
        """A value that the schema allows. Raises NoValueError if none was found, ExhaustedError after _STEPS."""
        objection = "nothing is allowed"
        for attempt in range(_ATTEMPTS):
            try:
                value = self._value(schema, place, attempt)
            except NoValueError as error:
                objection = str(error)
                continue
            if isinstance(value, str):
                self._count(value)
            if self.checker.accepts(schema, value):
                return value
            objection = (
                f"none of the values tried is allowed; about the last one: {self.checker.objection(schema, value)}"
            )
        raise NoValueError(objection)

    def _count(self, text: str) -> None:
        self.characters -= len(text)
        if self.characters < 0:
            most = f"{BUDGET.generated_characters:,}"
            raise ExhaustedError(f"its texts have more than {most} characters, the limit generated_characters")

    def _value(self, schema: Schema, place: Place, attempt: int) -> Any:
        flat, place = self.flat(schema, place)
        examples = [*_list(flat, "examples"), *([flat["default"]] if flat.get("default") is not None else [])]
        if allowed := [value for value in examples if self.checker.accepts(schema, value)]:
            return self.source.choice(allowed)
        if "enum" in flat:
            rest = _beside_enum(schema)
            if not (allowed := [value for value in flat["enum"] if self.checker.accepts(rest, value)]):
                raise NoValueError(f"none of its values is allowed: {flat['enum']!r}"[:300])
            likely = [value for value in allowed if value is not None] or allowed
            return self.source.choice(likely if self.source.below(8) else allowed)
        kind = self._kind(flat, attempt)
        if kind == "object":
            return self._object(flat, place, few=attempt >= _ATTEMPTS // 2)
        if kind == "array":
            return self._array(flat, place)
        if kind == "string":
            return scalars.string(flat, place.name, self.source)
        if kind in ("integer", "number"):
            return scalars.number(flat, kind == "integer", self.source)
        return self.source.below(2) == 1 if kind == "boolean" else None

    def flat(self, schema: Schema, place: Place) -> tuple[dict[str, Any], Place]:
        """The schema with references followed and options chosen, and the place that they lead to."""
        self.steps -= 1
        if not self.steps:
            raise ExhaustedError("no value of it was found in reasonable time; it may be too large, or allow no value")
        if isinstance(schema, bool):
            if not schema:
                raise NoValueError("nothing is allowed")
            return {}, place
        flat = plain({key: value for key, value in schema.items() if key in self.checker.keywords})
        for key in ("$ref", "$dynamicRef"):
            if key in flat:
                if place.trail.count(flat[key]) > DEEPEST:
                    raise NoValueError(f"its references never end: {flat[key]!r}")
                place = replace(place, trail=(*place.trail, flat[key]))
                target, place = self.flat(self.checker.resolve(flat.pop(key)), place)
                flat = both(flat, target)
        for part in flat.pop("allOf", ()):
            merged, place = self.flat(part, place)
            flat = both(flat, merged)
        for key in ("anyOf", "oneOf"):
            if key in flat:
                flat, place = self._branch(flat.pop(key), flat, place)
        if "if" in flat:
            flat, place = self._condition(flat, place)
        for name, part in {**flat.pop("dependentSchemas", {}), **flat.get("dependencies", {})}.items():
            if name in flat.get("required", ()) and not isinstance(part, list):
                dependent, place = self.flat(part, place)
                flat = both(flat, dependent)
        return flat, place

    def _branch(self, options: list[Schema], flat: dict[str, Any], place: Place) -> tuple[dict[str, Any], Place]:
        """The schema merged with an option that does not contradict it; rarely null."""
        start = self.source.below(len(options))
        order = [*options[start:], *options[:start]]
        if self.source.below(8):
            order.sort(key=lambda option: option in ({"type": "null"}, {"const": None}))
        if place.recurs:
            order.sort(key=self.depths.of)
        trouble = NoValueError("nothing is allowed")
        for option in order:
            try:
                chosen, there = self.flat(option, place)
                return both(flat, chosen), there
            except NoValueError as error:
                trouble = error
        raise trouble

    def _condition(self, flat: dict[str, Any], place: Place) -> tuple[dict[str, Any], Place]:
        condition, then, otherwise = flat.pop("if"), flat.pop("then", True), flat.pop("else", True)
        holds = self.source.below(2) == 0
        branch, place = self.flat(all_of([condition, then]) if holds else otherwise, place)
        return both(flat, branch), place

    def _kind(self, flat: dict[str, Any], attempt: int) -> str:
        """One of its types, rarely null; if it has none, first the type that its other keywords belong to."""
        kinds: list[str] = flat.get("type", [])
        if not kinds:
            hinted = [kind for kind, words in _HINTS.items() if words & flat.keys()]
            kinds = [*hinted, "string"][:1] if attempt < 2 else [*_HINTS, "boolean", "null"]
        likely = [kind for kind in kinds if kind != "null"]
        return self.source.choice(likely if likely and self.source.below(8) else kinds)

    def _object(self, flat: dict[str, Any], place: Place, few: bool) -> dict[str, Any]:
        """An object with about three quarters of the optional properties; with `few` or in recursion, with none."""
        properties, required = flat.get("properties", {}), flat.get("required", [])
        fewest, most = flat.get("minProperties", 0), flat.get("maxProperties", len(properties) + len(required) + 3)
        chosen = set(required)
        optional = [name for name in properties if name not in chosen]
        for name in optional:
            drawn = not few and not place.recurs and self.source.below(4) > 0
            if (drawn or len(chosen) < fewest) and len(chosen) < most:
                chosen.add(name)
        _add_dependents(chosen, flat)
        found: dict[str, Any] = {}
        for name in [*properties, *(name for name in required if name not in properties)]:
            if name in chosen:
                self._put(found, name, flat, place, name in required or len(chosen) <= fewest)
        for name in sorted(chosen - found.keys() - {*properties, *required}):
            self._put(found, name, flat, place, False)
        self._add(found, flat, place, int(fewest), int(most))
        return found

    def _put(self, found: dict[str, Any], name: str, flat: dict[str, Any], place: Place, must: bool) -> None:
        try:
            found[name] = self.grow(all_of(of_property(flat, name, _OTHERS)), replace(place, name=name))
        except NoValueError as error:
            if must:
                raise NoValueError(f"{name}: {error}") from None

    def _add(self, found: dict[str, Any], flat: dict[str, Any], place: Place, fewest: int, most: int) -> None:
        """Adds properties that the schema does not name: as few as it requires, but one or two if it names none."""
        patterns = list(flat.get("patternProperties", {}))
        open_ = isinstance(flat.get("additionalProperties"), dict) or patterns
        few = self.source.between(1, 2) if open_ and not found and "properties" not in flat and not place.recurs else 0
        for _ in range(3 * max(fewest, few)):
            if len(found) >= min(max(fewest, few), most):
                return
            if patterns:
                name = text_for(self.source.choice(patterns), self.source, 4)
            else:
                name = self.grow(all_of([{"type": "string"}, flat.get("propertyNames", True)]), Place())
                name = name if "propertyNames" in flat else name.replace(" ", "_")
            if name not in found and self.checker.accepts(flat.get("propertyNames", True), name):
                self._put(found, name, flat, place, False)

    def _array(self, flat: dict[str, Any], place: Place) -> list[Any]:
        first, items = flat.get("prefixItems", []), flat.get("items", flat.get("unevaluatedItems", True))
        fewest, most = int(flat.get("minItems", 0)), int(flat.get("maxItems", 10**9))
        need = int(flat.get("minContains", 1)) if "contains" in flat else 0
        usual = 0 if place.recurs or items is False else max(1, 3 - place.lists)
        usual = self.source.between(1, usual) if usual and not first else 0
        length = min(max(fewest, usual, len(first), len(first) + need), most)
        inside = replace(place, lists=place.lists + 1)
        found: list[Any] = []
        for index in range(length):
            schema = first[index] if index < len(first) else items
            if index >= length - need:
                schema = all_of([schema, flat["contains"]])
            try:
                found.append(self._item(schema, inside, found if flat.get("uniqueItems") else []))
            except NoValueError as error:
                if len(found) >= max(fewest, need):
                    break
                raise NoValueError(f"[{index}]: {error}") from None
        return found

    def _item(self, schema: Schema, place: Place, others: list[Any]) -> Any:
        for _ in range(4 * _ATTEMPTS):
            value = self.grow(schema, place)
            if value not in others:
                return value
        raise NoValueError("no further item was found that differs from the others")


def _beside_enum(schema: Schema) -> Schema:
    """What the values of the `enum` of a schema must satisfy besides, so that each is not compared to all of them."""
    if isinstance(schema, bool) or "enum" not in schema or "const" in schema or schema.keys() & _SPREAD:
        return schema
    return {key: value for key, value in schema.items() if key != "enum"}


def _add_dependents(names: set[str], flat: dict[str, Any]) -> None:
    """Adds the properties that these require; in Draft 7, they are the lists in `dependencies`."""
    needed = {**flat.get("dependencies", {}), **flat.get("dependentRequired", {})}
    while more := {
        other for name in names if isinstance(needed.get(name), list) for other in needed[name] if other not in names
    }:
        names |= more


def _list(flat: dict[str, Any], key: str) -> list[Any]:
    return flat[key] if isinstance(flat.get(key), list) else []
