"""`fakellm serve`: the rules of scenario files, or generated text."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from time import monotonic_ns, time_ns  # noqa: TID251 # only where minutes are to pass: --real-time
from typing import Any

import click

from fakellm.apis.openai.api_keys import checked_key
from fakellm.base.words.count import count
from fakellm.cli.beside.finite import finite
from fakellm.cli.beside.redis_state import sharing
from fakellm.cli.log import log_to_stderr
from fakellm.cli.serving import fail, run, serving
from fakellm.cli.workers import several
from fakellm.engine.state import Limits, Time, still
from fakellm.server.garbage import paused
from fakellm.testing.options import MOST_WORKERS
from fakellm.wire.spread import MOST_SECONDS
from fakellm.wire.timing import AT_ONCE, Timing


def _keys(_context: click.Context, _option: click.Parameter, keys: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(map(checked_key, keys))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _passing() -> Time:
    """Milliseconds since 1970 that pass evenly, whatever the clock of the machine is set to meanwhile."""
    start = time_ns() - monotonic_ns()
    return lambda: (start + monotonic_ns()) // 10**6


@click.command("serve", short_help="Serve the rules of scenario files, or generated text.")
@click.argument("scenarios", nargs=-1, type=click.Path(path_type=Path), metavar="[SCENARIO]...")
@click.option("--seed", default=0, show_default=True, help="The source of everything that is not scripted.")
@click.option(
    "--strict", is_flag=True, help="Refuse requests that no rule matches, instead of answering with generated text."
)
@click.option(
    "--api-key",
    "api_keys",
    multiple=True,
    callback=_keys,
    metavar="KEY",
    help="Refuse requests without this key; may be given several times.",
)
@click.option(
    "--cache-bytes",
    default=Limits().cache_bytes,
    show_default=True,
    type=click.IntRange(0),
    help="How many bytes of rendered replies to keep, for when the same request comes again.",
)
@click.option(
    "--journal-bytes",
    default=Limits().journal_bytes,
    show_default=True,
    type=click.IntRange(0),
    help="How many bytes of journals to keep, in all sessions.",
)
@click.option(
    "--stored-bytes",
    default=Limits().stored_bytes,
    show_default=True,
    type=click.IntRange(0),
    help="How many bytes to keep of the replies that clients can retrieve and continue.",
)
@click.option(
    "--max-sessions",
    default=Limits().max_sessions,
    show_default=True,
    type=click.IntRange(1),
    help="The most sessions to keep.",
)
@click.option(
    "--max-attempts",
    default=Limits().max_attempts,
    show_default=True,
    type=click.IntRange(1),
    help="For how many different requests to count attempts.",
)
@click.option(
    "--latency",
    default=0.0,
    type=click.FloatRange(0, MOST_SECONDS),
    callback=finite,
    metavar="SECONDS",
    help="How long each generated reply waits before it starts.",
)
@click.option(
    "--tokens-per-second",
    default=0.0,
    type=click.FloatRange(0),
    callback=finite,
    metavar="NUMBER",
    help="How fast generated replies are sent.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, MOST_WORKERS),
    help="Processes that serve the port together.",
)
@click.option(
    "--state",
    "redis",
    metavar="redis://HOST",
    help="Share sessions, counts of attempts, quotas and journals with other servers in this Redis.",
)
@click.option(
    "--real-time",
    is_flag=True,
    help="Let the minutes and days of `limits:` pass, instead of only when POST /_fakellm/advance is called.",
)
@click.option("--edit", is_flag=True, help="Let control routes, and with them the page, write the files of SCENARIO.")
@click.option(
    "--scenario-line",
    is_flag=True,
    hidden=True,
    help="Serve the scenario in the first line of standard input, as JSON. For `fakellm.spawn`.",
)
@serving
def command(
    scenarios: tuple[Path, ...],
    seed: int,
    strict: bool,
    api_keys: tuple[str, ...],
    cache_bytes: int,
    journal_bytes: int,
    stored_bytes: int,
    max_sessions: int,
    max_attempts: int,
    latency: float,
    tokens_per_second: float,
    real_time: bool,
    workers: int,
    redis: str | None,
    edit: bool,
    scenario_line: bool,
    **options: Any,
) -> None:
    """Serve the rules of SCENARIO files and folders, in order; with none, answer with generated text.

    When you save a file, it is loaded again: if the scenario has changed, journals begin anew; if it has errors, the
    last good scenario stays.
    """
    level = options.pop("level")
    log_to_stderr(level)
    timing = Timing(first=latency, tokens_per_second=tokens_per_second)
    if scenarios and timing != AT_ONCE:
        example = "timing: {first: 0.3, tokens_per_second: 40}"
        remedy = f"write {example!r} at the top of its file"
        raise click.UsageError(f"--latency and --tokens-per-second are for replies without a SCENARIO; {remedy}")
    if port := next((each for each in map(str, scenarios) if each.isdigit() and not Path(each).exists()), None):
        raise click.UsageError(f"{port}: no such file or directory; a port is an option: --port {port}")
    if edit and not scenarios:
        raise click.UsageError("--edit writes the files of a SCENARIO, and there is none; name one")
    if edit and all(str(each).startswith("fakellm:") for each in scenarios):
        raise click.UsageError(
            "--edit writes the files of a SCENARIO, not those of fakellm; copy one, and name the copy"
        )
    if redis and (workers > 1 or edit):
        other = "--workers: start another server with the same --state" if workers > 1 else "--edit"
        raise click.UsageError(f"--state cannot be combined with {other}")
    limits = Limits(
        cache_bytes=cache_bytes,
        journal_bytes=journal_bytes,
        stored_bytes=stored_bytes,
        max_sessions=max_sessions,
        max_attempts=max_attempts,
    )
    with paused():
        from fakellm.scenarios.scenario import Scenario
        from fakellm.server.scenario_app import App

        reading = None
        scenario = None if timing == AT_ONCE else Scenario(name="generated", timing=timing, rules=())
        if scenario_line:
            from fakellm.scenarios.loader import parse

            scenario = parse(sys.stdin.buffer.readline().decode(), "scenario")
        if scenarios:  # else nothing reads YAML
            from fakellm.cli.beside.reload import Files, follow
            from fakellm.scenarios.loader import read

            reading = read(scenarios)
            if reading.scenario is None:
                from fakellm.cli.not_a_scenario import problems_of

                fail("\n".join(problems_of(scenarios, reading.problems)), 2)
            scenario = reading.scenario
        time = _passing() if real_time else still
        common: dict[str, Any] = {"seed": seed, "strict": strict, "api_keys": api_keys, "limits": limits}
        make = partial(App, scenario, **common)
        app: App
        if redis:
            common |= {"url": redis, "real_time": real_time}
            app, options["supervised"] = sharing(redis, lambda kind: kind(scenario, **common))
        elif workers == 1:
            app = make(time=time)
        else:
            app, options["supervised"] = several(workers, level, limits, time, make)
    what = (
        f"serves {count(len(scenario.rules), 'rule')} of {scenario.name}"
        if (reading or scenario_line) and scenario
        else "serves generated replies"
    )
    if reading is None or redis:  # a file that changes would change only this server
        run(app, what, **options)
        return
    files = Files(scenarios, reading)
    if edit:
        app.edited = files
    run(app, what, beside=lambda server: follow(server, app, files), **options)
