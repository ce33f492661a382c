"""Checks of JSON values, with the places and the wording of Anthropic's errors. Knows no parameter by name.

A check raises RequestError for the first problem: `messages.0.content: Field required`. Like Pydantic, whose wording
Anthropic shows, the place of a value names the type of a tagged object too: `messages.0.content.0.text.cache_control`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fakellm.base.errors import RequestError
from fakellm.base.validation import SHOWN

Check = Callable[[Any, str], None]
"""Checks a value at a place."""


def invalid(place: str, problem: str) -> RequestError:
    """The refusal of a request: what is wrong, and where."""
    return RequestError(400, f"{place}: {problem}", None, place)


def within(place: str, step: str | int) -> str:
    """The place of what is inside a value."""
    name = str(step)
    name = name if len(name) <= SHOWN else f"{name[:SHOWN]}…"
    name = name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()
    return f"{place}.{name}" if place else name


def anything(value: Any, place: str) -> None:
    """Any JSON value."""


def text(value: Any, place: str) -> None:
    """Any text."""
    if not isinstance(value, str):
        raise invalid(place, "Input should be a valid string")


def flag(value: Any, place: str) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise invalid(place, "Input should be a valid boolean")


def mapping(value: Any, place: str) -> None:
    """Any object."""
    if not isinstance(value, dict):
        raise invalid(place, "Input should be a valid dictionary")


def integer(low: int = 0) -> Check:
    """A whole number from `low` on."""

    def check(value: Any, place: str) -> None:
        if type(value) is not int:
            raise invalid(place, "Input should be a valid integer")
        if value < low:
            raise invalid(place, f"Input should be greater than or equal to {low}")

    return check


def number(low: float, high: float) -> Check:
    """A number within bounds."""

    def check(value: Any, place: str) -> None:
        if type(value) not in (int, float):
            raise invalid(place, "Input should be a valid number")
        if value < low:
            raise invalid(place, f"Input should be greater than or equal to {low:g}")
        if value > high:
            raise invalid(place, f"Input should be less than or equal to {high:g}")

    return check


def word(*words: str) -> Check:
    """One of these words."""
    quoted = [f"'{each}'" for each in words]
    listed = " or ".join([*([", ".join(quoted[:-1])] if quoted[:-1] else []), quoted[-1]])

    def check(value: Any, place: str) -> None:
        if value not in words:
            raise invalid(place, f"Input should be {listed}")

    return check


def unset_or(check: Check) -> Check:
    """Null, or what the check allows."""
    return lambda value, place: None if value is None else check(value, place)


def many(check: Check) -> Check:
    """A list of values."""

    def check_all(value: Any, place: str) -> None:
        if not isinstance(value, list):
            raise invalid(place, "Input should be a valid list")
        for number, item in enumerate(value):
            check(item, within(place, number))

    return check_all


def text_or(check: Check) -> Check:
    """A text, or a list that the check allows."""
    return lambda value, place: check(value, place) if isinstance(value, list) else text(value, place)


def fields(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    """An object with these keys and no others."""
    known = {**required, **optional}

    def check(value: Any, place: str) -> None:
        mapping(value, place)
        for key, inner in known.items():
            if key in value:
                inner(value[key], within(place, key))
            elif key in required:
                raise invalid(within(place, key), "Field required")
        for key in value:
            if key not in known:
                raise invalid(within(place, key), "Extra inputs are not permitted")

    return check


def tagged(kinds: Mapping[str, Check], others: Check | None = None) -> Check:
    """An object whose `type` decides what else it has. `others`: checks types that are not listed."""
    expected = ", ".join(f"'{kind}'" for kind in kinds)

    def check(value: Any, place: str) -> None:
        mapping(value, place)
        kind = value.get("type")
        if "type" not in value:
            raise invalid(within(place, "type"), "Field required")
        if not isinstance(kind, str) or (kind not in kinds and others is None):
            found = str(kind)[:SHOWN]
            message = f"Input tag '{found}' found using 'type' does not match any of the expected tags: {expected}"
            raise invalid(place, message)
        if kind in kinds:
            kinds[kind](value, within(place, kind))
        elif others:
            others(value, place)

    return check
