"""Which rule a request meets. Owns `When` and the differences; a match is no differences.

A `when` is a number of checks, made once: each reads one thing of a request and says whether it will do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import translate
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from fakellm.base.json_path import path_of, value_at
from fakellm.base.validation import FieldError
from fakellm.model.request import Request

MOST_SHOWN = 120
"""Characters of a value in a difference: a prompt may have millions."""


class Pattern(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a text is met when it is not enough that it contains another: one of these.

    regex: it is found in the text, in Python's syntax; `^` and `$` tie it to the ends.
    exact: it is the text.
    """

    regex: str | None = None
    exact: str | None = None

    def __post_init__(self) -> None:
        if (self.regex is None) == (self.exact is None):
            raise FieldError((), "give one of 'regex' and 'exact', or a plain text that must be contained")
        _check_regex(self.regex)


class When(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `when:` block of a rule; what is not given matches anything. A plain text is one that must be contained.

    model: the model asked for; `*`, `?` and `[…]` as in file names.
    turn: which reply of the conversation is asked for, 1 for the first: the assistant's messages so far, plus one.
    tools: functions that must be among those offered.
    user: the last message of the user.
    message: any one message.
    system: what the system or the developer says.
    tool_choice: `none`, `auto`, `required` or the function named; `auto` is the default where tools are offered.
    result: what a tool answered, by the name of the function or the id of the call; of several answers the last.
    response_format: `text`, `json_object`, `json_schema`, or the name of the schema.
    stream: whether a stream is asked for.
    headers: by name, in any case.
    body: any value of the body by its path, such as `metadata.run` or `messages[-1].name`: a value it must be, `null`
        where it must not be there, or `{regex: …}` for a text; `{exact: …}` for a mapping that looks like either.
    """

    model: str | None = None
    turn: Annotated[int, Meta(ge=1)] | None = None
    tools: tuple[str, ...] | None = None
    user: str | Pattern | None = None
    message: str | Pattern | None = None
    system: str | Pattern | None = None
    tool_choice: str | None = None
    result: dict[str, str | Pattern] = {}
    response_format: str | None = None
    stream: bool | None = None
    headers: dict[str, str | Pattern] = {}
    body: dict[str, Any] = {}

    def __post_init__(self) -> None:
        for path, wanted in self.body.items():
            try:
                path_of(path)
            except ValueError as error:
                raise FieldError(("body", path), str(error)) from None
            if isinstance(wanted, dict) and set(wanted) == {"regex"}:
                if not isinstance(wanted["regex"], str):
                    raise FieldError(("body", path, "regex"), f"expected a text, got {wanted['regex']!r}")
                _check_regex(wanted["regex"], ("body", path))


class Difference(Struct, frozen=True):
    """One thing that a rule wanted otherwise."""

    field: str
    wanted: Any
    got: Any

    def __str__(self) -> str:
        return f"{self.field}: wanted {_shown(self.wanted)}, got {_shown(self.got)}"


class Check(NamedTuple):
    """One thing that a `when` asks for: what to read of a request, and whether it will do."""

    field: str
    wanted: Any
    read: Callable[[Request], Any]
    meets: Callable[[Any], Any]


def checks(when: When) -> Iterator[Check]:
    """What `when` asks for, in the order of its fields."""
    if when.model is not None:
        yield Check("model", when.model, attrgetter("chat.model"), _glob(when.model))
    if when.turn is not None:
        yield Check("turn", when.turn, attrgetter("turn"), when.turn.__eq__)
    if when.tools is not None:
        yield Check("tools", list(when.tools), attrgetter("tools"), frozenset(when.tools).issubset)
    if when.user is not None:
        yield _text_check("user", when.user, attrgetter("user"))
    if when.message is not None:
        meets = _meets(when.message)
        yield Check("message", _written(when.message), attrgetter("texts"), lambda texts: any(map(meets, texts)))
    if when.system is not None:
        yield _text_check("system", when.system, attrgetter("system"))
    if when.tool_choice is not None:
        yield Check("tool_choice", when.tool_choice, attrgetter("tool_choice"), when.tool_choice.__eq__)
    for name, text in when.result.items():
        yield _text_check(f"result.{name}", text, _result_reader(name))
    if when.response_format is not None:
        wanted = when.response_format
        yield Check("response_format", wanted, attrgetter("response_format"), lambda names: wanted in names)
    if when.stream is not None:
        yield Check("stream", when.stream, lambda request: bool(request.chat.stream), when.stream.__eq__)
    for name, text in when.headers.items():
        yield _text_check(f"headers.{name}", text, _header_reader(name.lower()))
    for path, value in when.body.items():
        yield Check(f"body.{path}", value, _reader(path), _meets_value(value))


def difference(when: When, request: Request) -> tuple[Difference, ...]:
    """Everything in which `request` is not what `when` asks for, in the order of its fields; nothing is a match."""
    return _differences(tuple(checks(when)), request)


class Matcher:
    """Many `when` blocks in order, ready to be asked. What several of them look at is read once a request."""

    def __init__(self, whens: Sequence[When]) -> None:
        self._checks = [tuple(checks(when)) for when in whens]
        places: dict[str, int] = {}
        for check in (check for each in self._checks for check in each):
            places.setdefault(check.field, len(places))
        self._reads = {check.field: check.read for each in self._checks for check in each}
        self._quick = [tuple((places[check.field], check.meets) for check in each) for each in self._checks]

    def first(self, request: Request) -> int | None:
        """The number of the first that the request meets."""
        values = self._values(request)
        for number, quick in enumerate(self._quick):
            for place, meets in quick:
                if not meets(values[place]):
                    break
            else:
                return number
        return None

    def nearest(self, request: Request) -> tuple[int, tuple[Difference, ...]] | None:
        """The number of the one that differs in the least, the first of several, and in what; None where it is met."""
        values = self._values(request)
        nearest, least = None, len(values) + 1
        for number, quick in enumerate(self._quick):
            differing = 0
            for place, meets in quick:
                if not meets(values[place]):
                    differing += 1
                    if differing == least:
                        break
            else:
                nearest, least = number, differing
                if least <= 1:
                    break
        return None if nearest is None else (nearest, _differences(self._checks[nearest], request))

    def _values(self, request: Request) -> list[Any]:
        """What each check is about to look at, in the order of their places."""
        return [read(request) for read in self._reads.values()]


def _differences(each: tuple[Check, ...], request: Request) -> tuple[Difference, ...]:
    read = ((check, check.read(request)) for check in each)
    return tuple(Difference(check.field, check.wanted, got) for check, got in read if not check.meets(got))


def _text_check(field: str, wanted: str | Pattern, read: Callable[[Request], Any]) -> Check:
    return Check(field, _written(wanted), read, _meets(wanted))


def _written(wanted: str | Pattern) -> Any:
    return msgspec.to_builtins(wanted)


def _meets(wanted: str | Pattern) -> Callable[[Any], Any]:
    """Whether a text is the one wanted; what is not there (None) never is."""
    if isinstance(wanted, str):
        return lambda text: text is not None and wanted in text
    if wanted.regex is None:
        return lambda text: text == wanted.exact
    search = _compiled(wanted.regex).search
    return lambda text: text is not None and search(text)


def _meets_value(wanted: Any) -> Callable[[Any], Any]:
    if isinstance(wanted, dict) and set(wanted) == {"regex"}:
        search = _compiled(wanted["regex"]).search
        return lambda got: isinstance(got, str) and search(got)
    if isinstance(wanted, dict) and set(wanted) == {"exact"}:
        wanted = wanted["exact"]
    if isinstance(wanted, str):  # the usual case, and the one that is quick
        return lambda got: got == wanted
    return lambda got: _same(wanted, got)


def _same(wanted: Any, got: Any) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, but it is not true."""
    if isinstance(wanted, bool) or isinstance(got, bool):
        return wanted is got
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(_same, wanted, got))
    if isinstance(wanted, dict) and isinstance(got, dict):
        return wanted.keys() == got.keys() and all(_same(wanted[key], got[key]) for key in wanted)
    return bool(wanted == got)


def _result_reader(name: str) -> Callable[[Request], Any]:
    return lambda request: request.results.get(name)


def _header_reader(name: str) -> Callable[[Request], Any]:
    return lambda request: request.headers.get(name)


def _reader(path: str) -> Callable[[Request], Any]:
    steps = path_of(path)
    return lambda request: value_at(request.body, steps)


# `re` remembers 512 of them: thousands of rules are checked when they are read, and asked later.
_compiled = lru_cache(maxsize=16_384)(re.compile)


def _glob(pattern: str) -> Callable[[str], Any]:
    if not set("*?[") & set(pattern):
        return pattern.__eq__
    return _compiled(translate(pattern)).match


def _check_regex(regex: str | None, path: tuple[str, ...] = ()) -> None:
    try:
        _compiled(regex or "")
    except re.error as error:
        raise FieldError((*path, "regex"), f"{regex!r} is no regular expression: {error}") from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}… ({len(text):,} characters)"
