"""Draws of how a completion is said: every field of a Variation that keeps the meaning for every client."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fakellm.completion import Completion
from fakellm.cuts import Cut
from fakellm.strategies.framings import framings, transfers
from fakellm.variation import Calls, Padding, Spelling, Variation


def _maybe(*values: Any) -> st.SearchStrategy[Any]:
    """One of the values, or nothing: what it shrinks to."""
    return st.sampled_from((None, *values))


@st.composite
def variations(draw: st.DrawFn, completion: Completion, strict_sse: bool = False, contested: bool = False) -> Variation:
    """Ways to say, frame and send `completion` that every client must read the same; cuts lie inside its texts.

    `strict_sse`: as in `framings`. What two sane clients may read differently (`fakellm.tiers`, T5) is left out, but
    with `contested` cuts inside `surrogates`, names that are `repeated` and `running` usage, which `fold` reads too.
    Shrinks to ``Variation()``.
    """
    parts = {address: text for address, text in _parts(completion) if text}
    cuts = {
        address: cut for address, text in parts.items() if (cut := draw(st.none() | _cuts(text, contested))) is not None
    }
    sse = draw(st.none() | framings(strict_sse))
    return Variation(
        padding=draw(st.none() | st.integers(0, 3) | st.lists(_paddings(), min_size=1, max_size=2).map(tuple)),
        split=cuts or None,
        role=draw(_maybe("alone", "first", "call", "every", "texts", "repeated", "never")),
        together=draw(_maybe(("choices",), ("calls",), ("parts",), ("choices", "calls", "parts"))),
        interleave=draw(_maybe("none", "choices", "calls", "both")),
        calls=draw(st.none() | _call_habits(completion, contested)),
        reasoning=draw(_maybe("reasoning_content", "reasoning", "both", "reasoning_details")),
        fill=draw(st.none() | _fills()),
        finish=draw(_maybe("alone", "last", "call", "twice")),
        unfinished=draw(_maybe("null", "absent", "empty")),
        usage=draw(_maybe("own", "finish", "both", "after", "every", *(["running"] if contested else ()))),
        usage_before=draw(_maybe("absent", "null")),
        done=draw(_maybe(True, False)) if sse is None or not sse.after else None,
        id=draw(_maybe("constant", "first_empty", "changing")),
        ticks=draw(st.none() | st.lists(st.integers(1, 9), max_size=2).map(tuple)),
        spelling=draw(st.none() | _spellings()),
        obfuscation=draw(_maybe(True, False)),
        sse=sse,
        transfer=draw(st.none() | transfers()),
    )


def _parts(completion: Completion) -> list[tuple[str, str]]:
    """The texts of a completion by their addresses."""
    found = []
    for index, choice in enumerate(completion.choices):
        place = f"choices[{index}]." if index else ""
        found += [(f"{place}{name}", getattr(choice, name)) for name in ("content", "reasoning", "refusal")]
        calls = enumerate(choice.tool_calls)
        found += [(f"{place}tool_calls[{number}].arguments", call.arguments) for number, call in calls]
    return found


def _cuts(text: str, contested: bool) -> st.SearchStrategy[Cut]:
    offsets = st.lists(st.integers(1, len(text)), min_size=1, max_size=4, unique=True).map(
        lambda cut: tuple(sorted(cut))
    )
    halves = ("surrogates",) if contested else ()
    named: st.SearchStrategy[Cut] = st.sampled_from(("whole", "tokens", "words", "characters", "random", *halves))
    return named | st.integers(1, 5) | offsets


def _paddings() -> st.SearchStrategy[Padding]:
    deltas: list[dict[str, Any]] = [{}, {"content": ""}, {"content": None}, {"reasoning": ""}, {"role": "assistant"}]
    return st.builds(
        Padding,
        count=st.integers(1, 3),
        before=st.sampled_from(("content", "delta", "finish"))
        | st.lists(st.integers(0, 9), min_size=1, max_size=2).map(tuple),
        delta=st.sampled_from(deltas),
        choices=st.booleans().map(lambda empty: not empty),
    )


@st.composite
def _call_habits(draw: st.DrawFn, completion: Completion, contested: bool) -> Calls:
    # Without an index a call is known by its id, so the ids must differ and each piece must carry one.
    ids = [call.id for choice in completion.choices for call in choice.tool_calls]
    numbered = len(set(ids)) < len(ids) or draw(st.booleans().map(lambda rare: not rare))
    return Calls(
        opening=draw(_maybe("alone", "piece", "pair")),
        arguments=draw(_maybe("empty", "null", "absent")),
        id=draw(_maybe("once", "repeated", "empty", "null")) if numbered else "repeated",
        name=draw(_maybe("once", "empty", "null", "late", *(["repeated"] if contested else ()))),
        type=draw(_maybe("once", "repeated", "empty", "null")),
        index=draw(_maybe("given", "from_one") if numbered else st.sampled_from(("absent", "null"))),
        order=draw(_maybe("given", "reversed")) if numbered else None,
        before=draw(_maybe(0, 1, 2)),
    )


def _fills() -> st.SearchStrategy[dict[Any, Any]]:
    fields = st.sampled_from(("content", "reasoning", "refusal", "tool_calls"))
    habits = st.dictionaries(fields, st.sampled_from(("empty", "null", "text")), max_size=2)
    return st.dictionaries(st.sampled_from(("opening", "delta", "finish")), habits, max_size=2)


def _spellings() -> st.SearchStrategy[Spelling]:
    return st.builds(
        Spelling,
        ascii=_maybe(True, False),
        spaces=_maybe(True, False),
        order=_maybe("usual", "sorted", "reversed"),
        extra=_maybe({}, {"provider": "x"}, {"x_groq": {"id": None}}),
    )
