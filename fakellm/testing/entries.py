"""The journal in a test: the requests so far, and the search for those that match. Knows no server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, SupportsIndex, TypedDict, Unpack, overload

from fakellm.base.words.count import count
from fakellm.engine.entry import Entry
from fakellm.scenarios.matching import Pattern
from fakellm.scenarios.mistakes.at_the_call import at_the_call


class Conditions(TypedDict, total=False):
    """What a request must match: the keys of `when:` in a scenario, with the same meaning."""

    model: str
    turn: int
    tools: Sequence[str]
    user: str | Pattern
    message: str | Pattern
    system: str | Pattern
    tool_choice: str
    result: dict[str, str | Pattern]
    response_format: str
    stream: bool
    headers: dict[str, str | Pattern]
    body: dict[str, Any]
    api: str


EMPTY = "the journal is empty: no request has reached {}. Does the app send its requests there?"


class Entries(list[Entry]):
    """Every request so far, oldest first, with its outcome. It does not change when more requests come: read
    `fakellm.journal` again.

    `url`: the server's, for messages.
    """

    def __init__(self, entries: Iterable[Entry], url: str, find: Callable[[Conditions], list[Entry]]) -> None:
        super().__init__(entries)
        self._url = url
        self._find = find

    @at_the_call
    def find(self, **when: Unpack[Conditions]) -> list[Entry]:
        """The requests to a model that match these conditions by now, oldest first. Each attempt is one of its own.

        Raises ScenarioError for a condition that is not valid.
        """
        return self._find(when)

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> Entry: ...

    @overload
    def __getitem__(self, place: slice, /) -> list[Entry]: ...

    def __getitem__(self, place: SupportsIndex | slice, /) -> Entry | list[Entry]:
        try:
            return super().__getitem__(place)
        except IndexError:
            number = f"the journal has {count(len(self), 'entry')}, and none at {place}"
            raise IndexError(number if self else EMPTY.format(self._url)) from None

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("assert_", "wait_for")):
            raise AttributeError(f"a journal has no {name!r}: it is a method of the fixture, as in fakellm.{name}(…)")
        raise AttributeError(f"a journal has no {name!r}; it is a list, with the method find(model=…, user=…)")
