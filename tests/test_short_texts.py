"""A cache of texts is bounded in bytes: it keeps no long ones."""

from __future__ import annotations

from fakellm.base.short_texts import MOST, cached_if_short


def test_what_a_short_text_gives_is_kept() -> None:
    calls: list[tuple[int, str]] = []

    @cached_if_short(2)
    def length(more: int, text: str) -> int:
        """Counts."""
        calls.append((more, text))
        return more + len(text)

    short, long = "x" * MOST, "x" * (MOST + 1)
    assert [length(1, short), length(1, short)] == [MOST + 1] * 2
    assert [length(1, long), length(1, long)] == [MOST + 2] * 2
    assert calls == [(1, short), (1, long), (1, long)]
    assert (length.__name__, length.__doc__) == ("length", "Counts.")
