"""The laws of the core, for chat and for an API unlike it: whatever is divided folds back, whatever is recorded plays again."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fakellm.apis.chat import meaning
from fakellm.apis.chat.meaning import ANNOTATIONS
from fakellm.base.seed import Source
from fakellm.model.blocks import (
    Block,
    Choice,
    Completion,
    Opaque,
    Refusal,
    Stop,
    Text,
    Thinking,
    Token,
    ToolCall,
    Usage,
)
from fakellm.model.deltas import Batch, Close, Count, Delta, End, Finish, Note, Open, Piece, Silence, Start
from fakellm.model.fold import fold
from fakellm.scenarios.loader import load
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.streaming.check import check
from fakellm.streaming.divide import compose, divide
from fakellm.streaming.division import LATE, Division, Silences
from fakellm.streaming.grammar import Field, Grammar, Joins
from fakellm.streaming.observe import observe, renumbered
from fakellm.streaming.play import play
from fakellm.streaming.score import Score
from tests.conftest import chat, respond
from tests.toy_api import TOY, Habits

TEXTS = st.text(max_size=8) | st.sampled_from(["🌍🚀", "One two three", "data: {}\n\n"])
TOKENS = st.lists(st.builds(Token, st.text(max_size=3), st.floats(-9, 0)), max_size=3).map(tuple)
OWN = st.sampled_from([{}, {"chat": {"annotations": [{"a": 1}, {"b": []}]}}, {"toy": {"x": 1}}])
BLOCKS: st.SearchStrategy[Block] = st.one_of(
    st.builds(Text, TEXTS, TOKENS, st.sampled_from(["", "i"]), OWN),
    st.builds(Refusal, TEXTS, TOKENS),
    st.builds(Thinking, st.lists(TEXTS, max_size=3).map(tuple), st.just(()), st.sampled_from(["", "c2ln"])),
    st.builds(ToolCall, TEXTS, TEXTS, TEXTS, st.sampled_from(["function", "web_search"])),
    st.builds(Opaque, st.sampled_from(["chat", "toy"]), st.just({"k": [1.0]})),
)
STOPS = st.none() | st.builds(Stop, st.sampled_from(["stop", "length", "tool_calls", "eos"]))
CHOICES = st.builds(Choice, st.lists(BLOCKS, max_size=6).map(tuple), STOPS)
COUNTS = st.integers(0, 2**40)
USAGES = st.none() | st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, st.integers(0, 9))
COMPLETIONS = st.builds(Completion, st.lists(CHOICES, min_size=1, max_size=3).map(tuple), USAGES)

CUTS: st.SearchStrategy[Any] = st.sampled_from(
    ["whole", "tokens", "words", "characters", "random", "surrogates"]
) | st.one_of(st.integers(1, 9), st.lists(st.integers(0, 9), max_size=4).map(tuple))
ADDRESSES = st.sampled_from(
    ["content", "reasoning", "refusal", "arguments", "choices[1].content", "tool_calls[0].arguments"]
)
PARTS = ["reasoning", "content", "refusal", "tool_calls"]
TURNS = st.lists(st.tuples(st.sampled_from([*PARTS, "choices[0]", "choices[1]"]), st.integers(1, 3)), max_size=3)
PLACES = st.sampled_from(["content", "delta", "finish", "stream", "reasoning", "answer", "calls_end", "unfinished"])
SILENCES = st.builds(
    Silences, st.integers(0, 2) | st.just("reasoning"), PLACES | st.lists(st.integers(0, 30), max_size=2).map(tuple)
)
DIVISIONS: st.SearchStrategy[Division] = st.builds(
    Division,
    split=CUTS | st.dictionaries(ADDRESSES, CUTS, max_size=3),
    start=st.sampled_from(["alone", "first", "call", "joined"]),
    opening=st.sampled_from(["alone", "piece", "pair"]),
    late=st.lists(st.sampled_from(LATE), unique=True).map(tuple),
    together=st.lists(st.sampled_from(["choices", "calls", "parts"]), max_size=3).map(tuple),
    turns=TURNS.map(tuple),
    interleave=st.sampled_from(["none", "choices", "calls", "both"]),
    order=st.sampled_from(["given", "reversed"]),
    before=st.none() | st.integers(0, 5),
    silences=st.lists(SILENCES, max_size=3).map(tuple),
    finish=st.sampled_from(["alone", "last", "call", "calls", "early", "twice"]),
    usage=st.sampled_from(["own", "finish", "both", "after", "every", "running"]),
)

CHAT_GRAMMAR = meaning.GRAMMAR
TOY_GRAMMAR = TOY.grammar(Habits())
WHOLE_GRAMMAR = Grammar(
    fields=TOY_GRAMMAR.fields, closes="whole", overlap="ordered", joins=Joins(finish="must", usage="must", end="must")
)
"""Parallel blocks that open in order, each repeated when it closes."""
SHARING_GRAMMAR = Grammar(
    fields=lambda block: tuple(Field(at.at, "whole", ride=True) for at in TOY_GRAMMAR.fields(block)),
    share="ascending",
    overlap="any",
    opening=lambda block: "must",
    rank=lambda block: (Thinking, Text, Refusal, ToolCall, Opaque).index(type(block)),
    joins=Joins("must", "may", "may", "must"),
)
"""Blocks in one piece, that share batches in the order of their kinds."""
CLOSING_GRAMMAR = Grammar(
    fields=lambda block: (Field("arguments", "none"),) if isinstance(block, ToolCall) else TOY_GRAMMAR.fields(block),
    closes="whole",
)
"""Arguments that only the close of a call has."""
GRAMMARS = {
    "chat": CHAT_GRAMMAR,
    "toy": TOY_GRAMMAR,
    "whole": WHOLE_GRAMMAR,
    "sharing": SHARING_GRAMMAR,
    "closing": CLOSING_GRAMMAR,
}


def expressible(name: str, completion: Completion) -> Completion:
    """The completion that the API of this grammar can express."""
    if name == "chat":
        return meaning.expressible(completion)
    one = TOY.expressible(completion, Habits())
    return one if name == "toy" else Completion(one.choices, one.usage)


@pytest.mark.parametrize("name", GRAMMARS)
@settings(max_examples=40)
@given(completion=COMPLETIONS, division=DIVISIONS)
def test_a_divided_completion_folds_back(name: str, completion: Completion, division: Division) -> None:
    meant = expressible(name, completion)
    assert fold(divide(meant, division, GRAMMARS[name], Source(0))) == (meant, End())


@pytest.mark.parametrize("name", GRAMMARS)
@settings(max_examples=40)
@given(completion=COMPLETIONS, division=DIVISIONS)
def test_a_division_can_drop_only_usage(name: str, completion: Completion, division: Division) -> None:
    meant = expressible(name, completion)
    without = msgspec.structs.replace(division, usage="none")
    expected = msgspec.structs.replace(meant, usage=None)
    assert fold(divide(meant, without, GRAMMARS[name], Source(0))) == (expected, End())


@pytest.mark.parametrize("name", GRAMMARS)
@settings(max_examples=40)
@given(completion=COMPLETIONS, division=DIVISIONS)
def test_an_observed_score_plays_the_same_batches(name: str, completion: Completion, division: Division) -> None:
    batches = divide(expressible(name, completion), division, GRAMMARS[name], Source(0))
    score = observe(batches)
    assert play(fold(batches)[0], score) == batches
    assert msgspec.yaml.decode(msgspec.yaml.encode(score), type=Score) == score


@pytest.mark.parametrize("name", GRAMMARS)
@settings(max_examples=40)
@given(completion=COMPLETIONS, division=DIVISIONS)
def test_a_composed_score_plays_what_is_divided(name: str, completion: Completion, division: Division) -> None:
    meant = expressible(name, completion)
    score = compose(meant, division, GRAMMARS[name], Source(0))
    assert play(meant, score) == divide(meant, division, GRAMMARS[name], Source(0))


@given(COMPLETIONS, COMPLETIONS, DIVISIONS)
def test_a_score_plays_any_completion(one: Completion, other: Completion, division: Division) -> None:
    score = compose(meaning.expressible(one), division, CHAT_GRAMMAR, Source(0))
    play(meaning.expressible(other), score)


def test_an_edited_recording_keeps_its_cuts() -> None:
    def hello(text: str) -> Completion:
        return Completion((Choice((Text(text),), Stop("stop")),))

    score = compose(hello("One two"), Division(split=(3,)), CHAT_GRAMMAR, Source(0))
    pieces = [delta.value for batch in play(hello("Six seven"), score) for delta in batch if isinstance(delta, Piece)]
    assert pieces == ["Six", " seven"]


@given(COMPLETIONS, st.booleans(), st.booleans())
@example(Completion((Choice((Thinking(("Hm",)), Opaque("chat", {"k": 1}), Refusal("No"))),)), True, False)
def test_what_can_be_sent_can_be_sent_as_it_is(completion: Completion, think: bool, one_call: bool) -> None:
    once = meaning.expressible(completion, think, one_call)
    assert meaning.expressible(once, think, one_call) == once
    toy = TOY.expressible(completion, Habits())
    assert TOY.expressible(toy, Habits()) == toy


MIXED = Completion(
    (
        Choice(
            (
                Thinking(("Hm",)),
                Text("One"),
                ToolCall("a", "f", "{}"),
                Thinking(("So",)),
                Text("Two"),
                ToolCall("b", "g", "[1]"),
            ),
            Stop("tool_calls"),
        ),
    )
)


@given(DIVISIONS)
def test_blocks_keep_their_order(division: Division) -> None:
    assert fold(divide(MIXED, division, TOY_GRAMMAR, Source(0))) == (MIXED, End())


def test_chat_has_an_order_of_its_own() -> None:
    assert meaning.expressible(MIXED).choices[0].blocks == (
        Thinking(("HmSo",)),
        Text("OneTwo"),
        ToolCall("a", "f", "{}"),
        ToolCall("b", "g", "[1]"),
    )


TEXT = Open(0, 0, Text())


@pytest.mark.parametrize(
    ("batches", "problem"),
    [
        ([(Piece(0, 0, "text", "a"),)], "piece of block 0, which is not open"),
        ([(Close(0, 0),)], "close of block 0, which is not open"),
        ([(TEXT,), (TEXT,)], "block 0 is opened twice"),
        ([(TEXT, Close(0, 0), Close(0, 0))], "close of block 0, which is not open"),
        ([(TEXT, Piece(0, 0, "text", [1]))], "does not fit"),
        ([(TEXT, Piece(0, 0, "text", "a"), Piece(0, 0, "text", [1]))], "does not fit"),
        ([(TEXT, Piece(0, 0, "words", "a"))], "has no field 'words'"),
        ([(TEXT, Piece(0, 0, "text.0", "a"))], "is not a place"),
        ([(TEXT, Piece(0, 0, "own.chat", 5))], "does not fit"),
        ([(Open(0, 0, Thinking()), Piece(0, 0, "parts.1", "a"))], "no place '1' in a list of 0"),
        ([(TEXT, Piece(0, 0, "text", "a"), Close(0, 0, Text("b")))], "the text of a closed block differ"),
        ([(End(),), (End(),)], "end after the end"),
        ([(End(),), (Start(0),)], "start after the end"),
        ([(End(),), (Finish(0, Stop("stop")),)], "finish after the end"),
    ],
)
def test_a_stream_that_breaks_the_rules_ends_with_an_error(batches: list[Batch], problem: str) -> None:
    _, end = fold(batches)
    assert end is not None
    assert problem in end.error


def test_how_a_stream_ended() -> None:
    assert fold([])[1] is None
    assert fold([(Start(0), Finish(0, Stop("stop")))])[1] is None
    assert fold([(End("Overloaded"),)])[1] == End("Overloaded")
    assert fold([(End(),), (Silence(), Count(Usage(1)))]) == (Completion(usage=Usage(1)), End())


def test_the_last_value_counts() -> None:
    completion, _ = fold([(Note(None, "a", 1), Note(0, "b", 1)), (Note(None, "a", 2), Note(0, "b", 2))])
    assert (completion.notes, completion.choices[0].notes) == ({"a": 2}, {"b": 2})


def test_pieces_of_any_field_join() -> None:
    pieces: list[Delta] = [
        Open(0, 0, Thinking()),
        Piece(0, 0, "parts.0", "a\ud83c"),
        Piece(0, 0, "parts.0", "\udf0d"),
        Piece(0, 0, "parts.1", "b"),
        Open(0, 1, Text("x")),
        Piece(0, 1, "text", "y"),
        Piece(0, 1, ANNOTATIONS, [1]),
        Piece(0, 1, ANNOTATIONS, [2]),
    ]
    completion, _ = fold([tuple(pieces)])
    assert completion.choices[0].blocks == (
        Thinking(("a🌍", "b")),
        Text("xy", own={"chat": {"annotations": [1, 2]}}),
    )


def test_blocks_are_numbered_without_gaps() -> None:
    batches: list[Batch] = [(Open(4, 2**80, Text()), Open(4, -3, Text()), Piece(4, -3, "text", "a"), Silence(4))]
    assert renumbered(batches) == ((Open(0, 1, Text()), Open(0, 0, Text()), Piece(0, 0, "text", "a"), Silence(0)),)


@pytest.mark.parametrize(
    ("division", "keys"),
    [
        (Division(), set()),
        (Division(split="tokens", silences=(Silences(1),), usage="none"), set()),
        (Division(start="first", opening="pair", late=LATE), {"start", "opening", "late"}),
        (
            Division(together=("calls",), turns=(("content", 1),), interleave="calls"),
            {"together", "turns", "interleave"},
        ),
        (Division(order="reversed", before=0, finish="last", usage="every"), {"order", "before", "finish", "usage"}),
    ],
)
def test_a_key_without_effect_is_named(division: Division, keys: set[str]) -> None:
    assert set(check(division, TOY_GRAMMAR)) == keys
    assert check(division, CHAT_GRAMMAR) == {}


MISFITS: list[dict[str, Any]] = [
    {"part": "start", "choice": 7},
    {"part": "open", "block": 9},
    {"part": "open", "less": ["nope", "parts.9", ""]},
    {"part": "open", "value": {"type": "opaque", "api": "gemini", "value": {}}},
    {"part": "open", "value": {"type": "text", "own": {"chat": {"annotations": [{"a": 5}]}}}},
    {"part": "piece", "at": "nope", "length": 1},
    {"part": "piece", "at": "own", "length": 1},
    {"part": "piece", "at": "__class__", "length": 1},
    {"part": "piece", "length": [1, 2], "tokens": [3]},
    {"part": "piece", "length": 999, "choice": 3},
    {"part": "note", "choice": 3, "key": "role", "value": 5},
    {"part": "close", "block": 4, "whole": True},
    {"part": "finish", "choice": 3},
    {"part": "usage", "usage": {"own": {"chat": {"details": 5}}}},
    {"part": "silence", "look": 5},
    {"part": "silence", "look": {"chunk": 5}},
    {"part": "silence", "look": {"delta": 5}},
    {"part": "end", "error": [1]},
]


@pytest.mark.parametrize("part", MISFITS, ids=str)
@pytest.mark.parametrize("blocks", [[], [{"type": "text", "text": "Hi"}], [{"type": "thinking", "parts": ["a", "b"]}]])
def test_a_score_is_played_as_far_as_the_reply_fits_it(part: dict[str, Any], blocks: list[dict[str, Any]]) -> None:
    runs: list[dict[str, Any]] = [{"parts": [{"part": "start"}]}, {"parts": [{"part": "open"}, part], "times": 2}]
    runs += [{"parts": [part, part]}, {"parts": []}, {"parts": [part], "times": 0}]
    rule = {"reply": {"blocks": blocks}, "stream": {"score": {"runs": runs}}}
    for stream in (True, False):
        answer = respond(App(load({"rules": [rule]})), HttpRequest("POST", "/v1/chat/completions", chat(stream=stream)))
        assert answer.plan.status == 200
