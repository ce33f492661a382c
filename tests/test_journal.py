"""The journals are bounded, all together in bytes, and say how much they have let go."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.engine.journal import Entry, Journal, Shelf, kept_body

OVERHEAD = 1024 + len("/v1/chat/completions")


def entry(size: int = 0) -> Entry:
    return Entry("POST", "/v1/chat/completions", msgspec.Raw(b'"%b"' % (b"x" * (size - 2)) if size > 1 else b""))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(2, 5_000)), max_size=40))
def test_the_newest_entries_are_kept_within_the_bounds(added: list[tuple[int, int]]) -> None:
    most_bytes, most_entries = 20_000, 5
    shelf = Shelf(most_bytes, most_entries)
    journals = [Journal(shelf), Journal(shelf)]
    sizes: list[tuple[int, int, int]] = []  # journal, number, size: what a slow but plain shelf would keep
    for which, size in added:
        journals[which].add(entry(size))
        sizes.append((which, journals[which].count, size + OVERHEAD))
        of_it = [each for each in sizes if each[0] == which]
        if len(of_it) > most_entries:
            sizes.remove(of_it[0])
        while sum(each[2] for each in sizes) > most_bytes and len(sizes) > 1:
            sizes.pop(0)
    for which, journal in enumerate(journals):
        assert [each.number for each in journal] == [number for index, number, _ in sizes if index == which]
        assert journal.dropped == journal.count - len(journal)


def test_one_entry_too_large_stays_until_the_next() -> None:
    journal = Journal(Shelf(1_500))
    journal.add(entry(100_000))
    assert [each.number for each in journal] == [1]
    journal.add(entry())
    assert [each.number for each in journal] == [2]


def test_a_journal_that_is_closed_leaves_its_room_to_others() -> None:
    shelf = Shelf(10_000)
    one, other = Journal(shelf), Journal(shelf)
    one.add(entry(8_000))
    one.close()
    for _ in range(2):
        other.add(entry(3_000))
    assert (len(one), len(other)) == (0, 2)


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"a": [1.0, 1e400, 12345678901234567890123]}', b'{"a": [1.0, 1e400, 12345678901234567890123]}'),
        (b"", b"null"),
        (b"{", b'"{"'),
        (b'"\xff', b'"\\"\\\\xff"'),
        (b"NaN", b'"NaN"'),
        (b"[" * 100_000, b'"' + b"[" * 100_000 + b'"'),
    ],
)
def test_a_body_is_kept_as_its_json_or_as_a_text(body: bytes, kept: bytes) -> None:
    assert bytes(memoryview(kept_body(body))) == kept


def test_a_dropped_entry_keeps_its_request_unless_its_reply_is_under_way() -> None:
    journal = Journal(Shelf(10_000, 1))
    sending, stalled, sent = entry(100), entry(100), entry(100)
    stalled.outcome, sent.outcome = "stalled", "sent"
    for each in (sending, stalled, sent, entry()):
        journal.add(each)
    assert (sending.request, stalled.request) == (None, None)
    assert len(memoryview(sent.request)) == 100
