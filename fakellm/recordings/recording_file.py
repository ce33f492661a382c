"""The file that is recorded to. Owns how it is opened, that each line is whole, and the order of lines.

A line is written in one piece when its interaction has ended, so a crash at any moment costs what was under way, and at
worst cuts the line that was being written. Knows no HTTP.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Interaction
from fakellm.recordings.formats import fakellm_jsonl


class Tape:
    """A recording that grows: a new file, or one whose end it goes on from.

    `cassette` is what the file held; `broken` the file into which a line was put that a crash had cut off, if any.
    Raises CassetteError when the file is no recording of fakellm's, or cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken: Path | None = None
        try:
            whole = self._mended()
            self.cassette = replace(fakellm_jsonl.load(whole or fakellm_jsonl.dumps_header(), str(path)), framed=True)
            self._file = path.open("ab", buffering=0)  # one write is one line: nothing is left in a buffer by a crash
            self._size = self._kept = len(whole)
            if not whole:
                self._write(fakellm_jsonl.dumps_header())
                self._kept = self._size
        except OSError as error:
            raise CassetteError([f"{path}: cannot record to it: {error.strerror or error}"]) from None
        self._count = len(self.cassette.interactions)
        self._lines: list[tuple[int, int]] = []  # of each line its number and length, in the order of the file

    def number(self) -> int:
        """The place of the interaction that starts now; to be given back with it when it has ended."""
        self._count += 1
        return self._count

    def add(self, number: int, interaction: Interaction) -> None:
        """Appends an interaction that has ended. Raises OSError where that fails; then the file is as it was."""
        line = fakellm_jsonl.dump_line(interaction)
        self._write(line)
        self._lines.append((number, len(line)))

    def close(self) -> None:
        """Ends the recording, with what was added in the order in which it started."""
        self._file.close()
        if self._lines != sorted(self._lines):
            self._sort()

    def _write(self, line: bytes) -> None:
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(line)

    def _sort(self) -> None:
        """Writes the file anew, beside the old one, and puts it in its place: there is never half of it."""
        lines = []
        with self.path.open("rb") as file:
            before = file.read(self._kept)
            for number, length in self._lines:
                lines.append((number, file.read(length)))
        new = self.path.with_name(self.path.name + ".new")
        new.write_bytes(before + b"".join(line for _, line in sorted(lines)))
        new.replace(self.path)

    def _mended(self) -> bytes:
        """What the file holds, in whole lines; one that was cut off is moved to FILE.broken first."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return b""
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            if whole:
                fakellm_jsonl.load(whole, str(self.path))  # a file that is not ours is not touched
            elif not fakellm_jsonl.dumps_header().startswith(data):
                raise CassetteError([f"{self.path}: no recording of fakellm's to go on with; record to a new file"])
            self.broken = self.path.with_name(self.path.name + ".broken")
            with self.broken.open("ab") as file:
                file.write(data[len(whole) :] + b"\n")
            os.truncate(self.path, len(whole))
        return whole
