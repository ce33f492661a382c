"""`fakellm fuzz`: tries streams on a client until one breaks it."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn

import click
from msgspec.structs import replace

from fakellm.apis.route import HOMES
from fakellm.base.errors import FakellmError
from fakellm.cli.beside.finite import finite
from fakellm.cli.fuzz.options import check_unused, duration, named_client, named_clients
from fakellm.cli.fuzz.options import shard as shard_of
from fakellm.cli.fuzz.progress import Progress
from fakellm.cli.fuzz.remedies import FuzzCommand, look
from fakellm.cli.fuzz.reports import finish, merge, replay_command, saved_replays
from fakellm.cli.serving import fail
from fakellm.fuzzing.clients.client_process import Driver
from fakellm.fuzzing.clients.client_under_test import PlainStreamError
from fakellm.fuzzing.draws.profiles import DEFAULT, OF_EVERY_API
from fakellm.fuzzing.each_read import fails_on_cuts
from fakellm.fuzzing.endpoints import fuzzed_api
from fakellm.fuzzing.matrix import alone, matrix
from fakellm.fuzzing.matrix_formats import as_html, as_markdown, as_text, caption
from fakellm.fuzzing.report import run_report
from fakellm.fuzzing.reports.run_report import RunReport
from fakellm.fuzzing.run import replay, run
from fakellm.fuzzing.running.jobs import Jobs
from fakellm.fuzzing.saved_failures import FOLDER, Failures, rules_of
from fakellm.fuzzing.search import Outcome, Search

_FORMATS = {"text": as_text, "markdown": as_markdown, "html": as_html}
_OF_A_SEARCH = ("examples", "max_failures", "max_time", "jobs", "shard", "failures")
_OF_A_REPORT = ("json", "junit")


def _dialects() -> str:
    """The dialects of each API, one sentence for each that has any."""
    found = {name: fuzzed_api(name).dialects for name in HOMES}
    return " ".join(f"Those of {name}: {', '.join(dialects)}." for name, dialects in found.items() if dialects)


@click.command(
    "fuzz",
    cls=FuzzCommand,
    short_help="Find the stream that breaks a client.",
    context_settings={"ignore_unknown_options": False},
)
@click.option(
    "--api",
    "name",
    default="chat",
    show_default=True,
    type=click.Choice(list(HOMES)),
    help="The API of the client.",
)
@click.option(
    "--profile",
    default=DEFAULT,
    show_default=True,
    metavar="NAME",
    help=f"One of {', '.join(OF_EVERY_API)}, or a dialect of the API. {_dialects()}",
)
@click.option(
    "--examples",
    type=click.IntRange(1),
    help="Number of cases; the default is 200, or no limit with --max-time.",
)
@click.option("--max-time", callback=duration, metavar="TIME", help="End after this time: 90s, 10m or 1.5h.")
@click.option("--seed", default=0, show_default=True, help="The same seed tries the same cases.")
@click.option(
    "--exclude", multiple=True, metavar="STEP", help="A step to leave out, or a block such as sse; repeatable."
)
@click.option(
    "--max-failures",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="How many causes to find before the run ends.",
)
@click.option(
    "--timeout",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    callback=finite,
    help="The timeout that the client is given, in seconds.",
)
@click.option(
    "--jobs",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="How many copies of the client to try at once.",
)
@click.option(
    "--shard",
    default="1/1",
    callback=shard_of,
    metavar="K/N",
    help="Try only one part of the cases, such as 2/8: the second of eight machines.",
)
@click.option(
    "--failures",
    default=str(FOLDER),
    show_default=True,
    metavar="PLACE",
    help="Where failures are saved: a folder, or Redis as redis://HOST.",
)
@click.option("--report", "json", type=click.Path(path_type=Path), metavar="FILE", help="Write the report as JSON too.")
@click.option(
    "--junit",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the report as JUnit XML too, for CI servers.",
)
@click.option(
    "--merge",
    "merges",
    is_flag=True,
    help="Print one report of several shards: fakellm fuzz --merge FILE…, with the files of --report.",
)
@click.option("--matrix", "table", is_flag=True, help="Try every step alone and print a table.")
@click.option(
    "--format", "style", type=click.Choice(list(_FORMATS)), help="The format of the table; the default is text."
)
@click.option("--failing-only", is_flag=True, help="Leave out of the table what holds for all clients.")
@click.option("--client", "clients", multiple=True, metavar="NAME=CMD", help="A client for the table; repeatable.")
@click.option("--replay", "file", type=click.Path(path_type=Path), metavar="FILE", help="Try only the rules of FILE.")
@click.option(
    "--each-read",
    metavar="CMD",
    help="A driver on the same HTTP stack that wrongly decodes each read alone, to find out whether cuts are visible.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.argument("cmd", nargs=-1, type=click.UNPROCESSED)
def command(
    cmd: tuple[str, ...],
    clients: tuple[str, ...],
    name: str,
    profile: str,
    examples: int | None,
    max_time: float | None,
    seed: int,
    exclude: tuple[str, ...],
    max_failures: int,
    timeout: float,
    jobs: int,
    shard: tuple[int, int],
    failures: str,
    json: Path | None,
    junit: Path | None,
    merges: bool,
    table: bool,
    style: str | None,
    failing_only: bool,
    file: Path | None,
    each_read: str | None,
    quiet: bool,
) -> None:
    """Find the stream that breaks a client: fakellm fuzz [OPTIONS] -- CMD…

    CMD starts a driver, which reads one line of JSON per case and writes one. Failures are saved in .fakellm/failures
    and tried first the next time. Exit codes: 0 no failures, 1 failures found, 2 the client could not be tried or cases
    are missing.
    """
    if merges:
        _merge(cmd, failures, json, junit)
    if not hasattr(os, "killpg"):
        fail("fakellm fuzz: it ends drivers by their process groups, which this system has not: on Windows, use WSL", 2)
    search = Search(
        profile=profile,
        examples=examples if examples or max_time else 200,
        seed=seed,
        exclude=exclude,
        max_failures=max_failures,
        deadline=2 * timeout + 1,
        api=fuzzed_api(name),
        shard=shard,
    )
    named = named_clients([*([(cmd[-1], cmd)] if cmd else []), *map(named_client, clients)])
    if not table and (style or failing_only or len(named) > 1):
        raise click.UsageError("--format, --failing-only and several clients need --matrix")
    if table and file:
        raise click.UsageError("--replay tries the rules of a file, and --matrix every step: use only one of them")
    if table:
        check_unused("--matrix", (*_OF_A_SEARCH, *_OF_A_REPORT))
    if file:
        check_unused("--replay", ("profile", "exclude", *_OF_A_SEARCH))
    if not named:
        fail("fakellm fuzz: there is no client: write the command that starts it after --", 2)
    drivers = {each: Driver(words, timeout, search.deadline + 1, name) for each, words in named.items()}
    try:
        if each_read is not None:
            wrong = Driver(shlex.split(each_read), timeout, search.deadline + 1, name)
            search = replace(search, each_read=fails_on_cuts(wrong, search))
        if table:
            _print_matrix(drivers, search, style or "text", failing_only, quiet)
        ((driver, words),) = zip(drivers.values(), named.values(), strict=True)
        if file:
            found = run_report(replay(driver, search, list(rules_of(file))), words)
            replays = [replay_command(found, file)] * len(found.failures)
        else:
            several = Jobs(jobs, words, timeout, search.deadline + 1) if jobs > 1 else None
            place = Failures(failures)
            found = _search(driver, search, place, Progress(_number(search), max_time, quiet), several, words)
            replays = saved_replays(found, place)
    except KeyboardInterrupt:
        sys.exit(130)
    except PlainStreamError as error:
        fail(f"fakellm fuzz: {error}\n{look(next(iter(named.values())), search.api, timeout)}", 2)
    except (FakellmError, ValueError) as error:
        fail(f"fakellm fuzz: {error}", 2)
    finish(found, replays, json, junit)


def _search(
    driver: Driver, search: Search, place: Failures, progress: Progress, jobs: Jobs | None, words: tuple[str, ...]
) -> RunReport:
    def show(outcome: Outcome, shrinks: bool) -> None:
        progress.show(outcome.cases, len(outcome.failures), shrinks)

    known, unreadable = place.rules(search)
    with progress.shown():
        outcome = run(driver, search, known, show, progress.is_over, jobs)
    outcome.unreadable = unreadable
    return run_report(outcome, words)


def _number(search: Search) -> int | None:
    """How many cases the search has, besides saved failures."""
    number, shards = search.shard
    return None if search.examples is None else len(range(number - 1, search.examples, shards))


def _merge(files: tuple[str, ...], failures: str, json: Path | None, junit: Path | None) -> NoReturn:
    known = ("merges", "cmd", "failures", "quiet", *_OF_A_REPORT)
    check_unused("--merge", [each.name for each in command.params if each.name and each.name not in known])
    if not files:
        raise click.UsageError("--merge needs the files that --report wrote, one for each shard")
    try:
        found = merge([Path(file) for file in files])
        replays = saved_replays(found, Failures(failures))
    except (FakellmError, ValueError) as error:
        fail(f"fakellm fuzz: {error}", 2)
    finish(found, replays, json, junit)


def _print_matrix(drivers: dict[str, Driver], search: Search, style: str, failing_only: bool, quiet: bool) -> NoReturn:
    progress = Progress(len(list(alone(search))) * len(drivers), quiet=quiet)
    with progress.shown():
        rows, complete = matrix(drivers, search, progress.show)
    above = caption(rows) if complete else f"Interrupted. {caption(rows)}"
    shown = [row for row in rows if not (failing_only and row.holds)]
    click.echo(_FORMATS[style](shown, list(drivers), above), nl=False)
    sys.exit(130 if not complete else 1 if any(row.fails for row in rows) else 0)
