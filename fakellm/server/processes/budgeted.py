"""Does work for a request in another process, and refuses the request if the work exceeds the budget.

Knows nothing about the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fakellm.base.budget import exceeded
from fakellm.base.errors import RequestError
from fakellm.server.processes.workers import WorkEndedError, Worker, in_worker

T = TypeVar("T")


async def budgeted(work: Callable[[Worker], T], time_limit: str = "work_seconds") -> T:
    """What `work` returns or raises, called as by `in_worker`. `time_limit`: the name of the limit that its calls have.

    Raises RequestError if a call takes longer or needs more memory than the budget allows, or if the process is killed.
    """
    try:
        return await in_worker(work)
    except WorkEndedError as ended:
        raise (_killed() if ended.in_time else exceeded(time_limit)) from None
    except MemoryError:
        raise exceeded("work_bytes") from None


def _killed() -> RequestError:
    message = "The process that did the work for this request was killed. Its memory may have been exhausted."
    return RequestError(500, message, "work_killed")
