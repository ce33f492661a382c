"""The state of a running server: sessions with their journals, counts of attempts and quotas, and the cache.

Owns every bound on memory; the engine is pure. `State` is the protocol; `MemoryState` keeps the state in this
process. Where several processes serve, one of them has it, and the others are its workers: `server/workers/`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypedDict, TypeVar

from msgspec import Struct

from fakellm.base.errors import RequestError
from fakellm.base.words.count import count
from fakellm.engine.journal import Journal, Shelf
from fakellm.engine.stored import SessionStore, StoreShelf
from fakellm.quotas.buckets import Quotas
from fakellm.quotas.quota import Demand, Standing
from fakellm.quotas.recent import Recent

Content = TypeVar("Content")

Time = Callable[[], int]
"""Returns milliseconds since 1970."""


def still() -> int:
    """2026-01-01: the time of quotas if nothing but a test lets time pass."""
    return 1_767_225_600_000


class Limits(Struct, frozen=True, kw_only=True):
    """How much a server keeps. Raises ValueError if a limit is too small or not a whole number.

    cache_bytes: of rendered replies, for when the same request comes again, and of what the replies of a rule have in
        common, for when another comes; the least recently used are dropped.
    journal_bytes: of the journals of all sessions; the oldest entries are dropped, and each journal counts them.
    max_sessions: including the one at the root. A session without its own scenario is dropped when it is idle.
    stored_bytes: of the replies that clients can retrieve and continue, in all sessions; the oldest are dropped.
    max_attempts: requests whose attempts are counted; the least recently used are dropped, and the journal records it.
    """

    cache_bytes: int = 16 * 2**20
    journal_bytes: int = 64 * 2**20
    stored_bytes: int = 16 * 2**20
    max_sessions: int = 1_000
    max_attempts: int = 10_000

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value: object = getattr(self, name)
            least = 1 if name.startswith("max_") else 0
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number, {least} or more, got {value!r}")


class LimitOptions(TypedDict, total=False):
    """The fields of Limits, as keywords of the functions that start a server."""

    cache_bytes: int
    journal_bytes: int
    stored_bytes: int
    max_sessions: int
    max_attempts: int


class AttemptCount(NamedTuple):
    """The number of a request's attempt, from 1. `forgotten`: counts of its session had been dropped when the first
    attempt was counted, so that this may be a later one."""

    number: int
    forgotten: bool


class Admission(NamedTuple):
    """What a request gets of the quotas of its session. `give_back`: to be called once, when its reply has ended; None
    if it holds nothing until then."""

    standing: Standing
    give_back: Callable[[], None] | None


class Attempted(NamedTuple):
    """What an attempt gets of the quotas of its session; it is counted if they allow it. `admission`: None if it is not
    known what the attempt with this number demands; then nothing has changed."""

    attempt: AttemptCount
    admission: Admission | None


Demands = Callable[[int], Sequence[Demand] | None]
"""What the attempt with this number demands of quotas; None if that is not known."""


class Session(Protocol[Content]):
    """One session: its content, its journal, what APIs keep of its replies, its counts of attempts, and its quotas."""

    content: Content
    journal: Journal
    store: SessionStore

    def count(self, *key: Hashable) -> AttemptCount | Awaitable[AttemptCount]:
        """Counts one more attempt under these values, perhaps in another process. Raises RequestError if the
        session cannot be kept."""

    def counted(self, *key: Hashable) -> AttemptCount | Awaitable[AttemptCount]:
        """The last attempt that was counted under these values, number 0 if there was none."""

    def following(self, *key: Hashable) -> int | Awaitable[int]:
        """The number that the next attempt gets, as far as is known now."""

    def take(self, demands: Sequence[Demand]) -> Admission | Awaitable[Admission]:
        """Takes what a request demands of the quotas of the session, if it fits into all of them, in one step."""

    def count_within(
        self, key: tuple[Hashable, ...], demands: Demands, until: Callable[[int], float]
    ) -> Attempted | Awaitable[Attempted]:
        """Takes what the next attempt under these values demands, and counts it if that fits, in one step. `until`: the
        last of the attempts from this one on that demand the same."""

    def advance(self, milliseconds: int) -> int | Awaitable[int]:
        """Lets so much time pass for the quotas; returns how much has passed in all. Raises RequestError if the session
        cannot be kept."""

    @property
    def own(self) -> bool:
        """Whether its own content was loaded into it."""

    def reply(self) -> AbstractContextManager[None]:
        """Within this block, a reply is being made or sent, so the session is not idle."""


class State(Protocol[Content]):
    """The sessions of a server, by name; the name of the one at the root is empty."""

    def find(self, name: str) -> Session[Content] | None:
        """The session with this name, or None."""

    def open(self, name: str, content: Content) -> Session[Content]:
        """The session with this name; if there is none, a new one with this content, which it shares with others.

        Raises RequestError, status 503, if there are too many and none can be dropped.
        """

    def load(self, name: str, content: Content) -> Session[Content]:
        """A new session with its own content; replaces the one with this name. Raises RequestError as `open` does."""

    def change(self, name: str, content: Content) -> Session[Content]:
        """The session with this name, with content of its own in place of what it had; its journal, its store and its
        counts stay. A session that does not exist is opened. Raises RequestError as `open` does."""

    def forget(self, name: str) -> None:
        """Ends a session: the next request to it starts a new one in the initial state."""

    def sessions(self) -> Mapping[str, Session[Content]]:
        """All current sessions, by name."""

    def held(self) -> Mapping[str, tuple[int, int]]:
        """How much is kept of what has a bound, and the bound, by the name of its limit."""


class _Tally:
    """Identifies a session in the keys of counts, without keeping its journal alive."""

    def __init__(self, forgotten: bool) -> None:
        self.forgotten = forgotten


class _Counts:
    """Counts of attempts, at most `most`: the least recently used is dropped, and its session is marked."""

    def __init__(self, most: int) -> None:
        self._numbers: Recent[int] = Recent(most)
        """The number of the last attempt, by tally and key; negative if counts had been dropped before the first."""

    def add(self, tally: _Tally, key: tuple[Hashable, ...]) -> AttemptCount:
        """Counts one more attempt."""
        last, forgotten = self.find(tally, key)
        number = last + 1
        dropped = self._numbers.set((tally, *key), -number if forgotten else number)
        if isinstance(dropped, _Tally):
            dropped.forgotten = True
        return AttemptCount(number, forgotten)

    def __len__(self) -> int:
        return len(self._numbers)

    def find(self, tally: _Tally, key: tuple[Hashable, ...]) -> AttemptCount:
        """The last attempt that was counted, number 0 if there was none."""
        last = self._numbers.get((tally, *key))
        return AttemptCount(abs(last or 0), tally.forgotten if last is None else last < 0)

    def end(self, tally: _Tally) -> None:
        """A session has ended."""
        self._numbers.end(tally)


class MemorySession(Generic[Content]):
    """A session in this process."""

    def __init__(
        self,
        content: Content,
        own: bool,
        shelf: Shelf,
        stores: StoreShelf,
        counts: _Counts,
        forgotten: bool,
        quotas: Quotas,
        time: Time,
    ) -> None:
        self.content, self.own = content, own
        self.journal = Journal(shelf)
        self.store = SessionStore(stores)
        self.replies = 0
        self._counts = counts
        self._tally = _Tally(forgotten)
        self._quotas = quotas
        self._time = time
        self._advanced = 0

    def count(self, *key: Hashable) -> AttemptCount:
        return self._counts.add(self._tally, key)

    def counted(self, *key: Hashable) -> AttemptCount:
        return self._counts.find(self._tally, key)

    def following(self, *key: Hashable) -> int:
        return self.counted(*key).number + 1

    def take(self, demands: Sequence[Demand]) -> Admission:
        now = self._time() + self._advanced
        standing = Standing(self._quotas.take(self._tally, demands, now), now)
        held = [each for each in demands if not each.period] if standing.allowed else []
        # What gives it back keeps no session alive.
        return Admission(standing, partial(self._quotas.give_back, self._tally, held) if held else None)

    def count_within(self, key: tuple[Hashable, ...], demands: Demands, until: Callable[[int], float]) -> Attempted:
        last, forgotten = self.counted(*key)
        count = AttemptCount(last + 1, forgotten)
        found = demands(count.number)
        if found is None:
            return Attempted(count, None)
        admission = self.take(found)
        if admission.standing.allowed:
            self.count(*key)
        return Attempted(count, admission)

    def advance(self, milliseconds: int) -> int:
        self._advanced += milliseconds
        self.journal.advanced = self._advanced / 1_000
        return self._advanced

    def end(self) -> None:
        """Drops what is kept of it."""
        self.journal.close()
        self.store.clear()
        self._counts.end(self._tally)
        self._quotas.end(self._tally)

    @contextmanager
    def reply(self) -> Iterator[None]:
        self.replies += 1
        try:
            yield
        finally:
            self.replies -= 1


class MemoryState(Generic[Content]):
    """The state of a server in this process, within `limits`. `time`: that of quotas. `kind`: of its sessions."""

    kind: type[MemorySession[Any]] = MemorySession

    def __init__(self, limits: Limits, time: Time = still) -> None:
        self._limits = limits
        self._sessions: OrderedDict[str, MemorySession[Content]] = OrderedDict()  # the least recently used first
        self._shelf = Shelf(limits.journal_bytes)
        self._stores = StoreShelf(limits.stored_bytes)
        self._counts = _Counts(limits.max_attempts)
        self._quotas = Quotas()
        self._time = time
        self._evicted = False

    def find(self, name: str) -> MemorySession[Content] | None:
        return self._sessions.get(name)

    def open(self, name: str, content: Content) -> MemorySession[Content]:
        found = self._sessions.get(name)
        if found is None:
            return self._add(name, content, own=False)
        self._sessions.move_to_end(name)
        return found

    def load(self, name: str, content: Content) -> MemorySession[Content]:
        self.forget(name)
        return self._add(name, content, own=True)

    def change(self, name: str, content: Content) -> MemorySession[Content]:
        found = self._sessions.get(name)
        if found is None:
            return self._add(name, content, own=True)
        self._sessions.move_to_end(name)
        found.content, found.own = content, True
        return found

    def forget(self, name: str) -> None:
        if session := self._sessions.pop(name, None):
            session.end()

    def sessions(self) -> dict[str, MemorySession[Content]]:
        return dict(self._sessions)

    def held(self) -> dict[str, tuple[int, int]]:
        return {
            "journal_bytes": (self._shelf.size, self._limits.journal_bytes),
            "stored_bytes": (self._stores.size, self._limits.stored_bytes),
            "max_sessions": (len(self._sessions), self._limits.max_sessions),
            "max_attempts": (len(self._counts), self._limits.max_attempts),
        }

    def _add(self, name: str, content: Content, own: bool) -> MemorySession[Content]:
        if name in (".", ".."):
            message = f"A session cannot be called {name!r}, which a URL leaves out (RFC 3986, 5.2.4)."
            raise RequestError(400, message, "invalid_session")
        if len(self._sessions) >= self._limits.max_sessions:
            self._make_room()
        # A session that was dropped cannot be distinguished from a new one: its counts are gone.
        forgotten = self._evicted and not own
        session = self.kind(content, own, self._shelf, self._stores, self._counts, forgotten, self._quotas, self._time)
        self._sessions[name] = session
        return session

    def _make_room(self) -> None:
        for name, session in self._sessions.items():
            if name and not session.own and not session.replies:
                self.forget(name)
                self._evicted = True
                return
        message = (
            f"This server keeps {count(len(self._sessions), 'session')}, and none can make way: each is the "
            "one at the root, has a scenario of its own or has a reply under way. End a session with "
            "POST /s/<name>/_fakellm/reset when its test is over, or start the server with a higher --max-sessions "
            "(max_sessions in Python)."
        )
        raise RequestError(503, message, "too_many_sessions")
