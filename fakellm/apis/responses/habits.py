"""How a response is spelled, and how the flat `stream:` block is divided among its owners."""

from __future__ import annotations

from msgspec import Struct

from fakellm.apis.protocol import Settings
from fakellm.apis.responses.dialects.dialect import Reasoning, ResponsesDialect
from fakellm.apis.responses.dialects.layout import Layouts
from fakellm.apis.responses.spelling import Lifecycle, RecordedValues, ResponsesSpelling, Whole
from fakellm.apis.variation import PLAIN, Variation, division_of
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.seed import Source
from fakellm.model.blocks import Own, Usage
from fakellm.wire.framing import Framing
from fakellm.wire.http.transfer import Transfer

STREAM_KEYS = (
    *("padding", "split", "usage", "done", "id", "obfuscation", "sse", "transfer", "score", "responses"),
    *(f"spelling.{key}" for key in ("ascii", "html", "spaces", "floats", "escapes", "order")),
)
"""The keys of a `stream:` block that have an effect."""


class Habits(Struct, frozen=True):
    """The habits that `ResponsesSpelling` and `Variation` describe under the same names, with a value for each.

    rotating: whether each event has another id of its item. own: the block they come from.
    hides_reasoning: whether the reasoning of a generated reply is counted but not sent, since it was not requested.
    margins: white space around a whole body.
    """

    dialect: ResponsesDialect
    begins: tuple[Lifecycle, ...] = ("created", "in_progress")
    whole: tuple[Whole, ...] = ()
    output: bool = True
    reasoning: Reasoning = "summary"
    numbers: str = "counted"
    named: bool = True
    indent: bool = True
    layouts: Layouts = Layouts()
    recorded: RecordedValues = RecordedValues()
    spelling: Spelling = Spelling()
    obfuscation: bool = False
    done: bool = False
    rotating: bool = False
    hides_reasoning: bool = False
    margins: tuple[str, str] | None = None
    own: ResponsesSpelling = ResponsesSpelling()

    @property
    def finishes(self) -> bool:
        """Whether a finish reason is sent if the reply does not set one: each response has a status."""
        return True

    @property
    def named_call_finish(self) -> str:
        """The finish reason after a call that the request named."""
        return "tool_calls"

    @property
    def output_excludes_reasoning(self) -> bool:
        """Whether the output tokens do not include the reasoning tokens: they do everywhere."""
        return False

    def stopped(self, sequence: str) -> Own:
        """Nothing: this API does not tell a stop sequence from an end."""
        return {}

    def call_id(self, source: Source) -> str:
        """Draws the id of a tool call."""
        return self.dialect.ids.call(source)

    def numbered(self, number: int) -> int:
        """The number that an event is sent with, counted from that of the recorded first one."""
        return self.recorded.first + (2 if self.numbers == "gaps" else 1) * number

    def total(self, usage: Usage) -> int:
        """The sum of the tokens."""
        return usage.input + usage.output


def settings(
    variation: Variation, dialect: ResponsesDialect, obfuscates: bool, summarizes: bool, queued: bool = False
) -> Settings[Habits]:
    """The variation in its parts; what it does not set is as the dialect usually does it.

    obfuscates: whether the request leaves obfuscation on. summarizes: whether it requests summaries of reasoning.
    queued: whether it is for the background, where it waits first.
    """
    full = variation.over(dialect.usual).over(PLAIN)
    own = full.responses or ResponsesSpelling()
    layouts = Layouts(own.orders or {}, own.events or dialect.layouts.events, own.constants or {})
    reasoning = own.reasoning or dialect.reasoning
    transfer = full.transfer or Transfer()
    habits = Habits(
        dialect=dialect,
        begins=_begins(queued) if own.begins is None else own.begins,
        whole=own.whole or (),
        output=dialect.output if own.output is None else own.output,
        reasoning=reasoning,
        numbers=own.numbers or "counted",
        named=dialect.named if own.named is None else own.named,
        indent=dialect.indent is not None if own.indent is None else own.indent,
        layouts=layouts.over(dialect.layouts),
        recorded=own.recorded or RecordedValues(),
        spelling=full.spelling or Spelling(),
        obfuscation=(dialect.obfuscates and obfuscates) if variation.obfuscation is None else variation.obfuscation,
        done=full.done is not False,
        rotating=full.id == "changing",
        hides_reasoning=reasoning == "summary" and not summarizes,
        margins=transfer.margins,
        own=own,
    )
    return Settings(division_of(full), habits, full.sse or Framing(), transfer, full.score)


def _begins(queued: bool) -> tuple[Lifecycle, ...]:
    return ("created", "queued", "in_progress") if queued else ("created", "in_progress")


def body_style(habits: Habits) -> tuple[bool, bool]:
    """Whether a whole body is indented, and whether characters outside ASCII are escaped in it."""
    escaped = habits.dialect.ascii if habits.own.indent is None else bool(habits.spelling.ascii)
    return habits.indent, escaped or bool(habits.spelling.ascii)
