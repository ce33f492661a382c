"""Loads scenarios from files, text and values, and dumps them as YAML.

It decides which files are read, checks rules across files, and reports the problems of all files at once. It knows no
HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from fakellm.apis.route import HOMES
from fakellm.base.budget import BUDGET
from fakellm.base.errors import ScenarioError
from fakellm.base.json_text import dumps
from fakellm.base.validation import shortened
from fakellm.base.words.near_miss import near_miss
from fakellm.base.yaml_nodes import MOST_NODES
from fakellm.scenarios.builder import On
from fakellm.scenarios.files.editor_files import is_json_schema
from fakellm.scenarios.files.library import included, library_file
from fakellm.scenarios.reachability import unreachable
from fakellm.scenarios.reply import Computed
from fakellm.scenarios.scenario import VERSION, Rule, Scenario, ScenarioFile, combine
from fakellm.scenarios.written_values import check
from fakellm.scenarios.yaml_document import Document, Syntax, read_document, read_mapping

SUFFIXES = (".yaml", ".yml", ".json")

Values = Scenario | Rule | On | Sequence[Rule | On]
ScenarioSource = str | FilePath | Values | Mapping[str, Any]
"""What a scenario can be loaded from: a file or folder, YAML text, a mapping, a scenario, a rule, or several rules."""


_ONE_LINE = re.compile(r"\s*(\{|[\"']?(rules|scenario|dialect|timing|include|version)[\"']?\s*:)")
"""How YAML text in a single line starts; no path does."""


class Reading(Struct, frozen=True):
    """The result of reading files: the scenario, or every problem. `files` are all that were read or looked for."""

    scenario: Scenario | None
    files: tuple[FilePath, ...]
    problems: tuple[str, ...]


def load(source: ScenarioSource) -> Scenario:
    """The scenario in a file or folder, in YAML text (with a line end, or starting with `rules:` or another key of a
    scenario), in a mapping, or in values.

    A folder stands for its `.yaml`, `.yml` and `.json` files, in the order of their names, with all rules in one
    scenario. JSON Schemas in it, such as the one for editors, are skipped.
    Raises ScenarioError with every problem.
    """
    if isinstance(source, Mapping):
        if source and source.keys() <= set(Rule.__struct_fields__) - {"dialect"}:
            example = "{'rules': [{…}]}, or build it with fakellm.on(…)"
            raise ScenarioError([f"scenario: this mapping is a rule; write {example}"])
        return _alone(read_mapping(dict(source), "scenario"))
    if isinstance(source, str) and ("\n" in source or _ONE_LINE.match(source)):
        return parse(source, "scenario")
    if isinstance(source, (str, FilePath)):
        return load_files((FilePath(source),))
    scenario = _scenario(source)
    check(scenario, Scenario, "scenario")
    return _alone(Document(ScenarioFile(**msgspec.structs.asdict(scenario)), "scenario"))


def load_files(paths: Sequence[FilePath]) -> Scenario:
    """One scenario with the rules of all the files and folders, in order. Raises ScenarioError."""
    reading = read(paths)
    if reading.scenario is None:
        raise ScenarioError(reading.problems)
    return reading.scenario


def read(paths: Sequence[FilePath], again: bool = False) -> Reading:
    """The scenario in the files and folders, and in those that they include. Each file is read once. `again`: they have
    been read before, so that none may be a pipe."""
    waiting = [(path, _real(path), "", False) for path in paths][::-1]  # the last: whether it is in a folder
    parts: list[Document] = []
    visited: dict[FilePath, None] = {}
    found: list[str] = []
    folders: set[FilePath] = set()
    while waiting:
        path, real, by, of_folder = waiting.pop()
        if real in visited:
            continue
        visited[real] = None
        try:
            path = path if of_folder else library_file(path)
            if path.is_dir():
                real = _real(path)  # a link in a folder may lead back to it
                if real in folders:
                    continue
                folders.add(real)
                files = _files(path)
                reals = files if path == real else [real / file.name for file in files]
                waiting += [(*both, by, True) for both in zip(files, reals, strict=True)][::-1]
                continue
            name = str(path)
            syntax: Syntax = "json" if name.endswith(".json") else "yaml"
            text = _text(path, by, regular=again or bool(by) or of_folder)
            if of_folder and is_json_schema(text):
                continue
            parts.append(read_document(text, name, syntax))
            others = [included(each, path.parent) for each in parts[-1].scenario.include]
            waiting += [(each, _real(each), f" (included by {path})", False) for each in others][::-1]
        except ScenarioError as error:
            found += error.problems
        except OSError as error:
            found.append(f"{path}: {(error.strerror or str(error)).lower()}{by}")
        except Exception as error:  # whatever is wrong with one file, the others are read
            found.append(f"{path}: this cannot be read: {error!r}{by}")
    found = found or [*_flaws(parts)]
    scenario = None if found else combine(tuple(part.scenario for part in parts))
    return Reading(scenario, tuple(visited), tuple(found))


def parse(text: str, name: str, most: int = MOST_NODES) -> Scenario:
    """The scenario in JSON or YAML text; `name` stands for the file's name in messages. `most`: values to which aliases
    may expand it."""
    return _alone(read_document(text, name, "either", most))


def check_text(text: str, name: str) -> tuple[str, ...]:
    """Checks the text of a file with this name, without the files that it includes; returns their names. Raises
    ScenarioError."""
    part = read_document(text, name, "json" if name.endswith(".json") else "yaml")
    if found := [*_flaws([part])]:
        raise ScenarioError(found)
    return part.scenario.include


def dump(value: Values) -> str:
    """The YAML of a scenario; ``load(dump(scenario)) == scenario``. Rules are written as a scenario of these rules.

    Raises ScenarioError if a reply is a function, which YAML cannot express.
    """
    return yaml.dump(_builtin(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None)


def dump_json(value: Values) -> str:
    """The scenario as JSON, which is written and read faster, and can have any text. Raises ScenarioError as `dump`."""
    return dumps(_builtin(value))


def _builtin(value: Values) -> Any:
    scenario = _scenario(value)
    for number, rule in enumerate(scenario.rules):
        if any(isinstance(step.reply, Computed) for step in rule.steps):
            message = "a reply that is a Python function cannot be written as YAML, nor leave this process"
            raise ScenarioError([f"scenario: rules[{number}]: {message}; serve it with fakellm.serve"])
    builtin = {"version": VERSION, **msgspec.to_builtins(scenario, str_keys=True)}
    for step in (step for rule in builtin["rules"] for step in (rule, *rule.get("then", ()), *rule.get("script", ()))):
        for block in ("when", "stream", "timing"):
            if not step.get(block):
                step.pop(block, None)
    return builtin


class _Dumper(yaml.SafeDumper):
    """Writes text so that reading it gives the same text."""


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # In any other style PyYAML writes these characters unescaped, and reads them as line breaks.
    style = '"' if re.search("[\r\x85\u2028\u2029\ufeff]", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _write_text)


def _scenario(value: Values) -> Scenario:
    if isinstance(value, Scenario):
        return value
    each = (value,) if isinstance(value, (Rule, On)) else value
    kinds: tuple[type, ...] = (Rule, On)  # a caller without a type checker may pass anything
    if not isinstance(each, (list, tuple)):
        message = f"expected a file, a text, a mapping, a Scenario, a Rule or several, got {shortened(value)}"
        raise ScenarioError([f"scenario: {message}"])
    for number, rule in enumerate(each):
        if not isinstance(rule, kinds):
            hint = "; a list of mappings goes into {'rules': […]}" if isinstance(rule, Mapping) else ""
            message = f"expected a Rule or on(…), got {shortened(rule)}{hint}"
            raise ScenarioError([f"scenario: rules[{number}]: {message}"])
    return Scenario(rules=tuple(rule.rule if isinstance(rule, On) else rule for rule in each))


def _alone(part: Document) -> Scenario:
    """The scenario of a document that is not in a file, so that it has no folder to include files from."""
    if part.scenario.include:
        raise ScenarioError([f"{part.name}: include: only a file can include others; this is text or a mapping"])
    if found := [*_flaws([part])]:
        raise ScenarioError(found)
    return combine((part.scenario,))


def _flaws(parts: Sequence[Document]) -> Iterator[str]:
    """What is wrong with rules that are valid each by itself."""
    yield from _wrong_dialects(parts)
    yield from _equal_names(parts)
    yield from _unreachable(parts)


def _equal_names(parts: Sequence[Document]) -> Iterator[str]:
    """The rules with the name of an earlier one, which logs and journal could not distinguish."""
    names = [rule.name for part in parts for rule in part.scenario.rules if rule.name is not None]
    if len({*names}) == len(names):
        return
    first: dict[str, tuple[Document, int]] = {}
    for part in parts:
        for number, rule in enumerate(part.scenario.rules):
            if rule.name is None:
                continue
            other, earlier = first.setdefault(rule.name, (part, number))
            if other is not part or earlier != number:
                where = f"{part.rule(number) if part.marks() else part.name}: rules[{number}].name"
                yield f"{where}: {shortened(rule.name)} is also the name of the rule at {other.rule(earlier)}"


def _wrong_dialects(parts: Sequence[Document]) -> Iterator[str]:
    """The rules for one API with the dialect of another, which would have no effect."""
    for part in parts:
        for number, rule in enumerate(part.scenario.rules):
            api, name = rule.when.api, rule.dialect
            if api is None or name is None or name in HOMES[api].dialects:
                continue
            allowed = HOMES[api].dialects
            known = f"; allowed: {', '.join(allowed)}{near_miss(name, allowed)}" if allowed else ", which has none"
            where = f"{part.rule(number) if part.marks() else part.name}: rules[{number}].dialect"
            yield f"{where}: {name!r} is not a dialect of {api!r}, the API of 'when'{known}"


def _unreachable(parts: Sequence[Document]) -> Iterator[str]:
    places = [(part, number) for part in parts for number in range(len(part.scenario.rules))]
    whens = [part.scenario.rules[number].when for part, number in places]
    for later, earlier in unreachable(whens):
        (part, number), (other, first) = places[later], places[earlier]
        where = f"{part.rule(number) if part.marks() else part.name}: rules[{number}]"
        remedy = "under 'then'" if part.marks() else "under 'then', in Python with .then() or .script(…)"
        yield (
            f"{where}: no request reaches this rule: the one at {other.rule(first)} matches every request that it "
            f"matches; put the more specific rule first, or list its replies in order {remedy}"
        )


def _real(path: FilePath) -> FilePath:
    """The path without symbolic links; as it is, if that cannot be found out: reading it will give the reason."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, a null character
        return path


def _files(path: FilePath) -> list[FilePath]:
    files = sorted((file for file in path.iterdir() if file.suffix in SUFFIXES), key=lambda file: file.name)
    if not files:
        raise ScenarioError([f"{path}: no scenario in this folder (looked for {', '.join(SUFFIXES)})"])
    return files


def _text(file: FilePath, by: str, regular: bool) -> str:
    """The text of a file. Only one that a user names may be a device or a pipe, whose reading may never end."""
    try:
        if regular and not file.is_file() and file.exists():
            raise ScenarioError([f"{file}: not a regular file{by}"])
        with open(str(file), "rb") as opened:  # noqa: PTH123 # of 10,000 files, half the calls of Path.open
            data = opened.read(BUDGET.scenario_bytes + 1)
        if len(data) > BUDGET.scenario_bytes:
            raise ScenarioError(
                [f"{file}: larger than a limit of fakellm: scenario_bytes is {BUDGET.scenario_bytes:,}{by}"]
            )
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ScenarioError([f"{file}: not UTF-8: byte 0x{error.object[error.start]:02x} at {error.start}"]) from None
    except ValueError as error:  # a null character in the path
        raise ScenarioError([f"{str(file)!r}: {error}{by}"]) from None
