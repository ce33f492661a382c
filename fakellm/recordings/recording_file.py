"""Writes the recording file: it opens the file, keeps each line whole, and puts the lines in order.

A line is written in one piece when its interaction has ended, so a crash loses the interactions in progress and at
worst cuts the line that was being written. It knows no HTTP.
"""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from threading import Lock

from msgspec.structs import replace

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Interaction
from fakellm.recordings.file_lock import open_alone
from fakellm.recordings.formats import fakellm_jsonl
from fakellm.recordings.whole_file import replacing


class RecordingFile:
    """A recording that grows: a new file, or an existing one that is continued.

    `cassette` is what the file contained; `broken` is the file to which a line was moved that a crash had cut off, or
    None. Raises CassetteError if the file is not a recording in fakellm's format, or cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken: Path | None = None
        try:
            if path.exists() and not path.is_file():
                raise CassetteError([f"{path}: not a file that can be read again: record to a regular file"])
            self._file = open_alone(path)
        except OSError as error:
            raise self._unusable(error) from None
        try:
            whole = self._repaired()
            self.cassette = replace(fakellm_jsonl.load(whole or fakellm_jsonl.dumps_header(), str(path)), framed=True)
            self._size = self._kept = len(whole)
            if not whole:
                self._write(fakellm_jsonl.dumps_header())
                self._kept = self._size
        except OSError as error:
            self._file.close()
            raise self._unusable(error) from None
        except BaseException:
            self._file.close()
            raise
        self._count = len(self.cassette.interactions)
        self._adding = Lock()
        self._lines: list[tuple[int, int]] = []  # the number and length of each line, in the order of the file

    def _unusable(self, error: OSError) -> CassetteError:
        return CassetteError([f"{self.path}: cannot record to it: {error.strerror or error}"])

    def number(self) -> int:
        """The number of the interaction that starts now; pass it to `add` when it has ended."""
        self._count += 1
        return self._count

    def add(self, number: int, interaction: Interaction) -> None:
        """Appends an interaction that has ended, from any thread. If that fails, raises OSError and leaves the file as
        it was."""
        line = fakellm_jsonl.dump_line(interaction)
        with self._adding:
            self._write(line)
            self._lines.append((number, len(line)))

    @property
    def added(self) -> int:
        """How many interactions were appended."""
        return len(self._lines)

    def close(self) -> None:
        """Ends the recording, and sorts the interactions in the order in which they started; does nothing again.

        Raises OSError if there is no room to sort them; the file then has all of them in the order in which they ended.
        """
        if self._file.closed:
            return
        with self._file:  # it stays locked until it is sorted
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
        """Writes a new file with the same lines, which then replaces the old one."""
        with self.path.open("rb") as old, replacing(self.path) as new:
            for start, length in self._in_order():
                old.seek(start)
                new.write(old.read(length))

    def _in_order(self) -> list[tuple[int, int]]:
        """The start and length of each part of the file: what it contained before, then the lines by their numbers."""
        starts = accumulate((length for _, length in self._lines), initial=self._kept)
        places = sorted((number, start, length) for (number, length), start in zip(self._lines, starts, strict=False))
        return [(0, self._kept), *((start, length) for _, start, length in places)]

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
            self._file.truncate(len(whole))
        return whole
