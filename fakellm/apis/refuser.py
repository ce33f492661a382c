"""What every response of an API has in common, refusals included: the part of its protocol that other APIs have too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fakellm.base.errors import RequestError
from fakellm.wire.plan import Plan


class Refuser(Protocol):
    """What every response of an API has in common, refusals included."""

    def refusal(self, error: RequestError, url: str = "") -> Plan:
        """The response to a request that fakellm refuses, whatever the dialect. `url`: see `Api.parse`."""
        ...

    def headers(
        self, seed: int, requested: str, status: int | None, dialect: str | None = None
    ) -> Sequence[tuple[str, str]]:
        """The headers that the API adds to a response with this status, or its provider in this dialect. They depend on
        the seed and on `requested`, which identifies the request."""
        ...
