"""When the frames of a reply are due. Owns Timing and `pace`; a delay is a number here, and nobody sleeps.

Knows no provider and nothing of what the bytes say. `speed`, which only the shell applies, is checked here too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from fakellm.base.seed import Source
from fakellm.base.validation import FieldError
from fakellm.wire.plan import Frame

Seconds = Annotated[float, Meta(ge=0, le=86_400)]


class Stall(Struct, frozen=True, forbid_unknown_fields=True):
    """So many seconds more before one frame; frames are counted from 0."""

    before: Annotated[int, Meta(ge=0)]
    seconds: Seconds


class Timing(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `timing:` block of a rule, in seconds, a day at most each. With nothing given all frames leave at once.

    first: the wait before the first frame.
    gap: the wait before each of the others.
    tokens_per_second: in place of `gap`: a frame waits for the tokens of text that it carries (see `tokens_in`), so
        those without text, as the role, the finish and the end, follow at once.
    gaps: in place of all of these: the wait before each frame, as recorded; frames beyond the list follow at once.
    burst: so many frames leave together, then comes the gap.
    jitter: each gap varies by up to this part of itself either way (0.5: from half to one and a half), drawn from the
        seed and the request. The first frame's wait and stalls do not vary, and no gap stays none.
    stalls: more seconds before single frames.
    step: each frame waits until the test lets it go (`Handle.step`); nothing else can be given beside it.
    """

    first: Seconds = 0.0
    gap: Seconds = 0.0
    tokens_per_second: Annotated[float, Meta(ge=0)] = 0.0
    gaps: tuple[Seconds, ...] = ()
    burst: Annotated[int, Meta(ge=1)] = 1
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.0
    stalls: tuple[Stall, ...] = ()
    step: bool = False

    def __post_init__(self) -> None:
        fields = zip(self.__struct_fields__, self.__struct_defaults__, strict=True)
        given = [name for name, default in fields if getattr(self, name) != default]
        for name, (others, reason) in _INSTEAD.items():
            other = next((other for other in given if name in given and other in others), None)
            if other:
                raise FieldError((other,), f"{other!r} beside {name!r}: {reason}; give one of them")


_INSTEAD = {
    "tokens_per_second": (("gap",), "each says when the next frame is due"),
    "gaps": (("first", "gap", "tokens_per_second", "burst"), "the list holds the wait before every frame"),
    "step": (
        ("first", "gap", "tokens_per_second", "gaps", "burst", "jitter", "stalls"),
        "a frame that waits for a step leaves when the test says",
    ),
}
"""A setting, those it stands in place of, and why."""


def pace(pieces: Iterable[bytes], timing: Timing, source: Source, said: Sequence[int] = ()) -> tuple[Frame, ...]:
    """The pieces as frames that are due when `timing` says; `said` is how many tokens of text each piece carries."""
    return tuple(Frame(piece, _wait(number, timing, source, said), timing.step) for number, piece in enumerate(pieces))


def _wait(number: int, timing: Timing, source: Source, said: Sequence[int]) -> float:
    wait = _gap(number, timing, said)
    if number and wait and timing.jitter:
        wait *= 1 + timing.jitter * source.between(-1000, 1000) / 1000
    return wait + sum(stall.seconds for stall in timing.stalls if stall.before == number)


def _gap(number: int, timing: Timing, said: Sequence[int]) -> float:
    if timing.gaps:
        return timing.gaps[number] if number < len(timing.gaps) else 0.0
    if number == 0:
        return timing.first
    if number % timing.burst:
        return 0.0
    if timing.tokens_per_second:
        return sum(said[number : number + timing.burst]) / timing.tokens_per_second
    return timing.gap


def checked_speed(speed: float) -> float:
    """The speed, if it is one: every delay is divided by it, and with 0 there is no delay. Raises ValueError."""
    if not 0 <= speed < math.inf:
        raise ValueError(f"speed is a factor, 1 as written, 2 twice as fast, 0 no delay at all; got {speed!r}")
    return speed
