"""Times as Go writes them: RFC 3339 in UTC, trailing zeros of the fraction cut."""

from __future__ import annotations

from functools import lru_cache

_DAY = 86_400


def rfc3339(nanoseconds: int, digits: int) -> str:
    """A time, in nanoseconds since 1970, with at most so many digits of its fraction: ``2026-03-06T14:52:15.9Z``."""
    text = f"{nanoseconds:010d}"
    fraction = text[-9:][:digits].rstrip("0")
    return f"{_second(text[:-9])}.{fraction}Z" if fraction else f"{_second(text[:-9])}Z"


@lru_cache(maxsize=256)
def _second(seconds: str) -> str:
    """A second; consecutive lines mostly have the same."""
    days, second = divmod(int(seconds), _DAY)
    year, month, day = _date(days)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{year:04d}-{month:02d}-{day:02d}T{clock}"


def _date(days: int) -> tuple[int, int, int]:
    """The year, month and day that begin so many days after 1970-01-01. Years are counted from March, so that a leap
    day is the last of one."""
    era, day = divmod(days + 719_468, 146_097)  # eras of 400 years, since 0000-03-01
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    return era * 400 + year + (month >= 10), (month + 2) % 12 + 1, day - (153 * month + 2) // 5 + 1
