"""Decides when the frames of a reply are due. It owns Timing and `pace`; a delay is a number here, and nothing sleeps.

It knows no provider and not what the bytes mean. It also checks `speed`, which only the server applies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Annotated, cast

from msgspec import Meta, Struct
from msgspec.structs import replace

from fakellm.base.seed import Source
from fakellm.base.validation import FieldError, shortened
from fakellm.base.words.explained import Explaining
from fakellm.wire.chunks import Chunks
from fakellm.wire.plan import Frame
from fakellm.wire.spread import SPREADS, Seconds, Spread

MOST_SPEED = 1e6
"""The highest speed; the lowest is one divided by it."""


class Stall(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True):
    """More seconds before the frame with the number `before`, counted from 0."""

    before: Annotated[int, Meta(ge=0)]
    seconds: Seconds


class Timing(Struct, metaclass=Explaining, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `timing:` block of a rule: times in seconds, each at most a day. By default all frames leave at once."""

    first: Annotated[
        Seconds | Spread,
        Meta(
            description=(
                "The wait before the first frame; or a distribution from which it is drawn for each request: "
                "`{kind: lognormal, mean: 0.3, deviation: 0.1}`, `gamma` with the same keys, or "
                "`{kind: empirical, values: [0.2, 0.4]}`."
            )
        ),
    ] = 0.0
    gap: Annotated[
        Seconds | Spread,
        Meta(description="The wait before each further frame; or a distribution from which each of them is drawn."),
    ] = 0.0
    tokens_per_second: Annotated[
        float,
        Meta(
            ge=0,
            description=(
                "Instead of `gap`: the wait before a frame is that for the tokens of text in it, so frames without "
                "text, such as the role, the finish reason and the end, follow at once."
            ),
        ),
    ] = 0.0
    gaps: Annotated[
        tuple[Seconds, ...],
        Meta(
            description=(
                "Instead of all of these: the wait before each frame, as recorded; frames beyond the list follow at "
                "once."
            )
        ),
    ] = ()
    burst: Annotated[int, Meta(ge=1, description="How many frames leave together before each gap.")] = 1
    jitter: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description=(
                "Each gap varies by up to this fraction of itself in both directions (0.5: from half to one and a "
                "half), drawn from the seed and the request. The wait before the first frame, stalls and gaps of 0 "
                "do not vary."
            ),
        ),
    ] = 0.0
    stalls: Annotated[tuple[Stall, ...], Meta(description="More seconds before single frames.")] = ()
    step: Annotated[
        bool,
        Meta(description=("Each frame waits until the test releases it (`Handle.step`); it excludes all other keys.")),
    ] = False

    def __post_init__(self) -> None:
        fields = zip(self.__struct_fields__, self.__struct_defaults__, strict=True)
        present = [name for name, default in fields if getattr(self, name) != default]
        for name, (others, reason) in _INSTEAD.items():
            other = next((other for other in present if name in present and other in others), None)
            if other:
                raise FieldError((other,), f"{other!r} beside {name!r}: {reason}; leave out one of them")


_INSTEAD = {
    "tokens_per_second": (("gap",), "both state when the next frame is due"),
    "gaps": (("first", "gap", "tokens_per_second", "burst"), "the list has the wait before every frame"),
    "step": (
        ("first", "gap", "tokens_per_second", "gaps", "burst", "jitter", "stalls"),
        "a frame that waits for a step leaves when the test releases it",
    ),
}
"""A key, the keys that it replaces, and why."""


AT_ONCE = Timing()
"""Every frame leaves at once."""


def pace(pieces: Sequence[bytes], timing: Timing, source: Source, tokens: Sequence[int] = ()) -> Sequence[Frame]:
    """The pieces as frames with the delays of `timing`; `tokens`: how many tokens of text each piece has."""
    if timing == AT_ONCE:
        return Chunks.of(pieces)
    return tuple(map(Frame, pieces, delays(len(pieces), timing, source, tokens), repeat(timing.step)))


def delays(count: int, timing: Timing, source: Source, tokens: Sequence[int] = ()) -> Iterator[float]:
    """The delay of each of so many frames."""
    if isinstance(timing.first, SPREADS):
        timing = replace(timing, first=source.draw("first", timing.first.drawn))
    if isinstance(timing.gap, SPREADS):
        timing = replace(timing, first=0.0, gap=0.0, burst=1, gaps=_drawn_waits(count, timing, timing.gap, source))
    if timing == Timing(first=timing.first, gap=timing.gap):
        return chain((cast(float, timing.first),), repeat(cast(float, timing.gap), count - 1))
    jitters = source.draw("jitter", lambda each: each.numbers(count)) if timing.jitter else repeat(0, count)
    return (_wait(number, timing, jitter, tokens) for number, jitter in enumerate(jitters))


def _drawn_waits(count: int, timing: Timing, gap: Spread, source: Source) -> tuple[float, ...]:
    """The wait before each frame, with gaps from a distribution."""
    gaps = (0.0 if number % timing.burst else source.draw(("gap", number), gap.drawn) for number in range(1, count))
    return (cast(float, timing.first), *gaps)


def _wait(number: int, timing: Timing, jitter: int, tokens: Sequence[int]) -> float:
    """The delay of a frame; `jitter` is from -2**31 to 2**31 - 1."""
    wait = _gap(number, timing, tokens)
    if number and timing.jitter:
        wait *= 1 + timing.jitter * jitter / 2**31
    return wait + sum(stall.seconds for stall in timing.stalls if stall.before == number)


def _gap(number: int, timing: Timing, tokens: Sequence[int]) -> float:
    if timing.gaps:
        return timing.gaps[number] if number < len(timing.gaps) else 0.0
    if number == 0:
        return cast(float, timing.first)
    if number % timing.burst:
        return 0.0
    if timing.tokens_per_second:
        return sum(tokens[number : number + timing.burst]) / timing.tokens_per_second
    return cast(float, timing.gap)


def checked_speed(speed: float) -> float:
    """The speed. Every delay is divided by it; 0 means no delay. Raises ValueError if it is negative, not finite, or
    beyond MOST_SPEED."""
    if not 0 <= speed < math.inf:
        raise ValueError(f"speed must be a factor: 1 as written, 2 twice as fast, 0 without delays; got {speed!r}")
    if speed and not 1 / MOST_SPEED <= speed <= MOST_SPEED:
        raise ValueError(f"speed must be 0, or from {1 / MOST_SPEED:g} to {MOST_SPEED:g}; got {shortened(speed)}")
    return float(speed)
