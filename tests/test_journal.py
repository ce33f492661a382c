"""The journal is bounded, and says how much it has let go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fakellm.engine.journal import Entry, Journal


def entry() -> Entry:
    return Entry("POST", "/v1/chat/completions", None, None, True, None, 200, 1)


@given(st.lists(st.integers(0, 50), max_size=30))
def test_the_newest_entries_are_kept_within_the_bounds(sizes: list[int]) -> None:
    journal = Journal(most_entries=5, most_bytes=100)
    for size in sizes:
        journal.add(entry(), size)
    kept = [each.number for each in journal]
    assert kept == list(range(len(sizes) - len(kept) + 1, len(sizes) + 1))
    assert journal.dropped == len(sizes) - len(kept)
    assert len(kept) <= 5
    assert sum(sizes[-len(kept) :]) <= 100 or len(kept) == 1
    if len(kept) < min(5, len(sizes)):  # one more would have been too much
        assert sum(sizes[-len(kept) - 1 :]) > 100


def test_one_entry_too_large_stays_until_the_next() -> None:
    journal = Journal(most_bytes=10)
    journal.add(entry(), 1000)
    assert [each.number for each in journal] == [1]
    journal.add(entry(), 1)
    assert [each.number for each in journal] == [2]
