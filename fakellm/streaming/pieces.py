"""Cuts each block of a choice into the batches in which it is sent. Knows no order between blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fakellm.base.seed import Source
from fakellm.model.blocks import Block, Choice, Refusal, Text, ToolCall
from fakellm.model.paths import value_at
from fakellm.streaming.division import LATE, Division, cut_for, part_of
from fakellm.streaming.grammar import Field, Grammar
from fakellm.streaming.play import length_of
from fakellm.streaming.score import Closes, Cut, Holds, Opens, Row, Silent
from fakellm.streaming.splitting import Cut as HowToCut
from fakellm.streaming.splitting import cut
from fakellm.streaming.stand_ins import OutlinedText


def rows_of(index: int, choice: Choice, division: Division, grammar: Grammar, source: Source) -> list[list[Row]]:
    """The batches of each block of a choice."""
    cuts = cuts_of(index, choice, division)
    return [
        _Block(index, number, block, how, division, grammar).rows(source)
        for number, (block, how) in enumerate(zip(choice.blocks, cuts, strict=True))
    ]


def cuts_of(index: int, choice: Choice, division: Division) -> list[HowToCut]:
    """How the text of each block of a choice is cut."""
    calls, found = 0, []
    for block in choice.blocks:
        address = part_of(block)
        if isinstance(block, ToolCall):
            address = f"tool_calls[{calls}].arguments"
            calls += 1
        found.append(cut_for(division.split, index, address))
    return found


class _Block:
    """One block and how it is sent."""

    def __init__(
        self, index: int, number: int, block: Block, how: HowToCut, division: Division, grammar: Grammar
    ) -> None:
        self.index, self.number, self.block = index, number, block
        self.division, self.grammar = division, grammar
        self.cut = how
        self.tokens = isinstance(block, (Text, Refusal)) and bool(block.logprobs)

    def rows(self, source: Source) -> list[Row]:
        """Its opening, its pieces and its close."""
        fields = self.grammar.fields(self.block)
        opens = Opens(self.index, self.number, tuple(field.at for field in fields if field.cut == "none"))
        joins = self.grammar.opening(self.block)
        close: list[Row] = []
        if self.grammar.closes != "no":
            close = [(Closes(self.index, self.number, self.grammar.closes == "whole"),)]
        if joins == "may" and self.cut == "whole":
            return [self._in_one_piece(opens, fields), *close]
        rest = self._pieces(fields, source)
        if joins == "may" and self.division.late and isinstance(self.block, ToolCall):
            rest = rest or [(self._piece(fields[0], ""),)]
            rest[0] = (*self._late(self.block), *rest[0])
        first = joins == "must" or (joins == "may" and self._joined())
        if first and rest:
            return [(opens, *rest[0]), *rest[1:], *close]
        ridden = 0
        while ridden < len(rest) and self._rides(rest[ridden], fields):
            ridden += 1
        return [(opens, *(part for row in rest[:ridden] for part in row)), *rest[ridden:], *close]

    def _late(self, call: ToolCall) -> Row:
        """The id and the name of a call, as far as they follow its opening. A call may have no id."""
        found = [(key, getattr(call, key)) for key in LATE if key in self.division.late]
        return tuple(Cut(self.index, self.number, key, length_of(value), value=value) for key, value in found if value)

    def _joined(self) -> bool:
        return self.division.opening == "pair" or (self.division.opening == "piece" and not self.division.late)

    def _in_one_piece(self, opens: Opens, fields: tuple[Field, ...]) -> Row:
        """The opening with all content; an empty piece shows that none follows."""
        if self.division.opening == "pair":  # an empty piece would be shown as the second of the pair
            return (opens,)
        empty = [self._piece(field, "") for field in fields if value_at(self.block, field.at) == ""]
        return (opens, *empty)

    def _pieces(self, fields: tuple[Field, ...], source: Source) -> list[Row]:
        rows: list[Row] = []
        for field in fields:
            if field.look is not None:
                rows.append((Silent(self.index, self.number, field.look),))
            if field.cut == "none" or not field.at:
                continue
            value = value_at(self.block, field.at)
            pieces = self._cut(field, value, source)
            found: list[Row] = [(self._piece(field, piece),) for piece in pieces]
            if field.empty:
                found.insert(0, (self._piece(field, ""),))
            if field.ride and rows and found:
                rows[-1] = (*rows[-1], *found.pop(0))
            rows += found
        return rows

    def _cut(self, field: Field, value: Any, source: Source) -> Sequence[Any]:
        if isinstance(value, OutlinedText):
            return value.stand_ins
        cuttable = field.cut == "any" and isinstance(value, str)
        return cut(value, self.cut, source) if cuttable else [value] if value else []

    def _rides(self, row: Row, fields: tuple[Field, ...]) -> bool:
        riding = {field.at for field in fields if field.ride}
        return all(isinstance(part, Holds) and part.at in riding for part in row)

    def _piece(self, field: Field, value: Any) -> Holds:
        if self.tokens and field.at == "text":  # which tokens a piece has depends on those before it
            return Holds(self.index, self.number, field.at, length_of(value))
        return Cut(self.index, self.number, field.at, length_of(value), value=value)
