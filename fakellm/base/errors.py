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
    """A request that is refused: its HTTP status and what the client is told.

    code: a word for programs, such as `invalid_value`.
    param: the path of the parameter at fault.
    headers: more headers of the response.
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


class ReplyError(FakellmError):
    """A rule's reply that cannot be made for this request: a template that it does not fill, a function that fails."""


class StreamError(FakellmError):
    """A stream, frame or body that does not say a completion: what is wrong with it, and where."""


class ServerError(FakellmError):
    """A fake server that could not be started or reached, or could not do as its handle was told."""
