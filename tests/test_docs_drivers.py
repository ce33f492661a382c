"""docs/how-to/drivers.md: each driver is complete as it is pasted, and its client survives the fuzzer."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from fakellm.cli import main
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "how-to" / "drivers.md").read_text(encoding="utf-8")
PASTED = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```\n\n```sh\nfakellm fuzz ([^\n]+)\n```", TEXT, re.DOTALL)
ALSO_NEEDED = {"bash": ("curl", "jq")}
"""What the language is not enough for."""


def language(command: str) -> str:
    """The program that runs the driver."""
    return command.partition("-- ")[2].split()[0]


def test_there_is_one_for_each_language() -> None:
    languages = [language(command) for _, _, command in PASTED]
    assert languages == ["node", "go", "java", "ruby", "php", "perl", "bash"]
    assert TEXT.count("YOUR CLIENT: replace what follows") == len(PASTED)


@pytest.mark.parametrize(("name", "program", "command"), PASTED, ids=[name for name, _, _ in PASTED])
def test_it_survives_a_hundred_cases(
    name: str, program: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = language(command)
    for needed in (runs, *ALSO_NEEDED.get(runs, ())):
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is not installed")
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(program, encoding="utf-8")
    words = ["fuzz", "--profile", "standard", "--examples", "100", "--timeout", "20", *shlex.split(command)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
