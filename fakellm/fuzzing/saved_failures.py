"""Saves failures as scenario files that serve the failing streams. Owns the folder, the file names and the comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec

from fakellm.apis.route import CHAT, Route
from fakellm.fuzzing.endpoints import name_of
from fakellm.fuzzing.run import rule_of
from fakellm.fuzzing.search import ClientFailure
from fakellm.scenarios.loader import SUFFIXES, dump, load
from fakellm.scenarios.matching import When
from fakellm.scenarios.scenario import Rule, Scenario

FOLDER = Path(".fakellm", "failures")
"""Where failures are saved, relative to the working directory."""


def scenario_of(failure: ClientFailure) -> Scenario:
    """The failing rule as a scenario named after its cause. A rule that must be answered first comes before it."""
    verdict = failure.case.verdict
    cause = (*(step.name for step in failure.case.steps), verdict.outcome, verdict.field)
    name = re.sub(r"[^a-z0-9]+", "-", " ".join(filter(None, cause)).lower()).strip("-")
    before = [msgspec.structs.replace(failure.before, when=When(turn=1))] if failure.before else []
    rule, api = failure.case.rule, failure.case.api
    if api is not CHAT:
        rule = msgspec.structs.replace(rule, when=When(api=name_of(api)))
        before = [msgspec.structs.replace(each, when=When(turn=1, api=name_of(api))) for each in before]
    return Scenario(name=name[:100], rules=(*before, rule))


def save(folder: Path, failure: ClientFailure, comment: str) -> Path:
    """Writes the failure to a file in the folder, named after its cause and a digest of the scenario. Raises OSError if
    it cannot be written."""
    scenario = scenario_of(failure)
    text = dump(scenario)
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()
    file = folder / f"{scenario.name}-{digest}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    comments = "".join(f"# {''.join(map(_printable, line))}\n" for line in comment.split("\n"))
    file.write_text(comments + text, encoding="utf-8")
    return file


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def saved(folder: Path, api: Route = CHAT) -> Iterator[Rule]:
    """The rules of all failures of an API's clients in the folder, if it exists. Raises ScenarioError if a file is not
    a valid scenario."""
    for file in sorted(folder.glob("*")) if folder.is_dir() else ():
        if file.suffix in SUFFIXES:
            rules = (rule for rule in rules_of(file) if (rule.when.api or "chat") == name_of(api))
            yield from (msgspec.structs.replace(rule, when=When(turn=rule.when.turn)) for rule in rules)


def rules_of(file: Path) -> Iterator[Rule]:
    """The rules of a scenario file, each with its dialect."""
    scenario = load(file)
    for rule in scenario.rules:
        yield rule_of(Scenario(dialect=scenario.dialect, rules=(rule,)))
