"""Strategies for JSON Schemas: satisfiable ones, and any."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any] | bool

NAMES = st.sampled_from(["a", "b", "city", "x-1", "\u4e2d"])
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text(max_size=3)
PATTERNS = [
    "^[a-z]+$",
    r"\d{3}",
    "^(a|b)*$",
    "x",
    "^$",
    r"^\S+@\S+\.\w{2,3}$",
    "(",
    r"\p{L}",
    "(?<y>[0-9]{4})",
    "^(?!a)[ab]c",
]


def _pairs(low: str, high: str, values: st.SearchStrategy[int]) -> st.SearchStrategy[dict[str, int]]:
    return st.tuples(values, values).map(lambda pair: {low: min(pair), high: max(pair)})


def _some(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """One mapping with some of these."""
    chosen = st.tuples(*(st.just({}) | part for part in parts))
    return chosen.map(lambda found: {key: value for part in found for key, value in part.items()})


def _object(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(NAMES, inner, max_size=3)

    def closed(named: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
        required = st.lists(st.sampled_from(sorted(named)), unique=True) if named else st.just([])
        shape = {"type": st.just("object"), "properties": st.just(named), "required": required}
        return st.fixed_dictionaries(shape, optional={"additionalProperties": st.booleans() | inner})

    return properties.flatmap(closed)


LEAVES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(lambda bounds: {"type": "string", **bounds}, _some(_pairs("minLength", "maxLength", st.integers(0, 20)))),
    st.builds(
        lambda bounds: {"type": "integer", **bounds}, _some(_pairs("minimum", "maximum", st.integers(-99, 10**12)))
    ),
    st.builds(
        lambda low, step: {"type": "number", "exclusiveMinimum": low, "maximum": low + 2 * step},
        st.integers(-9, 9),
        st.integers(1, 9),
    ),
    st.sampled_from([{"type": kind} for kind in ("boolean", "null", "number", "string", ["string", "null"])]),
    st.sampled_from(
        [{"type": "string", "format": name} for name in ("date", "date-time", "uuid", "email", "uri", "nonsense")]
    ),
    st.sampled_from(
        [{"type": "string", "pattern": each} for each in ("^[A-Z]{2}-[0-9]{4}$", r"^\d+(\.\d+)?$", "^(?!x)[a-z]+$")]
    ),
    st.lists(SCALARS, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    SCALARS.map(lambda value: {"const": value}),
)

SATISFIABLE: st.SearchStrategy[dict[str, Any]] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        _object(inner),
        st.builds(
            lambda item, bounds: {"type": "array", "items": item, **bounds},
            inner,
            _pairs("minItems", "maxItems", st.integers(0, 4)),
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
        inner.map(lambda part: {"allOf": [part, {"title": "T"}]}),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda first: {"type": "array", "prefixItems": first, "items": False}
        ),
    ),
    max_leaves=6,
)
"""Schemas that allow a value, as does every part that a value needs."""

JUNK = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2), max_leaves=3
)


def _keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any keywords, with values that mostly have the right type, whether or not they contradict each other."""
    schemas, named = st.lists(inner, min_size=1, max_size=3), st.dictionaries(NAMES, inner, max_size=3)
    counts = st.integers(0, 5)
    kinds = st.sampled_from(["string", "integer", "number", "object", "array", "boolean", "null"])
    known: dict[str, st.SearchStrategy[Any]] = {
        "type": kinds | st.lists(kinds, min_size=1, unique=True),
        "enum": st.lists(JUNK, min_size=1, max_size=3),
        "const": JUNK,
        "default": JUNK,
        "examples": st.lists(JUNK, max_size=2),
        "title": st.text(max_size=3),
        "description": JUNK,
        "format": st.sampled_from(["date", "email", "uuid", "ipv4", "regex", "none"]),
        "pattern": st.sampled_from(PATTERNS),
        "$ref": st.sampled_from(
            ["#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/title", "http://127.0.0.1:1/x", "a", "#a", ""]
        ),
        "$id": st.sampled_from(["a", "http://x.y/z", "#a"]),
        "$schema": st.sampled_from(
            ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema", "x", 1]
        ),
        "$anchor": st.just("a"),
        "$dynamicRef": st.just("#a"),
        "multipleOf": st.sampled_from([1, 2, 0.1, 0.01, 1e-300, 7.5]),
        **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), schemas),
        **dict.fromkeys(("properties", "$defs", "definitions", "dependentSchemas", "dependencies"), named),
        **dict.fromkeys(
            ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"), inner
        ),
        **dict.fromkeys(("unevaluatedProperties", "unevaluatedItems", "additionalItems"), inner),
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), counts),
        **dict.fromkeys(("minContains", "maxContains"), counts),
        **{
            key: st.integers(-9, 9) | st.floats()
            for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
        },
        "patternProperties": st.dictionaries(st.sampled_from(PATTERNS), inner, max_size=2),
        "required": st.lists(NAMES, unique=True, max_size=3),
        "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, unique=True, max_size=2), max_size=2),
        "uniqueItems": st.booleans(),
    }
    pair = st.sampled_from(sorted(known)).flatmap(
        lambda key: st.tuples(st.just(key), known[key] if key != "default" else JUNK)
    )
    spoilt = st.tuples(st.sampled_from(sorted(known)), JUNK)
    return st.lists(pair | pair | pair | spoilt, max_size=5).map(dict)


ANY_SCHEMA: st.SearchStrategy[Schema] = st.recursive(st.booleans() | LEAVES, _keywords, max_leaves=8)
"""Schemas, valid or not, satisfiable or not."""
