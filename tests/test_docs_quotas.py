"""Every example in docs/reference/quotas.md loads and runs, and its table has every key."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from fakellm.quotas.rate_limits import Allowance, RateLimit
from fakellm.scenarios.loader import load
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "reference" / "quotas.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_an_example_runs(code: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_the_scenario_loads_and_the_table_has_every_key() -> None:
    (scenario,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert len(load(scenario).limits) == 2
    keys = {*RateLimit.__struct_fields__, *Allowance.__struct_fields__}
    assert keys <= {*re.findall(r"`(\w+)`", TEXT.partition("## How")[0])}
