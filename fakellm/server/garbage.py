"""Decides when Python's garbage collector runs: not while very many objects are made, for it stops all threads then;
and in a process that only serves, so often that it never takes long.

It owns no objects.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

_lock = threading.Lock()
_pauses: list[bool] = []
"""For each pause under way, whether the collector was enabled before the first one."""
_server_only: list[bool] = []

_THRESHOLDS = 7_000, 4, 3
"""When the collector runs by itself in a process that only serves. Python's own, 700, 10, 10, suit fewer objects."""

_REPLIES = 16
"""After so many replies that are sent over time, the objects made since the last time are looked at, in about a
millisecond, and then exempt. By itself the collector would run when there are 7,000 objects more: hardly ever while as
many streams end as start, so that it then has to look at all objects of all streams, 50 ms for 2,000 of them. Replies
that are sent at once leave few objects."""

_CONNECTIONS = 16_384
"""After so many connections have ended, all objects are looked at: asyncio leaves some of each in cycles, 7 in all."""

_ALL = 2**17
"""After so many replies that are sent over time, all objects are looked at, too."""

_replies = count(1)
_ended = [0]
"""How many connections have ended since all objects were looked at."""


def server_only() -> None:
    """Declares that this process does nothing but serve."""
    _server_only[:] = [True]
    gc.set_threshold(*_THRESHOLDS)


def reply_began() -> None:
    """Must be called for each reply that is sent over time. Now and then, if the process only serves, it runs the
    collector."""
    number = next(_replies)
    if number % _REPLIES or not _server_only or _pauses:
        return
    if _ended[0] < _CONNECTIONS and number % _ALL:
        gc.collect(0)
    else:
        _ended[0] = 0
        gc.unfreeze()
        gc.collect()
    gc.freeze()


def connection_ended() -> None:
    """Must be called for each connection that has ended."""
    _ended[0] += 1


@contextmanager
def paused() -> Iterator[None]:
    """Within this block, the garbage collector does not run by itself.

    If the process only serves, the objects that exist at the end of the block are exempt from collection: a scenario of
    10,000 rules has hundreds of thousands, none of which is in a cycle.
    """
    with _lock:
        _pauses.append(_pauses[0] if _pauses else gc.isenabled())
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            if _server_only:
                gc.freeze()
            enabled = _pauses.pop()
            if not _pauses and enabled:
                gc.enable()
