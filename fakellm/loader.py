"""Scenarios from files and text, and back. Owns which files are read and how a problem in one is told.

Every problem of a file is told at once. With `places`, the only YAML room; knows no HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import msgspec
import yaml

from fakellm.errors import ScenarioError
from fakellm.places import find, flaws, place
from fakellm.scenario import Rule, Scenario, combine
from fakellm.shape import Problem, dotted, problems

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where the wheel has it

SUFFIXES = (".yaml", ".yml", ".json")


def load(source: str | FilePath | Scenario | Rule | Mapping[str, Any]) -> Scenario:
    """The scenario in a file or a folder, in YAML text (any text with a line end), in a mapping, or given as a value.

    A folder means its files with one of SUFFIXES, in the order of their names, all rules in one scenario. Raises
    ScenarioError with every problem found.
    """
    if isinstance(source, Scenario):
        return source
    if isinstance(source, Rule):
        return Scenario(rules=(source,))
    if isinstance(source, Mapping):
        return _convert(dict(source), None, "scenario")
    if isinstance(source, str) and "\n" in source:
        return parse(source, "scenario")
    return load_files((FilePath(source),))


def load_files(paths: tuple[FilePath, ...]) -> Scenario:
    """One scenario with the rules of all the files and folders, in order."""
    files = [file for path in paths for file in _files(path)]
    scenarios: list[Scenario] = []
    found: list[str] = []
    for file in files:
        try:
            scenarios.append(parse(_text(file), str(file)))
        except ScenarioError as error:
            found += error.problems
    if found:
        raise ScenarioError(found)
    return combine(tuple(scenarios))


def parse(text: str, name: str) -> Scenario:
    """The scenario in YAML text (JSON is YAML); `name` stands in messages as the file's name."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise ScenarioError([f"{name}: the file is empty; a scenario is a mapping with a list of 'rules'"])
        found = list(flaws(node, name))
        if found:
            raise ScenarioError(found)
        return _convert(loader.construct_document(node), node, name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ScenarioError([f"{place(name, mark)}: {error.problem or error.context}"]) from None
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise ScenarioError([f"{name}: {' '.join(str(error).split())}"]) from None
    except RecursionError:
        raise ScenarioError([f"{name}: nested too deeply"]) from None


def dump(value: Scenario | Rule) -> str:
    """The YAML of a scenario; ``load(dump(scenario)) == scenario``. A rule is written as a scenario with one rule."""
    scenario = Scenario(rules=(value,)) if isinstance(value, Rule) else value
    builtin = msgspec.to_builtins(scenario)
    for rule in builtin["rules"]:
        for block in ("when", "stream", "timing"):
            if not rule.get(block):
                rule.pop(block, None)
    return yaml.dump(builtin, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None)


class _Dumper(yaml.SafeDumper):
    """Writes text so that it is read again as it was."""


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # In any other style PyYAML writes these raw, and reads a line break where they stand.
    style = '"' if re.search("[\r\x85\u2028\u2029\ufeff]", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _write_text)


def _files(path: FilePath) -> list[FilePath]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not files:
        raise ScenarioError([f"{path}: no scenario in this folder (looked for {', '.join(SUFFIXES)})"])
    return files


def _text(file: FilePath) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ScenarioError([f"{file}: not UTF-8: byte 0x{error.object[error.start]:02x} at {error.start}"]) from None
    except OSError as error:
        raise ScenarioError([f"{file}: {(error.strerror or str(error)).lower()}"]) from None


def _convert(data: Any, node: yaml.Node | None, name: str) -> Scenario:
    try:
        return msgspec.convert(data, Scenario)
    except msgspec.ValidationError:
        raise ScenarioError([_line(problem, node, name) for problem in problems(data, Scenario)]) from None


def _line(problem: Problem, node: yaml.Node | None, name: str) -> str:
    unknown, missing = problem.kind == "unknown", problem.kind == "missing"
    found = node and find(node, problem.path, key=unknown)
    what = problem.message
    if problem.kind == "type" and "expected string" in what and isinstance(found, yaml.ScalarNode):
        what += "; put it in quotes to make it text"
    where = dotted(problem.path[:-1] if unknown or missing else problem.path)
    return ": ".join(part for part in (place(name, found.start_mark if found else None), where, what) if part)
