"""Texts are cut as a provider cuts them, and the tokens join to the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.base import token_count, tokenizer


@given(st.text())
def test_tokens_join_back_to_the_text(text: str) -> None:
    assert "".join(tokenizer.split(text)) == text


@given(st.text())
def test_no_token_is_empty(text: str) -> None:
    assert all(tokenizer.split(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        # as xAI streamed it: the space belongs to the word, but not to the number
        (
            "The sum of 2 and 3 is 5.  \nThe",
            ["The", " sum", " of", " ", "2", " and", " ", "3", " is", " ", "5", ".", "  \n", "The"],
        ),
        ("It's 202, they'll say", ["It's", " ", "202", ",", " they'll", " say"]),
        ("12345", ["123", "45"]),
        ("J.R.R. **Tolkien**\n", ["J", ".R", ".R", ".", " **", "Tolkien", "**\n"]),
        ("a   b", ["a", "  ", " b"]),
        ("naïve 名前 👩‍🚀", ["naïve", " 名前", " 👩‍🚀"]),
        ("snake_case", ["snake", "_", "case"]),
    ],
)
def test_where_the_cuts_are(text: str, expected: list[str]) -> None:
    assert tokenizer.split(text) == expected


PARTS = (
    *("a", "S", "tell", "ll", "'Ve", "re", "it's", "don't ", "'", "''s", "é", "²", "名", "\u017f"),
    *(" ", "  ", "\t", "\x0b", "\x1c", "\xa0", "\u2003", "\n", "\r\n", "\r"),
    *("5", "123", "99999", "٣", "_", "(", "\u2019", "👩\u200d🚀", "\0", "\ud800", ".", "/", "\n/", "{\n", "// c"),
)
"""What decides where a token begins, in every class of characters and beside all others."""


@given(st.lists(st.sampled_from(PARTS)).map("".join) | st.text(), st.sampled_from([1, 5, 40, 1 << 15]))
def test_tokens_are_counted_as_they_are_cut(text: str, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_count, "_PIECE", piece)
        patch.setattr(token_count, "_masks", token_count._Masks.of(piece))
        assert token_count.count(text, tokenizer.split) == len(tokenizer.split(text))


@pytest.mark.parametrize(
    "text", ["word, " * 50_000, "9" * 70_000, "\n/" * 40_000, "a" * 100_000, "it's" * 20_000, "名 " * 9_000]
)
def test_a_long_text_is_counted(text: str) -> None:
    assert tokenizer.count(text) == len(tokenizer.split(text))


def test_a_long_prompt_is_not_cut_to_be_counted() -> None:
    def cut(text: str) -> list[str]:
        raise AssertionError(f"{len(text)} characters were cut")

    prompt = "It's what /usr/bin says:\n  {\"number\": 1234567}\n\n// “naïve”, isn't it?\n" * 10_000
    assert token_count.count(prompt, cut) == len(tokenizer.split(prompt))
