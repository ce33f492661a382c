"""Decides whether a client could see where a body was cut: if several pieces arrive in one read, it could not.

A client that passes has read a cut correctly only if it saw the cut. Owns that question; knows no API.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
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
    if cut is None or cut == "inside_framing" or isinstance(returned, NoResult):
        return ""
    reads = returned.reads
    if reads is not UNSET and not any(_is_coded(plan) for plan in plans):
        ends = set(accumulate(reads))
        return "visible" if any(offset in ends for plan in plans for offset in _separate(plan)) else "not visible"
    if each_read is None:
        return "unconfirmed"
    return "visible" if each_read else "not visible"


def _separate(plan: Plan) -> Iterator[int]:
    """Where the pieces of a body begin that no read should have with those before them."""
    starts = accumulate((len(frame.data) for frame in plan.frames), initial=0)
    return (start for start, frame in zip(starts, plan.frames, strict=False) if frame.separate)


def _is_coded(plan: Plan) -> bool:
    """Whether a client reads other bytes than were sent, because they were compressed."""
    return any(name.lower() == "content-encoding" for name, _ in plan.headers)
