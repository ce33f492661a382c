"""Merges two schemas into one that allows what both allow. It knows no references and no options.

Where no keyword expresses both (two `not`), the result allows more than both: every value is checked later.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import Any

from fakellm.generate.json_schema.regex import expression

Schema = dict[str, Any] | bool


class NoValueError(Exception):
    """Why there is no value here; another draw may find one."""


class ExhaustedError(Exception):
    """The search for a value took too many steps."""


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema in the keywords of the newest draft, without a list under `items` or a boolean `exclusiveMinimum`, and
    with lists for a single `const`, `type` or `pattern`: `enum`, `type`, `patterns`."""
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
    """Two plain schemas as one. Raises NoValueError if they have no type or no value in common."""
    merged = {**one, **other}
    for key in one.keys() & other.keys():
        merged[key] = _merged(key, one[key], other[key])
    if "properties" in merged:
        names = dict.fromkeys([*one.get("properties", {}), *other.get("properties", {})])
        merged["properties"] = {name: all_of([*of_property(one, name), *of_property(other, name)]) for name in names}
    return {key: merged[key] for key in sorted(merged)}  # the order of a set is not deterministic


def of_property(flat: dict[str, Any], name: str, others: tuple[str, ...] = ("additionalProperties",)) -> list[Schema]:
    """The schemas for a property: its own and those of matching patterns, or else the first of `others` that exists."""
    own = [flat["properties"][name]] if name in flat.get("properties", {}) else []
    own += [each for pattern, each in flat.get("patternProperties", {}).items() if expression(pattern).search(name)]
    if not own:
        own = [flat[key] for key in others if key in flat][:1]
    return own


def all_of(schemas: list[Schema]) -> Schema:
    """One schema that allows what all of them allow."""
    different = [each for number, each in enumerate(schemas) if each not in schemas[:number] and each is not True]
    if any(each is False for each in different):
        return False
    return True if not different else different[0] if len(different) == 1 else {"allOf": different}


def _merged(key: str, one: Any, other: Any) -> Any:
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
        multiple = Fraction(lcm(int(first * below), int(second * below)), below)
        return int(multiple) if multiple.denominator == 1 else float(multiple)
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
