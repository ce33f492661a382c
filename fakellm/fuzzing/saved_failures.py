"""Failures as files: scenarios that serve the streams that failed. Owns the folder, the names and the notes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec

from fakellm.fuzzing.draws.steps import steps_of
from fakellm.fuzzing.run import rule_of
from fakellm.fuzzing.search import Failure
from fakellm.scenarios.loader import SUFFIXES, dump, load
from fakellm.scenarios.matching import When
from fakellm.scenarios.scenario import Rule, Scenario

FOLDER = Path(".fakellm", "failures")
"""Where failures are kept, from the folder that one works in."""


def scenario_of(failure: Failure) -> Scenario:
    """The failing rule as a scenario, under the name of its cause; after the rule that is to be asked for before it."""
    verdict = failure.tried.verdict
    cause = (*(step.name for step in steps_of(failure.tried.rule)), verdict.outcome, verdict.field)
    name = re.sub(r"[^a-z0-9]+", "-", " ".join(filter(None, cause)).lower()).strip("-")
    before = [msgspec.structs.replace(failure.before, when=When(turn=1))] if failure.before else []
    return Scenario(name=name[:100], rules=(*before, failure.tried.rule))


def save(folder: Path, failure: Failure, note: str) -> Path:
    """Writes the failure into the folder, under the name of its cause and a digest of what is served."""
    scenario = scenario_of(failure)
    text = dump(scenario)
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()
    file = folder / f"{scenario.name}-{digest}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    notes = "".join(f"# {''.join(map(_printable, line))}\n" for line in note.split("\n"))
    file.write_text(notes + text, encoding="utf-8")
    return file


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def saved(folder: Path) -> Iterator[Rule]:
    """The rules of all failures in the folder, if there is one. Raises ScenarioError where a file is no scenario."""
    for file in sorted(folder.glob("*")) if folder.is_dir() else ():
        if file.suffix in SUFFIXES:
            yield from rules_of(file)


def rules_of(file: Path) -> Iterator[Rule]:
    """The rules of a scenario file, each in its dialect."""
    scenario = load(file)
    for rule in scenario.rules:
        yield rule_of(Scenario(dialect=scenario.dialect, rules=(rule,)))
