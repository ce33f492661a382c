"""`fakellm fuzz`: streams that a client must read, until one breaks it."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from fakellm.base.errors import FakellmError
from fakellm.cli.serving import fail
from fakellm.fuzzing.clients.client_process import Driver
from fakellm.fuzzing.draws.profiles import PROFILES
from fakellm.fuzzing.matrix import alone, as_html, as_markdown, as_text, caption, matrix
from fakellm.fuzzing.report import report, title
from fakellm.fuzzing.run import replay, run
from fakellm.fuzzing.saved_failures import FOLDER, rules_of, save, saved
from fakellm.fuzzing.search import Outcome, Search

_FORMATS = {"text": as_text, "markdown": as_markdown, "html": as_html}


@click.command("fuzz", context_settings={"ignore_unknown_options": False})
@click.option("--profile", default="default", show_default=True, metavar="NAME", help=f"One of {', '.join(PROFILES)}.")
@click.option("--examples", default=200, show_default=True, type=click.IntRange(1), help="How many cases.")
@click.option("--seed", default=0, show_default=True, help="The same seed tries the same cases.")
@click.option("--exclude", multiple=True, metavar="STEP", help="A step to leave out, or a block as sse; repeatable.")
@click.option("--max-failures", default=1, show_default=True, type=click.IntRange(1), help="Causes to find at most.")
@click.option(
    "--timeout",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Seconds that the client is told to give up after.",
)
@click.option("--matrix", "table", is_flag=True, help="Try every step alone and print a table.")
@click.option("--format", "style", type=click.Choice(list(_FORMATS)), help="Of the table; text if not given.")
@click.option("--failing-only", is_flag=True, help="Leave out of the table what holds for all clients.")
@click.option("--client", "clients", multiple=True, metavar="NAME=CMD", help="A client for the table; repeatable.")
@click.option("--replay", "file", type=click.Path(path_type=Path), metavar="FILE", help="Try the rules of FILE alone.")
@click.argument("cmd", nargs=-1, type=click.UNPROCESSED)
def command(
    cmd: tuple[str, ...],
    clients: tuple[str, ...],
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
    """Find the stream that breaks the client that CMD starts: fakellm fuzz [OPTIONS] -- CMD…

    CMD reads a line of JSON a case and writes one. Failures are kept in .fakellm/failures and tried first next time.
    Exit codes: 0 all held, 1 a failure was found, 2 the client could not be tried.
    """
    search = Search(
        profile=profile,
        examples=examples,
        seed=seed,
        exclude=exclude,
        max_failures=max_failures,
        deadline=2 * timeout + 1,
    )
    named = dict([(cmd[-1], cmd)] if cmd else []) | dict(map(_client, clients))
    if not table and (style or failing_only or len(named) > 1):
        raise click.UsageError("--format, --failing-only and several clients are for --matrix")
    if table and file:
        raise click.UsageError("--replay tries the rules of a file, and --matrix every step: give one of them")
    _alone("--matrix", table, ("examples", "max_failures"))
    _alone("--replay", file, ("profile", "examples", "exclude", "max_failures"))
    if not named:
        fail("fakellm fuzz: which client? Give the command that starts it after --", 2)
    drivers = {name: Driver(words, timeout, search.deadline + 1) for name, words in named.items()}
    try:
        if table:
            _print_matrix(drivers, search, style or "text", failing_only)
            return
        (driver,) = drivers.values()
        if file is not None:
            outcome = replay(driver, search, list(rules_of(file)))
        else:
            known = list(saved(FOLDER))
            with _progress(len(known) + examples) as tell:
                outcome = run(driver, search, known, tell)
    except KeyboardInterrupt:
        sys.exit(130)
    except (FakellmError, ValueError) as error:
        fail(f"fakellm fuzz: {error}", 2)
    _print(outcome, file, next(iter(named.values())))


def _alone(option: str, given: object, others: tuple[str, ...]) -> None:
    """Refuses what has no effect beside an option."""
    context = click.get_current_context()
    for name in others:
        if given and context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name.replace('_', '-')} has no effect with {option}: leave it out")


def _client(said: str) -> tuple[str, tuple[str, ...]]:
    name, _, line = said.partition("=")
    try:
        words = tuple(shlex.split(line))
    except ValueError as error:
        raise click.BadParameter(f"{said!r}: {str(error).lower()}", param_hint="--client") from None
    if not words or not re.fullmatch(r"[\w.@-]+", name):
        raise click.BadParameter(f"{said!r} is not NAME=CMD", param_hint="--client")
    return name, words


def _print(outcome: Outcome, file: Path | None, cmd: tuple[str, ...]) -> None:
    replays = []
    for failure in outcome.failures:
        kept = file or save(FOLDER, failure, f"{title(failure)}\n{shlex.join(cmd)}")
        replays.append(f"fakellm fuzz --replay {shlex.quote(str(kept))} -- {shlex.join(cmd)}")
    click.echo(report(outcome, replays), nl=False)
    sys.exit(130 if outcome.interrupted else 1 if outcome.failures else 0)


def _print_matrix(drivers: dict[str, Driver], search: Search, style: str, failing_only: bool) -> None:
    with _progress(len(list(alone(search))) * len(drivers)) as tell:
        rows = matrix(drivers, search, tell)
    failing = [row for row in rows if row.fails]
    click.echo(_FORMATS[style](failing if failing_only else rows, list(drivers), caption(rows)), nl=False)
    sys.exit(1 if failing else 0)


@contextmanager
def _progress(length: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where somebody watches."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    with click.progressbar(length=length, file=sys.stderr, show_pos=True) as bar:
        yield lambda done: bar.update(1)
