"""Fields of a block by path: `text`, `parts.0`, `own.chat.annotations`. Owns reading, setting and emptying them.

A path names attributes first, then keys of mappings and indices of lists.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from fakellm.model.blocks import Block


def value_at(block: Block, path: str) -> Any:
    """The value at `path`; None if there is none."""
    value: Any = block
    for step in path.split("."):
        value = _step(value, step)
    return value


def _step(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, (tuple, list)):
        return value[int(step)] if step.isdecimal() and int(step) < len(value) else None
    return getattr(value, step) if step in getattr(value, "__struct_fields__", ()) else None


def with_value(block: Block, path: str, value: Any) -> Block:
    """The block with `value` at `path`. None removes a key, or the last item of a list.

    Raises ValueError if the block has no such field.
    """
    name, _, rest = path.partition(".")
    if name not in block.__struct_fields__:
        raise ValueError(f"a {type(block).__name__} block has no field {name!r}")
    return replace(block, **{name: _placed(getattr(block, name), rest.split(".") if rest else [], value)})


def _placed(value: Any, steps: list[str], new: Any) -> Any:
    if not steps:
        return new
    step, *rest = steps
    if isinstance(value, (tuple, list)):
        items = list(value)
        place = int(step) if step.isdecimal() else len(items) + 1
        if place > len(items):
            raise ValueError(f"no place {step!r} in a list of {len(items)}")
        items[place : place + 1] = [] if new is None and not rest else [_placed(_step(value, step), rest, new)]
        return type(value)(items)
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"{step!r} is not a place in {value!r}")
    inner = _placed((value or {}).get(step), rest, new)
    others = {key: item for key, item in (value or {}).items() if key != step}
    return others if inner is None or (rest and not inner) else {**(value or {}), step: inner}


def without(block: Block, paths: tuple[str, ...]) -> Block:
    """The block with these fields empty: texts and tuples become empty, keys and list items are removed."""
    for path in sorted(paths, key=_natural, reverse=True):  # the last item of a list first, so that no index shifts
        value = value_at(block, path)
        if value:
            empty = "" if isinstance(value, str) else type(value)()  # a placeholder that is cut is a text too
            block = with_value(block, path, empty if "." not in path else None)
    return block


def _natural(path: str) -> list[tuple[int, str]]:
    return [(int(step), "") if step.isdecimal() else (0, step) for step in path.split(".")]
