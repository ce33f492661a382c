"""Which rule a request matches. Owns `When` and its differences from a request; no difference is a match.

A `when` becomes a list of checks, once: each reads one value of a request and compares it. Knows no replies.
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

from fakellm.apis.route import ApiName
from fakellm.base.json_path import path_of, value_at
from fakellm.base.short_texts import MOST, cached_if_short
from fakellm.base.validation import FieldError, shortened
from fakellm.base.words.explained import Explaining
from fakellm.model.request import Request
from fakellm.scenarios.match_cost import MatchCost
from fakellm.scenarios.mistakes.difference import Difference, note


class Pattern(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a text is matched if a substring is not enough: by one of these."""

    regex: Annotated[
        str | None,
        Meta(
            description=(
                "A regular expression, in Python's syntax, found anywhere in the text; `^` and `$` anchor it to the "
                "ends."
            )
        ),
    ] = None
    exact: Annotated[str | None, Meta(description="The whole text.")] = None

    def __post_init__(self) -> None:
        if (self.regex is None) == (self.exact is None):
            raise FieldError((), "give one of 'regex' and 'exact', or a plain text that must be contained")
        _check_regex(self.regex)


class When(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `when:` block of a rule; an unset key matches anything. A plain text must be contained in the value."""

    model: Annotated[str | None, Meta(description="The requested model; `*`, `?` and `[…]` as in file names.")] = None
    turn: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description=(
                "The number of the requested reply in its conversation: the assistant's messages so far, plus one."
            )
        ),
    ] = None
    tools: Annotated[
        tuple[str, ...] | None, Meta(description="Names of functions or custom tools that must be on offer.")
    ] = None
    user: Annotated[str | Pattern | None, Meta(description="The user's last message.")] = None
    message: Annotated[str | Pattern | None, Meta(description="Any one message.")] = None
    system: Annotated[str | Pattern | None, Meta(description="The messages of the system and the developer.")] = None
    tool_choice: Annotated[
        str | None,
        Meta(
            description=(
                "`none`, `auto`, `required` or the name of a tool; `auto` is the default where tools are offered."
            )
        ),
    ] = None
    result: Annotated[
        dict[str, str | Pattern],
        Meta(
            description=(
                "The result of a tool, by the name of the tool or the id of the call; of several results the last."
            )
        ),
    ] = {}
    response_format: Annotated[
        str | None, Meta(description="`text`, `json_object`, `json_schema`, or the name of the schema.")
    ] = None
    stream: Annotated[bool | None, Meta(description="Whether a stream is requested.")] = None
    headers: Annotated[dict[str, str | Pattern], Meta(description="By name, in any case.")] = {}
    body: Annotated[
        dict[str, Any],
        Meta(
            description=(
                "Any value of the body by its path, such as `metadata.run` or `messages[-1].name`: the value, `null`"
                " if it must be absent, or `{regex: …}` for a text; `{exact: …}` for a mapping that looks like "
                "either."
            )
        ),
    ] = {}
    api: Annotated[
        ApiName | None, Meta(description="The API of the request; without it, a rule answers every API.")
    ] = None

    def __post_init__(self) -> None:
        if not self.body or not isinstance(self.body, dict):  # types are checked elsewhere
            return
        for path, expected in self.body.items():
            if not isinstance(path, str):
                raise FieldError(("body",), f"expected the path of a value, got {shortened(path)}")
            try:
                path_of(path)
            except ValueError as error:
                raise FieldError(("body", path), str(error)) from None
            if isinstance(expected, dict) and set(expected) == {"regex"}:
                if not isinstance(expected["regex"], str):
                    raise FieldError(("body", path, "regex"), f"expected a text, got {expected['regex']!r}")
                _check_regex(expected["regex"], ("body", path))


class Check(NamedTuple):
    """One condition of a `when`: how to read its value from a request, and whether a value matches."""

    field: str
    expected: Any
    read: Callable[[Request], Any]
    matches: Callable[[Any], Any]


def checks(when: When) -> Iterator[Check]:
    """The conditions of `when`, in the order of its fields."""
    if when.model is not None:
        glob = _new_glob if when.model[MOST:] else _glob
        yield Check("model", when.model, attrgetter("model"), glob(when.model))
    if when.turn is not None:
        yield Check("turn", when.turn, attrgetter("turn"), when.turn.__eq__)
    if when.tools is not None:
        yield Check("tools", list(when.tools), attrgetter("tools"), frozenset(when.tools).issubset)
    if when.user is not None:
        yield _text_check("user", when.user, attrgetter("user"))
    if when.message is not None:
        matches = _text_matcher(when.message)
        yield Check("message", _plain(when.message), attrgetter("texts"), lambda texts: any(map(matches, texts)))
    if when.system is not None:
        yield _text_check("system", when.system, attrgetter("system"))
    if when.tool_choice is not None:
        yield Check("tool_choice", when.tool_choice, attrgetter("tool_choice"), when.tool_choice.__eq__)
    for name, text in when.result.items():
        yield _text_check(f"result.{name}", text, _result_reader(name))
    if when.response_format is not None:
        expected = when.response_format
        yield Check("response_format", expected, attrgetter("response_format"), lambda names: expected in names)
    if when.stream is not None:
        yield Check("stream", when.stream, attrgetter("stream"), when.stream.__eq__)
    for name, text in when.headers.items():
        yield _text_check(f"headers.{name}", text, _header_reader(name.lower()))
    for path, value in when.body.items():
        yield Check(f"body.{path}", value, _body_reader(path), _value_matcher(value))
    if when.api is not None:
        yield Check("api", when.api, attrgetter("api"), when.api.__eq__)


def difference(when: When, request: Request) -> tuple[Difference, ...]:
    """Every value of `request` that `when` does not match, in the order of its fields; none is a match."""
    return _differences(tuple(checks(when)), request)


class Matcher:
    """Many `when` blocks in order, compiled. A value that several of them need is read once per request."""

    def __init__(self, whens: Sequence[When]) -> None:
        self._checks = [tuple(checks(when)) for when in whens]
        self.cost = MatchCost(check for each in self._checks for check in each)
        places: dict[str, int] = {}
        for check in (check for each in self._checks for check in each):
            places.setdefault(check.field, len(places))
        self._reads = {check.field: check.read for each in self._checks for check in each}
        self._whens = [tuple((places[check.field], check.matches) for check in each) for each in self._checks]

    def first(self, request: Request) -> int | None:
        """The number of the first block that the request matches."""
        values = self._values(request)
        for number, conditions in enumerate(self._whens):
            for place, matches in conditions:
                if not matches(values[place]):
                    break
            else:
                return number
        return None

    def nearest(self, request: Request) -> tuple[int, tuple[Difference, ...]] | None:
        """The number of the block with the fewest differences (of several, the first), and those differences; None if
        there is no `when`."""
        values = self._values(request)
        nearest, fewest = None, len(values) + 1
        for number, conditions in enumerate(self._whens):
            count = 0
            for place, matches in conditions:
                if not matches(values[place]):
                    count += 1
                    if count == fewest:
                        break
            else:
                nearest, fewest = number, count
                if fewest <= 1:
                    break
        return None if nearest is None else (nearest, _differences(self._checks[nearest], request))

    def _values(self, request: Request) -> list[Any]:
        """The values that the checks compare, in the order of the compiled reads."""
        return [read(request) for read in self._reads.values()]


def _differences(each: tuple[Check, ...], request: Request) -> tuple[Difference, ...]:
    values = ((check, check.read(request)) for check in each)
    return tuple(
        Difference(check.field, check.expected, actual, note(check.field, actual, request))
        for check, actual in values
        if not check.matches(actual)
    )


def _text_check(field: str, expected: str | Pattern, read: Callable[[Request], Any]) -> Check:
    return Check(field, _plain(expected), read, _text_matcher(expected))


def _plain(expected: str | Pattern) -> Any:
    """The expected text as the value in YAML."""
    return msgspec.to_builtins(expected)


def _text_matcher(expected: str | Pattern) -> Callable[[Any], Any]:
    """Whether a text matches; an absent one (None) never does."""
    if isinstance(expected, str):
        return lambda text: text is not None and expected in text
    if expected.regex is None:
        return lambda text: text == expected.exact
    search = _compiled(expected.regex).search
    return lambda text: text is not None and search(text)


def _value_matcher(expected: Any) -> Callable[[Any], Any]:
    if isinstance(expected, dict) and set(expected) == {"regex"}:
        search = _compiled(expected["regex"]).search
        return lambda actual: isinstance(actual, str) and search(actual)
    if isinstance(expected, dict) and set(expected) == {"exact"}:
        expected = expected["exact"]
    if isinstance(expected, str):  # the usual case, and the fast one
        return lambda actual: actual == expected
    return lambda actual: _equal(expected, actual)


def _equal(expected: Any, actual: Any) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, but it is not true."""
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(_equal, expected, actual))
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(_equal(expected[key], actual[key]) for key in expected)
    return bool(expected == actual)


def _result_reader(name: str) -> Callable[[Request], Any]:
    return lambda request: request.results.get(name)


def _header_reader(name: str) -> Callable[[Request], Any]:
    return lambda request: request.headers.get(name)


def _body_reader(path: str) -> Callable[[Request], Any]:
    steps = path_of(path)
    return lambda request: value_at(request.body, steps)


@cached_if_short(16_384)  # `re` caches only 512: thousands of rules are checked when they are loaded, and matched later
def _compiled(regex: str) -> re.Pattern[str]:
    return re.compile(regex)


def _new_glob(pattern: str) -> Callable[[str], Any]:
    if not set("*?[") & set(pattern):
        return pattern.__eq__
    return _compiled(translate(pattern)).match


_glob = lru_cache(maxsize=16_384)(_new_glob)  # of short patterns, which bounds the bytes


def _check_regex(regex: str | None, path: tuple[str, ...] = ()) -> None:
    try:
        _compiled(regex or "")
    except (re.error, OverflowError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        message = f"{shortened(regex)} is not a regular expression: {reason}"
        raise FieldError((*path, "regex"), message) from None
