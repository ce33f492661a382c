"""Draws waits from a distribution. Owns the distributions; every draw comes from the source that it is given.

Waits are rounded to a microsecond, since the last digit of a logarithm differs between machines.
"""

from __future__ import annotations

import math
from typing import Annotated

from msgspec import Meta, Struct

from fakellm.base.seed import Source
from fakellm.base.validation import FieldError

MOST_SECONDS = 86_400.0
"""The longest wait: a day."""

Seconds = Annotated[float, Meta(ge=0, le=MOST_SECONDS)]
Mean = Annotated[float, Meta(gt=0, le=MOST_SECONDS, description="The mean, in seconds.")]
Deviation = Annotated[float, Meta(gt=0, le=MOST_SECONDS, description="The standard deviation, in seconds.")]

_MOST_RATIO = 1_000.0


class _Moments(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    mean: Mean
    deviation: Deviation

    def __post_init__(self) -> None:
        if not 1 / _MOST_RATIO <= self.deviation / self.mean <= _MOST_RATIO:
            message = "must be between a thousandth and a thousand times the mean"
            raise FieldError(("deviation",), message)


class Lognormal(_Moments, frozen=True, tag="lognormal"):
    """Waits whose logarithm is normally distributed: many short ones, a few very long ones."""

    def drawn(self, source: Source) -> float:
        """A wait, in seconds."""
        variance = math.log1p((self.deviation / self.mean) ** 2)
        return _wait(math.exp(math.log(self.mean) - variance / 2 + math.sqrt(variance) * _normal(source)))


class Gamma(_Moments, frozen=True, tag="gamma"):
    """Waits that follow a gamma distribution; with a deviation equal to the mean, an exponential one."""

    def drawn(self, source: Source) -> float:
        """A wait, in seconds. Marsaglia and Tsang's method: https://doi.org/10.1145/358407.358414"""
        shape, scale = (self.mean / self.deviation) ** 2, self.deviation**2 / self.mean
        boost = _uniform(source) ** (1 / shape) if shape < 1 else 1.0
        least = (shape if shape >= 1 else shape + 1) - 1 / 3
        while True:
            normal = _normal(source)
            cube = (1 + normal / math.sqrt(9 * least)) ** 3
            if cube > 0 and math.log(_uniform(source)) < normal**2 / 2 + least * (1 - cube + math.log(cube)):
                return _wait(least * cube * boost * scale)


class Empirical(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="empirical"):
    """Waits that were measured: each is as likely as any other."""

    values: Annotated[tuple[Seconds, ...], Meta(min_length=1, description="The measured waits, in seconds.")]

    def drawn(self, source: Source) -> float:
        """A wait, in seconds."""
        return source.choice(self.values)


Spread = Lognormal | Gamma | Empirical
SPREADS = (Lognormal, Gamma, Empirical)


def _uniform(source: Source) -> float:
    """A number above 0 and below 1."""
    return (source.below(2**53) + 0.5) / 2**53


def _normal(source: Source) -> float:
    """A number of the standard normal distribution."""
    return math.sqrt(-2 * math.log(_uniform(source))) * math.cos(2 * math.pi * _uniform(source))


def _wait(seconds: float) -> float:
    return min(round(seconds, 6), MOST_SECONDS)
