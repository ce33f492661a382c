"""A stream on a time axis: when each of its frames is due."""

from __future__ import annotations

from docs.pictures.canvas import WIDTH, Picture
from docs.pictures.rendered import delta, frames

TITLE = "When each frame of a stream is due: a wait before the first, then as fast as a model writes, with one stall."
RULE = {
    "reply": {"content": "It is 3 °C in Oslo, and it will snow."},
    "timing": {"first": 0.4, "tokens_per_second": 20, "stalls": [{"before": 7, "seconds": 0.6}]},
}
_LEFT, _ROW, _TOP = 108, 18, 56


def draw() -> str:
    """The picture as SVG."""
    due, moments = 0.0, []
    for frame in frames(RULE):
        due += frame.delay
        moments.append((due, _label(delta(frame))))
    scale = (WIDTH - 30 - _LEFT) / due
    bottom = _TOP + _ROW * len(moments)
    picture = Picture(TITLE, bottom + 14)
    picture.text(14, 22, "timing: {first: 0.4, tokens_per_second: 20,", "small")
    picture.text(14, 36, "         stalls: [{before: 7, seconds: 0.6}]}", "small")
    picture.text(14, _TOP - 7, "seconds", "dim small")
    for tenths in range(0, int(due * 10) + 1, 2):
        x = _LEFT + tenths / 10 * scale
        picture.line(x, _TOP - 2, x, bottom)
        picture.text(x - 10, _TOP - 7, f"{tenths / 10:.1f}", "dim small")
    for row, (moment, label) in enumerate(moments):
        x, y = _LEFT + moment * scale, _TOP + _ROW * row
        picture.text(_LEFT - 8, y + 13, label, "small", end=True)
        picture.box(_LEFT, y + 4, max(x - _LEFT, 2), 10)
        picture.box(x - 2, y + 4, 4, 10, "bar")
    return picture.svg()


def _label(added: dict[str, str]) -> str:
    """What a frame adds, in a few characters."""
    if not added:
        return "[DONE]"
    return repr(added["content"]) if added.get("content") else next(iter(added))
