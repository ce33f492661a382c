"""YAML that is read from the parser's events has the values that PyYAML constructs, and what is unusual is composed."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fakellm import ScenarioError, dump, load
from fakellm.base.yaml_events import read_plain

LOADERS = [loader for loader in (yaml.SafeLoader, getattr(yaml, "CSafeLoader", None)) if loader]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(SCALARS, lambda part: st.lists(part) | st.dictionaries(st.text() | st.integers(), part))


class NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


@pytest.mark.parametrize("loader", LOADERS)
@given(value=VALUES, style=st.sampled_from([None, True, False]))
def test_events_have_the_values_that_pyyaml_constructs(loader: Any, value: Any, style: bool | None) -> None:
    text = yaml.dump(value, Dumper=NoAliases, default_flow_style=style, allow_unicode=True)
    plain = read_plain(loader(text))
    expected = yaml.load(text, loader)
    assert (plain is None and has_similar_keys(expected)) or (plain is not None and plain.value == expected)


def has_similar_keys(value: Any) -> bool:
    """Whether the text of an integer key is also a key beside it: 3 and "3"."""
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return (isinstance(value, dict) and len({str(key) for key in value}) < len(value)) or any(
        map(has_similar_keys, parts)
    )


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "# nothing",
            "a: &x 1",
            "a: &x [1]",
            "a: &x {}",
            "- *x",
            "&x a: 1",
            "<<: {a: 1}",
            "!!set {a}",
            "!!map {}",
        ),
        *("a: 1\na: 2", "3: a\n'3': b", "1.5: a", "true: a", "0x3: a", "[a]: b", "{a: 1}: b", "--- a\n--- b", "!x [a]"),
    ],
)
def test_what_is_unusual_is_left_to_the_composer(loader: Any, text: str) -> None:
    assert read_plain(loader(text)) is None


def test_each_item_of_a_list_in_the_root_mapping_has_its_start() -> None:
    plain = read_plain(yaml.SafeLoader("a:\n- 1\n- [2, 3]\nb: {c: [4]}\n7: [5]\n"))
    assert plain is not None
    assert {key: [(mark.line, mark.column) for mark in marks] for key, marks in plain.starts.items()} == {
        "a": [(1, 2), (2, 2)]
    }


EACH = "rules:\n- reply: {content: Hi}\n  stream: {spelling: {each: {x: %s}}}\n"


@pytest.mark.parametrize("keys", ["{3: v}", "{'3': v}", "&a {3: v}"])
def test_a_chunk_number_is_a_key(keys: str) -> None:
    scenario = load(EACH % keys)
    assert scenario.rules[0].stream.spelling is not None
    assert scenario.rules[0].stream.spelling.each == {"x": {3: "v"}}
    assert load(dump(scenario)) == scenario


IN_QUOTES = "a key must be text; put it in quotes"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (EACH % "{a: v}", "scenario:3:34: rules[0].stream.spelling.each.x: the key 'a': expected integer, got string"),
        (EACH % "{-1: v}", "scenario:3:34: rules[0].stream.spelling.each.x: the key -1: expected integer >= 0"),
        (EACH % "{'-1': v}", "scenario:3:34: rules[0].stream.spelling.each.x: the key '-1': expected integer >= 0"),
        (EACH % "{0x3: v}", f"scenario:3:34: {IN_QUOTES}"),
        (EACH % "{3: {4: v}}", f"scenario:3:38: rules[0].stream.spelling.each.x[3]: {IN_QUOTES}"),
        (EACH % "[{4: v}]", f"scenario:3:35: rules[0].stream.spelling.each.x[0]: {IN_QUOTES}"),
        ("rules:\n- reply: {3: v}\n", f"scenario:2:11: rules[0].reply: {IN_QUOTES}"),
        ("rules:\n- reply: {headers: {3: v}}\n", f"scenario:2:21: rules[0].reply.headers: {IN_QUOTES}"),
        (
            "rules:\n- reply: {tool_calls: [{name: f, arguments: {a: [{3: v}]}}]}\n",
            f"scenario:2:51: rules[0].reply.tool_calls[0].arguments.a[0]: {IN_QUOTES}",
        ),
    ],
)
def test_a_key_that_cannot_be_a_number_or_has_to_be_text(text: str, problem: str) -> None:
    for variant in (text, text.replace("rules:", "rules: &rules")):  # from events, and composed
        with pytest.raises(ScenarioError) as caught:
            load(variant)
        assert caught.value.problems == (problem,)


def test_a_mapping_with_an_integer_as_a_key_of_json_is_refused() -> None:
    call = {"name": "f", "arguments": {"a": {3: "x"}}}
    with pytest.raises(ScenarioError, match=IN_QUOTES):
        load({"rules": [{"reply": {"tool_calls": [call]}}]})


def test_loading_leaves_the_garbage_collector_on(tmp_path: Path) -> None:
    rules = [{"name": f"rule {number}", "reply": {"content": "Hi"}} for number in range(3_000)]
    (tmp_path / "a.json").write_text(
        json.dumps({"rules": [{**rule, "when": {"user": rule["name"]}} for rule in rules]})
    )
    phases: list[str] = []

    def note(phase: str, _info: object) -> None:
        phases.append(phase)

    gc.callbacks.append(note)
    try:
        load(tmp_path)
    finally:
        gc.callbacks.remove(note)
    assert gc.isenabled()
    assert phases
