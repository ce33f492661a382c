"""Edits of a plan's frames: literal frames for recorded bytes that no rule produces.

It applies edits, and finds those between two lists of frames. It knows no events: a frame is what leaves together.
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
    """A frame that is not UTF-8, in base64."""

    base64: str

    def __post_init__(self) -> None:
        try:
            b64decode(self.base64, validate=True)
        except ValueError as error:
            raise FieldError(("base64",), f"this is not valid base64: {error}") from None


class Edit(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Literal frames, sent before the frame with the number `at`, counted from 0. `drop`: how many frames from that one
    on they replace.
    """

    at: Count
    drop: Count = 0
    frames: tuple[str | Raw, ...] = ()


def patched(frames: Sequence[Frame], edits: Sequence[Edit]) -> tuple[Frame, ...]:
    """The frames after all edits; `at` counts the frames before any edit. A replacement has the delay of the frame
    that it replaces; further frames have none."""
    result = list(frames)
    for edit in sorted(edits, key=lambda edit: edit.at)[::-1]:  # from the end, so that the numbers stay valid
        dropped = result[edit.at : edit.at + edit.drop]
        delays = [frame.delay for frame in dropped] + [0.0] * len(edit.frames)
        result[edit.at : edit.at + edit.drop] = [
            Frame(_data(frame), delay) for frame, delay in zip(edit.frames, delays, strict=False)
        ]
    return tuple(result)


def edits(rendered: Sequence[bytes], recorded: Sequence[bytes]) -> tuple[Edit, ...]:
    """Edits that turn the rendered frames into the recorded ones, as few as were found; none if they are equal."""
    changes = SequenceMatcher(None, rendered, recorded, autojunk=False).get_opcodes()
    return tuple(
        Edit(start, end - start, tuple(map(_literal, recorded[first:last])))
        for tag, start, end, first, last in changes
        if tag != "equal"
    )


def _literal(data: bytes) -> str | Raw:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return Raw(b64encode(data).decode("ascii"))


def _data(literal: str | Raw) -> bytes:
    return b64decode(literal.base64) if isinstance(literal, Raw) else literal.encode("utf-8", "surrogatepass")
