"""Checks builtin data (from YAML or JSON) against the typed values of the package: every problem, with its path.

It owns the walk that finds all problems at once, and their wording. msgspec converts the data and checks each leaf, but
stops at the first problem and gives no list index, so the walk runs only once something is known to be wrong. It knows
no files and no HTTP.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from fakellm.base.json_values import WireValue, is_json, not_json
from fakellm.base.words.near_miss import meant, near_miss

Path = tuple[str | int, ...]


class Problem(Struct, frozen=True):
    """What is wrong at `path`. `kind`: an unknown key, a missing key, a key that is not allowed (the last step of the
    path), one that has a new name (`renamed`), a value of the wrong type, or a value that is not allowed."""

    path: Path
    kind: Literal["unknown", "missing", "key", "renamed", "type", "value"]
    message: str
    renamed: str = ""


TEXT_KEY = "a key must be text; put it in quotes"


_QUOTED_NULL = "put it in quotes: 'null'"
NULL_WORD = f"null would leave the key unset; the option is the word, so {_QUOTED_NULL}"

Places = dict[str | None, Any]
"""Where null can be meant as a word: for each key either True or the places below it; None stands for all items."""


@cache
def fields_of(kind: type[Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """The fields of a type. msgspec evaluates its annotations each time, which takes half a millisecond."""
    return msgspec.structs.fields(kind)


class FieldError(ValueError):
    """Raised by the check of a value itself (`__post_init__`): what is wrong, and at which of its keys."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


def dotted(path: Path) -> str:
    """The path in the notation of OpenAI's `param`: ``messages[0].content``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{_short(step)}" for step in path).removeprefix(".")


def _short(step: str) -> str:
    """A key in a path, as text that any encoding can write; cut after SHOWN characters."""
    step = step if len(step) <= SHOWN else f"{step[:SHOWN]}…"
    return step if step.isascii() else step.encode("utf-8", "backslashreplace").decode()


SHOWN = 120
"""The most characters of a value in a message: a request may contain millions."""


def shortened(value: object) -> str:
    """The value as Python writes it, cut after SHOWN characters, in which what looks like a key is overwritten."""
    from fakellm.base.secrets.search import cover  # most programs never need it

    try:
        text = repr(value)
    except RecursionError:
        return f"{'an object' if isinstance(value, dict) else 'an array'} that is nested too deeply"
    shown = cover(())(text[:_SEARCHED])
    return shown if len(text) <= SHOWN else f"{shown[:SHOWN]}… ({len(text):,} characters)"


_SEARCHED = 500
"""Characters of a value that are searched for keys: of a shorter part, the start of a key would not be found."""


def problems(data: Any, hint: Any, path: Path = ()) -> Iterator[Problem]:
    """Every reason why `data` is not a `hint`, in the order of the data."""
    members, hint = _members(hint), _member(data, hint)
    if (kinds := _kinds(hint)) and isinstance(data, dict):
        yield from _no_kind(data, kinds, path)
    elif isinstance(hint, type) and issubclass(hint, Struct) and isinstance(data, dict):
        yield from _struct(data, hint, path)
    elif get_origin(hint) in (tuple, list) and isinstance(data, (list, tuple)) and get_args(hint)[1:] in ((), (...,)):
        for index, item in enumerate(data):
            yield from problems(item, get_args(hint)[0], (*path, index))
    elif get_origin(hint) is dict and isinstance(data, dict):
        key_hint, item_hint = get_args(hint)
        for key, item in data.items():
            yield from _key(key, key_hint, (*path, key))
            yield from problems(item, item_hint, (*path, key))
    elif hint is Any or hint == WireValue:
        yield from _json(data, path, any_number=hint is not Any)
    else:
        yield from _leaf(data, hint, path, members)


def null_places(hint: Any, outer: tuple[Any, ...] = ()) -> Places:
    """Where in a `hint` a key may be unset and may also be the word `null`, which YAML reads as null without quotes."""
    places: Places = {}
    for member in _members(hint):
        if isinstance(member, type) and issubclass(member, Struct) and member not in outer:
            for field in fields_of(member):
                below = _has_null_word(field.type) or null_places(field.type, (*outer, member))
                if below:
                    places[field.encode_name] = below
        elif get_origin(member) in (tuple, list) and (below := null_places(get_args(member)[0], outer)):
            places[None] = below
    return places


def has_unquoted_null(data: Any, places: Places | Literal[True]) -> bool:
    """Whether any of these places in `data` is null; `problems` reports each."""
    if places is True:
        return data is None
    if isinstance(data, dict):
        return any(key in data and has_unquoted_null(data[key], below) for key, below in places.items())
    return None in places and isinstance(data, list) and any(has_unquoted_null(item, places[None]) for item in data)


def _has_null_word(hint: Any) -> bool:
    """Whether null is a value of a key too."""
    return type(None) in _members(hint) and _takes_null_word(hint)


def _takes_null_word(hint: Any) -> bool:
    """Whether the word `null` is a value of a key."""
    return any(get_origin(each) is Literal and "null" in get_args(each) for each in _members(hint))


def _members(hint: Any) -> list[Any]:
    hint = _without_description(hint)
    union = get_origin(hint) in (Union, types.UnionType)
    return [_without_description(member) for member in (get_args(hint) if union else (hint,))]


def _key(key: Any, hint: Any, path: Path) -> Iterator[Problem]:
    """The problem with the last step of `path`, a key; JSON spells a number that is a key as text."""
    if not isinstance(key, str) and _kind(hint) is str:
        yield Problem(path, "key", TEXT_KEY)
        return
    try:
        msgspec.convert(key, hint, strict=not isinstance(key, str))
    except UnicodeEncodeError:
        yield Problem(path, "key", f"the key {shortened(key)}: half of a surrogate pair is not allowed here")
    except msgspec.ValidationError as error:
        yield Problem(path, "key", f"the key {shortened(key)}: {_plain(str(error))}")


def _json(data: Any, path: Path, any_number: bool = False) -> Iterator[Problem]:
    """The keys that are not text, and the values that JSON does not have. `any_number`: NaN too."""
    if isinstance(data, (list, tuple)):
        for index, item in enumerate(data):
            yield from _json(item, (*path, index), any_number)
    elif isinstance(data, dict):
        for key, item in data.items():
            yield from _key(key, str, (*path, key))
            yield from _json(item, (*path, key), any_number)
    elif not is_json(data) and not (any_number and isinstance(data, float)):
        yield Problem(path, "value", not_json(data))


def _struct(data: dict[str, Any], hint: type[Struct], path: Path) -> Iterator[Problem]:
    wrong = False
    for problem in _inside(data, hint, path):
        wrong = True
        yield problem
    if not wrong:  # the check of the value itself may fail
        yield from _leaf(data, hint, path)


def _inside(data: dict[str, Any], hint: type[Struct], path: Path) -> Iterator[Problem]:
    """The problems with the keys of a struct. They are found one by one: a request is refused with the first."""
    fields = _by_key(hint)
    tag = hint.__struct_config__.tag_field
    keys = [*([tag] if tag else []), *fields]
    renamed: dict[str, str] = getattr(hint, "renamed", {})
    misspelled: set[str | None] = set()
    for key, item in data.items():
        if key in fields and item is None and _takes_null_word(fields[key].type):
            message = NULL_WORD if _has_null_word(fields[key].type) else f"expected the word, got null; {_QUOTED_NULL}"
            yield Problem((*path, key), "value", message)
        elif key in fields:
            yield from problems(item, fields[key].type, (*path, key))
        elif not isinstance(key, str):
            yield Problem((*path, key), "key", TEXT_KEY)
        elif (new := renamed.get(key)) and new not in data:
            message = f"{key!r} is now called {new!r}; the former name works in this release only"
            yield Problem((*path, key), "renamed", message, new)
            yield from problems(item, fields[new].type, (*path, key))
        elif hint.__struct_config__.forbid_unknown_fields and key != tag:
            misspelled.add(meant(key, keys))
            message = f"unknown key {shortened(key)}; allowed here: {', '.join(keys)}{near_miss(key, keys)}"
            yield Problem((*path, key), "unknown", message)
    one_of: tuple[str, ...] = getattr(hint, "one_of", ())
    needed = [key for key, field in fields.items() if field.required] + [*one_of[:1]]
    present = data.keys() | {renamed.get(key) for key in data} | misspelled
    for key in needed:
        if key not in present and not (key in one_of and present & set(one_of)):
            yield Problem((*path, key), "missing", f"the key {key!r} is missing")


@cache
def _by_key(hint: type[Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """The fields of a struct, by their keys."""
    return {field.encode_name: field for field in fields_of(hint)}


def _leaf(data: Any, hint: Any, path: Path, members: Sequence[Any] = ()) -> Iterator[Problem]:
    """The problem with a value. `members`: of the union that the hint is in."""
    try:
        msgspec.convert(data, hint, str_keys=True)
    except UnicodeEncodeError:  # msgspec compares texts as UTF-8
        yield Problem(path, "value", f"half of a surrogate pair is not allowed here, got {shortened(data)}")
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, FieldError):
            path = (*path, *error.__cause__.path)
        message = str(error).rpartition(" - at `$")[0] or str(error)
        options = [str(option) for option in get_args(hint)] if get_origin(hint) is Literal else []
        if options and isinstance(data, str):
            others = dict.fromkeys(_OTHERS[kind] for kind in map(_kind, members) if kind in _OTHERS)
            message = f"{shortened(data)} is not one of {', '.join((*options, *others))}{near_miss(data, options)}"
            yield Problem(path, "value", message)
        else:
            kind: Literal["type", "value"] = "type" if "`, got `" in message else "value"
            found = f", got {shortened(data)}" if message.startswith("Expected") and kind == "value" else ""
            yield Problem(path, kind, _plain(message) + found)
    else:
        if not isinstance(data, dict):  # a mapping is checked key by key
            yield from _json(data, path)


_OTHERS = {bool: "true, false", int: "a number", float: "a number", list: "an array", dict: "an object"}
"""What may stand in the place of a word, by its type."""

_PLAIN = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def _plain(message: str) -> str:
    """msgspec's "Expected `int | null`, got `str`" with JSON's names of types."""
    words = re.sub(r"`([^`]*)`", lambda quoted: re.sub(r"\w+", _json_word, quoted[1]), message)
    return words.replace("Expected", "expected", 1)


def _json_word(word: re.Match[str]) -> str:
    return _PLAIN.get(word[0], word[0])


def _member(data: Any, hint: Any) -> Any:
    """The only member of a union that has the JSON type of `data`; the hint itself if it is not one member."""
    hint = _without_description(hint)
    if get_origin(hint) not in (Union, types.UnionType):
        return hint
    possible = [member for member in get_args(hint) if _kind(member) is type(data)]
    if len(possible) > 1 and (kinds := _kinds(hint)) and isinstance(data, dict):
        return next((member for tag_field, tag, member in kinds if data.get(tag_field) == tag), hint)
    return _without_description(possible[0]) if len(possible) == 1 else hint


def _without_description(hint: Any) -> Any:
    """The type beneath a description. Bounds stay: they are the type's own."""
    while get_origin(hint) is Annotated and (
        get_origin(get_args(hint)[0]) in (Union, types.UnionType)
        or all(isinstance(meta, Meta) and meta == Meta(description=meta.description) for meta in hint.__metadata__)
    ):
        hint = get_args(hint)[0]
    return hint


def _kinds(hint: Any) -> list[tuple[str, str, type[Struct]]]:
    """The tagged members of a union, each with the key and the value that distinguish it from the others."""
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ()
    structs = [member for member in members if isinstance(member, type) and issubclass(member, Struct)]
    configs = [(member.__struct_config__, member) for member in structs]
    return [(config.tag_field, str(config.tag), member) for config, member in configs if config.tag_field]


def _no_kind(data: dict[str, Any], kinds: list[tuple[str, str, type[Struct]]], path: Path) -> Iterator[Problem]:
    """The problem with a mapping whose tag is unknown or missing."""
    tag_field, known = kinds[0][0], [tag for _, tag, _ in kinds]
    if tag_field not in data:
        yield Problem(
            (*path, tag_field), "missing", f"the key {tag_field!r} is missing; it is one of {', '.join(known)}"
        )
    elif not isinstance(data[tag_field], str):
        yield from _leaf(data[tag_field], str, (*path, tag_field))
    else:
        yield from _leaf(data[tag_field], Literal[tuple(known)], (*path, tag_field))


def _kind(hint: Any) -> type | None:
    """The builtin type that a hint is converted from: dict for a struct, list for a tuple, str for a literal."""
    origin: Any = get_origin(hint)
    if origin is Annotated:
        return _kind(get_args(hint)[0])
    if origin is Literal:
        return type(get_args(hint)[0])
    if isinstance(hint, type) and issubclass(hint, Struct):
        return dict
    kind: type | None = list if origin is tuple else origin or hint
    return kind
