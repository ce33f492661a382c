"""docs/reference/responses.md: its examples run, and its tables name what there is, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from fakellm.apis.responses import urls
from fakellm.apis.responses.habits import STREAM_KEYS
from fakellm.apis.responses.spelling import ResponsesSpelling
from fakellm.apis.responses.stored.routes import STORED
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "reference" / "responses.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"<!-- test: python -->\n```python\n(.*?)```", TEXT, re.DOTALL)


def names(head: str) -> list[str]:
    """The names in the first column of the table with this head."""
    rows = TEXT[TEXT.index(head) :].partition("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def test_no_example_is_left_out() -> None:
    assert len(EXAMPLES) == TEXT.count("```") / 2


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_every_route_key_and_dialect_is_listed() -> None:
    listed = re.findall(r"^\| (`[A-Z].*?`) \|", TEXT[TEXT.index("| route |") :], re.MULTILINE)
    routes = {(method, route) for route, methods in STORED.items() for method in methods}
    found = set()
    for row in listed:
        *methods, route = re.findall(r"[A-Z]{3,}|/\S+(?=`)", row)
        found |= {(method, route) for method in methods}
    assert found == {("POST", urls.CREATE), *routes}
    assert {name.partition(":")[0] for name in names("| key |")} == {key.partition(".")[0] for key in STREAM_KEYS}
    assert names("| key of `responses` |")[0:] == list(ResponsesSpelling.__struct_fields__)
    assert names("| dialect |") == [
        *("openai", "azure", "chatgpt", "xai", "openrouter", "deepseek", "bedrock-mantle", "lmstudio", "copilot"),
    ]
    assert set(names("| dialect |")) == set(urls.DIALECTS)
