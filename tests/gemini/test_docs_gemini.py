"""docs/reference/gemini.md: its examples run with Google's SDK."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.conftest import ROOT

EXAMPLES = re.findall(
    r"<!-- test: python -->\n```python\n(.*?)```",
    (ROOT / "docs" / "reference" / "gemini.md").read_text(encoding="utf-8"),
    re.DOTALL,
)


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs(code: str) -> None:
    if "google" in code and not installed("google.genai"):
        pytest.skip("google-genai is not installed")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
