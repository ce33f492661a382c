"""Decides whether a request is the same as a recorded one, and lists the differences if it is not.

It owns the key of a request: its method, its API and its body. The query does not count: it contains a version
(`api-version`), redacted keys, or nothing. Nor does the path before the name of the API, because a client under test
has another base URL than the recorded one. It knows no sessions and no plans.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any
from zlib import crc32

from msgspec import Struct
from msgspec.structs import replace

from fakellm.base.json_text import dumps
from fakellm.base.secrets.names import secret_field
from fakellm.base.validation import Path, dotted
from fakellm.recordings.cassette import RecordedRequest

_PATH = re.compile(r"(?:(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*)?([^?#]*)", re.DOTALL)
_BEFORE_THE_API = re.compile(r".*/(?=chat/completions$)|.*/(?:v\d+[a-z]*\d*|deployments/[^/]+)/|/")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+|\*)\]")
_DEEPEST = 200
"""Bodies that are nested deeper than this are compared by their bytes."""
_LONGEST = 60
"""The most characters of a value in an explanation."""
_MOST = 5
"""The most differences in an explanation."""

_COMPARED = 4096
"""Characters of two long texts that are compared at once."""

_BITS = 4096
"""The bits of a sketch: more than most bodies have values."""

_ABSENT = object()

UNKNOWN_MODEL = "{model}"
"""Stands for the model in the path of a request that was not recorded, where the API's paths have one."""
_MODEL = re.compile(r"(?<=models/)[^/:]+(?=:)")


class Key(Struct, frozen=True):
    """Equal for two requests that are the same. `body` is None in a recording that does not have it."""

    method: str
    api: str
    body: str | bytes | None


class Ignored(Struct, frozen=True):
    """Places in a JSON body that do not count, such as ``metadata.run_id`` or ``messages[*].id``; `*` is any step.

    Raises ValueError if one is not a place.
    """

    places: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for place in self.places:
            if not re.fullmatch(rf"(?:{_STEP.pattern})+", place):
                raise ValueError(
                    f"{place!r} is not a place in a body; write one such as user, metadata.run_id or messages[*].id"
                )

    def without(self, value: Any) -> Any:
        """The value without what is at these places."""
        for place in self.places:
            value = _without(value, [name or index for name, index in _STEP.findall(place)])
        return value


def path_of(url: str) -> str:
    """The path of a URL or of a request target. Unlike `urlsplit` it refuses none: a recording may have any."""
    found = _PATH.match(url)
    return found[1] if found else url


def api(url: str) -> str:
    """The part of a URL's path that names the API, without a version, prefix or deployment before it.

    It is ``chat/completions`` for /v1/chat/completions, /api/paas/v4/chat/completions and
    /openai/deployments/x/chat/completions.
    """
    return _BEFORE_THE_API.sub("", path_of(url), count=1)


def key(request: RecordedRequest, ignored: Ignored) -> Key:
    """The key of a request. The order of keys and the white space of JSON make no difference."""
    return _key(request, value(request.body, ignored))


def unknown(recorded: Key) -> Iterator[Key]:
    """The keys of recordings without a request that answer a request with this key: any body, and any model."""
    yield replace(recorded, body=None)
    yield replace(recorded, body=None, api=_MODEL.sub(UNKNOWN_MODEL, recorded.api))


def key_and_sketch(request: RecordedRequest, ignored: Ignored) -> tuple[Key, int]:
    """The key of a request, and a sketch of its body: a bit for each value and its place. The more bits two sketches
    have in common, the less their bodies differ, so that few have to be compared to find the nearest."""
    body, sketch = value(request.body, ignored), 0
    for text in _values(body) if body is not _ABSENT else ():
        sketch |= 1 << crc32(text.encode("utf-8", "surrogatepass")) % _BITS
    return _key(request, body), sketch


def _key(request: RecordedRequest, body: Any) -> Key:
    content = request.body if body is _ABSENT else _canonical(body)
    return Key(request.method.upper(), api(request.url), content or None)


def _values(value: Any, path: str = "") -> Iterator[str]:
    """The values in a body, each with its path."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _values(item, f"{path}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _values(item, f"{path}[{index}]")
    else:
        yield f"{path}={value}"


def value(body: bytes, ignored: Ignored) -> Any:
    """The JSON value of a body without what is ignored; _ABSENT if it is not valid JSON."""
    try:
        return ignored.without(_numbers(json.loads(body)))
    except (ValueError, RecursionError):
        return _ABSENT


def differences(recorded: RecordedRequest, request: RecordedRequest, ignored: Ignored) -> list[tuple[str, str]]:
    """Every difference between a request and a recorded one: the place, and the text with both values."""
    found = []
    if recorded.method.upper() != request.method.upper():
        found.append(("method", f"expected {recorded.method.upper()}, got {request.method.upper()}"))
    if api(recorded.url) != api(request.url):
        found.append(("path", f"expected {path_of(recorded.url)}, got {path_of(request.url)}"))
    expected, actual = value(recorded.body, ignored), value(request.body, ignored)
    if _ABSENT in (expected, actual):
        expected, actual = (side.body.decode("utf-8", "backslashreplace") for side in (recorded, request))
    if recorded.body:
        found += [(dotted(path) or "body", text) for path, text in _differences(expected, actual, ())]
    return found


def summary(found: Sequence[tuple[str, str]]) -> str:
    """The first differences as text, and the number of further ones."""
    more = f"; and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return "; ".join(f"{place}: {text}" for place, text in found[:_MOST]) + more


def _differences(expected: Any, actual: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name in dict.fromkeys([*expected, *actual]):
            yield from _differences(expected.get(name, _ABSENT), actual.get(name, _ABSENT), (*path, name))
    elif isinstance(expected, list) and isinstance(actual, list):
        for index in range(max(len(expected), len(actual))):
            one, other = (side[index] if index < len(side) else _ABSENT for side in (expected, actual))
            yield from _differences(one, other, (*path, index))
    elif _ABSENT in (expected, actual) or _canonical(expected) != _canonical(actual):
        if any(isinstance(step, str) and secret_field(step) for step in path):
            yield path, "expected another secret"
        else:
            yield path, f"expected {_shown(expected, actual)}, got {_shown(actual, expected)}"


def _shown(value: Any, other: Any) -> str:
    """A value in at most _LONGEST characters; for a long text, those where it starts to differ from the other."""
    if value is _ABSENT:
        return "nothing"
    text = dumps(value)
    if len(text) > _LONGEST and isinstance(value, str) and isinstance(other, str):
        start = max(_first_difference(value, other) - _LONGEST // 4, 0)
        text = ("…" if start else "") + dumps(value[start:])
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _first_difference(one: str, other: str) -> int:
    """How many characters two texts have in common before they differ."""
    at = 0
    while at < len(one) and one[at : at + _COMPARED] == other[at : at + _COMPARED]:
        at += _COMPARED
    pairs = zip(one[at : at + _COMPARED], other[at : at + _COMPARED], strict=False)
    return at + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _numbers(value: Any, depth: int = 0) -> Any:
    """The value with 1.0 as 1: JSON has one type of number, which languages write in two ways."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {name: _numbers(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item, depth + 1) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _without(value: Any, steps: Sequence[str]) -> Any:
    """The value without what the steps lead to."""
    step, rest = steps[0], steps[1:]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return value
    kept = [
        (name, _without(item, rest) if step in ("*", str(name)) else item)
        for name, item in items
        if rest or step not in ("*", str(name))
    ]
    return dict(kept) if isinstance(value, dict) else [item for _, item in kept]
