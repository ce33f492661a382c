"""docs/reference/routes.md: its examples run, and its tables name every route and every header there is, and no other."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from fakellm.server import scenario_app
from fakellm.server.scenario_app import App, HttpRequest
from tests.conftest import ROOT, chat, respond

TEXT = (ROOT / "docs" / "reference" / "routes.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"<!-- test: python -->\n```python\n(.*?)```", TEXT, re.DOTALL)


def test_no_example_is_left_out() -> None:
    assert len(EXAMPLES) == TEXT.count("```") / 2


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_every_route_is_in_the_table() -> None:
    routes = {
        f"{method} {path}"
        for path, methods in scenario_app.ROUTES.items()
        for method in methods
        if "_fakellm" not in path
    }
    assert set(re.findall(r"^\| `([A-Z]+ /.*?)` \|", TEXT, re.MULTILINE)) == routes


def test_every_header_is_in_the_table() -> None:
    plan = respond(App(), HttpRequest("POST", "/v1/chat/completions", chat())).plan
    sent = {re.sub("(requests|tokens)$", "…", name) for name, _ in plan.headers} - {"Content-Type"}
    table = TEXT[TEXT.index("| header |") :]
    named = {
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`([a-z-]+-[a-z-]*…?)`", row)
    }
    assert named == sent
