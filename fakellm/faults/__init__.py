"""How a reply goes wrong: one small value a fault, each acting at exactly one step. Breaks the meaning on purpose.

What keeps the meaning is a `Variation`, and no value is both: under a variation a client must return the completion,
under a fault it must raise a clear error, and never pass a truncated answer off as a whole one.
"""

from __future__ import annotations

from fakellm.faults.chunks import ChunkFault, NoFinish, Repeat, Swap
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
    ContentLength,
    ContentType,
    Drip,
    Eof,
    HangUp,
    Reset,
    Slow,
    Stall,
    WireFault,
)
from fakellm.faults.events import Error, EventFault, Glued, Malformed, OnlyComments, OnlyDone, Truncated, Unterminated
from fakellm.faults.response import Empty, Html, ResponseFault, Status, Stream, Whole

Fault = (
    # the response
    Status
    | Html
    | Empty
    | Whole
    | Stream
    # what is said
    | ContentFilter
    | Length
    | BadArguments
    | UnknownTool
    | SameId
    | NoCall
    | Refusal
    | FinishReason
    | NoChoices
    # the chunks
    | NoFinish
    | Repeat
    | Swap
    # the frames
    | Error
    | Malformed
    | Truncated
    | Glued
    | Unterminated
    | OnlyComments
    | OnlyDone
    # the wire
    | Close
    | Reset
    | Stall
    | Drip
    | Eof
    | HangUp
    | Slow
    | ContentType
    | ContentLength
)
"""The `fault:` block of a rule: one of these, told apart by its `kind`."""

__all__ = [
    "BadArguments",
    "Break",
    "ChunkFault",
    "Close",
    "CompletionFault",
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
    "Slow",
    "Stall",
    "Status",
    "Stream",
    "Swap",
    "Truncated",
    "UnknownTool",
    "Unterminated",
    "Whole",
    "WireFault",
]
