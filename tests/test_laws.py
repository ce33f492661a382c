"""The laws of the staircase: whatever is said, however it is divided, spelt and cut, comes back as it was.

Completion ──divide──▶ Batch… ──write──▶ Event… ──frame──▶ bytes ──carry──▶ Frame…
Completion ◀──fold───  Batch… ◀──read──  Event… ◀─Decoder── bytes, cut anywhere
"""

from __future__ import annotations

from functools import partial
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from fakellm.apis.chat.dialect import Dialect
from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.reader import read_body
from fakellm.apis.chat.requests.parse import parse
from fakellm.apis.chat.whole import write_body
from fakellm.apis.variation import Variation
from fakellm.base.seed import Source
from fakellm.engine.complete import complete, values_of
from fakellm.fuzzing.strategies import completions, framings, streams, transfers, variations
from fakellm.model.blocks import Completion, Token, ToolCall, Usage
from fakellm.model.deltas import End
from fakellm.model.fold import fold
from fakellm.scenarios.loader import dump, load
from fakellm.scenarios.reply import reply_of
from fakellm.scenarios.scenario import Scenario
from fakellm.streaming.splitting import cut
from fakellm.wire.framing import Framing
from fakellm.wire.http.transfer import Transfer, carry
from fakellm.wire.plan import Plan
from fakellm.wire.sse import Decoder
from fakellm.wire.timing import Timing
from tests.chats import DRAWN, batches, chat_choice, divide, folded, read, stream
from tests.conftest import chat, inflated

COMPLETIONS = completions()
WIDE = partial(variations, profile="all", exclude=("usage: none", "sse.ends_with", "reasoning: think"), most=40)
"""Any number of steps at once, of all there are but those that cannot be undone."""
DIALECT = st.sampled_from(list(DIALECTS.values()))


def read_from(dialect: Dialect, *pieces: bytes) -> Completion:
    """What a reader makes of bytes that arrive in these pieces: heartbeats, unknown events and the end left out."""
    decoder = Decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    assert not decoder.unfinished
    data = [event.data for event in events if event.data and event.event == "message"]
    return read(dialect, takewhile(lambda each: each != "[DONE]", data))


@given(st.data(), COMPLETIONS)
def test_a_division_folds_back_to_the_completion(data: st.DataObject, completion: Completion) -> None:
    assert fold(batches(completion, data.draw(WIDE(completion)), Source(0))) == (completion, End())
    assert folded(divide(completion, data.draw(WIDE(completion)), Source(0))) == completion


@given(st.data(), COMPLETIONS, DIALECT)
def test_the_bytes_of_a_stream_mean_the_completion_however_they_are_cut(
    data: st.DataObject, completion: Completion, dialect: Dialect
) -> None:
    variation = data.draw(WIDE(completion))
    transfer = variation.transfer or Transfer()
    plan = carry(Plan(200, (), stream(completion, variation, dialect, Timing(), Source(0))), transfer)
    sent = [frame.data for frame in plan.frames]
    arrived = sent
    for _ in range(sum(value.count(",") + 1 for name, value in plan.headers if name == "Content-Encoding")):
        arrived = inflated(arrived)
    body = b"".join(arrived)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    singles = [body[i : i + 1] for i in range(len(body))]
    for way in ([body], arrived, pieces, singles):
        assert read_from(dialect, *way) == completion


@given(COMPLETIONS, DIALECT)
def test_a_whole_body_means_the_same_as_a_stream(completion: Completion, dialect: Dialect) -> None:
    assert read_body(dialect, write_body(dialect, completion, DRAWN, Source(0))) == (completion, DRAWN)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_whole_body_keeps_its_tokens(dialect: Dialect) -> None:
    told = chat_choice("A b", finish_reason="stop", logprobs=(Token("A", -0.5), Token(" b", -1.0)))
    completion = Completion((told, chat_choice("A", finish_reason="stop")))
    assert read_body(dialect, write_body(dialect, completion, DRAWN, Source(0))) == (completion, DRAWN)


CITED = {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "title": "T", "url": "u"}}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("together", [(), ("parts",)])
def test_citations_come_back(dialect: Dialect, together: tuple[Any, ...]) -> None:
    calls = (ToolCall("i", "f"),)
    cited = (
        chat_choice("Oslo is cold", tool_calls=calls, annotations=(CITED, CITED)),
        chat_choice("A"),
        chat_choice(annotations=(CITED,)),
    )
    completion = Completion(cited)
    pieces = stream(completion, Variation(together=together, split=4), dialect, Timing(), Source(0))
    assert read_from(dialect, *(piece.data for piece in pieces)) == completion
    assert read_body(dialect, write_body(dialect, completion, DRAWN, Source(0))) == (completion, DRAWN)
    assert complete(reply_of(completion, DRAWN), parse(chat()), 0, dialect) == completion


@given(COMPLETIONS, DIALECT)
def test_a_reply_without_placeholders_is_completed_to_its_content(completion: Completion, dialect: Dialect) -> None:
    request = parse(chat(stream=True, stream_options={"include_usage": True}))
    reply = reply_of(completion, DRAWN)
    assert (complete(reply, request, 0, dialect), values_of(reply)) == (completion, DRAWN)


@given(streams("all"))
def test_a_scenario_survives_yaml(scenario: Scenario) -> None:
    assert load(dump(scenario)) == scenario


@given(st.text(), st.integers(1, 9) | st.lists(st.integers(0, 50)).map(tuple) | st.sampled_from(("tokens", "whole")))
def test_a_cut_text_joins_back(text: str, how: int | tuple[int, ...]) -> None:
    assert "".join(cut(text, how, Source(0))) == text


@given(st.data(), COMPLETIONS)
def test_the_zero_of_every_field_is_the_plain_wire(data: st.DataObject, completion: Completion) -> None:
    """A variation with one field given differs from the plain wire by that field alone: what shrinking relies on."""
    usual = data.draw(DIALECT).usual
    assert Variation().over(usual) == usual
    drawn = data.draw(WIDE(completion))
    for name in Variation.__struct_fields__:
        alone = Variation(**{name: getattr(drawn, name)}).over(usual)
        kept = set(Variation.__struct_fields__) - {
            name,
            "done" if name == "sse" else name,
        }  # an event after it needs it
        assert all(getattr(alone, field) == getattr(usual, field) for field in kept)


@pytest.mark.parametrize(
    ("drawn", "plain"),
    [
        (framings(strict_sse=True), Framing()),
        (transfers(), Transfer()),
        (variations(Completion((chat_choice("A b"),), Usage(1, 2)), "all"), Variation()),
    ],
)
def test_what_is_drawn_shrinks_to_the_plain_wire(drawn: st.SearchStrategy[object], plain: object) -> None:
    # Nothing is explained, and nothing kept: the database knows an example by its predicate, the same for all of these.
    quick = settings(database=None, phases=(Phase.generate, Phase.shrink))
    assert find(drawn, lambda _: True, settings=quick) == plain


def test_reasoning_within_the_content_is_beside_what_a_provider_sends_for_an_empty_one() -> None:
    """DeepSeek sends `content: null` beside reasoning; where the reasoning is in the content, that would undo it."""
    said = Completion((chat_choice("", "Hm", finish_reason="stop"),))
    for dialect in DIALECTS.values():
        frames = stream(said, Variation(reasoning="thinking"), dialect, Timing(), Source(0))
        assert read_from(dialect, b"".join(frame.data for frame in frames)).choices[0].reasoning == "Hm"
