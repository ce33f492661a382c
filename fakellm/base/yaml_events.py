"""Reads plain YAML straight from the parser's events, without nodes.

A node costs several objects, each with two positions, and reading the events needs none of them: 10,000 rules load in a
third of the time. Documents with anchors, aliases or tags need nodes; this module recognizes them and leaves them to
the caller. It knows nothing about scenarios.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from msgspec import Struct
from yaml.events import MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from fakellm.base.json_values import is_json

TEXT, INTEGER, FLOAT = (f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float"))
DECIMAL = re.compile(r"0|-?[1-9][0-9]*")
"""An integer as a key: in any other notation the text of the key and its value would differ."""


class PlainDocument(Struct, frozen=True):
    """The value of a document. `starts`: for each key of the root mapping whose value is a list, where each item of the
    list starts. `integer_keys`: whether a key of any mapping in it is an integer. `json`: whether JSON has all
    its values."""

    value: Any
    starts: dict[str, tuple[Any, ...]]
    integer_keys: bool
    json: bool


def read_plain(loader: Any) -> PlainDocument | None:
    """The only document of the stream that `loader` reads.

    None if it has to be composed into nodes: the stream does not hold exactly one document, or the document has
    anchors, aliases, tags on mappings or lists, or keys that appear twice or are neither text nor decimal integers.
    """
    reader = _Reader(loader)
    try:
        return reader.document()
    except _UnusualError:
        return None


class _UnusualError(Exception):
    """The document has to be composed."""


class _Reader:
    def __init__(self, loader: Any) -> None:
        self.next = loader.get_event
        self.loader = loader
        self.starts: dict[str, tuple[Any, ...]] = {}
        self.integer_keys = False
        self.json = True

    def document(self) -> PlainDocument:
        self.next()  # the start of the stream
        if not isinstance(self.next(), yaml.DocumentStartEvent):
            raise _UnusualError
        value = self.value(self.next(), depth=0, key=None)
        self.next()  # the end of the document
        if not isinstance(self.next(), yaml.StreamEndEvent):
            raise _UnusualError
        return PlainDocument(value, self.starts, self.integer_keys, self.json)

    def value(self, event: Any, depth: int, key: Any) -> Any:
        """The value that starts with `event`, `depth` levels deep, under `key` of the mapping around it."""
        kind = event.__class__
        if kind is ScalarEvent:
            tag = self.tag(event)
            return event.value if tag == TEXT else self.scalar(event, tag)
        if kind not in (MappingStartEvent, SequenceStartEvent) or event.anchor or not event.implicit:
            raise _UnusualError
        return self.mapping(depth + 1) if kind is MappingStartEvent else self.sequence(depth + 1, key)

    def mapping(self, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        texts = set()
        while (event := self.next()).__class__ is not MappingEndEvent:
            key = self.key(event)
            if event.value in texts:
                raise _UnusualError
            texts.add(event.value)
            found[key] = self.value(self.next(), depth, key)
        return found

    def sequence(self, depth: int, key: Any) -> list[Any]:
        items, starts = [], []
        while (event := self.next()).__class__ is not SequenceEndEvent:
            if depth == 2:
                starts.append(event.start_mark)
            items.append(self.value(event, depth, None))
        if depth == 2 and isinstance(key, str):
            self.starts[key] = tuple(starts)
        return items

    def key(self, event: Any) -> str | int:
        if event.__class__ is ScalarEvent:
            tag = self.tag(event)
            if tag == TEXT:
                text: str = event.value
                return text
            if tag == INTEGER and DECIMAL.fullmatch(event.value):
                self.integer_keys = True
                return int(event.value)
        raise _UnusualError

    def tag(self, event: Any) -> str:
        if event.anchor:
            raise _UnusualError
        tag: str = event.tag
        return self.loader.resolve(yaml.ScalarNode, event.value, event.implicit) if tag in (None, "!") else tag

    def scalar(self, event: Any, tag: str) -> Any:
        """The value of a scalar that is not text."""
        value = self.loader.construct_object(yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark))
        self.json = self.json and is_json(value)
        return value
