"""Reads and writes recordings in their file formats, one module each.

A format is imported when a file in it is first read or written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Cassette

MOST_BYTES = 64 * 2**20
"""The greatest size of a file; larger files are refused before they are read. Files in fakellm's own format may have
any size: they are read line by line, nothing in them expands, and a recorder must be able to continue its own file."""

_OWN = b'{"fakellm"'

BYTES: Mapping[str, tuple[str, str]] = {
    "fakellm": ("fakellm_jsonl", "load"),
    "httprr": ("http_text", "load_trace"),
    "http": ("http_text", "load_response"),
    "sse": ("raw_bodies", "load_sse"),
    "json": ("raw_bodies", "load_json"),
    "json-lines": ("raw_bodies", "load_chunks"),
    "ndjson": ("raw_bodies", "load_lines"),
    "cachy": ("raw_bodies", "load_cachy"),
}
"""Formats that are read from the bytes of a file: the module of each, and its function."""

TREES: Mapping[str, str] = {
    "vcrpy": "vcrpy",
    "go-vcr": "go_vcr",
    "ruby-vcr": "ruby_vcr",
    "httpmock": "httpmock",
    "har": "har",
    "wiremock": "wiremock",
    "dd-vcr": "datadog_vcr",
    "test-proxy": "azure_test_proxy",
    "nock": "nock",
    "symfony-vcr": "symfony_vcr",
    "exvcr": "exvcr",
    "instructor-php": "instructor_php",
}
"""Formats that are read from the values of a YAML or JSON file, and the module of each."""

WRITERS: Mapping[str, tuple[str, str]] = {
    "fakellm": ("fakellm_jsonl", "dump"),
    "vcrpy": ("vcrpy", "dump"),
    "go-vcr": ("go_vcr", "dump"),
    "har": ("har_writer", "dump"),
    "sse": ("raw_bodies", "dump_sse"),
}
"""Formats that are written: the module of each, and its function."""


def read_file(path: Path) -> Cassette:
    """The recording in a file of any supported format, which is detected from its content. Raises CassetteError."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES and not _is_own(path):
            message = f"{size:,} bytes; at most {MOST_BYTES:,} are read: record less to one file, or split it"
            raise CassetteError([f"{path}: {message}"])
        data = path.read_bytes()
    except OSError as error:
        raise CassetteError([f"{path}: {(error.strerror or str(error)).lower()}"]) from None
    return read(data, str(path), path.parent)


def read(data: bytes, name: str, folder: Path | None = None) -> Cassette:
    """The recording in the bytes of a file; `name` stands for the file in errors.

    Raises CassetteError, with the place of each problem, if the file is damaged, in an unknown format, or without an
    interaction. `folder` is where the file is: WireMock keeps bodies in separate files, in the folder `__files` beside
    it.
    """
    from fakellm.recordings.content_codings import within_limit
    from fakellm.recordings.formats.detect import detect

    if len(data) > MOST_BYTES and not data.startswith(_OWN):
        raise CassetteError([f"{name}: {len(data):,} bytes; at most {MOST_BYTES:,} are read: split it"])
    data = data.removeprefix(b"\xef\xbb\xbf")
    kind, value = detect(data, name)
    with within_limit():
        cassette = _loaded(kind, value, data, name, folder)
    if not cassette.interactions:
        raise CassetteError([f"{name}: a recording ({kind}) without an interaction"])
    return replace(cassette, framed=kind == "fakellm")


def _loaded(kind: str, value: Any, data: bytes, name: str, folder: Path | None) -> Cassette:
    cassette: Cassette
    if kind in BYTES:
        module, function = BYTES[kind]
        cassette = getattr(import_module(f"fakellm.recordings.formats.{module}"), function)(data, name)
    else:
        load = import_module(f"fakellm.recordings.formats.{TREES[kind]}").load
        cassette = load(value, name, _files(folder, name)) if kind == "wiremock" else load(value, name)
    return cassette


def _is_own(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_OWN)) == _OWN


def write(cassette: Cassette, format_: str) -> bytes:
    """The recording as a file in one of the formats of WRITERS.

    All but `fakellm` lose something, as docs/recordings.md describes. Raises CassetteError for what a format cannot
    express: that no response came or, in `sse`, more than one stream.
    """
    module, function = WRITERS[format_]
    written: bytes = getattr(import_module(f"fakellm.recordings.formats.{module}"), function)(cassette)
    return written


def _files(folder: Path | None, name: str) -> Callable[[str], bytes]:
    """A function that reads a body from a file of WireMock's: in `__files`, beside or in the folder of the mapping."""

    from fakellm.recordings.content_codings import take_room

    def read_body(file: str) -> bytes:
        if folder is None or Path(file).is_absolute() or ".." in Path(file).parts:
            raise CassetteError([f"{name}: the body is in another file, {file!r}, which is not read from here"])
        places = [folder.parent / "__files" / file, folder / "__files" / file]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise CassetteError([f"{name}: the body is in the file {file!r}, which is not in {places[0].parent}"])
        size = found.stat().st_size
        if size > MOST_BYTES:
            raise CassetteError(
                [f"{name}: the body in the file {file!r} has {size:,} bytes; the limit is {MOST_BYTES:,}"]
            )
        take_room(size, name)
        return found.read_bytes()

    return read_body
