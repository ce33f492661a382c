"""The faults as attributes of a handle, listed: type checkers do not know the names of a module that a class has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakellm import faults


class _Explaining(type):
    """Explains a name that is not there as the module does."""

    if not TYPE_CHECKING:  # a type checker would take any name for one that is there

        def __getattr__(cls, name: str) -> object:
            return getattr(faults, name)


class Faults(metaclass=_Explaining):
    """`fakellm.faults` in a test, where the fixture hides the module."""

    BadArguments = faults.BadArguments
    Close = faults.Close
    ContentFilter = faults.ContentFilter
    ContentLength = faults.ContentLength
    ContentType = faults.ContentType
    Drip = faults.Drip
    Empty = faults.Empty
    Eof = faults.Eof
    Error = faults.Error
    FinishReason = faults.FinishReason
    Glued = faults.Glued
    HangUp = faults.HangUp
    Html = faults.Html
    Length = faults.Length
    Malformed = faults.Malformed
    NoCall = faults.NoCall
    NoChoices = faults.NoChoices
    NoFinish = faults.NoFinish
    OnlyComments = faults.OnlyComments
    OnlyDone = faults.OnlyDone
    Refusal = faults.Refusal
    Repeat = faults.Repeat
    Reset = faults.Reset
    SameId = faults.SameId
    Slow = faults.Slow
    Stall = faults.Stall
    Status = faults.Status
    Stream = faults.Stream
    Surplus = faults.Surplus
    Swap = faults.Swap
    Truncated = faults.Truncated
    UnknownTool = faults.UnknownTool
    Unterminated = faults.Unterminated
    Whole = faults.Whole
    Times = faults.Times
