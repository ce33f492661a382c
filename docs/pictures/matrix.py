"""A part of the matrix: which clients fail at which steps, from the first table of the page on clients."""

from __future__ import annotations

import re
from pathlib import Path

from docs.pictures.canvas import WIDTH, Picture, width

TITLE = "Which Python clients read which streams: each row is one step from the plain wire, each column a client."
PAGE = Path(__file__).parents[1] / "explanation" / "clients.md"
_LABEL, _ROW, _LONGEST = 196, 15, 26
_MARKS = {"raises": "○", "good": "·"}


def table() -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The clients of the table, and the rows whose name has room: the step, and its cells."""
    text = PAGE.read_text(encoding="utf-8")
    head, _, *lines = re.findall(r"^\| step .+?(?=\n\n)", text, re.MULTILINE | re.DOTALL)[0].splitlines()
    clients = head.strip("| ").split(" | ")[3:]
    rows = [line.strip("|").split(" | ") for line in lines]
    named = [(row[0].strip("` "), [cell.strip() for cell in row[3:]]) for row in rows]
    return clients, [(name, cells) for name, cells in named if len(name) <= _LONGEST]


def draw() -> str:
    """The picture as SVG."""
    clients, rows = table()
    cell = (WIDTH - 14 - _LABEL) / len(clients)
    top = 30 + 15 * len(clients)
    picture = Picture(TITLE, top + _ROW * len(rows) + 34)
    for number, name in enumerate(clients):
        x, y = _LABEL + cell * (number + 0.5), 22 + 15 * number
        picture.text(x - 10, y, name, "small", end=True)
        picture.line(x - 8, y - 4, x, y - 4, x, top - 4)
    for row, (name, cells) in enumerate(rows):
        y = top + _ROW * row
        picture.text(14, y + 11, name, "small")
        for number, value in enumerate(cells):
            kind = _kind(value)
            x = _LABEL + cell * number
            picture.box(x + 1, y + 1, cell - 2, _ROW - 2, "bad" if kind == "bad" else "box")
            if kind != "bad":
                picture.text(x + cell / 2 - 3.3, y + 11, _MARKS[kind], "small dim")
    y = top + _ROW * len(rows) + 20
    picture.box(14, y - 9, 12, 11, "bad")
    legend = "fails     · reads it     ○ rightly raises an error"
    picture.text(32, y, legend, "small dim")
    assert width(legend) < 70
    return picture.svg()


def _kind(cell: str) -> str:
    if cell.startswith("FAILS"):
        return "bad"
    return "good" if cell == "ok" else "raises"
