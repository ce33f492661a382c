"""Reads bodies that a recording keeps in files of their own: beside it, or in a zip archive. Knows no format."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from fakellm.base.errors import CassetteError
from fakellm.recordings.content_codings import MOST_BYTES, take_room

ReadFile = Callable[[str], bytes]
"""Reads a file that a recording refers to. Raises CassetteError."""


def beside(folder: Path | None, name: str, subfolders: Sequence[str]) -> ReadFile:
    """Reads files from the first of these subfolders of the recording's folder that has them."""

    def read_body(file: str) -> bytes:
        if folder is None or Path(file).is_absolute() or ".." in Path(file).parts:
            raise CassetteError([f"{name}: the body is in another file, {file!r}, which is not read from here"])
        places = [folder / subfolder / file for subfolder in subfolders]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise CassetteError(
                [f"{name}: the body is in the file {file!r}, which is not in {places[0].parent.resolve()}"]
            )
        _check(found.stat().st_size, file, name)
        return found.read_bytes()

    return read_body


def zipped(data: bytes, name: str) -> tuple[bytes, ReadFile]:
    """The HAR file in a zip archive, and what reads the others in it. Raises CassetteError."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise CassetteError([f"{name}: not a valid zip archive: {error}"]) from None
    archives = [each for each in archive.namelist() if each.endswith(".har")]
    if len(archives) != 1:
        raise CassetteError([f"{name}: a zip archive with {len(archives)} .har files; expected one, as of Playwright"])

    def read_body(file: str) -> bytes:
        try:
            _check(archive.getinfo(file).file_size, file, name)
            return archive.read(file)
        except KeyError:
            raise CassetteError([f"{name}: the body is in the file {file!r}, which is not in the archive"]) from None
        except CassetteError:
            raise
        except Exception as error:  # of the archive, its codings, or the system
            raise CassetteError([f"{name}: the file {file!r} in the archive is damaged: {error}"]) from None

    return read_body(archives[0]), read_body


def _check(size: int, file: str, name: str) -> None:
    if size > MOST_BYTES:
        raise CassetteError([f"{name}: the body in the file {file!r} has {size:,} bytes; the limit is {MOST_BYTES:,}"])
    take_room(size, name)
