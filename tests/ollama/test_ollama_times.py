"""Times as Go writes them, against Python's own calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakellm.model.rfc3339 import rfc3339


@given(st.integers(0, 253_402_300_799), st.integers(0, 999_999))
def test_a_time_is_that_of_the_calendar(seconds: int, microseconds: int) -> None:
    text = rfc3339(seconds * 10**9 + microseconds * 1000, 6)
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=microseconds)
    assert datetime.fromisoformat(text) == expected


@pytest.mark.parametrize(
    ("nanoseconds", "digits", "expected"),
    [
        (0, 6, "1970-01-01T00:00:00Z"),
        (1_500_000_000, 6, "1970-01-01T00:00:01.5Z"),
        (1_123_456_789, 9, "1970-01-01T00:00:01.123456789Z"),
        (1_123_456_789, 6, "1970-01-01T00:00:01.123456Z"),
        (951_782_400 * 10**9, 0, "2000-02-29T00:00:00Z"),
    ],
)
def test_zeros_at_the_end_are_cut(nanoseconds: int, digits: int, expected: str) -> None:
    assert rfc3339(nanoseconds, digits) == expected
