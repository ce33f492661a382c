"""Values that are built in Python, in the form in which YAML has them: so both are checked alike, and written as YAML.

Knows no files. Unlike msgspec's conversion, it keeps what JSON does not have, such as a date, so that it is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import NODEFAULT, UNSET, Struct

from fakellm.base.errors import ScenarioError
from fakellm.base.json_path import value_at
from fakellm.base.json_text import writable
from fakellm.base.json_values import is_json
from fakellm.base.validation import Problem, dotted, fields_of, problems
from fakellm.scenarios.mistakes.python_values import key_in_python, value_in_python
from fakellm.scenarios.reply import Computed


def as_written(value: Any) -> Any:
    """The value as YAML has it, without the fields that are as usual. A function's reply has calls, as it may."""
    if isinstance(value, Computed):
        return {"tool_calls": [{"name": "f"}] * 9}
    if isinstance(value, Struct):
        config = value.__struct_config__
        fields = [(field, getattr(value, field.name)) for field in fields_of(type(value))]
        if config.array_like:
            return [as_written(item) for _, item in fields]
        written = {config.tag_field: config.tag} if config.tag_field else {}
        return written | {field.encode_name: as_written(item) for field, item in fields if not _usual(field, item)}
    if isinstance(value, (list, tuple)):
        return [as_written(item) for item in value]
    return {key: as_written(item) for key, item in value.items()} if isinstance(value, dict) else value


def flaws(value: Any, hint: Any) -> list[Problem]:
    """Everything for which a value, as YAML has it, is not a `hint`."""
    try:
        if _is_json(value):
            msgspec.convert(value, hint, str_keys=True)
            return []
        return list(problems(value, hint))
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        return list(problems(value, hint)) or [Problem((), "value", str(error))]


def check(value: Any, hint: Any, name: str) -> None:
    """Raises ScenarioError if a value that is built in Python has fields of wrong types; `name` stands for it."""
    try:
        written = as_written(value)
        found = flaws(written, hint)
    except RecursionError:
        raise ScenarioError([f"{name}: nested too deeply, or a part contains itself"]) from None
    if found:
        lines = [": ".join(filter(None, (name, dotted(each.path), _message(each, written)))) for each in found]
        raise ScenarioError(list(map(writable, lines)))


def _message(problem: Problem, written: Any) -> str:
    """The message of a problem, with what to write instead."""
    if problem.kind == "unknown":
        return problem.message + key_in_python(problem.path)
    if problem.kind != "type":
        return problem.message
    return problem.message + value_in_python(problem.path, value_at(written, problem.path), problem.message)


def _usual(field: Any, value: Any) -> bool:
    if value is UNSET:
        return True
    usual = field.default
    if field.default_factory is not NODEFAULT:
        usual = field.default_factory()
    if isinstance(value, Struct):  # a rule without a reply is not one with an empty reply
        return value is usual
    return usual is not NODEFAULT and type(usual) is type(value) and bool(usual == value)


def _is_json(value: Any) -> bool:
    """Whether a value consists of what JSON has."""
    return all(map(is_json, _scalars(value)))


def _scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _scalars(item)
    elif isinstance(value, list):
        for item in value:
            yield from _scalars(item)
    else:
        yield value
