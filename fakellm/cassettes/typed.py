"""What a file holds against the typed values of its format. Owns how a problem in a recording is told.

Knows no format: a value that does not fit is a CassetteError with the place of each thing wrong.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from fakellm.errors import CassetteError
from fakellm.shape import Path, dotted, problems

T = TypeVar("T")


def typed(data: Any, hint: type[T], place: str, path: Path = ()) -> T:
    """The data as a `hint`. Raises CassetteError with everything that keeps it from being one, each at `place`."""
    try:
        return msgspec.convert(data, hint)
    except msgspec.ValidationError:
        found = [(dotted(problem.path), problem.message) for problem in problems(data, hint, path)]
        lines = [f"{place}: {where}: {message}" if where else f"{place}: {message}" for where, message in found]
        raise CassetteError(lines) from None


def json_value(data: bytes, place: str) -> Any:
    """The JSON text as builtin values. Raises CassetteError at `place` where it is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CassetteError([f"{place}: {error}"]) from None
