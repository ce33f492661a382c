"""Cuts each block of a choice into the batches in which it is sent. Knows no order between blocks."""

from __future__ import annotations

from typing import Any

from fakellm.base.seed import Source
from fakellm.model.blocks import Block, Choice, Refusal, Text, ToolCall
from fakellm.model.paths import value_at
from fakellm.streaming.division import Division, cut_for, part_of
from fakellm.streaming.grammar import Field, Grammar
from fakellm.streaming.play import length_of
from fakellm.streaming.score import Closes, Cut, Holds, Opens, Row, Silent
from fakellm.streaming.splitting import cut


def rows_of(index: int, choice: Choice, division: Division, grammar: Grammar, source: Source) -> list[list[Row]]:
    """The batches of each block of a choice."""
    calls = 0
    found: list[list[Row]] = []
    for number, block in enumerate(choice.blocks):
        address = part_of(block)
        if isinstance(block, ToolCall):
            address = f"tool_calls[{calls}].arguments"
            calls += 1
        found.append(_Block(index, number, block, address, division, grammar).rows(source))
    return found


class _Block:
    """One block and how it is sent."""

    def __init__(
        self, index: int, number: int, block: Block, address: str, division: Division, grammar: Grammar
    ) -> None:
        self.index, self.number, self.block = index, number, block
        self.division, self.grammar = division, grammar
        self.cut = cut_for(division.split, index, address)
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
            name = Holds(self.index, self.number, "name", length_of(self.block.name))
            rest = rest or [(self._piece(fields[0], ""),)]
            rest[0] = (name, *rest[0])
        first = joins == "must" or (joins == "may" and self._joined())
        if first and rest:
            return [(opens, *rest[0]), *rest[1:], *close]
        ridden = 0
        while ridden < len(rest) and self._rides(rest[ridden], fields):
            ridden += 1
        return [(opens, *(part for row in rest[:ridden] for part in row)), *rest[ridden:], *close]

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
            cuttable = field.cut == "any" and isinstance(value, str)
            pieces = cut(value, self.cut, source) if cuttable else [value] if value else []
            found: list[Row] = [(self._piece(field, piece),) for piece in pieces]
            if field.empty:
                found.insert(0, (self._piece(field, ""),))
            if field.ride and rows and found:
                rows[-1] = (*rows[-1], *found.pop(0))
            rows += found
        return rows

    def _rides(self, row: Row, fields: tuple[Field, ...]) -> bool:
        riding = {field.at for field in fields if field.ride}
        return all(isinstance(part, Holds) and part.at in riding for part in row)

    def _piece(self, field: Field, value: Any) -> Holds:
        if self.tokens and field.at == "text":  # which tokens a piece has depends on those before it
            return Holds(self.index, self.number, field.at, length_of(value))
        return Cut(self.index, self.number, field.at, length_of(value), value=value)
