"""Operations of an API beside its replies: on the request alone, and on replies that it keeps. Owns their protocols."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from fakellm.apis.target import Target
from fakellm.model.request import Request
from fakellm.wire.plan import Plan


class OperationRequest(Struct, frozen=True):
    """A request for an operation that returns no reply of a model.

    target: what its path stands for, with the model or id in it.
    url: the path and the query.
    headers: all of them, as they were sent.
    models: the models that the scenario names.
    answers: whether a request for a model could be answered.
    """

    target: Target
    url: str
    body: bytes
    headers: Mapping[str, str]
    seed: int
    models: Sequence[str]
    answers: Callable[[str], bool]


Operation = Callable[[OperationRequest], Plan]
"""The response to a request for an operation: a pure function. Raises RequestError."""


class Store(Protocol):
    """What a session keeps for an API, as one value, which is replaced as a whole."""

    def read(self) -> Any:
        """What is kept now."""
        ...

    def write(self, before: Any, after: Any) -> bool:
        """Keeps `after` if `before` is still what is kept; if not, the caller has to start again from what is."""
        ...


class Keeper(Protocol):
    """How an API keeps its replies, so that clients can retrieve and continue them. What is kept is a value with a
    `size` in bytes; all functions are pure."""

    @property
    def operations(self) -> Mapping[str, Collection[str]]:
        """The methods of each route of what is kept."""
        ...

    def empty(self, most_bytes: int) -> Any:
        """Nothing kept, of which there will never be more than this."""
        ...

    def refers(self, body: bytes) -> bool:
        """Whether a request may continue something that is kept."""
        ...

    def part(self, kept: Any, body: bytes) -> Any:
        """Of what is kept, at least all that a request with this body may continue."""
        ...

    def deferred(self, body: bytes) -> bool:
        """Whether the client may get something else at once than the reply: see `at_once`."""
        ...

    def continued(self, request: Request, kept: Any) -> Request:
        """The request with all that it continues. Raises RequestError if that is not kept."""
        ...

    def with_reply(self, kept: Any, request: Request, sent: bytes) -> Any:
        """What is kept after a reply to this request, whose body is `sent`."""
        ...

    def at_once(self, request: Request, kept: Any, sent: bytes) -> bytes:
        """The body that the client gets now, in place of `sent`: of a reply in the background, that it is queued."""
        ...

    def operate(self, store: Store, request: OperationRequest, method: str) -> Plan:
        """The response to a request for one of `operations`. Raises RequestError."""
        ...
