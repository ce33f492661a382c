"""docs/reference/ollama.md: its examples run, and it names every route and every key with an effect."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from fakellm.apis.ollama import urls
from fakellm.apis.ollama.api import OLLAMA
from fakellm.apis.ollama.operations import OPERATIONS
from fakellm.scenarios.loader import load
from tests.conftest import ROOT
from tests.ollama.samples import lines, sent

TEXT = (ROOT / "docs" / "reference" / "ollama.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"<!-- test: python -->\n```python\n(.*?)```", TEXT, re.DOTALL)
(SCENARIO,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def test_no_example_is_left_out() -> None:
    assert len(EXAMPLES) + 1 == TEXT.count("```") / 2


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_the_scenario_has_the_effects_that_it_states() -> None:
    old, new = (lines(sent(load(SCENARIO), model=model)) for model in ("old-1", "new"))
    assert list(old[-1])[3:5] == ["done_reason", "done"]
    assert "id" not in old[0]["message"]["tool_calls"][0]
    assert len(new[-1]["message"]["tool_calls"]) == 2


def test_every_route_is_in_the_table() -> None:
    for route in urls.ROUTES:
        assert all(f"`{method} {route}`" in TEXT for method in OPERATIONS.get(route, ("POST",)))
    assert all(f"`{route}`" in TEXT for route in urls.REFUSED)


def test_every_key_with_an_effect_is_named() -> None:
    assert {key for key in OLLAMA.stream_keys if not re.search(rf"`{key.partition('.')[0]}[`.:]", TEXT)} == set()
    assert all(f"`{name}`" in TEXT for name in OLLAMA.dialects)
