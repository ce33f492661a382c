"""Every difference from the plain wire has a name and a tier, and is found in the variation that contains it."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis.variation import PLAIN, Variation
from fakellm.faults import Error, Fault
from fakellm.fuzzing.draws.profiles import profile
from fakellm.fuzzing.strategies import completions, variations
from fakellm.fuzzing.tier_table import TIERS
from fakellm.fuzzing.tiers import WireStep, contested, named, step_of, steps
from fakellm.wire.framing import Framing
from fakellm.wire.http.transfer import Transfer


def variation(block: dict[str, Any]) -> Variation:
    return msgspec.convert(block, Variation)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"padding": 3}, [WireStep("padding", "T3", ("B6",))]),
        ({"padding": [{"choices": False}]}, [WireStep("padding: no_choices", "T3", ("B1",))]),
        ({"padding": [{"delta": {"content": ""}}]}, [WireStep("padding: content", "T3", ("B6",))]),
        ({"role": "every"}, [WireStep("role: every", "T4", ("B4",))]),
        ({"role": "alone"}, []),
        ({"calls": {"id": "repeated", "index": "given"}}, [WireStep("calls.id: repeated", "T4", ("C9",))]),
        ({"calls": {"index": "zero"}}, [WireStep("calls.index: zero", "T5", ("C7",))]),
        ({"split": "characters"}, [WireStep("split: characters", "T3", ("B15", "C1"))]),
        ({"split": {"content": 3}}, [WireStep("split.content: size", "T3", ("B15",))]),
        (
            {"split": {"choices[1].tool_calls[0].arguments": [2]}},
            [WireStep("split.choices[1].tool_calls[0].arguments: offsets", "T3", ("C1",))],
        ),
        ({"split": {"reasoning": "surrogates"}}, [WireStep("split.reasoning: surrogates", "T5", ("A16",))]),
        ({"fill": {"delta": {"tool_calls": "null"}}}, [WireStep("fill.delta.tool_calls: null", "T3", ("C19",))]),
        ({"together": ["calls", "parts"]}, [WireStep("together: calls", "T3", ("C2",)), WireStep("together: parts", "T3", ("B10", "C19"))]),
        ({"done": False, "ticks": [2]}, [WireStep("done", "T4", ("B11",)), WireStep("ticks", "T4", ("B13",))]),
        ({"sse": {"line_end": "cr", "bom": True}}, [WireStep("sse.line_end: cr", "T1", ("A3",)), WireStep("sse.bom", "T1", ("A10",))]),
        (
            {"sse": {"insert": [{"before": [0], "comment": "ping"}, {"before": [1], "data": ""}, {"before": [2]}]}},
            [
                WireStep("sse.insert: comment", "T1", ("A5", "A6")),
                WireStep("sse.insert: heartbeat", "T1", ("A8",)),
                WireStep("sse.insert: blank_line", "T1"),
            ],
        ),
        ({"sse": {"ends_with": "nothing"}}, [WireStep("sse.ends_with: nothing", "T5", ("A13",))]),
        (
            {"transfer": {"cut": "inside_characters", "content_type": None}},
            [WireStep("transfer.cut: inside_characters", "T0", ("A1",)), WireStep("transfer.content_type", "T0", ("A17",))],
        ),
        ({"transfer": {"cut": 3}}, [WireStep("transfer.cut: size", "T0", ("A2",))]),
        ({"calls": {"before": 0}, "turns": [["content", 1]]}, [WireStep("turns", "T3"), WireStep("calls.before", "T3")]),
        ({"spelling": {"html": True, "floats": "decimal"}}, [WireStep("spelling.html", "T2", ("A15",)), WireStep("spelling.floats: decimal", "T2", ("A15",))]),
        ({"score": {"runs": [{"parts": [{"part": "start"}]}]}}, [WireStep("score", "T5")]),
        ({"spelling": {"each": {"choices": [None]}}}, None),
        *(({"spelling": {f"{name}keys": ["id"]}}, None) for name in ("", "last_", "choice_", "delta_", "usage_", "call_", "piece_")),
        ({"spelling": {"details": {"type": "reasoning.summary"}}}, None),
    ],
)  # fmt: skip
def test_the_steps_of_a_variation(block: dict[str, Any], expected: list[WireStep] | None) -> None:
    found = steps(variation(block))
    if expected is None:
        assert [step.tier for step in found] == ["T5"]
    else:
        assert found == expected


def test_the_plain_wire_has_no_steps() -> None:
    assert steps(PLAIN) == steps(Variation()) == []


def _without_description(kind: Any) -> Any:
    return kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind


def _literals(kind: Any) -> list[Any]:
    """The named values of a field, however deep in a union or a tuple."""
    kind = _without_description(kind)
    if isinstance(kind, msgspec.inspect.LiteralType):
        return list(kind.values)
    inner = [*getattr(kind, "types", ()), *([kind.item_type] if hasattr(kind, "item_type") else ())]
    return [value for each in inner for value in _literals(each)]


def _named(struct: Any, prefix: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for field in struct.fields:
        kind = _without_description(field.type)
        members = getattr(kind, "types", (kind,))
        blocks = [each for each in members if isinstance(each, msgspec.inspect.StructType)]
        for block in blocks:
            found += _named(block, (*prefix, field.encode_name))
        found += [((*prefix, field.encode_name), value) for value in _literals(field.type)]
    return found


@pytest.mark.parametrize(("path", "value"), _named(msgspec.inspect.type_info(Variation)))
def test_every_named_value_has_a_tier(path: tuple[str, ...], value: Any) -> None:
    listed = path in (("together",), ("responses", "begins"), ("responses", "whole"), ("gemini", "details"))
    block: Any = [value] if listed else value
    for name in reversed(path):
        block = {name: block}
    made = variation(block)
    assert len(steps(made)) == _differs(made)


def _differs(made: Variation) -> bool:
    """Whether a variation differs from the plain wire, rather than spelling it out."""
    sse = None if made.sse == Framing() else made.sse
    transfer = None if made.transfer == Transfer() else made.transfer
    return msgspec.structs.replace(made, sse=sse, transfer=transfer).over(PLAIN) != PLAIN


@given(completions().flatmap(lambda completion: variations(completion, "standard")))
def test_what_strategies_draw_is_not_contested(drawn: Variation) -> None:
    assert contested(drawn) == []


@given(st.data())
def test_steps_are_those_of_the_fields(data: st.DataObject) -> None:
    drawn = data.draw(completions().flatmap(lambda completion: variations(completion, "standard")))
    alone = [msgspec.structs.replace(Variation(), **{name: getattr(drawn, name)}) for name in drawn.__struct_fields__]
    assert [step for each in alone for step in steps(each)] == steps(drawn)


@pytest.mark.parametrize("kind", get_args(Fault))
def test_every_fault_is_a_step(kind: Any) -> None:
    assert step_of(kind()) == WireStep(kind().kind, "fault", step_of(kind()).rows)


@pytest.mark.parametrize(("shape", "row"), [("data", "E4"), ("chunk", "E5"), ("event", "E4"), ("message", "E6")])
def test_an_error_in_a_stream_is_a_step_by_its_shape(shape: Any, row: str) -> None:
    assert step_of(Error(shape=shape)) == WireStep(f"error: {shape}", "fault", (row,))


def test_a_name_that_is_not_a_step_is_rejected() -> None:
    with pytest.raises(ValueError, match="there is no step 'rolle: every'"):
        named("rolle: every")


@pytest.mark.parametrize("field", Variation.__struct_fields__)
def test_every_field_of_a_stream_has_a_tier_and_can_be_excluded(field: str) -> None:
    keys = [name for name in TIERS if name == field or name.startswith((f"{field}.", f"{field}: "))]
    assert keys
    assert profile("all", (field,)).exclude == (field,)
