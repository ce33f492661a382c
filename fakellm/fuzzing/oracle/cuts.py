"""Decides whether a client could see where a body was cut: if several pieces arrive in one read, it could not.

A client that passes has read a cut correctly only if it saw the cut. Owns that question; knows no API.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Literal

from msgspec import UNSET

from fakellm.fuzzing.clients.result import NoResult, Result
from fakellm.scenarios.scenario import Rule
from fakellm.wire.plan import Plan

Cuts = Literal["", "visible", "not visible", "unconfirmed"]
"""Whether the cuts of a body were visible to the client; empty if there were none."""


def cuts_of(rule: Rule, returned: Result | NoResult, plans: Sequence[Plan], each_read: bool | None) -> Cuts:
    """Whether the client saw a cut of the body, by the sizes of its reads if it reports them.

    each_read: else, whether a client on the same HTTP stack that decodes each read alone fails; None if unknown.
    """
    cut = rule.stream.transfer.cut if rule.stream.transfer else None
    offsets = [offset for plan in plans for offset in _cuts(plan)]  # none if the body is too short to be cut there
    if cut in (None, "inside_framing") or not offsets or isinstance(returned, NoResult):
        return ""
    reads = returned.reads
    if reads is not UNSET and not any(_is_coded(plan) for plan in plans):
        return "visible" if set(accumulate(reads)) & set(offsets) else "not visible"
    if each_read is None:
        return "unconfirmed"
    return "visible" if each_read else "not visible"


def _cuts(plan: Plan) -> Iterator[int]:
    """Where the pieces of a body begin that end no event, or that no read should have with those before them."""
    start = 0
    for before, frame in pairwise(plan.frames):
        start += len(before.data)
        if frame.separate or not before.data.endswith((b"\n", b"\r")):
            yield start


def _is_coded(plan: Plan) -> bool:
    """Whether a client reads other bytes than were sent, because they were compressed."""
    return any(name.lower() == "content-encoding" for name, _ in plan.headers)
