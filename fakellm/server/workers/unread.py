"""The replies of a worker that the owner has not read. Owns their bounds; the owner fetches them when a journal is
read.

Sending each as it is made would cost more than all else that a worker reports of a request.
"""

from __future__ import annotations

from collections import OrderedDict

from msgspec.structs import replace

from fakellm.engine.entry import MOST_REPLY
from fakellm.engine.journal import MOST_ENTRIES, MOST_PACED
from fakellm.engine.response import Response
from fakellm.wire.on_demand import OnDemand


class Unread:
    """The last replies, by the numbers of their entries, of at most so many bytes. Equal requests share one."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._replies: OrderedDict[int, Response] = OrderedDict()
        self._shared: dict[int, int] = {}
        """How many of them are the same one, by its identity."""
        self._size = 0
        self._paced: OrderedDict[int, None] = OrderedDict()
        """The numbers of those that are sent over time: see `MOST_PACED`."""

    def add(self, number: int, response: Response) -> bool:
        """Keeps a reply. Whether that is possible: one that is too long is not kept."""
        self.discard(number)
        key, size = id(response), response.size
        if size > MOST_REPLY:
            return False
        self._replies[number] = response
        self._shared[key] = self._shared.get(key, 0) + 1
        if self._shared[key] == 1:
            self._size += size
        if isinstance(response.bursts, OnDemand):
            self._paced[number] = None
            if len(self._paced) > MOST_PACED:
                self.discard(next(iter(self._paced)))
        while self._size > self._most_bytes or len(self._replies) > MOST_ENTRIES:
            self.discard(next(iter(self._replies)))
        return number in self._replies

    def __contains__(self, number: int) -> bool:
        return number in self._replies

    def discard(self, number: int) -> None:
        """Forgets the reply with this number, if there is one."""
        self._paced.pop(number, None)
        response = self._replies.pop(number, None)
        if response is not None:
            key = id(response)
            self._shared[key] -= 1
            if not self._shared[key]:
                del self._shared[key]
                self._size -= response.size

    def take(self, most_bytes: float, paced: bool = True) -> list[tuple[int, Response]]:
        """The newest replies, of about so many bytes, by number; they are forgotten here. `paced`: also those that are
        sent over time, which have to be rendered again for this."""
        found, size = [], 0
        for number, response in reversed(self._replies.items()):
            if size > most_bytes:
                break
            if paced or number not in self._paced:
                size += response.size
                found.append((number, replace(response, ended=None)))  # only its worker knows when it ends
        for number, _ in found:
            self.discard(number)
        return found
