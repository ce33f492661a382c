"""The stepped replies that a worker sends, which steps at the owner release. `stepping` decides whose turn it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fakellm.server.stepping import Stepped, Steps
from fakellm.server.workers.channel import Channel
from fakellm.wire.plan import Plan


class WorkerSteps(Steps):
    """The stepped replies of a worker. The owner finds them, and sends how many frames are released."""

    def __init__(self, owner: Channel) -> None:
        super().__init__()
        self._owner = owner
        self._sent: dict[int, Stepped] = {}

    @contextmanager
    def reply(self, session: str, number: int, plan: Plan) -> Iterator[Stepped]:
        with super().reply(session, number, plan) as reply:
            self._sent[number] = reply
            reply.on_change = lambda: self._owner.notify("step_sent", number)
            self._owner.notify("stepped", number, session, plan)
            try:
                yield reply
            finally:
                del self._sent[number]
                self._owner.notify("step_over", number)

    def released(self, number: int, frames: int) -> None:
        """So many frames of a reply may be sent, unless it has ended meanwhile."""
        if reply := self._sent.get(number):
            reply.released = max(reply.released, frames)
            self.notify()
