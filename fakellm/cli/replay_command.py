"""`fakellm replay`: answers with unchanged recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fakellm.base.errors import CassetteError
from fakellm.base.words.count import count
from fakellm.cli.log import log_to_stderr
from fakellm.cli.serving import fail, run, serving
from fakellm.recordings.formats import read_file
from fakellm.server.replay_app import Again, Replay


@click.command("replay", short_help="Answer with recordings, unchanged.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--again",
    type=click.Choice(["repeat", "fail"]),
    default="repeat",
    show_default=True,
    help="What follows the last recording of a request: that recording again, or a 404.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="PLACE",
    help="Ignore this place in bodies: user, metadata.run_id, messages[*].id.",
)
@click.option("--timing", is_flag=True, help="Wait as long as recorded.")
@serving
def command(files: tuple[Path, ...], again: Again, ignore: tuple[str, ...], timing: bool, **options: Any) -> None:
    """Answer each request with the recordings in FILEs that have its method, path and body, in order."""
    log_to_stderr(options.pop("level"))
    try:
        app = Replay([read_file(file) for file in files], ignore=ignore, again=again, timing=timing)
    except CassetteError as error:
        fail(str(error), 2)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--ignore'") from None
    run(app, f"replays {count(len(app.recordings.all), 'interaction')} of {count(len(files), 'file')}", **options)
