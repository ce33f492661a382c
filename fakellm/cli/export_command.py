"""`fakellm export`: writes a recording in another format."""

from __future__ import annotations

import re
from pathlib import Path

import click
from msgspec.structs import replace

from fakellm.base.errors import CassetteError, ReplyError, ScenarioError
from fakellm.cli.serving import count, fail
from fakellm.importing.preview import recording
from fakellm.recordings.cassette import Cassette
from fakellm.recordings.formats import WRITERS, read_file, write
from fakellm.recordings.redaction import UnsearchableError, redacted
from fakellm.recordings.whole_file import write_whole
from fakellm.scenarios.loader import load_files


@click.command("export", short_help="Write a recording in another format.")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(WRITERS)),
    default="fakellm",
    show_default=True,
    help="The format to write.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="OUT", help="The file to write."
)
@click.option("--only", type=click.IntRange(min=1), metavar="N", help="Write only this interaction; the first is 1.")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    help="If FILE is a scenario: the source of everything that it does not script.",
)
def command(file: Path, format_: str, output: Path, only: int | None, seed: int) -> None:
    """Write the recording in FILE, in any supported format, to OUT in another format.

    FILE may also be a scenario: each of its rules then answers a made-up request that it matches. Keys, tokens and
    cookies in a recording are overwritten.
    """
    try:
        cassette = _read(file, seed)
        many = len(cassette.interactions)
        if only is not None and only > many:
            fail(f"{file}: there is no interaction {only}; it has {count(many, 'interaction')}", 2)
        if only is not None:
            cassette = replace(cassette, interactions=cassette.interactions[only - 1 : only])
        write_whole(output, write(cassette, format_))
    except (CassetteError, ReplyError, ScenarioError) as error:
        fail(str(error), 2)
    except OSError as error:
        fail(f"{output}: {(error.strerror or str(error)).lower()}", 2)


def _read(file: Path, seed: int) -> Cassette:
    """The recording in a file; for a scenario, what its rules would send."""
    if file.suffix in (".yaml", ".yml") and file.is_file() and re.search(rb"^rules:", file.read_bytes(), re.MULTILINE):
        return recording(load_files([file]), seed)
    cassette = read_file(file)
    try:
        return replace(cassette, interactions=tuple(map(redacted, cassette.interactions)))
    except UnsearchableError as error:
        raise CassetteError([f"{file}: not exported: {error}"]) from None
