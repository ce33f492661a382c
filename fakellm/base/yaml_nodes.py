"""The nodes of a YAML document: where each value stands in the text, and flaws that YAML itself accepts.

It knows nothing about scenarios or recordings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate
from math import isfinite
from typing import Any

import yaml

from fakellm.base.validation import TEXT_KEY, Path, Problem, shortened
from fakellm.base.yaml_events import DECIMAL, FLOAT, INTEGER, TEXT

MOST_NODES = 5_000_000
"""Aliases can repeat a part many times, and parts within parts: a few lines can stand for gigabytes."""

MOST_DEEP = 200
"""Levels of nesting. Tens of thousands overflow the stack of the C parser, which ends the process."""

_MERGE = "tag:yaml.org,2002:merge"
_EXPONENT = re.compile(r"[-+]?[0-9._]+[eE][-+]?[0-9]+")
_BRACKET = re.compile(r"[][{}]")
_FAR_IN = re.compile(rf"^[ ?-]{{{MOST_DEEP}}}", re.MULTILINE)


def find(node: yaml.Node, path: Path, *, key: bool) -> yaml.Node:
    """The node at `path`, or its key if `key` is set; the nearest node above it if nothing stands there."""
    for depth, step in enumerate(path):
        if isinstance(step, int) and isinstance(node, yaml.SequenceNode):
            node = node.value[step]
            continue
        pair = next((pair for pair in node.value if pair[0].value == str(step)), None)
        if pair is None:
            return node
        node = pair[0] if key and depth == len(path) - 1 else pair[1]
    return node


def place(name: str, mark: Any) -> str:
    """``name:line:column``, both from 1; the name alone without a mark."""
    return name if mark is None else f"{name}:{mark.line + 1}:{mark.column + 1}"


def too_deep(text: str, loader: Any, name: str) -> str | None:
    """The problem with the first value nested deeper than MOST_DEEP, with its place; None if there is none.

    Call it before the text is composed. The events are only read if brackets or indents might go that deep, because
    reading them takes as long as reading the text.
    """
    brackets = accumulate(1 if found[0] in "[{" else -1 for found in _BRACKET.finditer(text))
    if max(brackets, default=0) <= MOST_DEEP and not _FAR_IN.search(text):
        return None
    return next((problem for event, depth in levels(text, loader) if (problem := deep(event, depth, name))), None)


def deep(event: yaml.Event, depth: int, name: str) -> str | None:
    """The problem with an event at this depth, with its place; None if the depth is allowed."""
    return f"{place(name, event.start_mark)}: nested more than {MOST_DEEP} levels deep" if depth > MOST_DEEP else None


def levels(text: str | bytes, loader: Any) -> Iterator[tuple[yaml.Event, int]]:
    """The events of a text, each with its depth.

    The C parser of PyYAML 6.0.4 has a limit of its own and fails before it yields the event that is too deep; the
    Python parser yields it.
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


def overflows(node: yaml.Node, path: Path = ()) -> Iterator[Problem]:
    """Numbers with so large an exponent that they are read as infinity, although they are finite. The node must not
    contain itself."""
    if isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            yield from overflows(item, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from overflows(item, (*path, index))
    elif node.tag == FLOAT and _EXPONENT.fullmatch(node.value) and not isfinite(float(node.value.replace("_", ""))):
        message = (
            f"{shortened(node.value)} is too large for a number; infinity is written .inf in YAML, Infinity in JSON"
        )
        yield Problem(path, "value", message)


class Inspection:
    """A walk over all nodes of a document, each visited once.

    `problems`: keys that appear twice or are neither text nor decimal integers, parts that contain themselves, and
    aliases that expand to more than `most` values. `integer_keys`: the problem that each integer key is where only
    text is allowed.
    """

    def __init__(self, node: yaml.Node, name: str, most: int = MOST_NODES) -> None:
        self.name = name
        self.problems: list[str] = []
        self.integer_keys: list[str] = []
        self._sizes: dict[int, int] = {}
        self._visit(node)
        size = self._sizes[id(node)]
        if size > most:
            self._add(node, f"aliases expand this to {size:,} values; at most {most:,} are allowed")

    def _visit(self, node: yaml.Node) -> None:
        """Inspects what is below `node`, and notes how many nodes it stands for."""
        if id(node) in self._sizes:
            if not self._sizes[id(node)]:
                self._add(node, "this part contains itself")
            return
        self._sizes[id(node)] = 0  # not finished
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            self._inspect_keys(node)
            children = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        for child in children:
            self._visit(child)
        self._sizes[id(node)] = 1 + sum(self._sizes[id(child)] for child in children)

    def _inspect_keys(self, node: yaml.MappingNode) -> None:
        first: dict[str, int] = {}
        for key, _ in node.value:
            integer = key.tag == INTEGER and DECIMAL.fullmatch(key.value)
            if integer:
                self.integer_keys.append(f"{place(self.name, key.start_mark)}: {TEXT_KEY}")
            if not integer and key.tag not in (TEXT, _MERGE):
                mapping = isinstance(key, yaml.MappingNode)  # of text with {{…}}, the second bracket starts one
                self._add(key, "a key cannot be a mapping; put text with {{…}} in quotes" if mapping else TEXT_KEY)
            elif key.value in first:
                self._add(key, f"the key {key.value!r} appears twice; first in line {first[key.value]}")
            else:
                first[key.value] = key.start_mark.line + 1

    def _add(self, node: yaml.Node, problem: str) -> None:
        self.problems.append(f"{place(self.name, node.start_mark)}: {problem}")
