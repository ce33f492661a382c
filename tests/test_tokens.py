"""Texts are cut as a provider cuts them, and the tokens join to the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.base import tokenizer


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
