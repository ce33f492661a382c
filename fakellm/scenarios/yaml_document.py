"""Reads one YAML or JSON text as a scenario, and reports every problem in it at once, each with its place.

It knows no files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from math import isfinite
from typing import Any, Literal

import msgspec
import yaml
from msgspec import Struct

from fakellm.apis.variation import Variation
from fakellm.base.errors import ScenarioError
from fakellm.base.json_nodes import TooDeepError, json_nodes
from fakellm.base.json_text import writable
from fakellm.base.validation import Path, Places, Problem, dotted, has_unquoted_null, null_places, problems, shortened
from fakellm.base.yaml_events import read_plain
from fakellm.base.yaml_nodes import MOST_DEEP, MOST_NODES, Inspection, find, overflows, place, too_deep
from fakellm.scenarios.files.versions import newer, with_new_names
from fakellm.scenarios.mistakes.misplaced import block_for_value, kind_of_wait, place_of_key, status_of_kind
from fakellm.scenarios.mistakes.unclosed import unclosed
from fakellm.scenarios.scenario import ScenarioFile
from fakellm.scenarios.yaml_hints import ANOTHER_DOCUMENT, remedy, unknown_key

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where the wheel includes it

Syntax = Literal["yaml", "json", "either"]


@cache
def _null_places() -> Places:
    """`null_places(ScenarioFile)`. To look for them in all types of a scenario takes 50 ms; they are in this one."""
    stream = {"stream": null_places(Variation)}
    return {"rules": {None: {**stream, "then": {None: stream}, "script": {None: stream}}}}


class Document(Struct, frozen=True):
    """The scenario in a text or a mapping. `name` stands for the file's name in messages."""

    scenario: ScenarioFile
    name: str
    marks: Callable[[], Sequence[Any]] = tuple
    """Returns where each rule starts; nothing if the rules are not in a text."""

    def rule(self, number: int) -> str:
        """The place of the rule with this number, from 0."""
        marks = self.marks()
        return place(self.name, marks[number]) if marks else f"rules[{number}]"


def read_document(text: str, name: str, syntax: Syntax = "yaml", most: int = MOST_NODES) -> Document:
    """The scenario in a text. `either`: JSON if the text is valid JSON, else YAML. `most`: values to which aliases may
    expand it. Raises ScenarioError."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"not UTF-8: {text[error.start]!r} at character {error.start}"
        raise ScenarioError([f"{name}: {message}"]) from None
    if syntax == "json" or (syntax == "either" and text.lstrip("\ufeff \t\r\n").startswith("{")):
        document = _json_document(text, name, must=syntax == "json")
        if document is not None:
            return document
    try:
        if problem := too_deep(text, _Loader, name):
            raise ScenarioError([problem])
        plain = read_plain(_Loader(text))
        if plain is None:
            return _composed_document(text, name, most)
        scenario = _scenario(plain.value, lambda: _node(text), name, plain.integer_keys or not plain.json)
        return Document(scenario, name, lambda: plain.starts["rules"])
    except yaml.YAMLError as error:
        raise ScenarioError([_yaml_problem(error, text, name)]) from None
    except ScenarioError:
        raise
    except Exception as error:  # PyYAML does not check that a value fits its tag
        try:
            problem = _unfit(text, name, error)
        except yaml.YAMLError as other:
            problem = _yaml_problem(other, text, name)
        raise ScenarioError([problem]) from None


def _yaml_problem(error: yaml.YAMLError, text: str, name: str) -> str:
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"{name}: {' '.join(str(error).split())}"  # a character that YAML does not allow
    mark = error.problem_mark or error.context_mark
    found = error.problem or error.context or ""
    if found == "but found another document":
        return f"{place(name, mark)}: {ANOTHER_DOCUMENT}"
    if opened := unclosed(error, text, _Loader):
        return f"{place(name, opened[0])}: {opened[1]}"
    hint = remedy(text, mark.line, mark.column, found) if mark else ""
    return f"{place(name, mark)}: {found}{'; ' if hint else ''}{hint}"


def _node(text: str) -> yaml.Node:
    node: yaml.Node = _Loader(text).get_single_node()
    return node


def _composed_document(text: str, name: str, most: int) -> Document:
    """The scenario in a text that has anchors, aliases or tags, or flaws."""
    loader = _Loader(text)
    node = loader.get_single_node()
    if node is None:
        raise ScenarioError([f"{name}: the file is empty; a scenario is a mapping with a list of 'rules'"])
    inspection = Inspection(node, name, most)
    if inspection.problems:
        raise ScenarioError(inspection.problems)
    scenario = _scenario(loader.construct_document(node), lambda: _node(text), name, checked=True)
    rules = find(node, ("rules",), key=False).value
    return Document(scenario, name, lambda: tuple(rule.start_mark for rule in rules))


def _unfit(text: str, name: str, error: Exception) -> str:
    """The problem with the first scalar that does not fit its tag."""
    pending = [_node(text)]
    visited = set()
    while pending:
        node = pending.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            try:
                _Loader("").construct_object(node)
            except Exception as unfit:
                tag = node.tag.replace("tag:yaml.org,2002:", "!!")
                reason = f": {unfit}" if isinstance(unfit, ValueError) else ""
                return f"{place(name, node.start_mark)}: {shortened(node.value)} does not fit its tag {tag}{reason}"
        else:
            parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
            pending += reversed(parts)
    return f"{name}: this cannot be read: {error!r}"


def _json_document(text: str, name: str, must: bool) -> Document | None:
    """The scenario in a JSON text; None if the text is not valid JSON and need not be. Raises ScenarioError."""
    text = text.removeprefix("\ufeff")
    checked = False

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal checked
        found = dict(pairs)
        checked = checked or len(found) < len(pairs)
        return found

    def number(digits: str) -> float:
        nonlocal checked
        value = float(digits)
        checked = checked or not isfinite(value)
        return value

    try:
        data = json.loads(text, object_pairs_hook=mapping, parse_float=number, parse_constant=number)
        node = json_nodes(text) if checked or text.count("{") + text.count("[") > MOST_DEEP else None
    except json.JSONDecodeError as error:
        if not must:
            return None
        problem = f"{name}:{error.lineno}:{error.colno}: this is not valid JSON: {error.msg}"
        raise ScenarioError([problem]) from None
    except ValueError as error:  # an integer with too many digits
        raise ScenarioError([f"{name}: this cannot be read: {error}"]) from None
    except RecursionError:
        raise ScenarioError([f"{name}: nested more than {MOST_DEEP} levels deep"]) from None
    except TooDeepError as error:
        raise ScenarioError([f"{place(name, error.mark)}: nested more than {MOST_DEEP} levels deep"]) from None
    if node is not None and (found := Inspection(node, name).problems):
        raise ScenarioError(found)
    scenario = _scenario(data, lambda: json_nodes(text), name, checked)
    return Document(
        scenario,
        name,
        lambda: [rule.start_mark for rule in find(json_nodes(text), ("rules",), key=False).value],
    )


def read_mapping(data: dict[str, Any], name: str) -> Document:
    """The scenario in builtin values. Raises ScenarioError."""
    try:
        return Document(_scenario(data, None, name, checked=True), name)
    except RecursionError:
        raise ScenarioError([f"{name}: nested too deeply, or a part contains itself"]) from None


def _scenario(data: Any, nodes: Callable[[], yaml.Node] | None, name: str, checked: bool) -> ScenarioFile:
    """The scenario in builtin data; `nodes` composes the text that it was read from. Raises ScenarioError.

    msgspec accepts integers as keys of JSON objects, and values that JSON does not have: if the data may have any,
    `checked` is set, and all of it is checked. It also accepts null, which leaves a key unset, where the word `null`
    may be meant.
    """
    if problem := newer(data):
        raise ScenarioError([_line(problem, data, nodes() if nodes else None, name)])
    try:
        scenario = msgspec.convert(data, ScenarioFile, str_keys=True)
        flawed = checked or has_unquoted_null(data, _null_places())
        found = list(problems(data, ScenarioFile)) if flawed else []
        if checked and nodes and not found:
            found = list(overflows(nodes()))
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        found = list(problems(data, ScenarioFile)) or [Problem((), "value", str(error))]
    if not found:
        return scenario
    node = nodes() if nodes else None
    lines = [_line(problem, data, node, name) for problem in found]
    if all(problem.kind == "renamed" for problem in found):
        places = [(problem.path, problem.renamed) for problem in found]
        return _scenario(with_new_names(data, places, lines), nodes, name, checked)
    raise ScenarioError(lines)


def _line(problem: Problem, data: Any, node: yaml.Node | None, name: str) -> str:
    at_key, missing = problem.kind in ("unknown", "key", "renamed"), problem.kind == "missing"
    found = node and find(node, problem.path, key=at_key)
    message = problem.message
    if problem.kind == "type" and "expected string" in message and isinstance(found, yaml.ScalarNode):
        message += "; put it in quotes to make it text"
    if problem.kind == "type":
        message += block_for_value(problem.path, _value_at(data, problem.path), message)
    if problem.kind == "value":
        message += status_of_kind(problem.path, _value_at(data, problem.path))
    if missing:
        message += kind_of_wait(problem.path, _value_at(data, problem.path[:-1]))
    if problem.kind == "unknown" and (belongs := place_of_key(problem.path)):
        message = message.partition("; did you mean ")[0] + belongs
    elif problem.kind == "unknown" and isinstance(found, yaml.ScalarNode) and node:
        message += unknown_key(found.value, find(node, problem.path, key=False).value != "")
    where = dotted(problem.path[:-1] if at_key or missing else problem.path)
    parts = (place(name, found.start_mark if found else None), where, message)
    return writable(": ".join(part for part in parts if part))


def _value_at(data: Any, path: Path) -> Any:
    for step in path:
        try:
            data = data[step]
        except (LookupError, TypeError):  # the path of a default
            return None
    return data
