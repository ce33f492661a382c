"""Ends a test that takes too long, on systems that have a timer for it; Windows has none."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest


class Alarm:
    """Fails a test after so many seconds. `rung`: whether it has."""

    def __init__(self, patience: float) -> None:
        self.rung = False
        self._patience = patience

    @contextmanager
    def armed(self) -> Iterator[None]:
        """The test must end within this block. What else uses the timer goes on with it afterwards."""
        if not hasattr(signal, "setitimer"):
            yield
            return
        handler = signal.signal(signal.SIGALRM, self._ring)
        others = signal.setitimer(signal.ITIMER_REAL, self._patience)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, *others)
            signal.signal(signal.SIGALRM, handler)

    def _ring(self, *_: object) -> NoReturn:
        self.rung = True
        pytest.fail(f"still running {self._patience:g} s after it began")


ALARM: pytest.StashKey[Alarm] = pytest.StashKey()
"""The alarm of the test that runs now."""
