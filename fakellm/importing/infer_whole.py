"""Infers from a recorded whole body its completion and how it was spelled: the inverse of rendering one.

A body shows the order of its keys, its white space and its escapes; any value that neither the reply nor the dialect
explains is an extra one. Knows no file format and no provider by name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from fakellm.apis.chat.api import CHAT
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.functions import with_functions
from fakellm.apis.chat.habits import split
from fakellm.apis.chat.reader import read_body
from fakellm.apis.chat.whole_spelling import PLACES, carries_content, walked, written
from fakellm.apis.protocol import Answer, Values
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import REASONING_KEYS, Spelling
from fakellm.base.errors import StreamError
from fakellm.base.json_text import JSON, dumps, indented
from fakellm.base.seed import Source
from fakellm.importing.fewest_fields import fewest
from fakellm.importing.infer import Inferred, counted
from fakellm.importing.read_spelling import details_of, identified, merged
from fakellm.model.blocks import Completion
from fakellm.wire.http.transfer import Transfer


def infer_whole(body: bytes, dialect: Dialect, one_call: bool = False) -> Inferred:
    """The completion and the variation of a whole body, from which nothing can be left out without an effect.
    `one_call`: whether a call is sent under the legacy key `function_call`. Raises StreamError if the body contains no
    completion."""
    text = body.decode("utf-8", "replace")
    completion, drawn = read_body(dialect, body, one_call)
    recorded = json.loads(text)
    if not completion.choices:
        raise StreamError("the body has no choice")
    completion = counted([recorded], completion, dialect)
    variation = Variation(
        reasoning=_reasoning(recorded),
        spelling=_with_keys(recorded, _written(text.strip(_BLANK), recorded)),
        transfer=_margins(text, dialect),
    )

    def render(variation: Variation) -> bytes:
        return whole(completion, variation, dialect, drawn, one_call)

    plain = json.loads(render(variation))
    variation = replace(variation, spelling=_with_extra(recorded, plain, variation.spelling or Spelling()))
    made = render(variation)
    return Inferred(completion, fewest(variation, lambda each: render(each) == made), drawn)


def whole_likeness(body: bytes, dialect: Dialect) -> float:
    """How much a body is like what the provider sends: the share of its lines, one for each value, that both have.
    Raises StreamError."""
    completion, drawn = read_body(dialect, body)
    made = whole(completion, Variation(), dialect, drawn)
    lines = [_lines(each) for each in (body, made)]
    return (lines[0] & lines[1]).total() / max(each.total() for each in lines)


@lru_cache(64)
def _lines(body: bytes) -> Counter[str]:
    """The lines of a body, one for each value."""
    return Counter(indented(body.decode("utf-8", "replace")).splitlines())


def whole(
    completion: Completion, variation: Variation, dialect: Dialect, drawn: Values, one_call: bool = False
) -> bytes:
    """The body for this completion. A drawn value that is empty in the recording is not drawn like that."""
    habits = split(variation, with_functions(dialect) if one_call else dialect, one_call).habits
    found = {key: value for key, value in drawn.items() if value or key == "system_fingerprint"}
    meant = CHAT.expressible(completion, habits, True)
    return CHAT.whole(Answer(identified(meant), habits, _OTHERS | found, Source(0)))


_OTHERS = {"id": "x", "created": 1, "model": "x"}
_BLANK = " \t\r\n"


def _margins(text: str, dialect: Dialect) -> Transfer | None:
    before, after = text[: len(text) - len(text.lstrip(_BLANK))], text[len(text.rstrip(_BLANK)) :]
    return None if (before, after) == dialect.margins else Transfer(margins=(before, after))


def _messages(recorded: JSON) -> list[JSON]:
    return [choice.get("message") or {} for choice in recorded["choices"]]


def _reasoning(recorded: JSON) -> Any:
    """The key that carries the reasoning; None if there is none."""
    for message in _messages(recorded):
        if isinstance(message.get("content"), list):
            return "thinking"
        if found := tuple(key for key in REASONING_KEYS if _has_text(message.get(key))):
            return found[0] if len(found) == 1 else "both" if found == _BOTH else found
    return None


_BOTH = ("reasoning", "reasoning_details")


def _has_text(reasoning: Any) -> bool:
    """Whether there is a text under a key of reasoning: details without one are fragments."""
    if isinstance(reasoning, list):
        return any(item.get("text") or item.get("summary") for item in reasoning)
    return bool(reasoning)


def _details(messages: Sequence[JSON]) -> JSON | None:
    """What the parts that carry reasoning have besides their text; None if that is the usual."""
    contents = (message["content"] for message in messages if isinstance(message.get("content"), list))
    parts = [part for content in contents for part in content if part.get("type") == "thinking"]
    besides = {key: value for part in parts[:1] for key, value in part.items() if key not in ("type", "thinking")}
    return besides or details_of(messages)


def _written(text: str, recorded: JSON) -> Spelling:
    """What only the text shows: indentation, spaces, escapes, floats."""
    lines = re.match(r"[\[{]\r?\n( *)", text)
    indent = len(lines[1]) if lines else 0
    styles = [
        Spelling(
            ascii=(text.isascii() and not dumps(recorded).isascii()) or None, html=html, spaces=spaces, floats=floats
        )
        for html in (None, True, "angles")
        for floats in (None, "decimal", "shortest", "double")
        for spaces in ((None,) if lines else (None, "colons", True))
    ]
    found = (each for each in styles if written(recorded, each, indent) == text)
    in_order = json.dumps(recorded) == json.dumps(recorded, sort_keys=True)
    return replace(next(found, styles[0]), indent=indent, order="sorted" if in_order else None)


def _with_keys(recorded: JSON, spelling: Spelling) -> Spelling:
    """The spelling with the order of the keys at each place."""
    objects = _objects(recorded)
    orders: dict[str, Any] = {field: merged(objects[place]) for place, field in PLACES.items() if objects.get(place)}
    return replace(spelling, **orders, details=_details(_messages(recorded)))


def _with_extra(recorded: JSON, made: JSON, spelling: Spelling) -> Spelling:
    """The spelling with the values that were not rendered so."""
    rendered = _objects(made)
    extra: JSON = {}
    each: JSON = {}
    for place, items in _objects(recorded).items():
        for key, values in _different(items, rendered.get(place, []), place):
            usual, count = Counter(map(json.dumps, values.values())).most_common(1)[0]
            if count == len(items):
                extra[place + key] = json.loads(usual)
            else:
                each[place + key] = values
    return replace(spelling, extra=extra or None, each=each or None)


def _different(recorded: Sequence[JSON], made: Sequence[JSON], place: str) -> Iterator[tuple[str, dict[int, Any]]]:
    """The keys that were not rendered so in some object, and their values by the object's number. A value that is the
    reply's content stands there as null, and only where some object goes without the key."""
    for key in dict.fromkeys(key for item in recorded for key in item):
        values = {number: item[key] for number, item in enumerate(recorded) if key in item}
        found = {number: item[key] for number, item in enumerate(made) if key in item}
        if json.dumps(values) == json.dumps(found):
            continue
        content = {number for number, value in values.items() if carries_content(key, value, place)}
        some = len(values) < len(recorded)
        empty = {
            number: None if number in content else value
            for number, value in values.items()
            if some or number not in content
        }
        if empty:
            yield key, empty


def _objects(body: JSON) -> dict[str, list[JSON]]:
    """The objects of a body by their place."""
    found: dict[str, list[JSON]] = {}

    def note(place: str, number: int, values: JSON) -> JSON:
        found.setdefault(place, []).append(values)
        return values

    walked(body, note)
    return found
