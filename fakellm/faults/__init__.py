"""The faults, which break the meaning of a reply on purpose: one small value each, acting at exactly one level.

A `Variation` keeps the meaning, and no value does both: under a variation, a client must return the completion; under a
fault, it must raise a clear error and never present a truncated answer as a whole one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakellm.faults.base import Times
from fakellm.faults.batches import BatchFault, NoFinish, Repeat, Swap
from fakellm.faults.completion import (
    BadArguments,
    CompletionFault,
    ContentFilter,
    FinishReason,
    Length,
    NoCall,
    NoChoices,
    Refusal,
    SameId,
    UnknownTool,
)
from fakellm.faults.connection import (
    Break,
    Close,
    ConnectionFault,
    ContentLength,
    ContentType,
    Drip,
    Eof,
    HangUp,
    Reset,
    Slow,
    Stall,
    Surplus,
)
from fakellm.faults.events import (
    Error,
    EventFault,
    Glued,
    Malformed,
    OnlyComments,
    OnlyDone,
    Sent,
    Truncated,
    Unterminated,
)
from fakellm.faults.response import Empty, Html, ResponseFault, Status, Stream, Whole

Fault = (
    # the response
    Status
    | Html
    | Empty
    | Whole
    | Stream
    # the completion
    | ContentFilter
    | Length
    | BadArguments
    | UnknownTool
    | SameId
    | NoCall
    | Refusal
    | FinishReason
    | NoChoices
    # the batches
    | NoFinish
    | Repeat
    | Swap
    # the events
    | Error
    | Malformed
    | Truncated
    | Glued
    | Unterminated
    | OnlyComments
    | OnlyDone
    # the connection
    | Close
    | Reset
    | Stall
    | Drip
    | Eof
    | HangUp
    | Surplus
    | Slow
    | ContentType
    | ContentLength
)
"""The `fault:` block of a rule: one of these; its `kind` says which."""

ChunkFault, WireFault = BatchFault, ConnectionFault
"""Their earlier names, which tests of other projects import."""

__all__ = [
    "BadArguments",
    "BatchFault",
    "Break",
    "ChunkFault",
    "Close",
    "CompletionFault",
    "ConnectionFault",
    "ContentFilter",
    "ContentLength",
    "ContentType",
    "Drip",
    "Empty",
    "Eof",
    "Error",
    "EventFault",
    "Fault",
    "FinishReason",
    "Glued",
    "HangUp",
    "Html",
    "Length",
    "Malformed",
    "NoCall",
    "NoChoices",
    "NoFinish",
    "OnlyComments",
    "OnlyDone",
    "Refusal",
    "Repeat",
    "Reset",
    "ResponseFault",
    "SameId",
    "Sent",
    "Slow",
    "Stall",
    "Status",
    "Stream",
    "Surplus",
    "Swap",
    "Times",
    "Truncated",
    "UnknownTool",
    "Unterminated",
    "Whole",
    "WireFault",
]

if not TYPE_CHECKING:  # a type checker would take any name for one that is there

    def __getattr__(name: str) -> object:
        from fakellm.base.words.near_miss import near_miss

        near = "" if name.startswith("_") else near_miss(name, __all__)
        # With a name and no object, Python adds no suggestion of its own.
        raise AttributeError(f"module 'fakellm.faults' has no attribute {name!r}{near}", name=name)
