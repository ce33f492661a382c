"""Response ids: draws them, and reads the time in them. Knows no frames.

As recorded, an id is base64url without padding: the seconds since 1970 in four bytes, lowest first, then the
microseconds and two numbers of 32 bits as varints. The `createTime` that Vertex AI sends is this time.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from fakellm.base.seed import Source

_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def response_id(created: int, source: Source) -> str:
    """An id that contains this time, in seconds."""
    numbers = [source.below(1_000_000), source.below(2**32), source.below(2**32)]
    data = (created % 2**32).to_bytes(4, "little") + b"".join(map(_varint, numbers))
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def drawn_time(source: Source) -> int:
    """A time in 2026, in seconds."""
    return 1_767_225_600 + source.below(31_000_000)


def create_time(drawn: Any) -> str:
    """The time of a reply: that in its id, else the one that was drawn."""
    seconds, micros = _time_in(drawn.get("id")) or (drawn.get("created") or 0, 0)
    return timestamp(seconds, micros)


def timestamp(seconds: int, micros: int) -> str:
    """A time as RFC 3339 writes it."""
    days, rest = divmod(seconds, 86_400)
    year = 1970
    while days >= (length := 366 if _is_leap(year) else 365):
        days -= length
        year += 1
    for month, usual in enumerate(_DAYS, 1):
        length = usual + (month == 2 and _is_leap(year))
        if days < length:
            break
        days -= length
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{year}-{month:02}-{days + 1:02}T{clock}.{micros:06}Z"


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _time_in(identifier: Any) -> tuple[int, int] | None:
    """The seconds and microseconds in an id; None if it has none."""
    try:
        data = base64.urlsafe_b64decode(str(identifier) + "==")
    except (ValueError, binascii.Error):
        return None
    micros = 0
    for place, byte in enumerate(data[4:7]):
        micros |= (byte & 127) << 7 * place
        if byte < 128:
            return (int.from_bytes(data[:4], "little"), micros) if 12 <= len(data) <= 19 and micros < 10**6 else None
    return None


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes((*found, number))
