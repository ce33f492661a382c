"""`fakellm render`: prints what the rules of a scenario would send, readable or as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from fakellm.apis.route import HOMES
from fakellm.base.errors import ReplyError, ScenarioError
from fakellm.base.words.near_miss import near_miss
from fakellm.cli.not_a_scenario import problems_of
from fakellm.cli.serving import fail
from fakellm.importing.preview import Preview, answers, previews
from fakellm.scenarios.loader import load_files
from fakellm.scenarios.scenario import Rule
from fakellm.wire.plan import Plan


@click.command("render", short_help="Print what the rules of a scenario would send.")
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--turn", type=click.IntRange(min=1), help="Only rules that can match this turn of a conversation.")
@click.option("--rule", "name", help="Only the rule with this name.")
@click.option(
    "--api", type=click.Choice(sorted(HOMES)), help="The API of the requests; by default the rule's, or chat."
)
@click.option("--raw", is_flag=True, help="Print only the bytes of the bodies.")
@click.option("--seed", default=0, show_default=True, help="The source of everything that is not scripted.")
def command(scenario: Path, turn: int | None, name: str | None, raw: bool, seed: int, api: str | None) -> None:
    """Print what the rules of SCENARIO would send, frame by frame, with the time of each frame in seconds.

    Each rule answers a made-up request that it matches, for a stream unless the rule requires otherwise. All replies of
    a rule are printed.
    """
    try:
        rules = load_files([scenario]).named_rules()
    except ScenarioError as error:
        fail("\n".join(problems_of([scenario], error.problems)), 2)
    if name is not None and name not in [rule.name for rule in rules]:
        fail(f"{scenario}: there is no rule {name!r}{near_miss(name, [str(rule.name) for rule in rules])}", 2)
    shown = [rule for rule in rules if name in (None, rule.name) and turn in (None, rule.when.turn or turn)]
    if not shown:
        fail(f"{scenario}: no rule matches turn {turn}", 2)
    shown = [rule for rule in shown if answers(rule, api)]
    if not shown:
        fail(f"{scenario}: no rule answers requests of {api}", 2)
    for rule in shown:
        for preview in previews(rule, seed, turn, api):
            _show(rule, preview, raw, api)


def _show(rule: Rule, preview: Preview, raw: bool, api: str | None) -> None:
    plan = preview.plan
    if isinstance(plan, ReplyError):
        click.echo(f"# {rule.name}: {plan} (the request is made up)", err=True)
        return
    if raw:
        click.echo(plan.body, nl=False)
        return
    turn, name = preview.request.turn, rule.when.api or api or "chat"
    spelled = str(rule.dialect) if name == "chat" else name
    click.echo(f"# {rule.name}, {spelled}, turn {turn}, attempt {preview.attempt}: {plan.status or 'no head'}")
    for line in _lines(plan):
        click.echo(line)


def _lines(plan: Plan) -> Iterator[str]:
    due = plan.delay
    for frame in plan.frames:
        due += frame.delay
        when = "    step" if frame.step else f"{due:8.3f}"
        first, *more = frame.data.decode("utf-8", "backslashreplace").rstrip("\n").split("\n")
        yield f"{when}  {first}"
        yield from (f"          {line}" for line in more)
    if plan.end != "complete":
        yield f"          ({plan.end})"
    yield ""
