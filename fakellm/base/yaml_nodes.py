"""The nodes of a YAML document: where each thing stands, and what YAML itself lets pass. Knows nothing of scenarios."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import yaml

from fakellm.base.validation import Path

MOST_NODES = 5_000_000
"""Aliases may name a part many times over, and parts within parts: a few lines can stand for gigabytes."""


_TEXT, _MAPPING, _SEQUENCE = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))

Construct = Callable[..., Any]


MOST_DEEP = 200
"""Levels of nesting. Tens of thousands overflow the stack of the C parser, which takes the process down."""

_BRACKET = re.compile(r"[][{}]")
_FAR_IN = re.compile(rf"^[ ?-]{{{MOST_DEEP}}}", re.MULTILINE)


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


def too_deep(text: str, loader: Any, name: str) -> str | None:
    """What is nested beyond MOST_DEEP, with its place; None where nothing is. To be asked before the text is composed.

    The events are only looked at where brackets or indents may go so deep: to do so takes as long as to read the text.
    """
    brackets = accumulate(1 if found[0] in "[{" else -1 for found in _BRACKET.finditer(text))
    if max(brackets, default=0) <= MOST_DEEP and not _FAR_IN.search(text):
        return None
    return next((far for event, depth in levels(text, loader) if (far := deep(event, depth, name))), None)


def deep(event: yaml.Event, depth: int, name: str) -> str | None:
    """What is wrong with an event at this depth; None where nothing is."""
    return f"{place(name, event.start_mark)}: nested more than {MOST_DEEP} levels deep" if depth > MOST_DEEP else None


def levels(text: str | bytes, loader: Any) -> Iterator[tuple[yaml.Event, int]]:
    """The events of a text, each with how deep it stands.

    The C parser of PyYAML 6.0.4 gives up at a depth of its own, before it comes to that event; that in Python goes on.
    """
    depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            yield event, depth
    except yaml.MarkedYAMLError as error:
        if loader is yaml.SafeLoader or "nesting depth" not in str(error.problem):
            raise
        yield from levels(text, yaml.SafeLoader)


def value(node: yaml.Node, construct: Construct, name: str, found: list[str]) -> Any:
    """What a document without aliases says, in one walk; `found` gets its flaws: keys given twice, or that are no text.

    `construct` is PyYAML's, for what is no plain text, list or mapping: it alone takes as long as all the rest.
    """
    if isinstance(node, yaml.ScalarNode):
        return node.value if node.tag == _TEXT else construct(node)
    if isinstance(node, yaml.MappingNode):
        found += _keys(node, name)
        pairs = [(key, value(part, construct, name, found)) for key, part in node.value]
        plain = node.tag == _MAPPING and all(key.tag == _TEXT for key, _ in pairs)
        return {key.value: part for key, part in pairs} if plain or found else construct(node, True)
    parts = [value(part, construct, name, found) for part in node.value]
    return parts if node.tag == _SEQUENCE else construct(node, True)


def flaws(node: yaml.Node, name: str) -> Iterator[str]:
    """The same flaws where there are aliases, and parts that contain themselves or swell beyond MOST_NODES."""
    sizes: dict[int, int] = {}
    yield from _walk(node, name, sizes)
    size = sizes[id(node)]
    if size > MOST_NODES:
        yield f"{place(name, node.start_mark)}: aliases swell this to {size:,} values; {MOST_NODES:,} are allowed"


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
        if key.tag not in (_TEXT, "tag:yaml.org,2002:merge"):
            yield f"{place(name, key.start_mark)}: a key must be text; put it in quotes"
        elif key.value in seen:
            first = seen[key.value].line + 1
            yield f"{place(name, key.start_mark)}: the key {key.value!r} is given twice; first in line {first}"
        else:
            seen[key.value] = key.start_mark
