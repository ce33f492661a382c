"""The files of failures in a folder, which hypothesis also keeps the names of its keys in."""

from __future__ import annotations

from pathlib import Path


def saved_files(folder: Path) -> list[Path]:
    return [file for file in folder.glob("*/*") if file.read_bytes().startswith(b"#")]
