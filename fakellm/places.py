"""The nodes of a YAML document: where each thing stands, and what YAML itself lets pass. Knows nothing of scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from fakellm.shape import Path

MOST_NODES = 5_000_000
"""Aliases may name a part many times over, and parts within parts: a few lines can stand for gigabytes."""


def find(node: yaml.Node, path: Path, *, key: bool) -> yaml.Node:
    """The node at `path`, or its key; the nearest one above where there is none."""
    for depth, step in enumerate(path):
        if isinstance(step, int):
            node = node.value[step]
            continue
        pair = next((pair for pair in node.value if pair[0].value == step), None)
        if pair is None:
            return node
        node = pair[0] if key and depth == len(path) - 1 else pair[1]
    return node


def place(name: str, mark: Any) -> str:
    return name if mark is None else f"{name}:{mark.line + 1}:{mark.column + 1}"


def flaws(node: yaml.Node, name: str, aliases: bool = True) -> Iterator[str]:
    """Keys given twice or that are no text, and, where there may be `aliases`, parts that contain themselves or swell
    beyond MOST_NODES."""
    if not aliases:
        yield from [] if isinstance(node, yaml.ScalarNode) else _all_keys(node, name)
        return
    sizes: dict[int, int] = {}
    yield from _walk(node, name, sizes)
    size = sizes[id(node)]
    if size > MOST_NODES:
        yield f"{place(name, node.start_mark)}: aliases swell this to {size:,} values; {MOST_NODES:,} are allowed"


def _all_keys(node: yaml.Node, name: str) -> list[str]:
    """The flaws of all keys: most files have no aliases, and need no more."""
    found: list[str] = []
    parts = node.value
    if isinstance(node, yaml.MappingNode):
        found += _keys(node, name)
        parts = [part for _, part in parts]
    for part in parts:
        if not isinstance(part, yaml.ScalarNode):
            found += _all_keys(part, name)
    return found


def _walk(node: yaml.Node, name: str, sizes: dict[int, int]) -> Iterator[str]:
    """The flaws below `node`; leaves in `sizes` how many nodes it stands for, each node walked once."""
    if id(node) in sizes:
        if not sizes[id(node)]:
            yield f"{place(name, node.start_mark)}: this part contains itself"
        return
    sizes[id(node)] = 0  # under way
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        yield from _keys(node, name)
        children = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    for child in children:
        yield from _walk(child, name, sizes)
    sizes[id(node)] = 1 + sum(sizes[id(child)] for child in children)


def _keys(node: yaml.MappingNode, name: str) -> Iterator[str]:
    seen: dict[str, Any] = {}
    for key, _ in node.value:
        if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
            yield f"{place(name, key.start_mark)}: a key must be text; put it in quotes"
        elif key.value in seen:
            first = seen[key.value].line + 1
            yield f"{place(name, key.start_mark)}: the key {key.value!r} is given twice; first in line {first}"
        else:
            seen[key.value] = key.start_mark
