"""The faults that are tried one by one, each with the answer that it applies to. Data only."""

from __future__ import annotations

from fakellm import faults
from fakellm.faults import Fault
from fakellm.fuzzing.draws.base_answers import CALLS, CHOICES, REASONED, TEXT
from fakellm.model.blocks import Completion

FAULTS: tuple[tuple[Completion, Fault], ...] = (
    (TEXT, faults.Close(frame=3)),
    (TEXT, faults.Reset(frame=3)),
    (TEXT, faults.Eof(frame=3)),
    (TEXT, faults.NoFinish()),
    *((TEXT, faults.Error(shape=shape, frame=3)) for shape in ("data", "chunk", "event", "message", "text", "line")),
    (TEXT, faults.Malformed(frame=2)),
    (TEXT, faults.Truncated(frame=2)),
    (TEXT, faults.Glued(frame=2)),
    (TEXT, faults.Unterminated()),
    (TEXT, faults.OnlyComments()),
    (TEXT, faults.OnlyDone()),
    (TEXT, faults.Empty()),
    (TEXT, faults.Html()),
    (TEXT, faults.Whole()),
    (TEXT, faults.Status(status=429)),
    (TEXT, faults.Status(status=500, times=1)),
    (REASONED, faults.Close(frame=6, times=1)),  # content from before the retry must not be returned twice
    (TEXT, faults.ContentFilter(keep=3)),
    (TEXT, faults.Length(keep=3)),
    (TEXT, faults.FinishReason()),
    (TEXT, faults.NoChoices()),
    (TEXT, faults.HangUp()),
    (TEXT, faults.ContentType()),
    (TEXT, faults.ContentLength()),
    (TEXT, faults.Slow(seconds=0.01)),
    (CALLS, faults.Eof(frame=6)),
    (CALLS, faults.Length(keep=3)),
    (CALLS, faults.BadArguments()),
    (CALLS, faults.UnknownTool()),
    (CALLS, faults.SameId()),
    (CALLS, faults.NoCall()),
    # These last until the client gives up.
    (TEXT, faults.Stall(frame=3)),
    (TEXT, faults.Drip(frame=3, every=0.05)),
)
"""Each fault once, where it reveals most."""
MORE_FAULTS: tuple[tuple[Completion, Fault], ...] = (
    (TEXT, faults.Eof(byte=-30)),
    (TEXT, faults.Error(shape="data", frame=0)),
    *((TEXT, faults.Status(status=status)) for status in (200, 500, 401, 400, 503)),
    (CALLS, faults.NoFinish()),
    *((CHOICES, faults.Eof(frame=frame)) for frame in (-1, -2, -3)),  # one choice has finished, or all have
    (CHOICES, faults.NoFinish()),
    (CALLS, faults.Close(frame=6)),
    (TEXT, faults.Close(at="start")),
    (TEXT, faults.Close(at="headers")),
    (TEXT, faults.Close(frame=3, times=1)),
    (CALLS, faults.Close(frame=6, times=1)),
    (TEXT, faults.FinishReason(reason="insufficient_system_resource")),
    (TEXT, faults.Html(status=502)),
)
"""Faults in other places and forms."""
