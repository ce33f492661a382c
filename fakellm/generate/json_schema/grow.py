"""A value of a JSON Schema, drawn from a Source: choices made, references followed, objects and lists filled.

Every value that comes of a part of the schema is checked against that part, and drawn again where it is not allowed.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.base.seed import Source
from fakellm.generate.json_schema import scalars
from fakellm.generate.json_schema.check import Judge
from fakellm.generate.json_schema.depth import DEEPEST, Heights
from fakellm.generate.json_schema.merge import ExhaustedError, NoValueError, Schema, all_of, both, of_property, plain
from fakellm.generate.json_schema.regex import text_for

_ATTEMPTS = 8
_STEPS = 4_000
"""Parts looked at for one value: what needs more is refused, so that no schema keeps the server busy."""
_OTHERS = ("additionalProperties", "unevaluatedProperties")
_HINTS = {
    "object": {"properties", "required", "additionalProperties", "patternProperties", "minProperties", "propertyNames"},
    "array": {"items", "prefixItems", "minItems", "contains", "uniqueItems"},
    "string": {"patterns", "format", "minLength", "maxLength"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}


class Place(Struct, frozen=True):
    """Where in the value: the name of the field, the references that led here, how many lists are around it."""

    name: str = ""
    trail: tuple[str, ...] = ()
    lists: int = 0

    @property
    def recurs(self) -> bool:
        """Whether it is inside what it refers to: there only what must be is said, so that it ends."""
        return len(set(self.trail)) < len(self.trail)


class Grower:
    def __init__(self, judge: Judge, source: Source) -> None:
        self.judge = judge
        self.source = source
        self.steps = _STEPS
        self.heights = Heights(judge)

    def grow(self, schema: Schema, place: Place) -> Any:
        """A value that the schema allows. Raises NoValueError where none was found, ExhaustedError after too long."""
        objection = "nothing is allowed"
        for attempt in range(_ATTEMPTS):
            try:
                value = self._value(schema, place, attempt)
            except NoValueError as error:
                objection = str(error)
                continue
            if self.judge.accepts(schema, value):
                return value
            objection = (
                f"no value was found that is allowed; of the last one tried, {self.judge.objection(schema, value)}"
            )
        raise NoValueError(objection)

    def _value(self, schema: Schema, place: Place, attempt: int) -> Any:
        flat, place = self.flat(schema, place)
        given = [*_list(flat, "examples"), *([flat["default"]] if flat.get("default") is not None else [])]
        if fine := [value for value in given if self.judge.accepts(schema, value)]:
            return self.source.choice(fine)
        if "enum" in flat:
            if not (fine := [value for value in flat["enum"] if self.judge.accepts(schema, value)]):
                raise NoValueError(f"none of its values is allowed: {flat['enum']!r}"[:300])
            said = [value for value in fine if value is not None] or fine
            return self.source.choice(said if self.source.below(8) else fine)
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
        """The schema without references and choices, and the place they led to."""
        self.steps -= 1
        if not self.steps:
            raise ExhaustedError
        if isinstance(schema, bool):
            if not schema:
                raise NoValueError("nothing is allowed")
            return {}, place
        flat = plain({key: value for key, value in schema.items() if key in self.judge.keywords})
        for key in ("$ref", "$dynamicRef"):
            if key in flat:
                if place.trail.count(flat[key]) > DEEPEST:
                    raise NoValueError(f"its references never end: {flat[key]!r}")
                place = replace(place, trail=(*place.trail, flat[key]))
                led, place = self.flat(self.judge.resolve(flat.pop(key)), place)
                flat = both(flat, led)
        for part in flat.pop("allOf", ()):
            met, place = self.flat(part, place)
            flat = both(flat, met)
        for key in ("anyOf", "oneOf"):
            if key in flat:
                flat, place = self._branch(flat.pop(key), flat, place)
        if "if" in flat:
            flat, place = self._condition(flat, place)
        for name, part in {**flat.pop("dependentSchemas", {}), **flat.get("dependencies", {})}.items():
            if name in flat.get("required", ()) and not isinstance(part, list):
                met, place = self.flat(part, place)
                flat = both(flat, met)
        return flat, place

    def _branch(self, options: list[Schema], flat: dict[str, Any], place: Place) -> tuple[dict[str, Any], Place]:
        """The schema together with one of the options that do not contradict it; null is seldom taken."""
        start = self.source.below(len(options))
        order = [*options[start:], *options[:start]]
        if self.source.below(8):
            order.sort(key=lambda option: option in ({"type": "null"}, {"const": None}))
        if place.recurs:
            order.sort(key=self.heights.of)
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
        met, place = self.flat(all_of([condition, then]) if holds else otherwise, place)
        return both(flat, met), place

    def _kind(self, flat: dict[str, Any], attempt: int) -> str:
        """One of its types, seldom null; where it names none, first the one that its other keywords speak of."""
        kinds: list[str] = flat.get("type", [])
        if not kinds:
            hinted = [kind for kind, words in _HINTS.items() if words & flat.keys()]
            kinds = [*hinted, "string"][:1] if attempt < 2 else [*_HINTS, "boolean", "null"]
        said = [kind for kind in kinds if kind != "null"]
        return self.source.choice(said if said and self.source.below(8) else kinds)

    def _object(self, flat: dict[str, Any], place: Place, few: bool) -> dict[str, Any]:
        """With three of four optional properties, about; with `few`, or where it recurs, with those that must be."""
        properties, required = flat.get("properties", {}), flat.get("required", [])
        fewest, most = flat.get("minProperties", 0), flat.get("maxProperties", len(properties) + len(required) + 3)
        wanted = set(required)
        optional = [name for name in properties if name not in wanted]
        for name in optional:
            chance = not few and not place.recurs and self.source.below(4) > 0
            if (chance or len(wanted) < fewest) and len(wanted) < most:
                wanted.add(name)
        _with_dependents(wanted, flat)
        found: dict[str, Any] = {}
        for name in [*properties, *(name for name in required if name not in properties)]:
            if name in wanted:
                self._put(found, name, flat, place, name in required or len(wanted) <= fewest)
        for name in sorted(wanted - found.keys() - {*properties, *required}):
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
        """Properties that the schema does not name: as few as it asks for, but one or two where it names none."""
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
            if name not in found and self.judge.accepts(flat.get("propertyNames", True), name):
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
        raise NoValueError("no further item was found that is unlike the others")


def _with_dependents(wanted: set[str], flat: dict[str, Any]) -> None:
    """Adds the names that those wanted ask for; Draft 7 says it in lists among its `dependencies`."""
    needed = {**flat.get("dependencies", {}), **flat.get("dependentRequired", {})}
    while more := {
        other for name in wanted if isinstance(needed.get(name), list) for other in needed[name] if other not in wanted
    }:
        wanted |= more


def _list(flat: dict[str, Any], key: str) -> list[Any]:
    return flat[key] if isinstance(flat.get(key), list) else []
