"""`python -m docs.generate` writes the reference pages that are made from the code."""

from __future__ import annotations

from pathlib import Path

from docs.generate import commands, keys, python_names

FOLDER = Path(__file__).parents[1] / "reference"
PAGES = {"commands.md": commands.page, "keys.md": keys.page, "python.md": python_names.page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
