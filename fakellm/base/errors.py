"""The exceptions that fakellm raises. It knows no files, sockets or providers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class FakellmError(Exception):
    """The base class of every exception of this package."""


class ScenarioError(FakellmError):
    """A scenario that cannot be used.

    `problems` holds one line for each problem, in the order of the file, with its place (``file:line:column``), the
    value, what is allowed and the nearest valid name.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class CassetteError(FakellmError):
    """A recording that cannot be read or written.

    `problems` holds one line for each problem: the file and the place in it (``file:line:column``, or the number of the
    interaction, from 0, and the key), the value, and the remedy.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class RequestError(FakellmError):
    """A request that is refused: the status and the fields of OpenAI's error body.

    https://platform.openai.com/docs/guides/error-codes
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = headers or {}

    @property
    def type(self) -> str:
        """OpenAI's `error.type` for this status; SDKs and gateways map on it."""
        return "invalid_request_error" if self.status < 500 else "server_error"


class ReplyError(FakellmError):
    """A reply that cannot be made for this request: a gap that the request does not fill, a function that fails."""


class StreamError(FakellmError):
    """A stream, frame or body that is not a completion: what is wrong with it, and where."""


class ServerError(FakellmError):
    """A fake server that could not be started or reached, or could not do what its handle requested."""
