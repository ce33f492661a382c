"""The only source of randomness in fakellm: hashes of a seed and labels.

It turns them into numbers, letters and choices. The same seed and labels give the same draws in every process and on
every machine. It does not know what the draws are for.
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
    """An endless sequence of draws that depends only on the seed and the labels.

    Labels keep uses independent: the id of a reply does not change because its text draws one more number.
    """

    def __init__(self, seed: int, *labels: str | int) -> None:
        # repr() of a tuple of str and int is unambiguous: ("a", "b") and ("ab",) differ.
        self._key = blake2b(repr((seed, *labels)).encode("utf-8", "surrogatepass"), digest_size=32).digest()
        self._count = 0

    def below(self, n: int) -> int:
        """An integer from 0 to n - 1; up to n = 2**32 the bias is below 2**-32."""
        block = blake2b(self._count.to_bytes(8, "big"), key=self._key, digest_size=8).digest()
        self._count += 1
        return int.from_bytes(block, "big") % n

    def between(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + self.below(high - low + 1)

    def choice(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def numbers(self, count: int) -> tuple[int, ...]:
        """`count` integers from -2**31 to 2**31 - 1, all from one draw; a smaller count gives the first of them."""
        block = shake_256(self._key + self._count.to_bytes(8, "big")).digest(4 * count)
        self._count += 1
        return unpack(f"<{count}i", block)

    def text(self, alphabet: str, length: int) -> str:
        """`length` characters of `alphabet`: ids, fingerprints, padding."""
        return "".join(self.choice(alphabet) for _ in range(length))

    def uuid(self) -> str:
        """32 hex digits in the five groups of a UUID, without version and variant bits: xAI sets none either."""
        digits = self.text(HEX, 32)
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
