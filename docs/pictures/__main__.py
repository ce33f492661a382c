"""`python -m docs.pictures` draws every picture of the documentation again."""

from __future__ import annotations

from pathlib import Path

from docs.pictures import matrix, shrinking, staircase, terminal, timeline

PICTURES = {
    "matrix.svg": matrix.draw,
    "shrinking.svg": shrinking.draw,
    "staircase.svg": staircase.draw,
    "terminal.svg": terminal.draw,
    "timeline.svg": timeline.draw,
}
FOLDER = Path(__file__).parent

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")
