"""Reads JSON as Google's servers read it into a proto: names in camelCase or snake_case, and every problem reported.

A list may be one value without brackets, null is an absent field, numbers may be text. Knows no message.
https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import re
from typing import Any

from fakellm.apis.gemini.requests.fields import ENUMS, FIELDS

_SCALARS = {"string": "TYPE_STRING", "bool": "TYPE_BOOL", "int": "TYPE_INT32", "number": "TYPE_FLOAT"}
_PACKAGE = "type.googleapis.com/google.ai.generativelanguage.v1beta."
_INTEGER = re.compile(r"-?\d{1,19}")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_MOST, _SHOWN = 50, 120
"""The most problems that are reported, and the most characters of a name or a value in one."""


class Reader:
    """Reads values of messages; `problems` has a line for each problem, as Google words it."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def message(self, value: Any, name: str, path: str = "") -> dict[str, Any]:
        """The fields of a message, by their names in camelCase."""
        if not isinstance(value, dict):
            self._invalid(value, _PACKAGE + name, path)
            return {}
        found: dict[str, Any] = {}
        fields = FIELDS[name]
        for key, item in value.items():
            field = key if key in fields else _camel(key)
            if field not in fields:
                self._unknown(key, path)
            elif item is not None:
                found[field] = self._value(item, fields[field], f"{path}.{_snake(field)}".lstrip("."))
        return found

    def _value(self, value: Any, kind: str, path: str) -> Any:
        if kind.startswith("["):
            items = value if isinstance(value, list) else [value]
            return [self._value(item, kind[1:-1], f"{path}[{number}]") for number, item in enumerate(items)]
        if isinstance(value, list) and kind != "any":
            self.problem(
                f'Invalid JSON payload received. Unknown name "{path.rpartition(".")[2]}"{_at(_parent(path))}: '
                "Proto field is not repeating, cannot start list."
            )
            return None
        if kind.startswith("{"):
            return self._map(value, kind[1:-1], path)
        if kind.startswith("enum "):
            return self._enum(value, kind[5:], path)
        if kind in _SCALARS:
            return self._scalar(value, kind, path)
        return self.message(value, kind, path) if kind in FIELDS else value

    def _map(self, value: Any, kind: str, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._invalid(value, "Map", path)
            return {}
        pairs = enumerate(value.items())
        return {key: self._value(item, kind, f"{path}[{number}].value") for number, (key, item) in pairs}

    def _enum(self, value: Any, name: str, path: str) -> Any:
        words = ENUMS[name]
        if isinstance(value, str) and value.upper() in words:
            return value.upper()
        if type(value) is int and 0 <= value < len(words):
            return words[value]
        return self._invalid(value, _PACKAGE + name, path)

    def _scalar(self, value: Any, kind: str, path: str) -> Any:
        match kind:
            case "string" if isinstance(value, str):
                return value
            case "bool" if isinstance(value, bool):
                return value
            case "int" if type(value) is int:
                return value
            case "int" if isinstance(value, float) and value.is_integer():
                return int(value)
            case "int" if isinstance(value, str) and _INTEGER.fullmatch(value):
                return int(value)
            case "number" if type(value) in (int, float):
                return value
            case "number" if isinstance(value, str) and _NUMBER.fullmatch(value):
                return float(value)
        return self._invalid(value, _SCALARS[kind], path)

    def _unknown(self, key: str, path: str) -> None:
        self.problem(f'Invalid JSON payload received. Unknown name "{key[:_SHOWN]}"{_at(path)}: Cannot find field.')

    def _invalid(self, value: Any, kind: str, path: str) -> None:
        shown = (
            f'"{value}"'
            if isinstance(value, str)
            else {True: "true", False: "false"}.get(value, value)
            if isinstance(value, bool)
            else value
        )
        self.problem(f"Invalid value at '{path}' ({kind}), {str(shown)[:_SHOWN]}")

    def problem(self, text: str) -> None:
        """Reports a problem."""
        if len(self.problems) < _MOST:
            self.problems.append(text)


def _at(path: str) -> str:
    return f" at '{path}'" if path else ""


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name)
