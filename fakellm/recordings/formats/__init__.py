"""Reads and writes recordings in their file formats, one module each.

A format is imported when a file in it is first read or written.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fakellm.base.errors import CassetteError
from fakellm.recordings.cassette import Cassette
from fakellm.recordings.formats.notes import collecting, note

_log = logging.getLogger("fakellm")

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
    "mitmproxy": ("mitmproxy_flow", "load"),
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
    "vcr-lists": "vcr_lists",
    "req-llm": "req_llm",
    "hoverfly": "hoverfly",
    "pact": "pact",
    "php-vcr": "php_vcr",
    "responses": "responses_recorder",
}
"""Formats that are read from the values of a YAML or JSON file, and the module of each."""

ALONE = ("http", "sse", "json", "json-lines", "ndjson", "cachy")
"""Formats of responses alone."""

ATTACHED: Mapping[str, tuple[str, ...]] = {"wiremock": ("../__files", "__files"), "har": (".",)}
"""Formats that may keep bodies in files of their own, and the folders of these, from that of the recording."""

WRITERS: Mapping[str, tuple[str, str]] = {
    "fakellm": ("fakellm_jsonl", "dump"),
    "vcrpy": ("vcrpy", "dump"),
    "go-vcr": ("go_vcr", "dump"),
    "har": ("har_writer", "dump"),
    "sse": ("raw_bodies", "dump_sse"),
}
"""Formats that are written: the module of each, and its function."""

_NAMED = 5
"""How many interactions a note names."""


def read_file(path: Path) -> Cassette:
    """The recording in a file of any supported format, which is detected from its content; its notes are logged. Raises
    CassetteError."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES and not _is_own(path):
            message = f"{size:,} bytes; at most {MOST_BYTES:,} are read: record less to one file, or split it"
            raise CassetteError([f"{path}: {message}"])
        data = path.read_bytes()
    except OSError as error:
        raise CassetteError([f"{path}: {(error.strerror or str(error)).lower()}"]) from None
    cassette = read(data, str(path), path.parent)
    for each in cassette.notes:
        _log.warning("%s", each)
    return cassette


def read(data: bytes, name: str, folder: Path | None = None) -> Cassette:
    """The recording in the bytes of a file; `name` stands for the file in errors.

    Raises CassetteError, with the place of each problem, if the file is damaged, in an unknown format, or without an
    interaction. `folder` is where the file is: WireMock and Playwright keep bodies in files of their own.
    """
    from fakellm.recordings.content_codings import decoded, within_limit
    from fakellm.recordings.formats.attached_files import beside, zipped
    from fakellm.recordings.formats.detect import detect

    if len(data) > MOST_BYTES and not data.startswith(_OWN):
        raise CassetteError([f"{name}: {len(data):,} bytes; at most {MOST_BYTES:,} are read: split it"])
    data = data.removeprefix(b"\xef\xbb\xbf")
    with within_limit(), collecting() as notes:
        attached = None
        if data.startswith(b"\x1f\x8b"):
            data = decoded(data, (("Content-Encoding", "gzip"),), name)
        elif data.startswith(b"PK\x03\x04"):
            data, attached = zipped(data, name)
        kind, value = detect(data, name)
        attached = attached or beside(folder, name, ATTACHED.get(kind, ()))
        cassette = _loaded(kind, value, data, name, attached)
        if kind not in (*ALONE, "fakellm"):
            _note_bodies(cassette)
    if not cassette.interactions:
        raise CassetteError([f"{name}: a recording ({kind}) without an interaction"])
    return replace(cassette, framed=kind == "fakellm", notes=tuple(notes))


def _loaded(kind: str, value: Any, data: bytes, name: str, attached: Any) -> Cassette:
    cassette: Cassette
    if kind in BYTES:
        module, function = BYTES[kind]
        cassette = getattr(import_module(f"fakellm.recordings.formats.{module}"), function)(data, name)
    else:
        load = import_module(f"fakellm.recordings.formats.{TREES[kind]}").load
        cassette = load(value, name, attached) if kind in ATTACHED else load(value, name)
    return cassette


def _note_bodies(cassette: Cassette) -> None:
    """Adds a note on requests whose bodies were not recorded."""
    requests = [(number, each.request) for number, each in cassette.numbered()]
    numbers = [number for number, request in requests if request.method == "POST" and not request.body]
    if not numbers:
        return
    which = ", ".join(map(str, numbers[:_NAMED]))
    if len(numbers) > _NAMED:
        which += f" and {len(numbers) - _NAMED:,} more"
    if len(numbers) == 1:
        note(f"{cassette.name}: interaction {which} has no request body, so it answers any body")
    else:
        note(f"{cassette.name}: interactions {which} have no request body, so they answer any body")


def _is_own(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_OWN)) == _OWN


def write(cassette: Cassette, format_: str) -> bytes:
    """The recording as a file in one of the formats of WRITERS.

    All but `fakellm` lose something, as docs/reference/recordings.md describes. Raises CassetteError for what a format
    cannot express: that no response came or, in `sse`, more than one stream.
    """
    module, function = WRITERS[format_]
    written: bytes = getattr(import_module(f"fakellm.recordings.formats.{module}"), function)(cassette)
    return written
