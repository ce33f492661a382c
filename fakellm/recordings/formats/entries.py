"""Reads the entries of a recording one by one, so that a damaged one does not discard the others. Knows no format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Cassette, Interaction
from fakellm.recordings.content_codings import UnreadableError
from fakellm.recordings.formats.notes import note
from fakellm.recordings.formats.typed_values import typed

T = TypeVar("T")


def read_entries(
    name: str, values: Sequence[Any], hint: type[T], place: str, make: Callable[[T, str], Interaction]
) -> Cassette:
    """The recording with the interactions of these values, which are entries of a type; `place` is that of their list.

    A damaged entry is left out, with a note, and the others keep their numbers. Raises CassetteError if all are
    damaged, or at once for a file that must not be read further.
    """
    found: dict[int, Interaction] = {}
    damaged: dict[int, str] = {}
    problems: list[str] = []
    for number, value in enumerate(values, 1):
        at = f"{place}[{number - 1}]"
        try:
            found[number] = make(typed(value, hint, at), at)
        except UnreadableError:
            raise
        except CassetteError as error:
            problems += error.problems
            damaged[number] = "; ".join(problem.removeprefix(f"{name}: ") for problem in error.problems)
    if problems and not found:
        raise CassetteError(problems)
    for problem in problems:
        note(f"{problem}: this interaction is left out")
    return Cassette(name, tuple(found.values()), numbers=tuple(found) if damaged else (), damaged=damaged)
