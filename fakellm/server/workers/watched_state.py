"""The owner's state, in memory, which notices what the copies of sessions in the workers must not be used for any more.

Owns the numbers by which workers name sessions and engines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from weakref import WeakKeyDictionary, WeakValueDictionary

from fakellm.engine.engine import Engine
from fakellm.engine.state import Admission, Limits, MemorySession, MemoryState, Time, still
from fakellm.quotas.buckets import Quotas
from fakellm.quotas.quota import Demand, Standing
from fakellm.server.workers.reports import SessionName


class WatchedState(MemoryState[Engine]):
    """The state of a server with workers. `changed`: called with the name of a session that is no longer as it was."""

    def __init__(self, limits: Limits, time: Time = still) -> None:
        super().__init__(limits, time)
        self.changed: Callable[[str], None] = lambda name: None
        self._numbers = count(1)
        self._serials: WeakKeyDictionary[MemorySession[Engine], int] = WeakKeyDictionary()
        self._engines: WeakValueDictionary[int, Engine] = WeakValueDictionary()
        self._engine_numbers: WeakKeyDictionary[Engine, int] = WeakKeyDictionary()

    def change(self, name: str, content: Engine) -> MemorySession[Engine]:
        self.changed(name)
        return super().change(name, content)

    def forget(self, name: str) -> None:
        self.changed(name)
        super().forget(name)

    def serial(self, session: MemorySession[Engine]) -> int:
        """The number of a session, which no other has, not even one of the same name."""
        return self._serials.setdefault(session, next(self._numbers))

    def named(self, session: SessionName) -> MemorySession[Engine] | None:
        """The session that a worker names; None if it has been replaced or has ended."""
        found = self.find(session.name)
        return found if found is not None and self._serials.get(found) == session.serial else None

    def take_unused(self, demands: Sequence[Demand]) -> Admission:
        """Takes what a request demands of quotas that nothing else uses."""
        now = self._time()
        return Admission(Standing(Quotas().take("", demands, now), now), None)

    def number(self, engine: Engine) -> int:
        """The number of an engine, which no other has."""
        number = self._engine_numbers.setdefault(engine, next(self._numbers))
        self._engines[number] = engine
        return number

    def engine(self, number: int) -> Engine | None:
        """The engine with this number; None if it is not served any more."""
        return self._engines.get(number)
