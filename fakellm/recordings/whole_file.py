"""Replaces a file as a whole: whatever happens while it is written, a crash or a full disk, the old one stays.

It knows no formats.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of the one at `path` when this block ends without an error.

    A link to a file stays one, and the new file has the permissions and, if we may, the owner of the old one. What is
    not a regular file, such as `/dev/stdout`, is written at once. Raises OSError.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    path = path.resolve()
    with NamedTemporaryFile("wb", prefix=f"{path.name}.", suffix=".new", dir=path.parent, delete=False) as new:
        try:
            _take_rights(path, new)
            yield new
            new.flush()
            os.fsync(new.fileno())  # else a crash of the machine could keep the name and lose the content
            Path(new.name).replace(path)
        except BaseException:
            Path(new.name).unlink()
            raise


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file, or leaves the old one as it is. Raises OSError."""
    with replacing(path) as file:
        file.write(data)


def _take_rights(path: Path, new: IO[bytes]) -> None:
    """Gives a new file the rights of the one at `path`; of a file that does not exist yet, the usual ones."""
    if sys.platform == "win32":
        return
    try:
        before = path.stat()
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(new.fileno(), 0o666 & ~mask)
        return
    with suppress(OSError):
        os.fchown(new.fileno(), before.st_uid, before.st_gid)
    os.fchmod(new.fileno(), stat.S_IMODE(before.st_mode))
