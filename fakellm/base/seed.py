"""The only source of randomness in fakellm: hashes of a seed and labels.

It turns them into numbers, letters and choices. The same seed and labels give the same draws in every process and on
every machine. It does not know what the draws are for.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b, shake_256
from struct import unpack
from typing import Any, TypeVar

T = TypeVar("T")

DIGITS = string.digits
ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"

Name = str | tuple[str | int, ...]
"""What a draw is called: `"seed"`, or `("token_id", 3, 0)` for one of several."""


class Source:
    """An endless sequence of draws that depends only on the seed and the labels. Each draw costs one hash.

    Labels keep uses independent: the id of a reply does not change because its text draws one more number. So do the
    names of draws: `draw`.
    """

    __slots__ = ("_count", "_key", "_labels", "_name")

    def __init__(self, seed: int, *labels: str | int) -> None:
        self._labels = (seed, *labels)
        self._key = b""  # it is hashed when something is drawn
        self._name = b""
        self._count = 0

    def draw(self, name: Name, make: Callable[[Source], T]) -> T:
        """What `make` draws for this name. It depends on the seed, the labels and the name, not on other draws.

        `make` draws from a source of its own, which costs no hash; names in it are independent of names outside it.
        """
        named = Source.__new__(Source)
        named._key = self._key or self._hashed()
        # repr() escapes NUL, so NUL ends a name: whatever names are nested, none continues another.
        named._name = self._name + repr(name).encode("utf-8", "surrogatepass") + b"\0"
        named._count = 0
        return make(named)

    def below(self, n: int) -> int:
        """An integer from 0 to n - 1; up to n = 2**32 the bias is below 2**-32."""
        return int.from_bytes(blake2b(self._next(), key=self._key or self._hashed(), digest_size=8).digest(), "big") % n

    def between(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + self.below(high - low + 1)

    def choice(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def numbers(self, count: int) -> tuple[int, ...]:
        """`count` integers from -2**31 to 2**31 - 1, all from one draw; a smaller count gives the first of them."""
        return unpack(f"<{count}i", self._shaken().digest(4 * count))

    def text(self, alphabet: str, length: int) -> str:
        """`length` characters of `alphabet`, all from one draw: ids, fingerprints, padding.

        Every character is equally likely, and a smaller length gives the first of them. The alphabet has at most 256
        characters, all ASCII; raises ValueError if not.
        """
        letters, unused = _letters(alphabet)
        block = self._shaken()
        size = 2 * length
        while len(text := block.digest(size).translate(letters, unused)) < length:
            size *= 2  # a longer digest of the same hash starts with the shorter one
        return str(text[:length], "ascii")

    def uuid(self) -> str:
        """32 hex digits in the five groups of a UUID, without version and variant bits: xAI sets none either."""
        digits = self._shaken().hexdigest(16)
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def _hashed(self) -> bytes:
        # repr() of a tuple of str and int is unambiguous: ("a", "b") and ("ab",) differ.
        self._key = blake2b(repr(self._labels).encode("utf-8", "surrogatepass"), digest_size=32).digest()
        return self._key

    def _shaken(self) -> Any:
        return shake_256((self._key or self._hashed()) + self._next())

    def _next(self) -> bytes:
        """What the next hash is of."""
        count = self._count
        self._count = count + 1
        return self._name + count.to_bytes(8, "big")


class DrawnError(Exception):
    """Something was drawn from NothingDrawn."""


class NothingDrawn(Source):
    """A source from which nothing may be drawn."""

    __slots__ = ()

    def draw(self, name: Name, make: Callable[[Source], T]) -> T:
        raise DrawnError

    def _next(self) -> bytes:
        raise DrawnError


@cache
def _letters(alphabet: str) -> tuple[bytes, bytes]:
    """The character that each byte stands for, and the last bytes, which would make the first characters likelier."""
    if not 1 <= len(alphabet) <= 256 or not alphabet.isascii():
        raise ValueError(f"expected an alphabet of 1 to 256 ASCII characters, got {alphabet!r}")
    unused = 256 % len(alphabet)
    letters = (alphabet * 256).encode("ascii")[:256]
    return letters, bytes(range(256 - unused, 256))
