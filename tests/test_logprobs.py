"""The probabilities of tokens: dealt out with the text they belong to, and whole again at the other end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis.chat.chunk import text_or_empty
from fakellm.apis.variation import Variation
from fakellm.base import tokenizer
from fakellm.base.errors import ScenarioError
from fakellm.base.seed import Source
from fakellm.faults import Length
from fakellm.fuzzing.strategies import texts
from fakellm.model.blocks import Completion, Token
from fakellm.model.logprobs import drawn_tokens, kept
from fakellm.scenarios.loader import dump, load
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.streaming.shares import shares as dealt
from tests.chats import chat_choice, divide, folded, logprobs
from tests.conftest import chat, respond

A, B, C, D = (Token(text, -0.5) for text in ("It", " is", " 3", "°"))
TOKENS = (A, B, C, D)
SAID = chat_choice("It is 3°", finish_reason="stop", logprobs=TOKENS)


def shares(tokens: tuple[Token, ...], *pieces: str) -> list[tuple[Token, ...]]:
    return list(dealt(pieces, tokens))


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["It", " is", " 3", "°"], [(A,), (B,), (C,), (D,)]),
        (["It is 3°"], [(A, B, C, D)]),
        (["It i", "s 3°"], [(A,), (B, C, D)]),
        (["I", "t", " ", "is 3", "°"], [(), (A,), (), (B, C), (D,)]),
        (["", "It is", " 3°"], [(), (A, B), (C, D)]),
    ],
)  # fmt: skip
def test_a_token_belongs_to_the_piece_it_ends_in(pieces: list[str], expected: list[Any]) -> None:
    assert shares(TOKENS, *pieces) == expected


@pytest.mark.parametrize(
    ("tokens", "pieces", "expected"),
    [
        ((A,), ["It", " is"], [(A,), ()]),  # too few
        ((A, B, C), ["I", "t"], [(), (A, B, C)]),  # too many: the last piece has them
        ((Token("\\xe4\\xb8", -1.0, (), (0xE4, 0xB8)), Token("\\xad", -1.0, (), (0xAD,))), ["中", "!"], None),  # of half a character
        ((Token("<|x|>", -1.0, (), None), A), ["It", " is"], None),  # of no text
    ],
)  # fmt: skip
def test_tokens_that_do_not_spell_the_text(
    tokens: tuple[Token, ...], pieces: list[str], expected: list[Any] | None
) -> None:
    assert shares(tokens, *pieces) == (expected or [tokens, ()])


@given(texts(), st.integers(0, 3), st.sampled_from(("tokens", "characters", "whole", "random", 3)))
def test_each_cut_has_the_tokens_of_its_own_text(text: str, top: int, how: Any) -> None:
    tokens = drawn_tokens(tokenizer.split(text), top, Source(1))
    completion = Completion((chat_choice(text, logprobs=tokens),))
    chunks = divide(completion, Variation(split=how), Source(1))
    assert folded(chunks) == completion
    sent, had = "", ""
    for chunk in chunks:
        sent += text_or_empty(chunk.choices[0].delta.content)
        had += "".join(token.token for token in chunk.choices[0].logprobs or ())
        assert sent.startswith(had)
    assert had == text
    if how == "tokens":
        assert {len(chunk.choices[0].logprobs or ()) for chunk in chunks[1:]} <= {1}


@given(texts(), st.integers(0, 20), st.integers(0, 9))
def test_a_token_heads_its_alternatives(text: str, top: int, seed: int) -> None:
    tokens = drawn_tokens(tokenizer.split(text), top, Source(seed))
    assert tokens == drawn_tokens(tokenizer.split(text), top, Source(seed))
    assert "".join(token.token for token in tokens) == text
    for token in tokens:
        assert token.logprob < 0
        assert len(token.top) == top
        assert [other.logprob for other in token.top] == sorted((other.logprob for other in token.top), reverse=True)
        assert len({other.token for other in token.top}) == top
        assert not token.top or token.top[0] == Token(token.token, token.logprob)


def test_a_text_that_was_cut_off_keeps_the_tokens_it_has() -> None:
    assert kept(TOKENS, "It is 3") == (A, B, C)
    cut = Length(keep=4).apply(Completion((SAID,)), Source(0)).choices[0]
    assert (cut.content, logprobs(cut)) == ("It i", (A,))


RULE = """\
rules:
- reply:
    content: It is
    logprobs: [[It, -0.1], [' is', -0.25, [[' is', -0.25], [' was', -1.5]]]]
  stream: {split: tokens, role: alone}
"""


def test_on_the_wire_each_chunk_has_its_tokens() -> None:
    def sent(stream: bool) -> bytes:
        return respond(App(load(RULE)), HttpRequest("POST", "/v1/chat/completions", chat(stream=stream))).plan.body

    frames = [json.loads(line[6:]) for line in sent(True).decode().split("\n\n")[:-2]]
    first = {"token": "It", "logprob": -0.1, "bytes": [73, 116], "top_logprobs": []}
    others = [
        {"token": " is", "logprob": -0.25, "bytes": [32, 105, 115]},
        {"token": " was", "logprob": -1.5, "bytes": [32, 119, 97, 115]},
    ]
    second = {**others[0], "top_logprobs": others}
    assert [frame["choices"][0]["logprobs"] for frame in frames] == [
        {"content": [], "refusal": None},
        {"content": [first], "refusal": None},
        {"content": [second], "refusal": None},
        None,
    ]
    assert json.loads(sent(False))["choices"][0]["logprobs"] == {"content": [first, second], "refusal": None}


def test_a_refusal_has_tokens_too() -> None:
    tokens = Completion((chat_choice(refusal="No.", refusal_logprobs=(Token("No", -1.0), Token(".", -2.0))),))
    chunks = divide(tokens, Variation(split="tokens"), Source(0))
    assert [chunk.choices[0].refusal_logprobs for chunk in chunks] == [None, (Token("No", -1.0),), (Token(".", -2.0),)]
    assert folded(chunks) == tokens


def test_log_probabilities_survive_yaml_and_are_refused_without_their_text() -> None:
    assert load(dump(load(RULE))) == load(RULE)
    with pytest.raises(ScenarioError, match="'logprobs' without 'content': they are the tokens of that text"):
        load({"rules": [{"reply": {"refusal": "No", "logprobs": [["No", -1]]}}]})
    with pytest.raises(ScenarioError, match=r"logprobs\[0\]: expected array of at least length 2"):
        load({"rules": [{"reply": {"content": "No", "logprobs": [["No"]]}}]})
