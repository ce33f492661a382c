"""What happened in a session that its test did not foresee: requests without a rule, replies that nobody fetched.

Owns what is collected before a journal is emptied, and what a test allows or expects. Knows no pytest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fakellm.engine.entry import Entry

if TYPE_CHECKING:
    from fakellm.testing.handle import Handle

_CORRECT = "Correct what the application sends. "

_ADD = "Add a rule that matches it, or correct what the application sends. "

_EXPECTED = (
    "A test that expects the refusal puts it into "
    "`with fakellm.expect_unmatched():`; `fakellm.allow_unmatched()` and `@pytest.mark.fakellm(allow_unmatched=True)` "
    "let the test pass."
)

_OF_A_RULE = re.compile("\\b[Tt]he rule ['\"]")
"""What the explanation of a request that a rule matched and refused has; it has its remedy too."""


class Unforeseen:
    """The requests of a session that no rule answered, from one `start` to the next."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.start()

    def start(self, watching: bool = False) -> None:
        """Forgets what was collected. `watching`: from now on, requests count, and are collected before the journal is
        emptied."""
        self.allowed = False
        self.watching = watching
        self._entries: list[Entry] = []
        self._dropped = 0
        self._emptied = 0
        self._expected: set[int] = set()
        """Numbers in the current journal."""
        if watching:
            before, dropped = self._current()
            self._expected, self._dropped = {entry.number for entry in before}, -dropped

    def emptying(self) -> None:
        """Must be called before the journal is emptied."""
        if self.watching:
            entries, dropped = self._current()
            self._entries += entries
            self._dropped += dropped
        self._emptied += 1
        self._expected.clear()

    @contextmanager
    def expected(self) -> Iterator[list[Entry]]:
        """Takes out the requests of this block. Raises AssertionError if there are none."""
        found: list[Entry] = []
        watching, self.watching = self.watching, True
        before, start, emptied = self._current()[0], len(self._entries), self._emptied
        numbers = {entry.number for entry in before}
        yield found
        found += self._entries[start:]
        del self._entries[start:]
        now = [each for each in self._current()[0] if emptied != self._emptied or each.number not in numbers]
        self._expected |= {entry.number for entry in now}
        found += now
        self.watching = watching
        if not found:
            raise AssertionError("fakellm: expected a request that no rule answers, and there was none")

    def problems(self) -> list[str]:
        """A line for each request that no rule answered, and the remedy; nothing if they are allowed."""
        if self.allowed:
            return []
        entries, dropped = self._current()
        entries, dropped = self._entries + entries, max(0, self._dropped + dropped)
        lines = [f"earlier requests, which the journal no longer has: {dropped}"] if dropped else []
        lines += [f"request {entry.number}, {entry.method} {entry.path}: {entry.explanation}" for entry in entries]
        others = [entry for entry in entries if not _OF_A_RULE.search(entry.explanation or "")]
        remedy = _CORRECT if others else ""
        if dropped or any(entry.api is not None for entry in others):  # a rule answers no unknown URL
            remedy = _ADD
        return ["no rule answered", *lines, remedy + _EXPECTED] if lines else []

    def _current(self) -> tuple[list[Entry], int]:
        """What the journal has now, without what was expected or answered with generated text, and what it dropped."""
        entries, dropped = self._handle.unmatched()
        found = [each for each in entries if each.rule != "generated" and each.number not in self._expected]
        return found, dropped if self._handle.strict else 0
