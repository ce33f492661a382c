"""Collects what readers of recordings ignore or leave out, to be shown to whoever reads a file. Knows no format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from msgspec import inspect

_collected: ContextVar[dict[str, None] | None] = ContextVar("collected", default=None)


@contextmanager
def collecting() -> Iterator[dict[str, None]]:
    """In this block, notes go into the mapping, as its keys in order; each once."""
    found: dict[str, None] = {}
    before = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(before)


def note(text: str) -> None:
    """Adds a note about the file that is being read."""
    found = _collected.get()
    if found is not None:
        found[text] = None


def note_unknown(data: Any, hint: Any, place: str) -> None:
    """Adds a note for each key of the data that its type does not have, with `*` for the numbers of entries.

    A type lists in `IGNORED` the keys that have no effect on what is sent; `_*` stands for those that start with `_`.
    """
    if _collected.get() is not None:
        for path in _unknown(data, _info(hint)):
            note(re.sub(r"\[\d+\]", "[*]", f"{place}{'.' if place.endswith(']') else ': '}{path}: ignored"))


@lru_cache(maxsize=256)
def _info(hint: Any) -> inspect.Type:
    return inspect.type_info(hint)


def _unknown(data: Any, info: inspect.Type) -> Iterator[str]:
    match info, data:
        case inspect.StructType(), dict():
            known = {field.encode_name: field.type for field in info.fields}
            ignored = getattr(info.cls, "IGNORED", ())
            for key, value in data.items():
                if key in known:
                    yield from _below(key, _unknown(value, known[key]))
                elif key not in ignored and not (str(key).startswith("_") and "_*" in ignored):
                    yield str(key)
        case inspect.ListType(), list():
            for number, value in enumerate(data):
                yield from _below(f"[{number}]", _unknown(value, info.item_type))
        case inspect.UnionType(), _:
            for each in info.types:
                yield from _unknown(data, each)


def _below(step: str, paths: Iterator[str]) -> Iterator[str]:
    return (f"{step}{path}" if path.startswith("[") else f"{step}.{path}" for path in paths)
