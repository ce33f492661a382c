"""What the fuzzer needs of a client, whichever way it runs. Owns the protocol; knows neither processes nor threads."""

from __future__ import annotations

from typing import Any, Protocol

from fakellm.base.errors import FakellmError
from fakellm.fuzzing.clients.result import NoResult, Result


class CannotRunError(FakellmError):
    """The client cannot be tested: its command cannot be started, or it fails on a plain stream."""


class PlainStreamError(CannotRunError):
    """The client fails on a plain stream."""


class ClientUnderTest(Protocol):
    """A client that sends one request at a time. It starts when it is first asked, and again after `close`."""

    def ask(self, base_url: str, request: dict[str, Any]) -> Result | NoResult:
        """Sends the request, the body of a chat completion; returns what the client returned, or how it failed."""
        ...

    def close(self) -> None: ...
