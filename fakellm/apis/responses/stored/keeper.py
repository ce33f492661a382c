"""What the Responses API keeps of its replies: implements `Keeper` of `fakellm.apis.protocol`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fakellm.apis.operation import OperationRequest, Store
from fakellm.apis.responses.stored import keeping, routes
from fakellm.apis.responses.stored.store import KeptResponses
from fakellm.model.request import Request
from fakellm.wire.plan import Plan


class ResponsesKeeper:
    """Responses that can be retrieved, polled and continued, and conversations."""

    operations: Mapping[str, Collection[str]] = {route: tuple(methods) for route, methods in routes.STORED.items()}

    def empty(self, most_bytes: int) -> KeptResponses:
        return KeptResponses(most_bytes)

    def refers(self, body: bytes) -> bool:
        return any(key in body for key in keeping.REFERRING)

    def part(self, kept: KeptResponses, body: bytes) -> KeptResponses:
        return keeping.part(kept, body)

    def deferred(self, body: bytes) -> bool:
        return b'"background"' in body

    def continued(self, request: Request, kept: KeptResponses) -> Request:
        return keeping.continued(request, kept)

    def with_reply(self, kept: KeptResponses, request: Request, sent: bytes) -> KeptResponses:
        return keeping.with_reply(kept, request, sent)

    def at_once(self, request: Request, kept: KeptResponses, sent: bytes) -> bytes:
        return keeping.at_once(request, kept, sent)

    def operate(self, store: Store, request: OperationRequest, method: str) -> Plan:
        return routes.answered(store, request, method)


KEEPER = ResponsesKeeper()
