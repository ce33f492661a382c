"""Finds a damaged frame of a recorded stream that a fault can send: the frame as it was meant, and the fault.

What a frame that breaks off was to contain cannot be known, so it stays literal. Knows no API.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from fakellm.faults import Fault, Glued, Malformed
from fakellm.importing.replies.broken_reply import Broken, is_readable
from fakellm.wire.kinds import Kind

_GLUE = re.compile(rb"\}(?=(?:data|event):)")
_END = re.compile(rb"[\r\n]*\Z")


def damaged(pieces: Sequence[bytes], literal: Iterable[int], kind: Kind) -> Broken | None:
    """The first of the literal frames that is damaged as a fault damages it; None if there is none."""
    for number in sorted(literal):
        if is_readable(pieces[number], kind):
            continue
        for fault, meant in _meant(pieces[number], number):
            if all(is_readable(each, kind) for each in meant):
                whole = (*pieces[:number], *meant, *pieces[number + 1 :])
                return Broken(whole, (fault,), f"frame {number} is damaged: fault {fault.kind}")
    return None


def _meant(piece: bytes, number: int) -> Iterator[tuple[Fault, tuple[bytes, ...]]]:
    """The frames that a damaged one may have been, each with the fault that makes it of them."""
    end = _END.search(piece)
    for glue in _GLUE.finditer(piece):
        yield Glued(frame=number), (piece[: glue.end()] + (end[0] if end else b""), piece[glue.end() :])
    if b'"' not in piece:
        yield Malformed(frame=number), (piece.replace(b"'", b'"'),)
