"""Asserts on the requests that a server has received, and waits for them. Owns the messages of the failures.

The server finds the entries, with the code that matches rules. Knows no HTTP.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from fakellm.base.errors import ScenarioError
from fakellm.base.validation import shortened
from fakellm.base.words.count import count as counted
from fakellm.engine.entry import Ending, Entry
from fakellm.scenarios.matching import When
from fakellm.scenarios.mistakes.at_the_call import at_the_call
from fakellm.scenarios.python_replies import check_fields
from fakellm.scenarios.written_values import as_written, check
from fakellm.server.request_target import request_target
from fakellm.testing.entries import EMPTY, Conditions, Entries

if TYPE_CHECKING:
    from fakellm.testing.verdicts.finding import ClientVerdict

_LISTED = 5
"""How many requests a message lists."""


class Queries:
    """What a handle answers about the requests of its session."""

    url: str

    def _call(self, method: str, route: str, key: str, body: bytes | None = None, patience: int = 0) -> dict[str, Any]:
        """The response of a control route."""
        raise NotImplementedError

    @property
    def journal(self) -> Entries:
        """Every request since the start, the last load or reset, oldest first, with its outcome."""
        return self._journal(self._call("GET", "/_fakellm/journal", "entries"))

    @property
    def requests(self) -> list[Entry]:
        """The requests to models: `journal` without those for lists of models, embeddings, unknown URLs."""
        return [entry for entry in self.journal if entry.api is not None]

    @property
    def last(self) -> Entry:
        """The last request to a model. Raises IndexError if there is none."""
        found = self.requests
        if not found:
            raise IndexError(EMPTY.format(self.url).replace("no request", "no request to a model"))
        return found[-1]

    @at_the_call
    def assert_called(self, times: int | None = None, **when: Unpack[Conditions]) -> None:
        """Raises AssertionError unless the app has sent a request to a model that matches these conditions, or as many
        as `times` of them. Each attempt counts, those that failed too."""
        __tracebackhide__ = True  # of pytest
        if times is not None and not isinstance(times, int):
            message = f"expected a number of times, or conditions by name, such as user='Hi', got {shortened(times)}"
            raise ScenarioError([f"assert_called: {message}"])
        check_fields(When, when, "assert_called(…)", "times")
        found, more = self._find("assert_called", when)
        if len(found) == times or (times is None and found):
            return
        expected = "a request" if times is None else counted(times, "request")
        problem = f"expected {expected}{_shown(when)}, got {_listed(found)}{_nearest(more)}"
        raise AssertionError(f"{problem}{self._beyond_rules('. ')}")

    @at_the_call
    def assert_not_called(self, **when: Unpack[Conditions]) -> None:
        """Raises AssertionError if the app has sent a request to a model that matches these conditions."""
        __tracebackhide__ = True
        found, _ = self._find("assert_not_called", when)
        if found:
            raise AssertionError(f"expected no request{_shown(when)}, got {_listed(found)}")

    def assert_all_used(self) -> None:
        """Raises AssertionError if a rule of the scenario, or a recording, has answered no request, or has a fault
        that was applied and broke nothing, unless another fault of the rule broke a reply."""
        __tracebackhide__ = True
        reply = self._call("GET", "/_fakellm/unused", "unused")
        if lines := [*map(_unused, reply["unused"]), *idle_lines(reply["faults"])]:
            raise AssertionError("\n".join(lines) + self._beyond_rules("\n"))

    @at_the_call
    def wait_for(
        self, count: int = 1, *, outcome: Ending | None = None, timeout: float = 5.0, **when: Unpack[Conditions]
    ) -> list[Entry]:
        """Waits until the app has sent as many requests to a model that match these conditions, and returns them.

        outcome: how their replies must have ended, such as `client left`, when the app has cancelled its request.
        timeout: after so many seconds, from 0 to 600, AssertionError is raised; with any other number, ValueError.

        It blocks its thread, in which an event loop would run nothing else: in an async test, use
        ``await asyncio.to_thread(fakellm.wait_for, …)``.
        """
        __tracebackhide__ = True
        check_fields(When, when, "wait_for(…)", "count", "outcome", "timeout")
        if not 0 <= timeout <= 600:
            raise ValueError(f"timeout must be from 0 to 600 seconds, got {timeout!r}")
        query = {"count": count, "outcome": outcome, "wait": timeout}
        found, more = self._find("wait_for", when, query, int(timeout) + 1)
        if len(found) >= count:
            return found
        ended = f", with the outcome {outcome!r}" if outcome else ""
        message = (
            f"expected {counted(count, 'request')}{_shown(when)}{ended}, got {_listed(found)} within {timeout:g} s"
        )
        if outcome:
            others = [f"request {each.number}: {each.outcome}" for each in self._find("wait_for", when)[0]]
            message += f". The outcomes of all that match are {', '.join(others[-_LISTED:])}" if others else ""
        raise AssertionError(message + _nearest(more) + self._beyond_rules(". ") + _blocked())

    def verdict(self) -> ClientVerdict:
        """What the app did, judged by what the providers ask of their clients: see docs/reference/verdict.md."""
        from fakellm.testing.verdicts import judge

        return judge(self.journal)

    def assert_resilient(self) -> None:
        """Raises AssertionError with the findings of `verdict`, if there are any."""
        __tracebackhide__ = True
        self.verdict().check()

    def _beyond_rules(self, start: str = "") -> str:
        """After `start`, a hint if all requests so far were ones that no rule could answer; else nothing."""
        entries = self.journal
        kinds = {_kind(each) for each in entries}
        if not kinds or any(entry.api is not None or entry.rule != "generated" for entry in entries):
            return ""
        what = " and ".join(sorted(kinds))
        number = len(entries)
        verb = f"request 1 was for {what}" if number == 1 else f"all {counted(number, 'request')} were for {what}"
        return f"{start}{verb}, which rules do not answer; fakellm.journal has them"

    def unmatched(self) -> tuple[list[Entry], int]:
        """The entries of requests that no rule matched, and how many such entries the journal has dropped."""
        reply = self._call("POST", "/_fakellm/journal", "dropped_unmatched", b'{"matched": false}')
        return list(self._journal(reply)), int(reply["dropped_unmatched"])

    def _journal(self, reply: dict[str, Any]) -> Entries:
        entries = msgspec.convert(reply["entries"], list[Entry])
        return Entries(entries, self.url, lambda when: self._find("find", when)[0])

    def _find(
        self, method: str, when: Conditions, query: dict[str, Any] | None = None, patience: int = 0
    ) -> tuple[list[Entry], dict[str, Any]]:
        """The entries that match, and the whole response."""
        written = as_written(dict(when))
        check(written, When, f"{method}(…)")
        body = msgspec.json.encode({"when": written, **(query or {})})
        reply = self._call("POST", "/_fakellm/journal", "entries", body, patience)
        return list(self._journal(reply)), reply


def _kind(entry: Entry) -> str:
    """What a request was for, such as embeddings: the last word of its route, without ids and models."""
    route = re.sub(r"/\{\w+\}", "", request_target(entry.path).operation)
    return re.split("[/:]", route)[-1]


def _shown(when: Conditions) -> str:
    conditions = ", ".join(f"{key}={shortened(value)}" for key, value in when.items())
    return f" with {conditions}" if conditions else ""


def _listed(found: list[Entry]) -> str:
    """The number of requests, and the numbers of the last."""
    numbers = ", ".join(str(entry.number) for entry in found[-_LISTED:])
    more = "…, " if len(found) > _LISTED else ""
    return f"{len(found)} (in the journal: {more}{numbers})" if found else "none"


def _nearest(reply: dict[str, Any], empty: str = ". The journal is empty") -> str:
    """The entry that comes nearest, and what differs."""
    found = reply["nearest"]
    if found:
        place = f"request {found['number']}, {found['method']} {found['path']}"
        return f". The nearest is {place}; it differs in {'; '.join(found['differences'])}"
    return "" if reply.get("total") else empty


def _unused(found: dict[str, Any]) -> str:
    """Why a rule has answered no request."""
    message = f"{found['rule']!r} has answered no request"
    if found["request"]:
        return f"{message}. Request {found['request']} matches it, but {found['answered_by']!r} answered that one"
    return message + _nearest(found, "")


def idle_lines(faults: Iterable[dict[str, Any]]) -> list[str]:
    """A line for each rule whose fault broke nothing."""
    return [f"{each['rule']!r} answered request {each['request']}. {each['reason']}" for each in faults]


def _blocked() -> str:
    """A hint if the thread runs an event loop, which could do nothing during the wait."""
    if "asyncio" in sys.modules:
        import asyncio

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return ""
        return (
            ". The event loop of this thread could not run meanwhile: use await asyncio.to_thread(fakellm.wait_for, …)"
        )
    return ""
