"""Real JSON Schemas: what pydantic emits, what zod emits (4.x, `z.toJSONSchema`), what people write for tools.

Those of pydantic are models, so that a model can parse the value for its schema.
"""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from enum import Enum, IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AnyUrl, BaseModel, ConfigDict, Field, JsonValue, RootModel

T = TypeVar("T")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Point(BaseModel):
    x: float
    y: float


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    tags: list[str]


class Bounds(BaseModel):
    age: int = Field(ge=0, lt=130)
    score: float = Field(gt=0, le=1)
    even: int = Field(multiple_of=2)
    price: float = Field(ge=0, multiple_of=0.5)
    code: str = Field(pattern=r"^[A-Z]{3}-\d{4}$")
    short: str = Field(min_length=2, max_length=4)
    few: list[int] = Field(min_length=2, max_length=3)


class Optionals(BaseModel):
    a: int | None
    b: str | None = None
    c: int | str = 3
    d: list[int | None] | None = None
    e: Literal["x", 1, True] | None = "x"


class Formats(BaseModel):
    day: date
    at: time
    moment: datetime
    lasts: timedelta
    key: UUID
    where: AnyUrl
    v4: IPv4Address
    v6: IPv6Address


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Owner(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    others: list[Cat | Dog] = []


class Tree(BaseModel):
    value: int
    children: list[Tree]


class Linked(BaseModel):
    value: str
    following: Linked | None


class Add(BaseModel):
    op: Literal["+"]
    left: Expression
    right: Expression


class Number(BaseModel):
    value: float


class Expression(RootModel[Add | Number]):
    pass


class Page(BaseModel, Generic[T]):
    items: list[T]
    total: int


class Maps(BaseModel):
    counts: dict[str, int]
    points: dict[str, Point]
    by_colour: dict[Colour, str]
    anything: JsonValue
    unknown: Any


class Tuples(BaseModel):
    pair: tuple[int, str]
    many: tuple[int, ...]
    unique: set[int]
    frozen: frozenset[str] = Field(min_length=2)
    matrix: list[list[list[int]]]


class Event(BaseModel):
    """An event of a calendar."""

    title: str = Field(description="What it is called", examples=["Stand-up", "Review"])
    day: date
    level: Level
    colour: Colour = Colour.RED
    people: list[Person]


class Person(BaseModel):
    full_name: str = Field(alias="fullName")
    email: str
    address: Address | None = None


class Address(BaseModel):
    street: str
    city: str
    country_code: str = Field(pattern="^[A-Z]{2}$")


class Step(BaseModel):
    explanation: str
    output: str


class MathResponse(BaseModel):
    steps: list[Step]
    final_answer: str


class Ints(RootModel[list[int]]):
    pass


class Outer(BaseModel):
    model_config = ConfigDict(title="outer thing", extra="allow")
    inner: Annotated[Strict, Field(description="A reference with a description beside it")]
    maybe: Strict | None = Field(default=None, description="Or none")


MODELS: list[type[BaseModel]] = [
    *(Point, Strict, Bounds, Optionals, Formats, Owner, Tree, Linked, Expression, Page[Point], Page[Person]),
    *(Maps, Tuples, Event, Person, MathResponse, Ints, Outer),
]

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"
EMAIL = r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$"
ISO_DATE = r"^(?:(?:\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29|\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|(?:02)-(?:0[1-9]|1\d|2[0-8])))"
UUID_PATTERN = r"^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff)$"
DURATION = r"^P(?:(\d+W)|(?!.*W)(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?)$"
IPV4 = r"^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])$"


def _object(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    """The usual strict object; all properties are required by default."""
    named = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": named, "additionalProperties": False}


WRITTEN: dict[str, dict[str, Any]] = {
    "no parameters": {"type": "object", "properties": {}},
    "nothing": {},
    "weather": _object(location={"type": "string", "description": "City"}, unit={"type": "string", "enum": ["c", "f"]}),
    "strict with a nullable": _object(q={"type": ["string", "null"]}, n={"type": ["integer", "null"], "minimum": 1}),
    "nullable enum": _object(sort={"type": ["string", "null"], "enum": ["asc", "desc", None]}),
    "loose object": {"type": "object", "additionalProperties": True},
    "required but not described": {"type": "object", "required": ["a", "b"]},
    "required and additional": {"type": "object", "required": ["a"], "additionalProperties": {"type": "integer"}},
    "closed, required in vain elsewhere": {"type": "object", "properties": {"a": False, "b": {"const": 1}}},
    "no type, properties": {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
    "nested arrays": _object(rows={"type": "array", "items": {"type": "array", "items": {"type": "number"}}}),
    "array of objects": _object(
        todo={"type": "array", "minItems": 3, "items": _object(id={"type": "integer"}, done={"type": "boolean"})}
    ),
    "unique enum items": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "minItems": 3},
    "contains": {
        "type": "array",
        "items": {"type": "integer"},
        "contains": {"minimum": 90},
        "minContains": 2,
        "maxItems": 4,
    },
    "zod string formats": _object(
        email={"type": "string", "format": "email", "pattern": EMAIL},
        day={"type": "string", "format": "date", "pattern": ISO_DATE + "$"},
        moment={
            "type": "string",
            "format": "date-time",
            "pattern": ISO_DATE + r"T(?:(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z))$",
        },
        key={"type": "string", "format": "uuid", "pattern": UUID_PATTERN},
        lasts={"type": "string", "format": "duration", "pattern": DURATION},
        address={"type": "string", "format": "ipv4", "pattern": IPV4},
        where={"type": "string", "format": "uri"},
        cuid={"type": "string", "format": "cuid", "pattern": "^[cC][^\\s-]{8,}$"},
        nano={"type": "string", "format": "nanoid", "pattern": "^[a-zA-Z0-9_-]{21}$"},
        ulid={"type": "string", "format": "ulid", "pattern": "^[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}$"},
        jwt={"type": "string", "format": "jwt"},
        e164={"type": "string", "format": "e164", "pattern": r"^\+(?:[0-9]){6,14}[0-9]$"},
        base64={
            "type": "string",
            "format": "base64",
            "contentEncoding": "base64",
            "pattern": "^$|^(?:[0-9a-zA-Z+/]{4})*(?:(?:[0-9a-zA-Z+/]{2}==)|(?:[0-9a-zA-Z+/]{3}=))?$",
        },
        starts={"type": "string", "pattern": "^abc.*"},
        ends={"type": "string", "pattern": ".*xyz$"},
        includes={"type": "string", "pattern": "mid"},
        sized={"type": "string", "minLength": 5, "maxLength": 5, "pattern": "^[A-Z]*$"},
    ),
    "zod patterns without a format": _object(
        email={"type": "string", "pattern": EMAIL}, lasts={"type": "string", "pattern": DURATION}
    ),
    "zod pattern twice": {"allOf": [{"type": "string", "pattern": "^a"}, {"pattern": "b$"}, {"pattern": "^[a-b]+$"}]},
    "zod int": _object(n={"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991}),
    "zod positive": _object(
        n={"type": "number", "exclusiveMinimum": 0},
        m={"type": "integer", "exclusiveMinimum": 0, "maximum": 9007199254740991},
    ),
    "zod record": {
        "$schema": DRAFT_2020,
        "type": "object",
        "propertyNames": {"type": "string"},
        "additionalProperties": {"type": "number"},
    },
    "zod record of an enum": {
        "type": "object",
        "propertyNames": {"enum": ["a", "b"]},
        "additionalProperties": {"type": "string"},
        "required": ["a", "b"],
    },
    "zod tuple": {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "number"}],
        "items": {"type": "boolean"},
    },
    "zod 3 tuple": {
        "$schema": DRAFT_7,
        "type": "array",
        "minItems": 2,
        "maxItems": 2,
        "items": [{"type": "string"}, {"type": "number"}],
    },
    "zod union": {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]},
    "zod literal": _object(kind={"type": "string", "const": "circle"}, r={"type": "number"}),
    "zod discriminated": {
        "oneOf": [_object(k={"const": "a"}, n={"type": "number"}), _object(k={"const": "b"}, s={"type": "string"})]
    },
    "zod intersection": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "number"}}, "required": ["b"]},
        ]
    },
    "zod default": {"type": "object", "properties": {"n": {"default": 7, "type": "integer"}}, "required": ["n"]},
    "zod recursive": {
        "$ref": "#/$defs/c",
        "$defs": {"c": _object(name={"type": "string"}, sub={"type": "array", "items": {"$ref": "#/$defs/c"}})},
    },
    "zod recursive root": _object(name={"type": "string"}, sub={"type": "array", "items": {"$ref": "#"}}),
    "zod 3 path reference": {
        "$schema": DRAFT_7,
        **_object(a=_object(x={"type": "number"}), b={"$ref": "#/properties/a"}),
    },
    "zod never": {"type": "object", "properties": {"a": {"not": {}}}},
    "zod any": {"type": "object", "properties": {"a": {}}, "required": ["a"]},
    "definitions": {
        "$schema": DRAFT_7,
        "definitions": {"p": _object(x={"type": "integer"})},
        "$ref": "#/definitions/p",
    },
    "escaped reference": {
        "$defs": {"a/b": {"type": "integer"}, "c~d": {"type": "boolean"}},
        **_object(x={"$ref": "#/$defs/a~1b"}, y={"$ref": "#/$defs/c~0d"}),
    },
    "anchor": {"$defs": {"p": {"$anchor": "point", "type": "integer"}}, "type": "array", "items": {"$ref": "#point"}},
    "identified": {
        "$id": "https://example.com/tool.json",
        "$defs": {"p": {"type": "integer"}},
        **_object(x={"$ref": "#/$defs/p"}, y={"$ref": "https://example.com/tool.json#/$defs/p"}),
    },
    "reference with siblings": {
        "$defs": {"n": {"type": "integer", "minimum": 5}},
        **_object(n={"$ref": "#/$defs/n", "maximum": 6}),
    },
    "draft 4 exclusive": {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "properties": {
            "n": {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 2, "exclusiveMaximum": True}
        },
        "required": ["n"],
    },
    "draft 4 exclusive, unsaid": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
    "if then else": {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "b"]}, "x": {"type": "integer"}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "a"}}},
        "then": {"required": ["x"]},
        "else": {"properties": {"x": False}},
    },
    "dependent required": {
        "type": "object",
        "properties": {"card": {"type": "integer"}, "address": {"type": "string"}},
        "dependentRequired": {"card": ["address"]},
        "required": ["card"],
    },
    "draft 7 dependencies": {
        "$schema": DRAFT_7,
        "type": "object",
        "properties": {"card": {"type": "integer"}, "address": {"type": "string"}},
        "dependencies": {"card": ["address"], "address": {"required": ["card"]}},
        "required": ["card"],
    },
    "dependent schemas": {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "dependentSchemas": {"a": {"required": ["b"], "properties": {"b": {"type": "string"}}}},
        "required": ["a"],
    },
    "not": _object(
        x={"type": "integer", "minimum": 1, "maximum": 3, "not": {"const": 2}},
        y={"not": {"type": ["string", "object"]}},
    ),
    "one of overlapping": {
        "oneOf": [{"type": "integer", "multipleOf": 2}, {"type": "integer", "minimum": 50, "maximum": 60}]
    },
    "required one of": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    },
    "pattern properties": {
        "type": "object",
        "patternProperties": {"^x-[a-z]+$": {"type": "integer"}},
        "additionalProperties": False,
        "minProperties": 2,
    },
    "counted properties": {
        "type": "object",
        "properties": {key: {"type": "integer"} for key in "abcdef"},
        "minProperties": 2,
        "maxProperties": 3,
    },
    "property names": {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Z]{3}$"},
        "additionalProperties": {"type": "number"},
        "minProperties": 3,
    },
    "unevaluated": {
        "allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}],
        "properties": {"b": {"type": "integer"}},
        "unevaluatedProperties": False,
    },
    "multiples": _object(
        cents={"type": "number", "multipleOf": 0.01, "minimum": 1, "maximum": 2},
        dozen={"allOf": [{"type": "integer", "multipleOf": 4}, {"multipleOf": 6}]},
    ),
    "examples": _object(city={"type": "string", "examples": ["Bergen"]}, n={"type": "integer", "default": 4}),
    "bad example": _object(n={"type": "integer", "examples": ["four"], "default": "4"}),
    "mixed enum": {"enum": [1, "one", None, [1], {"one": 1}, 1.5, True]},
    "big numbers": _object(
        n={"type": "integer", "minimum": 10**18, "maximum": 10**18 + 3}, x={"type": "number", "maximum": -1e300}
    ),
    "long text": {"type": "string", "minLength": 3000, "maxLength": 3001},
    "text in other scripts": _object(名前={"type": "string"}, grüße={"enum": ["schön"]}),
    "ECMA named group": {"type": "string", "pattern": r"^(?<year>\d{4})-(?<month>0[1-9]|1[0-2])$"},
    "ECMA escapes": {"type": "string", "pattern": r"^\/[\w\-]+\/\$\{\d\}$"},
    "any of the object": {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "anyOf": [{"required": ["a"]}, {"properties": {"b": {"type": "integer"}}, "required": ["b"]}],
    },
    "mcp tool": {
        "type": "object",
        "title": "read_fileArguments",
        "properties": {
            "path": {"title": "Path", "type": "string"},
            "head": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "title": "Head"},
        },
        "required": ["path"],
    },
    "openapi leftovers": {
        "type": "object",
        "properties": {"id": {"type": "integer", "format": "int64", "nullable": True, "example": 3}},
        "required": ["id"],
        "x-order": 1,
    },
    "mutual recursion": {
        "$defs": {
            "a": _object(b={"anyOf": [{"$ref": "#/$defs/b"}, {"type": "null"}]}),
            "b": _object(a={"type": "array", "items": {"$ref": "#/$defs/a"}}),
        },
        "$ref": "#/$defs/a",
    },
    "deep": json.loads(
        '{"type": "object", "required": ["a"], "properties": {"a": ' * 8 + '{"type": "integer"}' + "}}" * 8
    ),
}

UNSATISFIABLE: dict[str, tuple[dict[str, Any], str]] = {
    "no schema": ({"type": "objec"}, "it is not a valid JSON Schema: $.type"),
    "no schema, deep": ({"properties": {"a": {"minLength": -1}}}, "$.properties.a.minLength"),
    "false inside": ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "a: nothing is allowed"),
    "empty range": ({"type": "integer", "minimum": 5, "maximum": 3}, "no integer is allowed: minimum 5, maximum 3"),
    "empty open range": ({"type": "integer", "exclusiveMinimum": 2, "exclusiveMaximum": 3}, "exclusiveMinimum 2"),
    "no multiple": ({"type": "integer", "minimum": 1, "maximum": 6, "multipleOf": 7}, "multipleOf 7"),
    "lengths": ({"type": "string", "minLength": 3, "maxLength": 2}, "minLength 3, maxLength 2"),
    "types": ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "no value is both string and integer"),
    "enums": ({"allOf": [{"enum": [1, 2]}, {"enum": [3]}]}, "no value is both in [1, 2] and in [3]"),
    "enum of a type": ({"type": "string", "enum": [1, 2]}, "none of its values is allowed: [1, 2]"),
    "not anything": ({"not": {}}, "should not be valid under {}"),
    "too few values": (
        {"type": "array", "items": {"enum": [1]}, "uniqueItems": True, "minItems": 2},
        "[1]: no further item",
    ),
    "endless": (
        {
            "$defs": {"a": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]}},
            "$ref": "#/$defs/a",
        },
        "is endless",
    ),
    "circle": ({"$ref": "#"}, "is endless"),
    "elsewhere": ({"$ref": "https://example.com/x.json"}, "refers to nothing; only references into the schema itself"),
    "nowhere": ({"$ref": "#/$defs/missing"}, "'$ref': '#/$defs/missing' refers to nothing"),
    "to no schema": ({"title": "T", "$ref": "#/title"}, "refers to something that is not a valid JSON Schema"),
    "pattern": ({"type": "string", "pattern": "("}, "a regular expression in it cannot be compiled: '('"),
    "ECMA alone": ({"type": "string", "pattern": r"^\p{L}+$"}, r"bad escape \p"),
    "huge": ({"type": "array", "items": {"type": "integer"}, "minItems": 10**9}, "may be too large"),
    "huge text": ({"type": "string", "minLength": 10**9}, "no text of at most 20,000 characters"),
    "infinite": ({"const": 1e400}, "a number in it cannot be used"),
}
"""Schemas that no value satisfies, or none that could be sent, each with the reason."""
