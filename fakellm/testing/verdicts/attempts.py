"""Reads from journal entries which requests were the same one, sent again. Owns what counts as failed.

A request is one of a chain if an equal one failed before it came, and no other has followed that one. The body is
compared without `stream`, and the model of the URL with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from msgspec import Struct

from fakellm.apis.openai.urls import DEPLOYED, with_model
from fakellm.apis.route import api_named
from fakellm.base.errors import RequestError
from fakellm.engine.entry import Entry, SentReply
from fakellm.model.request import Request, digest
from fakellm.server.request_target import request_target

_EITHER = (409, 425)
"""Statuses after which a request may be sent again or not: a conflict, too early."""

_AGAIN = (408, 429)
_NEVER = (501, 505)
"""Not implemented, HTTP version not supported."""

_LATE = 0.02
"""Seconds by which the end of a reply may be recorded too late: the client may have all of it before."""

_KEY_REFUSED = (401, 403)
_KEY_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")

_QUOTA = frozenset(
    """
    insufficient_quota billing_hard_limit_reached credit_balance_exhausted organization_spend_limit_exceeded
    project_spend_limit_exceeded organization_usage_limit_exceeded enforced_spend_limit_reached billing_error
    """.split()
)
"""Codes and types of errors that stay until somebody pays."""


class ClientRequest(Struct, frozen=True, dict=True):
    """One request to a model, with what its entry has about it."""

    entry: Entry

    @property
    def number(self) -> int:
        return self.entry.number

    @property
    def started(self) -> float:
        return self.entry.started or 0.0

    @property
    def ended(self) -> float | None:
        """None while the reply is under way."""
        return self.entry.ended

    def is_before(self, later: ClientRequest) -> bool:
        """Whether the reply had ended when another request came. Of a short reply, at most half of its time counts as
        recorded late, or requests that were sent together would be one after the other."""
        if self.ended is None:
            return False
        return self.ended - min(_LATE, (self.ended - self.started) / 2) <= later.started

    @property
    def reply(self) -> SentReply:
        return self.entry.reply

    def header(self, name: str) -> str:
        """A header of the reply; empty if it has none."""
        return self.reply.headers.get(name, "").strip()

    @cached_property
    def request(self) -> Request | None:
        """The request in terms that all APIs share; None if it is not valid."""
        target = request_target(self.entry.path).of_client(self.entry.headers)
        body = (self.entry.body or "").encode("utf-8", "surrogatepass")
        if target.model is not None and target.route.api in DEPLOYED:
            body = with_model(body, target.model)
        try:
            return api_named(self.entry.api or "chat").parse(body, self.entry.headers, target.url)
        except RequestError:
            return None

    @cached_property
    def key(self) -> tuple[str | None, str]:
        """Equal for the same request."""
        body, target = self.entry.request, request_target(self.entry.path)
        return self.entry.api, digest(body if isinstance(body, dict) else {"": body}, target.model or "")

    @cached_property
    def refused(self) -> bool:
        """Whether it got an error, or no reply at all."""
        status = self.entry.status
        return status is None or status >= 400

    @cached_property
    def broken(self) -> bool:
        """Whether a reply began, and not all of it was sent."""
        if self.reply.kept:
            return not self.refused and not self.reply.whole
        return not self.refused and self.entry.outcome not in ("sent", "sending")

    @property
    def cancelled(self) -> bool:
        """Whether the client itself ended the reply, be it before an error that was delayed."""
        unseen = self.refused and self.entry.status is not None and self.entry.frames_sent == 0
        return self.entry.outcome == "client left" and (self.entry.fault is None or unseen)

    def has_new_key(self, refused: ClientRequest) -> bool:
        """Whether a request comes with another key than one whose key was refused. The journal shows the first and the
        last characters of keys: those tell keys apart."""
        if refused.entry.status not in _KEY_REFUSED:
            return False
        return any(self.entry.headers.get(name) != refused.entry.headers.get(name) for name in _KEY_HEADERS)

    @property
    def lost(self) -> bool:
        """Whether the connection ended before a reply began."""
        return self.entry.status is None

    @cached_property
    def no_quota(self) -> bool:
        """Whether the account has no quota left."""
        error = self.reply.error
        return isinstance(error, dict) and any(error.get(key) in _QUOTA for key in ("code", "type"))

    @cached_property
    def again(self) -> bool | None:
        """Whether the request is to be sent again; None if it may be or not."""
        status, stated = self.entry.status, self.header("x-should-retry").lower()
        if stated in ("true", "false"):
            return stated == "true"
        if status is None:
            return True
        if status < 400 or status in _EITHER:
            return None
        return not self.no_quota and (status in _AGAIN or (status >= 500 and status not in _NEVER))

    @cached_property
    def due(self) -> float | None:
        """For how many seconds it is to wait; None if the reply does not state that in seconds."""
        for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
            try:
                seconds = float(self.header(name)) * unit
            except ValueError:
                continue
            if 0 <= seconds < float("inf"):
                return seconds
        return None

    def shown(self) -> str:
        """What it got, for a message."""
        wait = f" and a Retry-After of {self.due:g} s" if self.due is not None else ""
        if self.lost:
            return "got no reply"
        return f"got status {self.entry.status}{wait}" if self.refused else "got a reply that broke off"


Chain = Sequence[ClientRequest]
"""The attempts of one request, in order. All but the last have failed."""


def attempts_of(entries: Iterable[Entry]) -> list[ClientRequest]:
    """The requests to models, in order."""
    return [ClientRequest(entry) for entry in entries if entry.api is not None]


def chains_of(attempts: Iterable[ClientRequest]) -> Sequence[Chain]:
    """The attempts by request."""
    chains: list[list[ClientRequest]] = []
    failed: dict[Any, list[list[ClientRequest]]] = {}
    for attempt in attempts:
        waiting = failed.setdefault(attempt.key, [])
        chain = next((each for each in waiting if each[-1].is_before(attempt)), None)
        if chain is None:
            chain = []
            chains.append(chain)
        else:
            waiting.remove(chain)
        chain.append(attempt)
        if attempt.refused or attempt.broken:
            waiting.append(chain)
    return chains
