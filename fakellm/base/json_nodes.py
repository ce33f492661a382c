"""The nodes of a JSON text, where each value and key stands: as YAML composes them, so that both report places alike.

It is only needed for messages: reading nodes takes far longer than reading values. It knows nothing about scenarios.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from json.decoder import scanstring  # type: ignore[attr-defined]  # it is not in the annotations
from typing import Any

import yaml

from fakellm.base.yaml_events import FLOAT, INTEGER, TEXT
from fakellm.base.yaml_nodes import MOST_DEEP

_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"[^ \t\r\n,\]}]+")
_LINE = re.compile(r"\n")


class TooDeepError(Exception):
    """A value is nested more than MOST_DEEP levels deep, at `mark`."""

    def __init__(self, mark: yaml.Mark) -> None:
        super().__init__()
        self.mark = mark


def json_nodes(text: str) -> yaml.Node:
    """The root node of a text, which must be valid JSON. Raises TooDeepError."""
    return _Composer(text).node(0, 1)[0]


class _Composer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(found.end() for found in _LINE.finditer(text))]

    def node(self, start: int, depth: int) -> tuple[yaml.Node, int]:
        """The value after the white space at `start`, and where it ends."""
        start = self.skip(start)
        place, first = self.mark(start), self.text[start]
        if first == '"':
            return self.string(start)
        if first not in "{[":
            word = _WORD.match(self.text, start)
            assert word
            tag = INTEGER if re.fullmatch(r"-?\d+", word[0]) else FLOAT
            return yaml.ScalarNode(tag, word[0], place, self.mark(word.end())), word.end()
        if depth > MOST_DEEP:
            raise TooDeepError(place)
        items: list[Any] = []
        end = self.skip(start + 1)
        while self.text[end] not in "]}":
            end = self.skip(end + 1) if self.text[end] == "," else end
            key = None
            if first == "{":
                key, end = self.string(end)
                end = self.skip(end) + 1  # the colon
            item, end = self.node(end, depth + 1)
            items.append(item if key is None else (key, item))
            end = self.skip(end)
        kind = yaml.MappingNode if first == "{" else yaml.SequenceNode
        tag = f"tag:yaml.org,2002:{'map' if first == '{' else 'seq'}"
        return kind(tag, items, place, self.mark(end + 1)), end + 1

    def string(self, start: int) -> tuple[yaml.Node, int]:
        value, end = scanstring(self.text, start + 1, False)
        return yaml.ScalarNode(TEXT, value, self.mark(start), self.mark(end)), end

    def skip(self, start: int) -> int:
        """Where the white space at `start` ends."""
        found = _SPACE.match(self.text, start)
        assert found
        return found.end()

    def mark(self, offset: int) -> yaml.Mark:
        line = bisect_right(self.starts, offset) - 1
        return yaml.Mark("", offset, line, offset - self.starts[line], None, 0)
