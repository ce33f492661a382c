"""The only randomness in the house: hashing with labels.

Owns the way from (seed, labels) to numbers, letters and choices. The same seed and labels give the same draws in every
process and on every machine. Knows nothing of what is drawn.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from hashlib import blake2b, shake_256
from struct import unpack
from typing import TypeVar

T = TypeVar("T")

DIGITS = string.digits
ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


class Source:
    """An endless sequence of draws that depends on the seed and the labels alone.

    Labels keep uses apart: the id of a reply does not change because its text drew one number more.
    """

    def __init__(self, seed: int, *labels: str | int) -> None:
        # repr() of a tuple of str and int is unambiguous: ("a", "b") and ("ab",) differ.
        self._key = blake2b(repr((seed, *labels)).encode("utf-8", "surrogatepass"), digest_size=32).digest()
        self._count = 0

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1; n of at most 2**32 keeps the bias under 2**-32."""
        block = blake2b(self._count.to_bytes(8, "big"), key=self._key, digest_size=8).digest()
        self._count += 1
        return int.from_bytes(block, "big") % n

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + self.below(high - low + 1)

    def choice(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def numbers(self, count: int) -> tuple[int, ...]:
        """So many whole numbers from -2**31 to 2**31 - 1, all of one draw; fewer of them are the first of more."""
        block = shake_256(self._key + self._count.to_bytes(8, "big")).digest(4 * count)
        self._count += 1
        return unpack(f"<{count}i", block)

    def text(self, alphabet: str, length: int) -> str:
        """`length` characters of `alphabet`: ids, fingerprints, padding."""
        return "".join(self.choice(alphabet) for _ in range(length))

    def uuid(self) -> str:
        """32 hex digits in the five groups of a UUID (version and variant bits are not set: xAI's are not either)."""
        digits = self.text(HEX, 32)
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
