"""Templates: texts with placeholders that a request fills, such as `You said: {{user}}`.

Owns this syntax, in which no code runs: a placeholder names a value, and `{{{{` is a plain `{{`. Knows no reply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from fakellm.base.errors import ReplyError
from fakellm.base.json_path import path_of, value_at
from fakellm.base.json_text import dumps
from fakellm.base.validation import Path
from fakellm.base.words.near_miss import near_miss
from fakellm.model.request import Request

_GAP = re.compile(r"\{\{\{\{|\{\{(.*?)\}\}|\{\{", re.DOTALL)

_WHOLE = ("user", "system", "model", "turn", "attempt")
_PARTS = {"result": "a function or a call", "arguments": "a function", "body": "a key", "headers": "a header"}
NAMES = (*_WHOLE, *(f"{name}.…" for name in _PARTS))


def check(text: str) -> None:
    """Raises ValueError for a placeholder without an end or with an unknown name."""
    for _ in _split(text):
        pass


def placeholders(text: str) -> Iterator[Path]:
    """The names in the text's placeholders, as paths: `("result", "add")`."""
    return (piece for _, piece in _split(text) if isinstance(piece, tuple))


def known_placeholders(text: str) -> Iterator[str]:
    """The placeholders with known names in any text, as they are written; what else is in braces is left out."""
    for found in _GAP.finditer(text):
        with suppress(ValueError):
            if found[1]:
                _placeholder(found[0], found[1].strip())
                yield found[0]


def texts_in(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text in a JSON value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts_in(item, (*path, key))


def fill(text: str, request: Request, attempt: int) -> str:
    """The text with its placeholders filled from the request; a value that is not a text is written as compact JSON.

    Raises ReplyError for a placeholder whose value the request lacks.
    """
    return "".join(
        piece if isinstance(piece, str) else _as_text(_value(placeholder, piece, request, attempt))
        for placeholder, piece in _split(text)
    )


def fill_json(value: Any, request: Request, attempt: int) -> Any:
    """The JSON value with all texts filled; a text that is only a placeholder becomes the value itself: `2`, not `"2"`.

    Raises ReplyError for a placeholder whose value the request lacks.
    """
    if isinstance(value, dict):
        return {key: fill_json(item, request, attempt) for key, item in value.items()}
    if isinstance(value, list):
        return [fill_json(item, request, attempt) for item in value]
    if not isinstance(value, str):
        return value
    pieces = list(_split(value))
    if len(pieces) == 1 and isinstance(pieces[0][1], tuple):
        return _value(pieces[0][0], pieces[0][1], request, attempt)
    return fill(value, request, attempt)


def _split(text: str) -> Iterator[tuple[str, str | Path]]:
    """The pieces in order: plain texts, and the paths of placeholders, each beside the placeholder's text."""
    start = 0
    for found in _GAP.finditer(text):
        if found.start() > start:
            yield "", text[start : found.start()]
        start = found.end()
        if found[0] == "{{{{":
            yield "", "{{"
        elif found[1] is None:
            raise ValueError(f"'{{{{' without an end: {text[found.start() :][:30]!r}; a literal '{{{{' is '{{{{{{{{'")
        else:
            yield found[0], _placeholder(found[0], found[1].strip())
    if start < len(text):
        yield "", text[start:]


def _placeholder(placeholder: str, name: str) -> Path:
    head = re.split(r"[.\[]", name)[0]
    if head not in (*_WHOLE, *_PARTS):
        known = ", ".join(NAMES)
        raise ValueError(f"unknown placeholder {placeholder}; allowed: {known}{near_miss(head, [*_WHOLE, *_PARTS])}")
    path = path_of(name)
    if head in _WHOLE and len(path) > 1:
        raise ValueError(f"{placeholder}: {head!r} has no parts")
    if head in _PARTS and len(path) == 1:
        raise ValueError(f"{placeholder}: name {_PARTS[head]} after {head!r}: {{{{{head}.name}}}}")
    return path


def _value(placeholder: str, path: Path, request: Request, attempt: int) -> Any:
    head, *rest = path
    if head in _WHOLE:
        return {"attempt": attempt, "model": request.model}.get(str(head)) or getattr(request, str(head))
    if head == "body":
        found = value_at(request.body, tuple(rest))
    elif head == "headers":
        found = request.headers.get(str(rest[0]).lower())
    else:
        found = (request.results if head == "result" else request.arguments).get(str(rest[0]))
        if found is not None and rest[1:]:
            found = value_at(_json(found), tuple(rest[1:]))
    if found is None:
        raise ReplyError(f"its reply contains {placeholder}, and this request has no such value")
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value)
