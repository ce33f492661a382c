"""`fakellm fuzz`: tries streams on a client until one breaks it."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path

import click

from fakellm.apis.route import CHAT, HOMES
from fakellm.base.errors import FakellmError
from fakellm.cli.serving import fail
from fakellm.fuzzing.clients.client_process import Driver
from fakellm.fuzzing.draws.profiles import DEFAULT, OF_EVERY_API
from fakellm.fuzzing.endpoints import fuzzed_api, name_of
from fakellm.fuzzing.matrix import alone, matrix
from fakellm.fuzzing.matrix_formats import as_html, as_markdown, as_text, caption
from fakellm.fuzzing.report import report, title
from fakellm.fuzzing.run import replay, run
from fakellm.fuzzing.saved_failures import FOLDER, rules_of, save, saved
from fakellm.fuzzing.search import Outcome, Search

_FORMATS = {"text": as_text, "markdown": as_markdown, "html": as_html}


def _finite(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if not isfinite(value):
        raise click.BadParameter(f"expected a number of seconds, got {value}")
    return value


def _dialects() -> str:
    """The dialects of each API, one sentence for each that has any."""
    found = {name: fuzzed_api(name).dialects for name in HOMES}
    return " ".join(f"Those of {name}: {', '.join(dialects)}." for name, dialects in found.items() if dialects)


@click.command(
    "fuzz", short_help="Find the stream that breaks a client.", context_settings={"ignore_unknown_options": False}
)
@click.option(
    "--api",
    "name",
    default="chat",
    show_default=True,
    type=click.Choice(list(HOMES)),
    help="The API whose clients are tried.",
)
@click.option(
    "--profile",
    default=DEFAULT,
    show_default=True,
    metavar="NAME",
    help=f"One of {', '.join(OF_EVERY_API)}, or a dialect of the API. {_dialects()}",
)
@click.option("--examples", default=200, show_default=True, type=click.IntRange(1), help="Number of cases.")
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
    callback=_finite,
    help="Seconds after which the client is to give up.",
)
@click.option("--matrix", "table", is_flag=True, help="Try every step alone and print a table.")
@click.option(
    "--format", "style", type=click.Choice(list(_FORMATS)), help="The format of the table; the default is text."
)
@click.option("--failing-only", is_flag=True, help="Leave out of the table what no client fails.")
@click.option("--client", "clients", multiple=True, metavar="NAME=CMD", help="A client for the table; repeatable.")
@click.option("--replay", "file", type=click.Path(path_type=Path), metavar="FILE", help="Try only the rules of FILE.")
@click.argument("cmd", nargs=-1, type=click.UNPROCESSED)
def command(
    cmd: tuple[str, ...],
    clients: tuple[str, ...],
    name: str,
    profile: str,
    examples: int,
    seed: int,
    exclude: tuple[str, ...],
    max_failures: int,
    timeout: float,
    table: bool,
    style: str | None,
    failing_only: bool,
    file: Path | None,
) -> None:
    """Find the stream that breaks a client: fakellm fuzz [OPTIONS] -- CMD…

    CMD starts a driver, which reads one line of JSON per case and writes one. Failures are saved in .fakellm/failures
    and tried first the next time. Exit codes: 0 no failures, 1 failures found, 2 the client could not be tried.
    """
    search = Search(
        profile=profile,
        examples=examples,
        seed=seed,
        exclude=exclude,
        max_failures=max_failures,
        deadline=2 * timeout + 1,
        api=fuzzed_api(name),
    )
    named = _named([*([(cmd[-1], cmd)] if cmd else []), *map(_client, clients)])
    if not table and (style or failing_only or len(named) > 1):
        raise click.UsageError("--format, --failing-only and several clients need --matrix")
    if table and file:
        raise click.UsageError("--replay tries the rules of a file, and --matrix every step: use only one of them")
    _check_unused("--matrix", table, ("examples", "max_failures"))
    _check_unused("--replay", file, ("profile", "examples", "exclude", "max_failures"))
    if not named:
        fail("fakellm fuzz: there is no client: write the command that starts it after --", 2)
    drivers = {each: Driver(words, timeout, search.deadline + 1, name) for each, words in named.items()}
    try:
        if table:
            _print_matrix(drivers, search, style or "text", failing_only)
            return
        (driver,) = drivers.values()
        if file is not None:
            outcome = replay(driver, search, list(rules_of(file)))
        else:
            known = list(saved(FOLDER, search.api))
            with _progress(len(known) + examples) as progress:
                outcome = run(driver, search, known, progress)
    except KeyboardInterrupt:
        sys.exit(130)
    except (FakellmError, ValueError) as error:
        fail(f"fakellm fuzz: {error}", 2)
    _print(outcome, file, next(iter(named.values())))


def _check_unused(option: str, value: object, others: tuple[str, ...]) -> None:
    """Rejects options that would have no effect beside this one."""
    context = click.get_current_context()
    for name in others:
        if value and context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name.replace('_', '-')} has no effect with {option}: leave it out")


def _named(clients: list[tuple[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """The commands by the names of their clients."""
    names = [name for name, _ in clients]
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(
                f"two clients are named {name!r}: give each a name of its own with --client NAME=CMD"
            )
    return dict(clients)


def _client(text: str) -> tuple[str, tuple[str, ...]]:
    name, _, line = text.partition("=")
    try:
        words = tuple(shlex.split(line))
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {str(error).lower()}", param_hint="--client") from None
    if not words or not re.fullmatch(r"[\w.@-]+", name):
        raise click.BadParameter(f"expected NAME=CMD, got {text!r}", param_hint="--client")
    return name, words


def _print(outcome: Outcome, file: Path | None, cmd: tuple[str, ...]) -> None:
    replays = []
    for failure in outcome.failures:
        try:
            scenario = file or save(FOLDER, failure, f"{title(failure)}\n{shlex.join(cmd)}")
        except OSError as error:
            replays.append(f"run the same command again; the failure could not be saved: {error}")
        else:
            api = "" if outcome.search.api is CHAT else f"--api {name_of(outcome.search.api)} "
            replays.append(f"fakellm fuzz {api}--replay {shlex.quote(str(scenario))} -- {shlex.join(cmd)}")
    click.echo(report(outcome, replays), nl=False)
    sys.exit(130 if outcome.interrupted else 1 if outcome.failures else 0)


def _print_matrix(drivers: dict[str, Driver], search: Search, style: str, failing_only: bool) -> None:
    with _progress(len(list(alone(search))) * len(drivers)) as progress:
        rows, complete = matrix(drivers, search, progress)
    failing = [row for row in rows if row.fails]
    above = caption(rows) if complete else f"Interrupted. {caption(rows)}"
    click.echo(_FORMATS[style](failing if failing_only else rows, list(drivers), above), nl=False)
    sys.exit(130 if not complete else 1 if failing else 0)


@contextmanager
def _progress(length: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda cases: None
        return
    with click.progressbar(length=length, file=sys.stderr, show_pos=True) as bar:
        yield lambda cases: bar.update(1)
