"""JSON texts with holes: the parts that differ between replies, or between the events of one, are filled in later.

Knows no API, and not what fills a hole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from fakellm.base.json_text import TextStyle, WordForWord, spelled

Scope = Literal["stream", "event", "number", "content", "length"]


class Hole(Struct, frozen=True, eq=False):
    """A JSON value, `make(values)`, that is computed when a template is filled. A hole is true, like most values.

    name: identifies the hole among those of a stream.
    scope: whether one value fills all holes of this name in a stream; or each event has its own; or that depends on
        nothing but the event's `number`, or the texts and token counts up to the event, its `content`; or the value
        also depends on the `length` of the event, in bytes with an empty text in the hole.
    many: makes the JSON of the values in several events at once, from their numbers and their pieces of text as JSON;
        None if a value can only be made by itself.
    """

    name: str
    make: Callable[[Any], Any]
    scope: Scope = "stream"
    many: Callable[[Any, Sequence[int], Sequence[str]], Sequence[str]] | None = None


class HoleText(str):
    """A text that is filled in later. As a text it is a placeholder: white space if the text is, else the hole's
    name."""

    hole: Hole

    def __new__(cls, hole: Hole, placeholder: str | None = None) -> HoleText:
        text = super().__new__(cls, hole.name if placeholder is None else placeholder)
        text.hole = hole
        return text

    def __repr__(self) -> str:
        return f"<{self.hole.name}: {str(self)!r}>"  # unlike the repr of any text


class HoleNumber(int):
    """A number that is filled in later; as a number it is a placeholder."""

    hole: Hole

    def __new__(cls, hole: Hole) -> HoleNumber:
        number = super().__new__(cls, 1)
        number.hole = hole
        return number

    def __repr__(self) -> str:
        return f"<{self.hole.name}>"


class Verbatim(str):
    """A text in a hole that is written as it is, not as JSON: white space between tokens, for example."""


def resolved(value: Any, values: Any) -> Any:
    """The value that fills a hole; any other value is itself."""
    hole = value.hole if isinstance(value, (HoleText, HoleNumber)) else value
    return hole.make(values) if isinstance(hole, Hole) else value


class Template(Struct, frozen=True, dict=True):
    """A text with `holes` between `texts`, of which there is one more."""

    texts: tuple[str, ...]
    holes: tuple[Hole, ...]
    style: TextStyle | None = None
    """How values are written; None for a text that is not JSON, which has no holes."""
    around: int = 0
    """How many bytes around the JSON are in `texts` too."""

    def encode(self, value: Any) -> str:
        """The text of a value in a hole."""
        assert self.style is not None
        return str(value) if type(value) is int or type(value) is Verbatim else spelled(value, self.style)

    @cached_property
    def of_stream(self) -> tuple[Hole, ...]:
        """The holes that have one value in the whole stream."""
        return tuple(hole for hole in self.holes if hole.scope == "stream")

    @cached_property
    def of_event(self) -> tuple[Hole, ...]:
        """The others."""
        return tuple(hole for hole in self.holes if hole.scope != "stream")

    @cached_property
    def _format(self) -> str:
        parts = [self.texts[0].replace("%", "%%%%")]
        for hole, text in zip(self.holes, self.texts[1:], strict=True):
            parts += ("%s" if hole.scope == "stream" else "%%s", text.replace("%", "%%%%"))
        return "".join(parts)

    def formatted(self, values: Mapping[str, str]) -> str:
        """The template as a format of the values in `of_event`, with those of the stream filled in: their texts, by
        name, in which each % is doubled."""
        return self._format % tuple([values[hole.name] for hole in self.of_stream])

    def padded(self, hole: Hole) -> Template:
        """The template with a hole before its last character: the brace that ends an object."""
        *texts, last = self.texts
        return replace(self, texts=(*texts, last[:-1], last[-1:]), holes=(*self.holes, hole))

    def filled(self, values: Mapping[str, str]) -> Template:
        """The template with the texts of these values in the holes of the same name and of the scope `stream`."""
        if not self.holes:
            return self
        texts, holes = [self.texts[0]], []
        for hole, text in zip(self.holes, self.texts[1:], strict=True):
            if hole.scope == "stream":
                texts[-1] += values[hole.name] + text
            else:
                holes.append(hole)
                texts.append(text)
        return Template(tuple(texts), tuple(holes), self.style, self.around)


def template(value: Any, style: TextStyle) -> Template:
    """The template of a JSON value that contains holes, in this style."""
    holes: list[Hole] = []
    marked = _marked(value, holes, "@")
    text = spelled(marked, style)
    if not holes:
        return Template((text,), (), style)
    mark = "@"
    while len(parts := re.split(f'"{mark}([0-9]+)"', text)) != 2 * len(holes) + 1:
        mark += "@"  # the value contains texts that look like marks
        text = spelled(_marked(value, [], mark), style)
    return Template(tuple(parts[::2]), tuple(holes[int(number)] for number in parts[1::2]), style)


_PLAIN = frozenset({str, int, float, bool, type(None)})
"""The types of values that hold none: nearly all, and log probabilities have a million of them."""


def _marked(value: Any, holes: list[Hole], mark: str) -> Any:
    """The value with a numbered mark in place of each hole."""
    hole = value.hole if isinstance(value, (HoleText, HoleNumber)) else value
    if isinstance(hole, Hole):
        holes.append(hole)
        return f"{mark}{len(holes) - 1}"
    if isinstance(value, dict):
        return {key: item if type(item) in _PLAIN else _marked(item, holes, mark) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [item if type(item) in _PLAIN else _marked(item, holes, mark) for item in value]
    if isinstance(value, WordForWord):
        return WordForWord(_marked(value.value, holes, mark))
    return value
