"""What a recording needs beside its meaning: frames sent word for word. Owns the edits of a plan's frames, both ways.

Knows no events: a frame is whatever leaves together.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Annotated

from msgspec import Meta, Struct

from fakellm.base.validation import FieldError
from fakellm.wire.plan import Frame

Count = Annotated[int, Meta(ge=0)]


class Raw(Struct, frozen=True, forbid_unknown_fields=True):
    """A frame that is no UTF-8, in base64."""

    base64: str

    def __post_init__(self) -> None:
        try:
            b64decode(self.base64, validate=True)
        except ValueError as error:
            raise FieldError(("base64",), f"this is no base64: {error}") from None


class Edit(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Frames word for word: before the frame `at` this number, counted from 0, or in place of it and those after it
    that are dropped."""

    at: Count
    drop: Count = 0
    frames: tuple[str | Raw, ...] = ()


def patched(frames: Sequence[Frame], edits: Sequence[Edit]) -> tuple[Frame, ...]:
    """The frames with the edits made; the numbers are those before any of them. A frame in place of another is due when
    that would be; a further one at once."""
    result = list(frames)
    for edit in sorted(edits, key=lambda edit: edit.at)[::-1]:  # from the end, so that no number moves
        dropped = result[edit.at : edit.at + edit.drop]
        delays = [frame.delay for frame in dropped] + [0.0] * len(edit.frames)
        result[edit.at : edit.at + edit.drop] = [
            Frame(_data(said), delay) for said, delay in zip(edit.frames, delays, strict=False)
        ]
    return tuple(result)


def edits(made: Sequence[bytes], wanted: Sequence[bytes]) -> tuple[Edit, ...]:
    """The fewest edits that were found to make the wanted frames of those made; none where they are the same."""
    changes = SequenceMatcher(None, made, wanted, autojunk=False).get_opcodes()
    return tuple(
        Edit(start, end - start, tuple(map(_said, wanted[first:last])))
        for tag, start, end, first, last in changes
        if tag != "equal"
    )


def _said(data: bytes) -> str | Raw:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return Raw(b64encode(data).decode("ascii"))


def _data(said: str | Raw) -> bytes:
    return b64decode(said.base64) if isinstance(said, Raw) else said.encode("utf-8", "surrogatepass")
