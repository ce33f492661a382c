"""Division: where a completion is cut and in what order its pieces are sent, in the same terms for every API.

Knows no API; each API's spelling is separate, in the API's habits.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from fakellm.model.blocks import Block, Refusal, Text, Thinking, ToolCall
from fakellm.streaming.splitting import Cut

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Turn = tuple[str, Positive]
LATE: tuple[Literal["id", "name"], ...] = ("id", "name")
"""What may follow the opening of a tool call, in this order."""
Place = Literal["content", "delta", "finish", "end", "stream", "reasoning", "answer", "calls_end", "unfinished"]

PARTS = ("reasoning", "content", "refusal", "tool_calls")
"""The parts of an answer, in the order in which chat sends them."""
_PARTS: dict[type, str] = {Thinking: "reasoning", Text: "content", Refusal: "refusal", ToolCall: "tool_calls"}


class Silences(Struct, frozen=True, omit_defaults=True):
    """Padding: batches without meaning.

    count: how many; `reasoning` means one fewer than there are reasoning tokens.
    before: where: before the first block of each choice (`content`), each further batch of its blocks (`delta`), its
        `finish`, the `end` of the stream (after the token counts, if the API can send anything there), or the batches
        with these numbers, counted from 0 without these silences. Only dialects use the rest:
        before the whole `stream`, before the first reasoning of a choice (`reasoning`), after its last (`answer`),
        before the finish that follows calls whose arguments were cut (`calls_end`), and after the last choice of a
        stream in which none finishes (`unfinished`).
    look: how the API shows them; None for its usual way.
    """

    count: Count | Literal["reasoning"] = 1
    before: Place | tuple[Count, ...] = "content"
    look: Any = None


class Division(Struct, frozen=True, omit_defaults=True):
    """How a completion is divided. The defaults give one batch for each delta.

    split: how texts are cut; one way for all, or by part: `content`, `reasoning`, `refusal`, `arguments`, or one text
        by its address, such as `choices[1].content` or `tool_calls[0].arguments`.
    start: where a choice starts: in a batch `alone`, with its `first` batch unless silences come first, so only if that
        is its one `call`, or `joined` to its first batch, whatever that is.
    opening: where a block opens whose opening may join its first piece: `alone`, or with the first `piece`; `pair` is
        the latter, shown as two entries if the API has them. A call in one piece opens with it.
    late: which of the id and the name of a tool call follow its opening.
    together: what shares batches, turn by turn: parallel `choices`, parallel `calls`, the `parts` of one answer.
    turns: which part or which choice sends next, and how many batches.
    interleave: what takes turns batch by batch: parallel choices, the parallel calls of a choice, or both.
    order: whether calls are sent in their order or the last first.
    before: before which piece of the text the calls are sent, counted from 0; after all of it if None.
    silences: batches without meaning.
    finish: the reason in a batch `alone`, with the `last` batch, there only if that is a tool `call`, with each of the
        `calls` and once more alone, `early`: before the last batch, or `twice`.
    usage: the token counts in a batch of their `own`, with the `finish`, in `both`, `after` the finish beside a
        silence, in `every` batch, as a `running` count in every batch, or `none`.
    """

    split: Cut | dict[str, Cut] = "whole"
    start: Literal["alone", "first", "call", "joined"] = "alone"
    opening: Literal["alone", "piece", "pair"] = "alone"
    late: tuple[Literal["id", "name"], ...] = ()
    together: tuple[Literal["choices", "calls", "parts"], ...] = ()
    turns: tuple[Turn, ...] = ()
    interleave: Literal["none", "choices", "calls", "both"] = "none"
    order: Literal["given", "reversed"] = "given"
    before: Count | None = None
    silences: tuple[Silences, ...] = ()
    finish: Literal["alone", "last", "call", "calls", "early", "twice"] = "alone"
    usage: Literal["own", "finish", "both", "after", "every", "running", "none"] = "own"

    @property
    def fixed(self) -> bool:
        """Whether it divides a text in the same way whatever the seed and the request are; if `usage` is `running`, for
        the same token counts."""
        cuts = self.split.values() if isinstance(self.split, dict) else (self.split,)
        return "random" not in cuts


def part_of(block: Block) -> str:
    """The part of the answer that a block belongs to; its tag for one that belongs to none of PARTS."""
    return _PARTS.get(type(block), "opaque")


def cut_for(split: Cut | dict[str, Cut], index: int, part: str) -> Cut:
    """How a text is cut: by its address, else by its kind, else as all texts. `part`: its address in choice `index`."""
    if not isinstance(split, dict):
        return split
    addresses = (f"choices[{index}].{part}", *((part,) if index == 0 else ()), part.rpartition(".")[2])
    return next((split[address] for address in addresses if address in split), "whole")
