"""Two schemas that both must hold, as one. Owns the keywords' meets; knows no references and no choices.

It may say too little where the meet has no keyword of its own (two patterns, two `not`): each value is checked.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import Any

from fakellm.generate.json_schema.regex import expression

Schema = dict[str, Any] | bool


class NoValueError(Exception):
    """No value here: why. Another draw may have more luck."""


class ExhaustedError(Exception):
    """The search for a value took too long."""


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema in the words of the newest draft: lists of `items`, `const`, a boolean `exclusiveMinimum`, a single
    `type` and `pattern` are spelt as it spells them, or as lists."""
    flat = dict(schema)
    if isinstance(flat.get("items"), list):
        flat["prefixItems"] = flat.pop("items")
        if "additionalItems" in flat:
            flat["items"] = flat["additionalItems"]
    if "const" in flat:
        flat["enum"] = [flat.pop("const")]
    if "pattern" in flat:
        flat["patterns"] = [flat.pop("pattern")]
    if isinstance(flat.get("type"), str):
        flat["type"] = [flat["type"]]
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(flat.get(exclusive), bool) and flat.pop(exclusive) and bound in flat:
            flat[exclusive] = flat.pop(bound)
    return flat


def both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The meet of two plain schemas. Raises NoValueError where their types or their values have nothing in common."""
    met = {**one, **other}
    for key in one.keys() & other.keys():
        met[key] = _met(key, one[key], other[key])
    if "properties" in met:
        names = dict.fromkeys([*one.get("properties", {}), *other.get("properties", {})])
        met["properties"] = {name: all_of([*of_property(one, name), *of_property(other, name)]) for name in names}
    return {key: met[key] for key in sorted(met)}  # sets have no order of their own


def of_property(flat: dict[str, Any], name: str, others: tuple[str, ...] = ("additionalProperties",)) -> list[Schema]:
    """The schemas that a property must meet: its own, those of patterns, else the first there is of the others."""
    own = [flat["properties"][name]] if name in flat.get("properties", {}) else []
    own += [each for pattern, each in flat.get("patternProperties", {}).items() if expression(pattern).search(name)]
    if not own:
        own = [flat[key] for key in others if key in flat][:1]
    return own


def all_of(schemas: list[Schema]) -> Schema:
    """One schema for several."""
    different = [each for number, each in enumerate(schemas) if each not in schemas[:number] and each is not True]
    if any(each is False for each in different):
        return False
    return True if not different else different[0] if len(different) == 1 else {"allOf": different}


def _met(key: str, one: Any, other: Any) -> Any:
    if key == "type":
        return _types(one, other)
    if key == "enum":
        if not (common := [value for value in one if value in other]):
            raise NoValueError(f"no value is both in {one!r} and in {other!r}"[:300])
        return common
    if key in ("required", "patterns"):
        return list(dict.fromkeys([*one, *other]))
    if key in ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"):
        return max(one, other)
    if key in ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"):
        return min(one, other)
    if key == "multipleOf":
        first, second = Fraction(str(one)), Fraction(str(other))
        below = lcm(first.denominator, second.denominator)
        met = Fraction(lcm(int(first * below), int(second * below)), below)
        return int(met) if met.denominator == 1 else float(met)
    if key in ("items", "additionalProperties", "unevaluatedProperties", "propertyNames", "contains"):
        return all_of([one, other])
    if key == "prefixItems":
        longer = max(one, other, key=len)
        return [all_of([*pair]) for pair in zip(one, other, strict=False)] + longer[min(len(one), len(other)) :]
    if key in ("patternProperties", "dependentRequired"):
        return {**one, **{name: each for name, each in other.items() if name not in one}}
    return one or other if key == "uniqueItems" else one


def _types(one: list[str], other: list[str]) -> list[str]:
    common = [kind for kind in one if kind in other or (kind == "integer" and "number" in other)]
    common += [kind for kind in other if kind == "integer" and kind not in common and "number" in one]
    if not common:
        raise NoValueError(f"no value is both {' or '.join(one)} and {' or '.join(other)}")
    return common
