"""Reads one YAML text as a scenario, and reports every problem in it at once, each with its place.

It knows no files.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from fakellm.apis.variation import Variation
from fakellm.base.errors import ScenarioError
from fakellm.base.validation import Places, Problem, dotted, has_unquoted_null, null_places, problems
from fakellm.base.yaml_events import read_plain
from fakellm.base.yaml_nodes import Inspection, find, place, too_deep
from fakellm.scenarios.scenario import ScenarioFile

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where the wheel includes it


@cache
def _null_places() -> Places:
    """`null_places(ScenarioFile)`. To look for them in all types of a scenario takes 50 ms; they are in this one."""
    stream = {"stream": null_places(Variation)}
    return {"rules": {None: {**stream, "then": {None: stream}}}}


class Document(Struct, frozen=True):
    """The scenario in a text or a mapping. `name` stands for the file's name in messages."""

    scenario: ScenarioFile
    name: str
    marks: tuple[Any, ...] = ()
    """Where each rule starts; empty if the rules are not in a text."""

    def rule(self, number: int) -> str:
        """The place of the rule with this number, from 0."""
        return place(self.name, self.marks[number]) if self.marks else f"rules[{number}]"


def read_document(text: str, name: str) -> Document:
    """The scenario in a YAML text (JSON is YAML). Raises ScenarioError."""
    try:
        if problem := too_deep(text, _Loader, name):
            raise ScenarioError([problem])
        plain = read_plain(_Loader(text))
        if plain is None:
            return _composed_document(text, name)
        scenario = _scenario(plain.value, text, name, plain.integer_keys)
        return Document(scenario, name, plain.starts["rules"])
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ScenarioError([f"{place(name, mark)}: {error.problem or error.context}"]) from None
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise ScenarioError([f"{name}: {' '.join(str(error).split())}"]) from None
    except (AttributeError, TypeError, ValueError) as error:  # PyYAML does not check that a value fits its tag
        raise ScenarioError([f"{name}: a value that does not fit its tag: {error}"]) from None


def _composed_document(text: str, name: str) -> Document:
    """The scenario in a text that has anchors, aliases or tags, or flaws."""
    loader = _Loader(text)
    node = loader.get_single_node()
    if node is None:
        raise ScenarioError([f"{name}: the file is empty; a scenario is a mapping with a list of 'rules'"])
    inspection = Inspection(node, name)
    if inspection.problems:
        raise ScenarioError(inspection.problems)
    scenario = _scenario(loader.construct_document(node), text, name, bool(inspection.integer_keys))
    rules = find(node, ("rules",), key=False).value
    return Document(scenario, name, tuple(rule.start_mark for rule in rules))


def read_mapping(data: dict[str, Any], name: str) -> Document:
    """The scenario in builtin values. Raises ScenarioError."""
    return Document(_scenario(data, None, name, integer_keys=True), name)


def _scenario(data: Any, text: str | None, name: str, integer_keys: bool) -> ScenarioFile:
    """The scenario in builtin data; `text` is what it was read from. Raises ScenarioError.

    msgspec accepts integers as keys of JSON objects, which have no such keys, so if there are any all keys are checked.
    It also accepts null, which leaves a key unset, where the word `null` may be meant.
    """
    try:
        scenario = msgspec.convert(data, ScenarioFile, str_keys=True)
        flawed = integer_keys or has_unquoted_null(data, _null_places())
        found = list(problems(data, ScenarioFile)) if flawed else []
    except msgspec.ValidationError as error:
        found = list(problems(data, ScenarioFile)) or [Problem((), "value", str(error))]
    if found:
        node = None if text is None else _Loader(text).get_single_node()
        raise ScenarioError([_line(problem, node, name) for problem in found])
    return scenario


def _line(problem: Problem, node: yaml.Node | None, name: str) -> str:
    at_key, missing = problem.kind in ("unknown", "key"), problem.kind == "missing"
    found = node and find(node, problem.path, key=at_key)
    message = problem.message
    if problem.kind == "type" and "expected string" in message and isinstance(found, yaml.ScalarNode):
        message += "; put it in quotes to make it text"
    where = dotted(problem.path[:-1] if at_key or missing else problem.path)
    parts = (place(name, found.start_mark if found else None), where, message)
    return ": ".join(part for part in parts if part)
