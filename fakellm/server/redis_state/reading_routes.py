"""Which control routes read journals, and what is done before they are called: all servers write what they have."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from fakellm.engine.response import Outcome, Response, Watch, Work
from fakellm.server.application import HttpRequest
from fakellm.server.listener import EndedResponse
from fakellm.server.live.feed import Watcher, Watching
from fakellm.server.offload import responded
from fakellm.server.one_request.routes import REQUESTS
from fakellm.server.one_request.rule_routes import RULES
from fakellm.server.redis_state.redis_state import RedisState

_ALL = "/_fakellm/sessions"
_JOURNAL = "/_fakellm/journal"
_ONE = frozenset((_ALL, _JOURNAL, "/_fakellm/unused", "/_fakellm/scripts", *REQUESTS, *RULES))
_PREVIEW = "/_fakellm/preview"


def reading(copies: RedisState, request: HttpRequest) -> Callable[[Callable[[], Outcome]], Work] | None:
    """What makes the work of a request that reads journals of its outcome; None for any other request."""
    target = request.target
    if target.operation not in _ONE and not (target.operation == _PREVIEW and "request" in target.parameters):
        return None
    waits = target.operation == _JOURNAL and b'"wait"' in request.body
    name = target.session

    async def run(outcome: Callable[[], Outcome]) -> Response:
        following: AbstractContextManager[None] = copies.journals.following(name) if waits else nullcontext()
        with following:  # from here on, nothing that is announced is missed
            await (copies.read_all() if target.operation == _ALL else copies.journals.read(name))
            found = outcome()
            assert isinstance(found, (Response, Work))
            return await responded(found)

    return lambda outcome: Work(partial(run, outcome), lambda result: result(), waits)


class SharedFeed:
    """Sends what happens on all servers to the clients of this one. `feed`: sends what the copies show."""

    def __init__(self, copies: RedisState, feed: Watching) -> None:
        self._copies = copies
        self._feed = feed

    async def serve(self, client: Watcher, watch: Watch) -> EndedResponse:
        with self._copies.journals.following(None):
            await self._copies.read_all()
            return await self._feed.serve(client, watch)

    def close(self) -> None:
        self._feed.close()
