"""What a stream becomes, layer by layer: one piece of a reply, from the completion down to the frame on the wire."""

from __future__ import annotations

import json
from typing import Any

from docs.pictures.canvas import WIDTH, Picture, columns, cut
from docs.pictures.rendered import delta, frames

TITLE = "A completion is divided into batches, written as events, framed as bytes and paced as frames."
RULE: dict[str, Any] = {
    "reply": {"content": "Hello, Ada."},
    "stream": {"split": {"content": [5]}},
    "timing": {"first": 0.3, "gap": 0.1},
}
FOLLOWED = 1
"""The frame that the picture follows: the first with text."""
_STEP, _RISE = 10, 66


def draw() -> str:
    """The picture as SVG."""
    sent = frames(RULE)
    piece = sent[FOLLOWED]
    due = sum(frame.delay for frame in sent[: FOLLOWED + 1])
    event = piece.data.decode().removeprefix("data: ").strip()
    short = json.dumps({"choices": json.loads(event)["choices"]}, separators=(",", ":"))
    size = f"{len(piece.data):x}"
    batches = [json.dumps(delta(frame), separators=(",", ":")) for frame in sent if delta(frame)]
    layers = [
        ("a completion", json.dumps(RULE["reply"]["content"]), "divide", "fold"),
        ("batches of deltas", "  ".join(_short(each) for each in batches), "write", "read"),
        ("an event", f"{short[:-1]},…}}", "frame", "Decoder"),
        ("its bytes", f"data: {event[:14]}…\\n\\n", "pace", ""),
        (f"a frame, after {due:.1f} s", f"{size}\\r\\ndata: {event[:8]}…\\n\\n\\r\\n", "", ""),
    ]
    picture = Picture(TITLE, 20 + _RISE * len(layers))
    for number, (name, value, down, up) in enumerate(layers):
        x, y = 14 + _STEP * number, 14 + _RISE * number
        wide = WIDTH - 14 - x
        picture.text(x, y + 11, name, "dim small")
        picture.box(x, y + 16, wide, 26, "hot")
        picture.text(x + 8, y + 33, cut(value, columns(wide - 16)))
        if down:
            picture.text(x + 12, y + 56, f"↓ {down}", "accent small")
        if up:
            picture.text(WIDTH - 20, y + 56, f"↑ {up}", "accent small", end=True)
    return picture.svg()


def _short(batch: str) -> str:
    """A delta as the picture shows it: the role and the finish reason by their names."""
    value = json.loads(batch)
    return json.dumps(value["content"]) if value.get("content") else next(iter(value))
