"""docs/reference/operation.md: its Python runs, and its tables have every metric and option, and no others."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from fakellm.cli.beside.connection_options import OPTIONS
from fakellm.cli.serve_command import command
from fakellm.server.control.metrics import Numbers
from fakellm.server.sending.lateness import Lateness
from fakellm.server.sending.traffic import Traffic
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "reference" / "operation.md").read_text(encoding="utf-8")


def test_the_example_runs() -> None:
    (code,) = (each for each in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "fakellm.serve" in each)
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_the_table_has_every_metric_and_no_other() -> None:
    _, text = Numbers(Traffic(), Lateness(), {"a": (1, 2)}).text()
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text.decode(), re.MULTILINE))
    listed = re.findall(r"`(fakellm_\w+)`", TEXT.partition("## HTTPS")[0])
    assert sorted(listed) == sorted(types)


@pytest.mark.parametrize("number", range(len(OPTIONS)))
def test_the_page_has_every_option_of_connections(number: int) -> None:
    option = [
        each
        for each in command.params
        if each.name in ("keep_alive", "requests_per_connection", "tls_cert", "tls_key", "tls")
    ][number]
    assert f"`{option.opts[0]}" in TEXT or f"{option.opts[0]} " in TEXT
