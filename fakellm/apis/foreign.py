"""How APIs that fakellm does not have refuse a request, so that their clients can read why. Knows no URL.

Cohere: https://docs.cohere.com/reference/errors, and as recorded from `/v2/chat`. Bedrock: as recorded; botocore reads
the name of the error from `x-amzn-ErrorType`.
"""

from __future__ import annotations

from collections.abc import Sequence

from fakellm.base.errors import RequestError
from fakellm.base.json_text import dumps
from fakellm.base.seed import Source
from fakellm.wire.plan import Frame, Plan

_ORIGIN = (("access-control-allow-origin", "*"), ("access-control-expose-headers", "*"))


class Cohere:
    """Refusals in Cohere's shape."""

    def refusal(self, error: RequestError, url: str = "") -> Plan:
        """The response: `{"id", "message"}`."""
        body = dumps({"id": Source(0, "cohere", error.message).uuid(), "message": error.message})
        return _plan(error, body)

    def headers(
        self, seed: int, requested: str, status: int | None, dialect: str | None = None
    ) -> Sequence[tuple[str, str]]:
        """The headers of every response."""
        return (("x-debug-trace-id", Source(seed, "cohere headers", requested).uuid().replace("-", "")), *_ORIGIN)


class Bedrock:
    """Refusals in the shape of AWS's Bedrock."""

    def refusal(self, error: RequestError, url: str = "") -> Plan:
        """The response: `{"message"}`, with the name of the error in a header."""
        name = _ERRORS.get(error.status, "ValidationException")
        plan = _plan(error, dumps({"message": error.message}))
        source = "http://internal.amazon.com/coral/com.amazon.bedrock/"
        return Plan(plan.status, (*plan.headers, ("x-amzn-ErrorType", f"{name}:{source}")), plan.frames)

    def headers(
        self, seed: int, requested: str, status: int | None, dialect: str | None = None
    ) -> Sequence[tuple[str, str]]:
        """The headers of every response."""
        return (("x-amzn-RequestId", Source(seed, "bedrock headers", requested).uuid()), *_ORIGIN)


_ERRORS = {401: "UnrecognizedClientException", 404: "UnknownOperationException", 405: "UnknownOperationException"}

COHERE, BEDROCK = Cohere(), Bedrock()


def _plan(error: RequestError, body: str) -> Plan:
    return Plan(error.status, (("Content-Type", "application/json"), *error.headers.items()), (Frame(body.encode()),))
