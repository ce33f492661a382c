"""`fakellm export`: writes a recording in another format."""

from __future__ import annotations

import re
from pathlib import Path

import click
from msgspec.structs import replace

from fakellm.apis.route import HOMES
from fakellm.base.errors import CassetteError, ReplyError, ScenarioError
from fakellm.base.words.count import count
from fakellm.base.words.near_miss import near_miss
from fakellm.cli.output import check_output, write_output
from fakellm.cli.serving import fail
from fakellm.importing.preview import recording
from fakellm.recordings.cassette import Cassette
from fakellm.recordings.formats import WRITERS, read_file, write
from fakellm.recordings.redaction import UnsearchableError, redacted
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
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="OUT",
    help="The file, or - for standard output.",
)
@click.option(
    "--only",
    type=click.IntRange(min=1),
    metavar="N",
    help="Write only the interaction with this number in the file; the first is 1.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    help="If FILE is a scenario: the source of everything that it does not script.",
)
@click.option("--keep-secrets", is_flag=True, help="Write keys, tokens and cookies of a recording as they are.")
@click.option("--session", metavar="NAME", help="Write only what was recorded in this session.")
@click.option("--api", type=click.Choice(sorted(HOMES)), help="If FILE is a scenario: the API of the requests.")
def command(
    file: Path,
    format_: str,
    output: Path,
    only: int | None,
    seed: int,
    keep_secrets: bool,
    session: str | None,
    api: str | None,
) -> None:
    """Write the recording in FILE, in any supported format, to OUT in another format.

    FILE may also be a scenario: each of its rules then answers a made-up request that it matches. Keys, tokens and
    cookies in a recording are overwritten, unless --keep-secrets is given.
    """
    check_output(output, [file])
    try:
        cassette = _of_session(_read(file, seed, api, keep_secrets), session)
        if only is not None:
            cassette = _single(cassette, only, session)
        written = write(cassette, format_)
    except (CassetteError, ReplyError, ScenarioError) as error:
        fail(str(error), 2)
    write_output(output, written)


def _read(file: Path, seed: int, api: str | None, keep_secrets: bool) -> Cassette:
    """The recording in a file; for a scenario, what its rules would send."""
    if file.suffix in (".yaml", ".yml") and file.is_file() and re.search(rb"^rules:", file.read_bytes(), re.MULTILINE):
        return recording(load_files([file]), seed, api)
    cassette = read_file(file)
    if keep_secrets:
        return cassette
    try:
        return replace(cassette, interactions=tuple(map(redacted, cassette.interactions)))
    except UnsearchableError as error:
        raise CassetteError([f"{file}: not exported: {error}"]) from None


def _of_session(cassette: Cassette, session: str | None) -> Cassette:
    """The recording with the interactions of this session alone."""
    if session is None:
        return cassette
    found = cassette.only(lambda _, each: each.request.session == session)
    if not found.interactions:
        known = sorted({each.request.session for each in cassette.interactions if each.request.session})
        there = f"; there are {', '.join(known)}" if known else ": no session was recorded"
        raise CassetteError([f"{cassette.name}: nothing of the session {session!r}{there}{near_miss(session, known)}"])
    return found


def _single(cassette: Cassette, number: int, session: str | None) -> Cassette:
    """The recording with the interaction of this number alone."""
    found = cassette.only(lambda each, _: each == number)
    if not found.interactions:
        many = len(cassette.interactions) + len(cassette.damaged)
        reason = f"there is no interaction {number}; it has {count(many, 'interaction')}"
        if session is not None:
            reason = f"interaction {number} is not one of the session {session!r}"
        if number in cassette.damaged:
            reason = f"interaction {number} is damaged: {cassette.damaged[number]}"
        raise CassetteError([f"{cassette.name}: {reason}"])
    return found
