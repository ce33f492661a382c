"""Keeps Python's garbage collector from running while very many objects are made: it stops all threads for long then.

It owns no objects. In a process that is only a server, what was made is not looked at again either.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_pauses: list[bool] = []
"""For each pause under way, whether the collector was enabled before the first one."""
_server_only: list[bool] = []

_THRESHOLDS = 7_000, 4, 3
"""When the collector runs in a process that only serves: with Python's own 700, 10, 10, it looks at the young objects
after every 700 that are made and not freed. 2,000 streams have 200,000 objects, and a few that start before others end
would make it look at all of them every few seconds, which takes 50 ms; there is garbage in cycles only after clients
have left early. Now it runs if there are 84,000 objects more."""


def server_only() -> None:
    """Declares that this process does nothing but serve."""
    _server_only[:] = [True]
    gc.set_threshold(*_THRESHOLDS)


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
