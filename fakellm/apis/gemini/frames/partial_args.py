"""Function calls whose arguments are streamed: builds the arguments from `partialArgs`. Knows no frames.

Vertex AI sends them so if the request sets `streamFunctionCallArguments`: the name first, then values by their JSON
path, a text in several pieces, and an empty `functionCall` at the end.
https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc
"""

from __future__ import annotations

import re
from typing import Any

from fakellm.base.json_text import dumps

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d{1,4})\]|\[['\"]([^'\"]*)['\"]\]")
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")


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
