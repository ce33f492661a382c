"""What stands for a text in an outline, and for some of its pieces. Knows neither the text nor how it was cut."""

from __future__ import annotations

from functools import lru_cache

from fakellm.base.template import Hole, HoleText

PLACES = (slice(0, 1), slice(1, 2), slice(2, -2), slice(-2, -1), slice(-1, None))
"""The pieces that stand-ins stand for."""


class StandIn(str):
    """Stands for some pieces of the text with this number. To a division, it is a piece like any other."""

    text: int
    place: slice

    def __new__(cls, text: int, place: slice) -> StandIn:
        found = super().__new__(cls, "piece")
        found.text, found.place = text, place
        return found


class OutlinedText(HoleText):
    """Stands for a text of so many pieces. It is a hole too, since a closing may repeat all of the text.

    stand_ins: of its first two pieces, all that are between, and its last two; of up to four pieces, one for each.
    """

    stand_ins: tuple[StandIn, ...]

    def __new__(cls, text: int, pieces: int) -> OutlinedText:
        found = super().__new__(cls, Hole(f"text {text}", lambda fill: fill.texts[text]), "text")
        assert isinstance(found, cls)
        places = PLACES if pieces >= len(PLACES) else [slice(number, number + 1) for number in range(pieces)]
        found.stand_ins = tuple(StandIn(text, place) for place in places)
        return found

    def __repr__(self) -> str:
        return f"<{self.hole.name}: {len(self.stand_ins)} pieces>"


_made = lru_cache(maxsize=256)(OutlinedText)


def outlined_text(text: int, pieces: int) -> OutlinedText:
    """What stands for the text with this number, of so many pieces; made once for all texts of five and more."""
    return _made(text, min(pieces, len(PLACES)))
