"""Function calls whose arguments are streamed: arguments as `partialArgs`, and back. Knows no frames.

Vertex AI sends them so if the request sets `streamFunctionCallArguments`: the name first, then values by their JSON
path, a text in several pieces, and an empty `functionCall` at the end.
https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from fakellm.base.json_text import dumps

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d{1,3})\]|\[['\"]([^'\"]*)['\"]\]")
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")


_NAME = re.compile(r"[^.\[\]'\"]+")
_MOST_ITEMS = 1_000
"""Of an array in arguments that are streamed: its index is part of a path, and no reader should trust a huge one."""
_LENGTH = 16
"""The characters of a text in one piece."""


class _NoPathError(ValueError):
    """Arguments that `partialArgs` do not express: an empty or long array, an empty object, a name unlike a path's."""


def streamed_calls(arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """The `functionCall` for each piece of these arguments, less the first and the last; none if they cannot be
    streamed."""
    try:
        pieces = [piece for name, value in arguments.items() for piece in _pieces(f"$.{_named(name)}", value)]
    except _NoPathError:
        return []
    return [{"partialArgs": [piece], "willContinue": True} for piece in pieces]


def _pieces(path: str, value: Any) -> Iterator[dict[str, Any]]:
    match value:
        case dict() if value:
            for name, item in value.items():
                yield from _pieces(f"{path}.{_named(name)}", item)
        case list() if 0 < len(value) <= _MOST_ITEMS:
            for number, item in enumerate(value):
                yield from _pieces(f"{path}[{number}]", item)
        case dict() | list():
            raise _NoPathError(path)
        case str():
            ends = [*range(0, len(value), _LENGTH), len(value)] if value else [0, 0]
            for start, end in pairwise(ends):
                more = {"willContinue": True} if end < len(value) else {}
                yield {"jsonPath": path, "stringValue": value[start:end], **more}
        case None:
            yield {"jsonPath": path, "nullValue": "NULL_VALUE"}
        case bool():
            yield {"jsonPath": path, "boolValue": value}
        case _:
            yield {"jsonPath": path, "numberValue": value}


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise _NoPathError(name)
    return name


class PartialArgs:
    """The arguments of a call so far."""

    def __init__(self) -> None:
        self._root: Any = {}

    def add(self, call: dict[str, Any]) -> bool:
        """Adds the `partialArgs` of a `functionCall`; returns whether it was the last one."""
        pieces = call.get("partialArgs")
        for piece in pieces if isinstance(pieces, list) else ():
            self._add(piece)
        return not call.get("willContinue")

    @property
    def text(self) -> str:
        """The arguments as JSON."""
        return dumps(self._root)

    def _add(self, piece: Any) -> None:
        if not isinstance(piece, dict):
            return
        found = _STEP.findall(str(piece.get("jsonPath")))
        steps = [int(index) if index else name or quoted for name, index, quoted in found]
        kind = next((each for each in _VALUES if each in piece), None)
        if steps and kind:
            value = None if kind == "nullValue" else piece[kind]
            self._root = _with(self._root, steps, value)


def _with(value: Any, steps: list[str | int], new: Any) -> Any:
    """The value with `new` at a place; a text continues the text that is there."""
    if not steps:
        return value + new if isinstance(value, str) and isinstance(new, str) else new
    step, *rest = steps
    if isinstance(step, int):
        items = list(value) if isinstance(value, list) else []
        items += [None] * (step + 1 - len(items))
        items[step] = _with(items[step], rest, new)
        return items
    fields = dict(value) if isinstance(value, dict) else {}
    return fields | {step: _with(fields.get(step), rest, new)}
