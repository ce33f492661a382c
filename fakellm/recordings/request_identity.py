"""Whether a request is one that was recorded, and in what it differs where it is not.

Owns the key of a request: its method, its API and its body. The query does not count: it holds a version
(`api-version`), keys that were redacted, or nothing. Nor does what stands before the API's name, for a client under
test is pointed at another place than the one recorded. Knows no sessions and no plans.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from fakellm.base.json_text import dumps
from fakellm.base.validation import Path, dotted
from fakellm.recordings.cassette import Asked

_BEFORE_THE_API = re.compile(r".*/(?=chat/completions$)|.*/(?:v\d+[a-z]*\d*|deployments/[^/]+)/|/")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+|\*)\]")
_DEEPEST = 200
"""Bodies nested deeper than this are compared by their bytes."""
_LONGEST = 60
"""Characters of a value that an explanation shows."""
_MOST = 5
"""Differences that an explanation names."""

_ABSENT = object()


class Key(Struct, frozen=True):
    """What two requests share that are the same; no body is that of a recording that does not know it."""

    method: str
    api: str
    body: str | bytes | None


class Ignored(Struct, frozen=True):
    """Places in a JSON body that do not count, each as ``metadata.run_id`` or ``messages[0].id``, `*` for any step.

    Raises ValueError where a place cannot be read.
    """

    places: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for place in self.places:
            if not re.fullmatch(rf"(?:{_STEP.pattern})+", place):
                raise ValueError(
                    f"{place!r} is no place in a body: write it as user, metadata.run_id or messages[*].id"
                )

    def without(self, value: Any) -> Any:
        """The value less what stands at these places."""
        for place in self.places:
            value = _without(value, [name or index for name, index in _STEP.findall(place)])
        return value


def api(url: str) -> str:
    """The part of a URL's path that names the API, whatever it stands under: a version, a prefix, a deployment.

    ``chat/completions`` of /v1/chat/completions, /api/paas/v4/chat/completions, /openai/deployments/x/chat/completions.
    """
    return _BEFORE_THE_API.sub("", urlsplit(url).path, count=1)


def key(asked: Asked, ignored: Ignored) -> Key:
    """The key of a request: two are the same in spite of the order of keys and the white space of their JSON."""
    body = value(asked.body, ignored)
    said = asked.body if body is _ABSENT else _canonical(body)
    return Key(asked.method.upper(), api(asked.url), said or None)


def value(body: bytes, ignored: Ignored) -> Any:
    """The JSON value of a body, less what is ignored; a mark of its own where it is no JSON."""
    try:
        return ignored.without(_numbers(json.loads(body)))
    except (ValueError, RecursionError):
        return _ABSENT


def differences(wanted: Asked, got: Asked, ignored: Ignored) -> list[tuple[str, str]]:
    """Everything in which a request is not the one recorded: the place, and what stands there in each."""
    found = []
    if wanted.method.upper() != got.method.upper():
        found.append(("method", f"wanted {wanted.method.upper()}, got {got.method.upper()}"))
    if api(wanted.url) != api(got.url):
        found.append(("path", f"wanted {urlsplit(wanted.url).path}, got {urlsplit(got.url).path}"))
    one, other = value(wanted.body, ignored), value(got.body, ignored)
    if _ABSENT in (one, other):
        one, other = (side.body.decode("utf-8", "backslashreplace") for side in (wanted, got))
    if wanted.body:
        found += [(dotted(path) or "body", text) for path, text in _differences(one, other, ())]
    return found


def told(found: Sequence[tuple[str, str]]) -> str:
    """The first of the differences, as a text, and how many there are beside."""
    more = f"; and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return "; ".join(f"{place}: {text}" for place, text in found[:_MOST]) + more


def _differences(wanted: Any, got: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(wanted, dict) and isinstance(got, dict):
        for name in dict.fromkeys([*wanted, *got]):
            yield from _differences(wanted.get(name, _ABSENT), got.get(name, _ABSENT), (*path, name))
    elif isinstance(wanted, list) and isinstance(got, list):
        for index in range(max(len(wanted), len(got))):
            one, other = (side[index] if index < len(side) else _ABSENT for side in (wanted, got))
            yield from _differences(one, other, (*path, index))
    elif _ABSENT in (wanted, got) or _canonical(wanted) != _canonical(got):
        yield path, f"wanted {_shown(wanted, got)}, got {_shown(got, wanted)}"


def _shown(value: Any, other: Any) -> str:
    """A value in few characters; of a long text those where it begins to differ."""
    if value is _ABSENT:
        return "nothing"
    text = dumps(value)
    if len(text) > _LONGEST and isinstance(value, str) and isinstance(other, str):
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(value, other, strict=False)))
        start = max(same - _LONGEST // 4, 0)
        text = ("…" if start else "") + dumps(value[start:])
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _numbers(value: Any, depth: int = 0) -> Any:
    """The value with 1.0 as 1: JSON has one kind of number, and languages write it in two ways."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {name: _numbers(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item, depth + 1) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _without(value: Any, steps: Sequence[str]) -> Any:
    """The value less what the steps lead to."""
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
