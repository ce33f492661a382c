"""What tests do with chat completions: write them as choices of chat, divide them into chunks, and read them back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from fakellm.apis.chat.api import CHAT
from fakellm.apis.chat.assemble import assemble
from fakellm.apis.chat.chunk import Chunk
from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.habits import ChatHabits, split
from fakellm.apis.chat.meaning import chat_choice as chat_choice
from fakellm.apis.chat.meaning import logprobs_of
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.read_batches import read_batches
from fakellm.apis.chat.reader import read_stream
from fakellm.apis.chat.writer import write_chunk
from fakellm.apis.protocol import Answer, Values
from fakellm.apis.skeleton import Draft, Fill, fill, skeleton
from fakellm.apis.variation import Variation
from fakellm.base.errors import StreamError
from fakellm.base.seed import Source
from fakellm.engine.stream import stream as frames
from fakellm.model.blocks import Choice, Completion, Text, Token, Usage
from fakellm.model.deltas import Batch, End
from fakellm.model.fold import fold
from fakellm.streaming.divide import divide as divided
from fakellm.streaming.shape import Stretch
from fakellm.wire.plan import Frame
from fakellm.wire.timing import Timing

DRAWN: Values = {"id": "c", "created": 1, "model": "m", "system_fingerprint": None}
PLAIN_DIALECT = replace(DIALECTS["xai"], usual=Variation(), silences=())
"""A dialect whose usual wire is the plain one."""


def choices(*choices: Choice, usage: Usage | None = None) -> Completion:
    """A completion of these choices."""
    return Completion(choices, usage)


def batches(
    completion: Completion, variation: Variation, source: Source, dialect: Dialect = PLAIN_DIALECT
) -> tuple[Batch, ...]:
    """The batches of a completion."""
    settings = split(variation, dialect)
    expressible = CHAT.expressible(completion, settings.habits)
    return divided(expressible, settings.division, CHAT.grammar(settings.habits), source)


def divide(completion: Completion, variation: Variation, source: Source, drawn: Values = DRAWN) -> tuple[Chunk, ...]:
    """The chunks of a completion on the plain wire, without `[DONE]`."""
    found = batches(completion, variation, source)
    sent = [batch for batch in found if not any(isinstance(delta, End) for delta in batch)]
    habits = split(variation, PLAIN_DIALECT).habits
    if completion.usage is None:
        habits = replace(habits, usage_before="absent")
    return tuple(assemble(sent, habits, drawn))


def data_of(chunk: Chunk, habits: ChatHabits) -> str:
    """The data of the event that carries a chunk."""
    return data_of_all([chunk], habits, Source(0))[0]


def data_of_all(chunks: Sequence[Chunk], habits: ChatHabits, source: Source) -> list[str]:
    """The data of the events that carry these chunks; `source` draws what the provider adds."""
    usages = [chunk.usage if isinstance(chunk.usage, Usage) else None for chunk in chunks]
    drafts = [[Draft(write_chunk(chunk, habits, number), habits.spelling)] for number, chunk in enumerate(chunks)]
    stretches = [Stretch(number, usage=usage) for number, usage in enumerate(usages)]
    values = Fill(DRAWN, source, {}, next(filter(None, usages), None))
    return list(fill(skeleton(drafts), stretches, values))


def folded(chunks: Iterable[Chunk]) -> Completion:
    """What the chunks mean. Raises StreamError if there is none."""
    chunks = list(chunks)
    if not chunks:
        raise StreamError("the stream has no chunk")
    return fold(read_batches(chunks))[0]


def read(dialect: Dialect, frames: Iterable[str]) -> Completion:
    """What the data of these events means."""
    return read_stream(dialect, frames)[0]


def stream(
    completion: Completion,
    variation: Variation,
    dialect: Dialect,
    timing: Timing,
    source: Source,
    drawn: Values = DRAWN,
) -> tuple[Frame, ...]:
    """The frames of a stream."""
    settings = split(variation, dialect)
    habits = settings.habits if completion.usage else replace(settings.habits, usage_before="absent")
    answer = Answer(CHAT.expressible(completion, habits), habits, drawn, source)
    return tuple(frames(answer, replace(settings, habits=habits), CHAT, timing))


def logprobs(choice: Choice) -> tuple[Token, ...]:
    """The tokens of the text of a choice."""
    return logprobs_of(choice, Text)
