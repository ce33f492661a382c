"""Writes the recording file: it opens the file, keeps each line whole, and puts the lines in order.

A line is written in one piece when its interaction has ended, so a crash loses the interactions in progress and at
worst cuts the line that was being written. It knows no HTTP.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Interaction
from fakellm.recordings.formats import fakellm_jsonl


class RecordingFile:
    """A recording that grows: a new file, or an existing one that is continued.

    `cassette` is what the file contained; `broken` is the file to which a line was moved that a crash had cut off, or
    None. Raises CassetteError if the file is not a recording in fakellm's format, or cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken: Path | None = None
        try:
            whole = self._repaired()
            self.cassette = replace(fakellm_jsonl.load(whole or fakellm_jsonl.dumps_header(), str(path)), framed=True)
            self._file = path.open("ab", buffering=0)  # one write is one line: a crash leaves nothing in a buffer
            self._size = self._kept = len(whole)
            if not whole:
                self._write(fakellm_jsonl.dumps_header())
                self._kept = self._size
        except OSError as error:
            raise CassetteError([f"{path}: cannot record to it: {error.strerror or error}"]) from None
        self._count = len(self.cassette.interactions)
        self._lines: list[tuple[int, int]] = []  # the number and length of each line, in the order of the file

    def number(self) -> int:
        """The number of the interaction that starts now; pass it to `add` when it has ended."""
        self._count += 1
        return self._count

    def add(self, number: int, interaction: Interaction) -> None:
        """Appends an interaction that has ended. If that fails, raises OSError and leaves the file as it was."""
        line = fakellm_jsonl.dump_line(interaction)
        self._write(line)
        self._lines.append((number, len(line)))

    def close(self) -> None:
        """Ends the recording, and sorts the interactions in the order in which they started."""
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
        """Writes a new file beside the old one and then replaces it, so that the file is always whole."""
        lines = []
        with self.path.open("rb") as file:
            before = file.read(self._kept)
            for number, length in self._lines:
                lines.append((number, file.read(length)))
        new = self.path.with_name(self.path.name + ".new")
        new.write_bytes(before + b"".join(line for _, line in sorted(lines)))
        new.replace(self.path)

    def _repaired(self) -> bytes:
        """The whole lines of the file, after moving a line that was cut off to FILE.broken."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return b""
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            if whole:
                fakellm_jsonl.load(whole, str(self.path))  # raises for a file in another format, which is not touched
            elif not fakellm_jsonl.dumps_header().startswith(data):
                message = "not a recording in fakellm's format, so it cannot be continued; record to a new file"
                raise CassetteError([f"{self.path}: {message}"])
            self.broken = self.path.with_name(self.path.name + ".broken")
            with self.broken.open("ab") as file:
                file.write(data[len(whole) :] + b"\n")
            os.truncate(self.path, len(whole))
        return whole
