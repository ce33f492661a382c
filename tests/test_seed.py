"""Draws: uniform, in the alphabet, the same on every Python, and independent of each other."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.base.seed import ALNUM, DIGITS, HEX, Source

ALPHABETS = {
    "digits": DIGITS,
    "hex": HEX,
    "hex without 0": HEX[1:],
    "base 32": "0123456789ABCDEFGHJKMNPQRSTVWXYZ",
    "letters and digits": ALNUM,
    "one letter": "x",
    "86 characters": "".join(map(chr, range(33, 119))),  # of 256 bytes, 84 are not used
}
ascii_texts = st.text(st.characters(max_codepoint=127), min_size=1, max_size=256)
names = st.text(max_size=5) | st.lists(st.text(max_size=3) | st.integers(0, 99), max_size=3).map(tuple)


@given(st.integers(), ascii_texts, st.integers(0, 400), st.integers(0, 400))
def test_a_text_has_its_length_and_starts_with_the_shorter_ones(seed: int, alphabet: str, one: int, other: int) -> None:
    texts = [Source(seed).text(alphabet, length) for length in sorted((one, other))]
    assert list(map(len, texts)) == sorted((one, other))
    assert texts[1].startswith(texts[0])
    assert set(texts[1]) <= set(alphabet)


def chi_square(values: Counter[str], categories: int) -> float:
    expected = values.total() / categories
    return sum((count - expected) ** 2 for count in values.values()) / expected + (categories - len(values)) * expected


@pytest.mark.parametrize("alphabet", ALPHABETS.values(), ids=ALPHABETS)
@pytest.mark.parametrize("length", [1, 29, 20_000])
def test_every_character_is_equally_likely(alphabet: str, length: int) -> None:
    texts = [Source(7, number).text(alphabet, length) for number in range(60_000 // length)]
    free = len(alphabet) - 1
    # Six standard deviations: the seeds are fixed, so this cannot fail now and then.
    assert chi_square(Counter("".join(texts)), len(alphabet)) <= free + 6 * (2 * free) ** 0.5


def test_every_place_of_a_text_is_drawn_on_its_own() -> None:
    texts = [Source(7, number).text(HEX, 2) for number in range(20_000)]
    assert chi_square(Counter(texts), 256) <= 255 + 6 * 510**0.5


@pytest.mark.parametrize("alphabet", ["", "x" * 257, "äö"])
def test_an_alphabet_is_of_1_to_256_ascii_characters(alphabet: str) -> None:
    with pytest.raises(ValueError, match="expected an alphabet of 1 to 256 ASCII characters, got "):
        Source(0).text(alphabet, 1)


def test_draws_of_a_source_differ_from_each_other() -> None:
    source = Source(0)
    assert len({source.text(HEX, 32) for _ in range(100)} | {source.uuid() for _ in range(100)}) == 200


@given(st.integers(), names, st.lists(names), st.integers(0, 9))
def test_a_name_draws_the_same_whatever_was_drawn_before(
    seed: int, name: str | tuple[str | int, ...], others: list[str | tuple[str | int, ...]], count: int
) -> None:
    source = Source(seed, "a")
    for other in others:
        source.draw(other, lambda each: each.numbers(2))
    for _ in range(count):
        source.below(2)
    first = source.draw(name, lambda each: (each.below(2**64), each.text(ALNUM, 9)))
    assert first == Source(seed, "a").draw(name, lambda each: (each.below(2**64), each.text(ALNUM, 9)))


def test_names_keep_draws_apart() -> None:
    def below(source: Source) -> int:
        return source.below(2**64)

    source = Source(0, "a")
    draws = [
        *(source.draw(name, below) for name in ("", "b", "b\0", ("b",), ("b", 1), ("b", "1"), ("b", 1, "c"), ())),
        *(source.draw(name, lambda each: each.draw("c", below)) for name in ("b", ("b", 1), ("b", "c"))),
        source.draw("b", lambda each: each.draw(("c",), below)),
        source.draw(("b", "c"), below),
        below(source),
        below(Source(0, "a", "b")),
        below(Source(1, "a")),
        Source(1, "a").draw("b", below),
    ]
    assert len(set(draws)) == len(draws)


def test_a_name_may_hold_half_a_surrogate_pair() -> None:
    assert Source(0).draw("\ud800", lambda each: each.text(HEX, 8)) != Source(0).draw(
        "?", lambda each: each.text(HEX, 8)
    )
