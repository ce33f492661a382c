"""One YAML text as a scenario: owns how a problem in it is told, all of them at once. With `places`, the YAML room.

Knows no files.
"""

from __future__ import annotations

from typing import Any

import msgspec
import yaml
from msgspec import Struct

from fakellm.base.errors import ScenarioError
from fakellm.base.validation import Problem, dotted, problems
from fakellm.base.yaml_nodes import find, flaws, place, too_deep, value
from fakellm.scenarios.scenario import ScenarioFile

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where the wheel has it


class Document(Struct, frozen=True):
    """What a text or a mapping says, and where. `name` stands in messages as the file's name."""

    scenario: ScenarioFile
    name: str
    marks: tuple[Any, ...] = ()
    """Where each rule starts, if it stands in a text."""

    def rule(self, number: int) -> str:
        """The place of the rule with this number, from 0."""
        return place(self.name, self.marks[number]) if self.marks else f"rules[{number}]"


def read_document(text: str, name: str) -> Document:
    """What a YAML text says (JSON is YAML). Raises ScenarioError."""
    try:
        if problem := too_deep(text, _Loader, name):
            raise ScenarioError([problem])
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise ScenarioError([f"{name}: the file is empty; a scenario is a mapping with a list of 'rules'"])
        scenario = convert(_data(loader, node, name, aliases="&" in text), node, name)
        rules = find(node, ("rules",), key=False).value
        return Document(scenario, name, tuple(rule.start_mark for rule in rules))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ScenarioError([f"{place(name, mark)}: {error.problem or error.context}"]) from None
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise ScenarioError([f"{name}: {' '.join(str(error).split())}"]) from None
    except (
        AttributeError,
        TypeError,
        ValueError,
    ) as error:  # what PyYAML lets pass of a tag that its value does not fit
        raise ScenarioError([f"{name}: a value that does not fit its tag: {error}"]) from None


def _data(loader: Any, node: yaml.Node, name: str, aliases: bool) -> Any:
    """What the document says, as lists, mappings and plain values."""
    found: list[str] = list(flaws(node, name)) if aliases else []
    data = None if aliases else value(node, loader.construct_object, name, found)
    if found:
        raise ScenarioError(found)
    return loader.construct_document(node) if aliases else data


def convert(data: Any, node: yaml.Node | None, name: str) -> ScenarioFile:
    """The scenario that builtin data says, whose places are those of `node`. Raises ScenarioError."""
    try:
        return msgspec.convert(data, ScenarioFile, str_keys=True)
    except msgspec.ValidationError:
        raise ScenarioError([_line(problem, node, name) for problem in problems(data, ScenarioFile)]) from None


def _line(problem: Problem, node: yaml.Node | None, name: str) -> str:
    unknown, missing = problem.kind == "unknown", problem.kind == "missing"
    found = node and find(node, problem.path, key=unknown)
    what = problem.message
    if problem.kind == "type" and "expected string" in what and isinstance(found, yaml.ScalarNode):
        what += "; put it in quotes to make it text"
    where = dotted(problem.path[:-1] if unknown or missing else problem.path)
    return ": ".join(part for part in (place(name, found.start_mark if found else None), where, what) if part)
