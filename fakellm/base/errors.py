"""The exceptions that fakellm raises. It knows no files, sockets or providers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_PROBLEMS = 100
"""Problems that one error names."""


class FakellmError(Exception):
    """The base class of every exception of this package."""


class ScenarioError(FakellmError):
    """A scenario that cannot be used.

    `problems` holds one line for each problem, in the order of the file, with its place (``file:line:column``), the
    value, what is allowed and the nearest valid name; after 100, one line with how many more there are.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = _first(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


class CassetteError(FakellmError):
    """A recording that cannot be read or written.

    `problems` holds one line for each problem: the file and the place in it (``file:line:column``, or the number of the
    interaction, from 0, and the key), the value, and the remedy; there are at most as many as in a ScenarioError.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = _first(problems)
        super().__init__("\n".join(self.problems))


class RequestError(FakellmError):
    """A request that is refused: its HTTP status, and the contents of the error that the client gets.

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

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.status, self.message, self.code, self.param, self.headers)


class ReplyError(FakellmError):
    """A reply that cannot be made for a request: the request lacks the value of a placeholder, or a function fails."""


class StreamError(FakellmError):
    """A stream, frame or body that is not a completion: what is wrong with it, and where."""


class ServerError(FakellmError):
    """A fake server that could not be started or reached, or could not do what its handle requested."""


def _first(problems: Sequence[str]) -> tuple[str, ...]:
    """The first problems, and how many more there are."""
    if len(problems) <= MOST_PROBLEMS + 1:  # a line that says "1 more" takes as much room as that one
        return tuple(problems)
    return *problems[:MOST_PROBLEMS], f"and {len(problems) - MOST_PROBLEMS:,} more problems"
