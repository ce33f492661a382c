"""Finds the keys of a Division that have no effect under a Grammar. Owns the explanations; knows no API by name."""

from __future__ import annotations

from fakellm.model.blocks import ToolCall
from fakellm.streaming.division import Division
from fakellm.streaming.grammar import Grammar

_CALL = ToolCall("", "")


def check(division: Division, grammar: Grammar) -> dict[str, str]:
    """Each key that is set and has no effect, with the reason."""
    plain = Division()
    reasons = _forbidden(grammar, division)
    return {
        key: reason
        for key, reason in reasons.items()
        if reason and getattr(division, key) not in (getattr(plain, key), None)
    }


def _forbidden(grammar: Grammar, division: Division) -> dict[str, str]:
    """For each key, why it has no effect; an empty text if it has one."""
    one_by_one = "blocks are sent one after the other" if grammar.overlap == "no" else ""
    opening = grammar.opening(_CALL)
    joins = grammar.joins
    share = "" if grammar.share != "no" else "no blocks share a batch"
    if grammar.choices != 1 and "choices" in division.together and grammar.share == "no":
        share = "no choices share a batch"
    only_choices = grammar.choices != 1 and all(name.startswith("choices") for name, _ in division.turns)
    choices_alternate = grammar.choices != 1 and division.interleave in ("choices", "both")
    return {
        "start": _joined("the start of a choice", joins.start),
        "opening": _joined("the opening of a tool call", opening),
        "late": "" if opening == "may" else "a tool call opens with its id and its name",
        "together": share,
        "turns": "" if only_choices else one_by_one,
        "interleave": "" if choices_alternate else one_by_one,
        "order": one_by_one or ("blocks open in order" if grammar.overlap == "ordered" else ""),
        "before": one_by_one,
        "finish": _joined("the finish", joins.finish),
        "usage": "" if division.usage == "none" else _joined("the usage", joins.usage),
    }


def _joined(what: str, join: str) -> str:
    if join == "may":
        return ""
    return f"{what} always stands alone" if join == "never" else f"{what} always stands with what is beside it"
