"""Gives freed memory back to the system while a server runs.

Replies, recent requests and what is made for one request only live for different times, and all are blocks of the C
library's heap. What is freed leaves gaps between blocks that stay, and new blocks rarely fit them exactly: the heap
grows for hundreds of thousands of requests, though no more of it is in use. glibc can return the pages within gaps.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress

EVERY = 1.0
"""Seconds between two times that memory is given back, which takes a fifth of a millisecond."""


def trim() -> None:
    """Gives back what can be given back: nothing if the C library is not glibc."""
    function = trimmer()
    if function is not None:
        function(0)


def trimmer() -> Callable[[int], int] | None:
    """glibc's function for this; None if the C library is another."""
    if sys.platform != "linux":
        return None
    import ctypes  # not needed at the start

    return getattr(ctypes.CDLL(None), "malloc_trim", None)


async def keep_small() -> None:
    """Gives memory back every second, if the process has worked since the last time, until it is cancelled."""
    before = 0.0
    while True:
        await asyncio.sleep(EVERY)
        worked = sum(os.times()[:2])  # CPU time in hundredths of a second, of which an idle process needs one a minute
        if worked != before:
            before = worked
            with suppress(OSError, RuntimeError):  # no file descriptor or thread is left; the next time there may be
                await asyncio.to_thread(trim)
