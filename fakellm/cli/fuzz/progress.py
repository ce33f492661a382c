"""Shows how far `fakellm fuzz` is, on standard error, and ends it when its time is over. Owns the clock of the command.

A terminal has a bar, which click draws, unless NO_COLOR is set. Anything else, such as the log of a CI
server, has a line every ten seconds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic  # noqa: TID251 # no case depends on it, only how many there are
from typing import Any

import click

from fakellm.base.words.count import count, noun

_INTERVAL = 10.0
"""Seconds between two lines."""
_REDRAW = 0.1
"""Seconds between two states of the bar."""
_PARTS = 1000
"""Of a bar, which shows the part of the cases or of the time that is over, whichever is more."""


class Progress:
    """The state of a run. `show` is called after each case.

    cases: how many there will be. seconds: after how many the run ends. None for no such end.
    """

    def __init__(self, cases: int | None = None, seconds: float | None = None, quiet: bool = False) -> None:
        self._most = cases
        self._seconds = seconds
        self._quiet = quiet
        self._since = self._shown = monotonic()
        self._update: Callable[[int, str], None] | None = None
        self._place = 0

    @contextmanager
    def shown(self) -> Iterator[Progress]:
        """Within the block, the bar is there if standard error is a terminal, and NO_COLOR is not set: the bar needs
        control codes (https://no-color.org)."""
        if self._quiet or os.environ.get("NO_COLOR") or not sys.stderr.isatty():
            yield self
            return
        options: dict[str, Any] = {"width": 0, "show_pos": False, "update_min_steps": 0}
        with click.progressbar(length=_PARTS, file=sys.stderr, item_show_func=_itself, **options) as bar:
            self._update = bar.update
            yield self

    def is_over(self) -> bool:
        """Whether the time is over."""
        return self._seconds is not None and monotonic() - self._since >= self._seconds

    def show(self, cases: int, failures: int | None = None, shrinks: bool = False) -> None:
        """Shows these numbers, if it is time to."""
        if self._quiet:
            return
        now = monotonic()
        if now - self._shown < (_REDRAW if self._update else _INTERVAL):
            return
        self._shown = now
        text = self._text(cases, failures, shrinks, now - self._since)
        if self._update is None:
            click.echo(f"fakellm fuzz: {text}", err=True)
            return
        place = self._part(cases, now - self._since)
        self._update(place - self._place, text)
        self._place = place

    def _part(self, cases: int, seconds: float) -> int:
        parts = [cases / self._most] if self._most else []
        parts += [seconds / self._seconds] if self._seconds else []
        return round(_PARTS * min(1.0, max(parts, default=0.0)))

    def _text(self, cases: int, failures: int | None, shrinks: bool, seconds: float) -> str:
        of = f" of {self._most:,}" if self._most else ""
        found = "" if failures is None else f", {count(failures, 'failure')}"
        what = noun(self._most or cases, "case")
        return f"{cases:,}{of} {what}, {cases / seconds:,.0f}/s{found}{', shrinking …' if shrinks else ''}"


def _itself(text: str | None) -> str | None:
    return text
