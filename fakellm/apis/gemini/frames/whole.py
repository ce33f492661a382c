"""Writes and reads whole bodies: one frame that has everything, indented by two spaces.

A body that is not one object may be an array of frames: what a client gets that reads a stream to its end.
"""

from __future__ import annotations

from collections.abc import Iterator

from fakellm.apis.gemini.frames.read import read, values_in
from fakellm.apis.gemini.frames.usage import metadata
from fakellm.apis.gemini.frames.write import frame
from fakellm.apis.gemini.habits import GeminiHabits
from fakellm.apis.gemini.ids import create_time
from fakellm.apis.gemini.meaning import grammar
from fakellm.apis.protocol import Answer
from fakellm.base.json_text import dumps, indented, spelled
from fakellm.base.seed import Source
from fakellm.model.deltas import Batch, End
from fakellm.streaming.divide import divide
from fakellm.streaming.division import Division
from fakellm.wire.sse import Event

MARGINS = ("", "\n")


def whole(answer: Answer[GeminiHabits]) -> bytes:
    """The body of a reply."""
    habits = answer.habits
    batches = divide(answer.completion, Division(start="joined", usage="finish"), grammar("beside"), Source(0))
    deltas = [delta for batch in batches for delta in batch if not isinstance(delta, End)]
    value = frame(deltas, habits, answer.drawn, lambda usage: metadata(usage, habits), create_time(answer.drawn))
    before, after = MARGINS if habits.margins is None else habits.margins
    text = spelled(value, habits.spelling)
    return (before + (indented(text, habits.indent) if habits.indent else text) + after).encode()


def read_whole(body: bytes, habits: GeminiHabits) -> Iterator[Batch]:
    """The batches of a body. Raises ValueError if it is not JSON."""
    value = values_in(body.decode("utf-8", "replace"))
    yield from read([Event(dumps(each)) for each in (value if isinstance(value, list) else [value])], habits)
