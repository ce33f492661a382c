"""The outline of a completion: the same blocks, with stand-ins for the texts that are cut into pieces.

Most divisions treat the pieces of a text alike, but for the first two and the last two. So the outline, in which a text
has at most five, is divided and shaped as the completion is, and completions of one outline need that only once. The
pieces are filled in afterwards. Nothing here depends on an API or on JSON.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from fakellm.base.seed import Source
from fakellm.model.blocks import Block, Choice, Completion, ToolCall
from fakellm.model.paths import value_at, with_value
from fakellm.streaming.division import Division
from fakellm.streaming.grammar import Grammar
from fakellm.streaming.pieces import cuts_of
from fakellm.streaming.shape import COUNTED, Address, Likeness, Shape, Stretch, call_id
from fakellm.streaming.splitting import Cut, cut
from fakellm.streaming.stand_ins import PLACES, StandIn, outlined_text

_ALIKE = frozenset({"whole", "tokens", "words", "characters", "random"})
"""The ways to cut, besides numbers, that leave no piece empty."""
_BETWEEN = frozenset({"content", "finish", "stream", "reasoning", "answer", "calls_end", "unfinished"})
"""The places of silences that no number of pieces moves."""


class Outline(Struct, frozen=True):
    """completion: the outline, with holes for the ids of its calls. texts: those that were cut; `pieces`: of each."""

    completion: Completion
    texts: tuple[str, ...]
    pieces: tuple[Sequence[str], ...]

    def is_shown(self, shape: Shape) -> bool:
        """Whether a shape of it has all pieces where others can be filled in, not among other texts of a batch."""
        found = sum(isinstance(piece, StandIn) for each in shape.stretches for piece in each.pieces)
        return found == sum(min(len(pieces), len(PLACES)) for pieces in self.pieces)

    def filled(self, stretch: Stretch) -> tuple[str, ...]:
        """The pieces that a stretch of the outline's shape stands for."""
        first, last = stretch.pieces[0], stretch.pieces[-1]
        if not isinstance(first, StandIn) or not isinstance(last, StandIn):
            return stretch.pieces
        return tuple(self.pieces[first.text][first.place.start : last.place.stop])


def outline(
    completion: Completion, division: Division, grammar: Grammar, alike: Likeness, source: Source
) -> Outline | None:
    """The outline of a completion; None if more than a text's first and last pieces decide how it is divided."""
    if alike == "none":
        return None
    choices = completion.choices[: grammar.choices or None]
    if not _is_alike(division, choices) or any(
        getattr(block, "logprobs", ()) for each in choices for block in each.blocks
    ):
        return None
    maker = _Maker(division, grammar, source)
    made = tuple(maker.choice(index, choice) for index, choice in enumerate(choices))
    if alike == "blanks" and any(piece.isspace() for pieces in maker.pieces for piece in pieces):
        return None
    usage = None if completion.usage is None else COUNTED
    return Outline(Completion(made, usage), tuple(maker.texts), tuple(maker.pieces))


def _is_alike(division: Division, choices: Sequence[Choice]) -> bool:
    """Whether no text is sent in turns with another, no piece is empty, and no batch depends on those before."""
    cuts = division.split.values() if isinstance(division.split, dict) else (division.split,)
    return (
        not _in_turns(division, choices)
        and division.usage != "running"
        and all(isinstance(how, int) or how in _ALIKE for how in cuts)
        and all(each.count != "reasoning" and _stays(each.before) for each in division.silences)
    )


def _stays(before: str | tuple[int, ...]) -> bool:
    """Whether the place of a silence does not depend on the number of pieces: those are alike from the third batch on
    at the earliest."""
    return before in _BETWEEN if isinstance(before, str) else max(before, default=0) <= 2


def _in_turns(division: Division, choices: Sequence[Choice]) -> bool:
    """Whether texts may be sent in turns, or together: if there are several."""
    if len(choices) > 1 and division.interleave == "choices":
        return True
    reordered = division.turns or division.together or division.before is not None
    several = sum(len(choice.blocks) for choice in choices) > 1
    return several and (bool(reordered) or division.interleave in ("calls", "both"))


class _Maker:
    """Cuts the texts of a completion, in the order in which `divide` does, and puts stand-ins in their places."""

    def __init__(self, division: Division, grammar: Grammar, source: Source) -> None:
        self._division, self._grammar, self._source = division, grammar, source
        self.texts: list[str] = []
        self.pieces: list[Sequence[str]] = []

    def choice(self, index: int, choice: Choice) -> Choice:
        """The outline of a choice."""
        cuts = cuts_of(index, choice, self._division)
        blocks = (
            self._block((index, number), *each) for number, each in enumerate(zip(choice.blocks, cuts, strict=True))
        )
        return replace(choice, blocks=tuple(blocks))

    def _block(self, address: Address, block: Block, how: Cut) -> Block:
        if isinstance(block, ToolCall) and block.id:
            block = replace(block, id=call_id(address))
        if how == "whole" and self._grammar.opening(block) == "may":
            return block  # its opening holds its text
        for field in self._grammar.fields(block):
            value = value_at(block, field.at) if field.at and field.cut != "none" else None
            if isinstance(value, str) and value:
                self.texts.append(value)
                self.pieces.append(cut(value, how, self._source) if field.cut == "any" else [value])
                block = with_value(block, field.at, outlined_text(len(self.texts) - 1, len(self.pieces[-1])))
        return block
