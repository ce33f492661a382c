"""The exceptions a caller may meet. Owns their text; knows nothing of files, sockets or providers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class FakellmError(Exception):
    """What every exception of this package is."""


class ScenarioError(FakellmError):
    """A scenario that cannot be used.

    `problems` holds one line for each thing wrong, in the order of the file, each with its place
    (``file:line:column``), what was found, what is allowed and the near miss.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class CassetteError(FakellmError):
    """A recording that cannot be read or written.

    `problems` holds one line for each thing wrong: the file and the place in it (``file:line:column``, or the number of
    the interaction, from 0, and the key), what was found, and the remedy.
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
    """A rule's reply that cannot be made for this request: a template that it does not fill, a function that fails."""


class StreamError(FakellmError):
    """A stream, frame or body that does not say a completion: what is wrong with it, and where."""


class ServerError(FakellmError):
    """A fake server that could not be started or reached, or could not do as its handle was told."""
