"""`fakellm render`: what a scenario's rules would send, for eyes or as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from msgspec.structs import replace

from fakellm.commands.common import fail
from fakellm.errors import ReplyError, ScenarioError
from fakellm.loader import load_files
from fakellm.render import render
from fakellm.reply import said
from fakellm.request import Request
from fakellm.sample import sample
from fakellm.scenario import Attempt, Rule
from fakellm.shape import near_miss
from fakellm.wire import Plan

_MOST_ATTEMPTS = 100


@click.command("render")
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--turn", type=click.IntRange(min=1), help="Only rules that can answer this turn of a conversation.")
@click.option("--rule", "name", help="Only the rule of this name.")
@click.option("--raw", is_flag=True, help="The bytes of the bodies, and nothing else.")
@click.option("--seed", default=0, show_default=True, help="All that is not scripted comes from it.")
def command(scenario: Path, turn: int | None, name: str | None, raw: bool, seed: int) -> None:
    """Print what the rules of SCENARIO would send, frame by frame, each with its time in seconds.

    They answer a made-up request such as they wait for, streamed unless they want none. A rule with several replies
    shows each.
    """
    try:
        rules = load_files([scenario]).named_rules()
    except ScenarioError as error:
        fail(str(error), 2)
    if name is not None and name not in [rule.name for rule in rules]:
        fail(f"{scenario}: there is no rule {name!r}{near_miss(name, [str(rule.name) for rule in rules])}", 2)
    shown = [rule for rule in rules if name in (None, rule.name) and turn in (None, rule.when.turn or turn)]
    if not shown:
        fail(f"{scenario}: no rule answers turn {turn}", 2)
    for rule in shown:
        request = sample(rule, turn)
        for number, attempt in _attempts(rule, bool(request.chat.stream)):
            _show(rule, request, number, attempt, raw, seed)


def _attempts(rule: Rule, stream: bool) -> Iterator[tuple[int, Attempt]]:
    """The attempts that differ, with their numbers."""
    most = sum(step.attempts(stream) for step in rule.steps) if rule.counts(stream) else 1
    seen = set()
    for number in range(1, min(most, _MOST_ATTEMPTS) + 1):
        attempt = rule.attempt(number, stream)
        if attempt and attempt not in seen:
            seen.add(attempt)
            yield number, attempt


def _show(rule: Rule, request: Request, number: int, attempt: Attempt, raw: bool, seed: int) -> None:
    one = rule.at(attempt)
    try:
        plan = render(replace(one, reply=said(one.reply, request, number)), request, seed)
    except ReplyError as error:
        click.echo(f"# {rule.name}: {error} (it was made up)", err=True)
        return
    if raw:
        click.echo(plan.body, nl=False)
        return
    click.echo(f"# {rule.name}, {rule.dialect}, turn {request.turn}, attempt {number}: {plan.status or 'no head'}")
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
