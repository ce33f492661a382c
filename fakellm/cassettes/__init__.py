"""Recordings: their values, and the file formats they are kept in, one file each."""

from __future__ import annotations

from pathlib import Path

from fakellm.cassettes.cassette import Cassette


def read_file(path: str | Path) -> Cassette:
    """The recording in a file."""
    from fakellm.cassettes import own

    return own.load(Path(path).read_bytes(), str(path))
