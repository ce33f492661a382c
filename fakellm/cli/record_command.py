"""`fakellm record`: a proxy to a real server that records requests and responses."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from fakellm.base.errors import CassetteError
from fakellm.base.words.count import count
from fakellm.cli.log import log_to_stderr
from fakellm.cli.serving import fail, run, serving
from fakellm.recordings.recording_file import RecordingFile
from fakellm.recordings.upstream_url import checked_upstream, ending_in_a_route, is_own
from fakellm.server.recording_proxy import Recorder
from fakellm.server.replay_app import Replay

log = logging.getLogger("fakellm")


def _upstream(_context: click.Context, _option: click.Parameter, value: str) -> str:
    try:
        return checked_upstream(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("record", short_help="Record what a real server answers.")
@click.option(
    "--upstream",
    required=True,
    callback=_upstream,
    metavar="URL",
    help="The base URL of the API, such as https://api.openai.com/v1.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file to record to; an existing recording is continued.",
)
@click.option("--missing-only", is_flag=True, help="Answer requests that FILE has from it, and record only the others.")
@serving
def command(upstream: str, output: Path, missing_only: bool, **options: Any) -> None:
    """Pass requests on to a real server, and record them with its responses, without keys and cookies."""
    log_to_stderr(options.pop("level"))
    if options["port"] and is_own(upstream, options["host"], options["port"]):
        raise click.BadParameter(
            f"{upstream} is where this recorder listens: give the URL of the real server, or another --port",
            param_hint="'--upstream'",
        )
    if base := ending_in_a_route(upstream):
        log.warning("--upstream %s ends in a route, which clients add themselves: the base URL is %s", upstream, base)
    try:
        file = RecordingFile(output)
    except CassetteError as error:
        fail(str(error), 2)
    app = Replay([file.cassette] if missing_only else [], relay=True)
    learn = app.recordings.add if missing_only else None
    before = len(file.cassette.interactions)
    run(app, f"records {upstream} to {output}", proxy=lambda: Recorder(upstream, file, learn), **options)
    more = f", after {before:,} of before" if before else ""
    click.echo(f"fakellm recorded {count(file.added, 'interaction')} in {output}{more}", err=True)
